// SPDX-License-Identifier: MIT
// What the contracts of this family share: a state [rows, columns] with the magnitudes
// behind it, the INIT and FINAL axes, and the identities of every recurrence.
// Included by contract files only.
#ifndef VKZ_OPS_LINEAR_RECURRENCE_H
#define VKZ_OPS_LINEAR_RECURRENCE_H

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

#define VKZ_RECURRENCE_AXES \
    {"INIT", "off on", "start from the state s0 instead of zero"}, \
    {"FINAL", "off on", "also write the state after the last token"}

// A state and, element by element, the sum of the magnitudes that it was made of.
struct recurrence {
    int64_t rows, columns;
    real *s, *size;
};

// The state of sequence `unit` before its first token: s0 where the case has it.
static inline struct recurrence recurrence_begin(struct vkz_ref *ref, int64_t unit,
                                                 int64_t rows, int64_t columns)
{
    const int64_t count = rows * columns;
    struct recurrence r = {.rows = rows, .columns = columns};
    r.s = vkz_ref_temp(ref, (size_t)count * sizeof(real));
    r.size = vkz_ref_temp(ref, (size_t)count * sizeof(real));
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
static inline void recurrence_read_row(const struct recurrence *r, int64_t row, real factor,
                                       real *out, real *size)
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

// ---- Identities. Tensors with a time axis are those named here; all [b, h, len, ..]. ----

// Every input with a middle dim `len`, in any contract of this family.
static const char *const recurrence_inputs[] = {"q", "k", "v",  "g", "beta", "w",
                                                "a", "b", NULL};

// Whether the contract has that tensor, in this case or another.
static inline bool recurrence_has(const struct vkz_identity_run *run, const char *tensor)
{
    for (const struct vkz_tensor *t = run->c->op->tensors; t->name != NULL; t++) {
        if (strcmp(t->name, tensor) == 0) {
            return true;
        }
    }
    return false;
}

// Copies tokens [first, first + taken) of all inputs of `whole` to `part`, whose len is
// `taken`; inputs of equal size are copied whole. The number of sequences is batch * heads.
static inline void recurrence_cut(struct vkz_identity_run *run, struct vkz_data *part,
                                  struct vkz_data *whole, int64_t first, int64_t taken)
{
    const int64_t len = vkz_identity_dim(run, "len");
    for (int i = 0; recurrence_inputs[i] != NULL; i++) {
        const char *name = recurrence_inputs[i];
        if (!recurrence_has(run, name)) {
            continue;
        }
        const int64_t count = vkz_identity_count(whole, name);
        const int64_t count_part = vkz_identity_count(part, name);
        float *to = vkz_identity_float(run, part, name);
        const float *from = vkz_identity_float(run, whole, name);
        if (to == NULL || from == NULL || count == 0) {
            continue;
        }
        if (count == count_part) {
            memcpy(to, from, (size_t)count * sizeof *to);
            continue;
        }
        // count = blocks * len * width and count_part = blocks * taken * width.
        const int64_t sequences =
            vkz_identity_dim(run, "batch") * vkz_identity_dim(run, "heads");
        const int64_t per = count / sequences / len;
        const int64_t blocks = per > 0 ? sequences : count / len;
        const int64_t width = count / blocks / len;
        for (int64_t x = 0; x < blocks; x++) {
            memcpy(to + x * taken * width, from + (x * len + first) * width,
                   (size_t)(taken * width) * sizeof *to);
        }
    }
}

// Rows [first, first + taken) of every block of o.
static inline double *recurrence_rows(struct vkz_identity_run *run, const double *o,
                                      int64_t count, int64_t first, int64_t taken)
{
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t blocks =
        vkz_identity_dim(run, "batch") * vkz_identity_dim(run, "heads");
    const int64_t width = count / blocks / len;
    double *rows = vkz_identity_temp(run, blocks * taken * width);
    for (int64_t x = 0; rows != NULL && o != NULL && x < blocks; x++) {
        memcpy(rows + x * taken * width, o + (x * len + first) * width,
               (size_t)(taken * width) * sizeof *rows);
    }
    return rows;
}

static inline void recurrence_copy(struct vkz_identity_run *run, struct vkz_data *to,
                                   struct vkz_data *from, const char *tensor)
{
    if (!recurrence_has(run, tensor)) {
        return;
    }
    float *x = vkz_identity_float(run, to, tensor);
    const float *y = vkz_identity_float(run, from, tensor);
    if (x != NULL && y != NULL) {
        memcpy(x, y, (size_t)vkz_identity_count(to, tensor) * sizeof *x);
    }
}

// Doubling v doubles o: without an initial state.
static inline bool recurrence_check_linear(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *v = vkz_identity_float(run, two, "v");
    for (int64_t i = 0; v != NULL && i < vkz_identity_count(two, "v"); i++) {
        v[i] *= 2;
    }
    const int64_t count = vkz_identity_count(one, "o");
    double *o = vkz_identity_output(run, one, "o");
    for (int64_t i = 0; o != NULL && i < count; i++) {
        o[i] *= 2;
    }
    return vkz_identity_equal(run, "o", o, vkz_identity_output(run, two, "o"), count, 2);
}

// The first tokens do not see what comes after them.
static inline bool recurrence_check_prefix(struct vkz_identity_run *run)
{
    const int64_t taken = (vkz_identity_dim(run, "len") + 1) / 2;
    char settings[64];
    snprintf(settings, sizeof settings, "len=%lld", (long long)taken);
    struct vkz_data *whole = vkz_identity_inputs(run, NULL);
    struct vkz_data *part = vkz_identity_inputs(run, settings);
    recurrence_cut(run, part, whole, 0, taken);
    recurrence_copy(run, part, whole, "s0");
    recurrence_copy(run, part, whole, "z0");
    const double *o = vkz_identity_output(run, whole, "o");
    const double *rows = recurrence_rows(run, o, vkz_identity_count(whole, "o"), 0, taken);
    return vkz_identity_equal(run, "o", rows, vkz_identity_output(run, part, "o"),
                              vkz_identity_count(part, "o"), 2);
}

// Copies an output into an input of another run: the state goes on.
static inline void recurrence_carry(struct vkz_identity_run *run, struct vkz_data *to,
                                    const char *input, struct vkz_data *from,
                                    const char *output)
{
    if (!recurrence_has(run, input)) {
        return;
    }
    float *x = vkz_identity_float(run, to, input);
    const double *y = x == NULL ? NULL : vkz_identity_output(run, from, output);
    for (int64_t i = 0; y != NULL && i < vkz_identity_count(to, input); i++) {
        x[i] = (float)y[i];
    }
}

// Tokens [0, n), then [n, len) from the carried state, are the whole.
static inline bool recurrence_check_split(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), n = (2 * len + 2) / 3;
    char before[64], after[64];
    snprintf(before, sizeof before, "FINAL=on len=%lld", (long long)n);
    snprintf(after, sizeof after, "FINAL=on INIT=on len=%lld", (long long)(len - n));
    struct vkz_data *whole = vkz_identity_inputs(run, "FINAL=on");
    struct vkz_data *first = vkz_identity_inputs(run, before);
    struct vkz_data *second = vkz_identity_inputs(run, after);
    recurrence_cut(run, first, whole, 0, n);
    recurrence_copy(run, first, whole, "s0");
    recurrence_copy(run, first, whole, "z0");
    recurrence_cut(run, second, whole, n, len - n);
    recurrence_carry(run, second, "s0", first, "st");
    recurrence_carry(run, second, "z0", first, "zt");
    const double *o = vkz_identity_output(run, whole, "o");
    const double *rows =
        recurrence_rows(run, o, vkz_identity_count(whole, "o"), n, len - n);
    return vkz_identity_equal(run, "o", rows, vkz_identity_output(run, second, "o"),
                              vkz_identity_count(second, "o"), 3) &&
           vkz_identity_equal(run, "st", vkz_identity_output(run, whole, "st"),
                              vkz_identity_output(run, second, "st"),
                              vkz_identity_count(second, "st"), 3);
}

