// SPDX-License-Identifier: MIT
// What resfield_linear and its gradient share. Included by contract files only.
#ifndef VKZ_OPS_LORA_RESFIELD_H
#define VKZ_OPS_LORA_RESFIELD_H

#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

#define RESFIELD_DIMS                                                                  \
    {"rows", "samples", NULL}, {"k", "width in", NULL}, {"n", "width out", NULL},      \
        {"rk", "residual weights", NULL}, {"nf", "frames", NULL}
#define RESFIELD_TENSORS                                                               \
    {"x", VKZ_IN, "T", "rows, k", NULL, "normal(1)", NULL},                            \
        {"w", VKZ_IN, "T", "n, k", NULL, "linear_w", NULL},                            \
        {"m", VKZ_IN, "T", "rk, n, k", NULL, "linear_w", "residual weights"},          \
        {"v", VKZ_IN, "f32", "nf, rk", NULL, "normal(1)", "a frame's share of them"},  \
    {                                                                                  \
        "ti", VKZ_IN, "i32", "rows", NULL, "range(0, nf - 1)", "a sample's frame"      \
    }

struct resfield {
    int64_t rows, k, n, rk, nf;
    const float *x, *w, *m, *v;
    const int32_t *ti;
};

static inline struct resfield resfield_of(const struct vkz_ref *ref)
{
    return (struct resfield){
        .rows = vkz_ref_dim(ref, "rows"),
        .k = vkz_ref_dim(ref, "k"),
        .n = vkz_ref_dim(ref, "n"),
        .rk = vkz_ref_dim(ref, "rk"),
        .nf = vkz_ref_dim(ref, "nf"),
        .x = vkz_ref_in(ref, "x"),
        .w = vkz_ref_in(ref, "w"),
        .m = vkz_ref_in(ref, "m"),
        .v = vkz_ref_in(ref, "v"),
        .ti = vkz_ref_in_int(ref, "ti"),
    };
}

// W(t)[o, c] and the magnitude of its terms.
static inline void resfield_weight(const struct resfield *r, int64_t frame, int64_t o,
                                   int64_t c, real *value, real *magnitude)
{
    const int64_t at = o * r->k + c;
    *value = (real)r->w[at];
    *magnitude = fabs(*value);
    for (int64_t i = 0; i < r->rk; i++) {
        const real m = (real)r->m[i * r->n * r->k + at];
        const real term = (real)r->v[frame * r->rk + i] * m;
        *value += term;
        *magnitude += fabs(term);
    }
}

#endif
