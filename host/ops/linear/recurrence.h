// SPDX-License-Identifier: MIT
// What the references of this family share: a state [rows, columns] with the magnitudes
// behind it, from s0 to st. Included by contract files only.
#ifndef VKZ_OPS_LINEAR_RECURRENCE_H
#define VKZ_OPS_LINEAR_RECURRENCE_H

#include <math.h>
#include <tgmath.h>

#include "zoo/op.h"

#define VKZ_RECURRENCE_AXES \
    {"INIT", "off on", "start from the state s0 instead of zero"}, \
    {"FINAL", "off on", "also write the state after the last token"}

// A state and, element by element, the sum of the magnitudes that it was made of.
struct recurrence {
    int64_t rows, columns;
    real *s, *size;
};

static inline struct recurrence recurrence_zero(struct vkz_ref *ref, int64_t rows,
                                                int64_t columns)
{
    const size_t bytes = (size_t)(rows * columns) * sizeof(real);
    struct recurrence r = {.rows = rows, .columns = columns};
    r.s = vkz_ref_temp(ref, bytes);
    r.size = vkz_ref_temp(ref, bytes);
    return r;
}

// The state of sequence `unit` before its first token: s0 where the case has it.
static inline struct recurrence recurrence_begin(struct vkz_ref *ref, int64_t unit,
                                                 int64_t rows, int64_t columns)
{
    const int64_t count = rows * columns;
    struct recurrence r = recurrence_zero(ref, rows, columns);
    const float *s0 = vkz_ref_in(ref, "s0");
    for (int64_t i = 0; s0 != NULL && i < count; i++) {
        r.s[i] = (real)s0[unit * count + i];
        r.size[i] = fabs(r.s[i]);
    }
    return r;
}

static inline void recurrence_decay_row(struct recurrence *r, int64_t row, real decay)
{
    for (int64_t j = 0; j < r->columns; j++) {
        r->s[row * r->columns + j] *= decay;
        r->size[row * r->columns + j] *= decay;
    }
}

static inline void recurrence_add_row(struct recurrence *r, int64_t row, real factor,
                                      const float *x)
{
    for (int64_t j = 0; j < r->columns; j++) {
        r->s[row * r->columns + j] += factor * (real)x[j];
        r->size[row * r->columns + j] += fabs(factor * (real)x[j]);
    }
}

// out += factor * row, size += |factor| * the magnitude of that row.
static inline void recurrence_read_row(const struct recurrence *r, int64_t row,
                                       real factor, real *out, real *size)
{
    for (int64_t j = 0; j < r->columns; j++) {
        out[j] += factor * r->s[row * r->columns + j];
        size[j] += fabs(factor) * r->size[row * r->columns + j];
    }
}

// Writes st where the case has it.
static inline void recurrence_end(const struct recurrence *r, struct vkz_ref *ref)
{
    double *st = vkz_ref_out(ref, "st"), *scale = vkz_ref_scale(ref, "st");
    for (int64_t i = 0; st != NULL && i < r->rows * r->columns; i++) {
        st[i] = (double)r->s[i];
        scale[i] = (double)r->size[i];
    }
}

#endif