// A gate of -1000 at token n: outputs from n on are those of a run that begins there.
static inline bool recurrence_check_reset(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), n = len / 2;
    char after[64];
    snprintf(after, sizeof after, "INIT=off len=%lld", (long long)(len - n));
    struct vkz_data *whole = vkz_identity_inputs(run, NULL);
    struct vkz_data *second = vkz_identity_inputs(run, after);
    float *g = vkz_identity_float(run, whole, "g");
    const int64_t sequences =
        vkz_identity_dim(run, "batch") * vkz_identity_dim(run, "heads");
    const int64_t width = vkz_identity_count(whole, "g") / sequences / len;
    for (int64_t x = 0; g != NULL && x < sequences; x++) {
        for (int64_t c = 0; c < width; c++) {
            g[(x * len + n) * width + c] = -1000;
        }
    }
    recurrence_cut(run, second, whole, n, len - n);
    const double *o = vkz_identity_output(run, whole, "o");
    const double *rows =
        recurrence_rows(run, o, vkz_identity_count(whole, "o"), n, len - n);
    return vkz_identity_equal(run, "o", rows, vkz_identity_output(run, second, "o"),
                              vkz_identity_count(second, "o"), 2);
}

#define RECURRENCE_IDENTITY_LINEAR \
    {"linear", "doubling v doubles o", "INIT == INIT.off && NORMALISE != NORMALISE.abs", \
     recurrence_check_linear}
#define RECURRENCE_IDENTITY_PREFIX \
    {"prefix", "the first tokens do not see what comes after them", "len > 1", \
     recurrence_check_prefix}
#define RECURRENCE_IDENTITY_SPLIT \
    {"split", "two runs, the second from the state of the first, are one", \
     "len > 2 && NORMALISE != NORMALISE.abs", recurrence_check_split}

#endif
