// SPDX-License-Identifier: MIT
// What dense_hidden_fuse and its gradient share: dims, the fused row and its statistics.
// Included by contract files only.
#ifndef VKZ_OPS_LINEAR_DENSE_HIDDEN_H
#define VKZ_OPS_LINEAR_DENSE_HIDDEN_H

#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

#define DENSE_HIDDEN_DIMS \
    {"rows", "tokens", NULL}, {"width", "elements of a token", NULL}, \
        {"m", "earlier layers whose hidden states are added", NULL}
#define DENSE_HIDDEN_SCALARS {"eps", "1e-6", "added to the mean square"}
#define DENSE_HIDDEN_TENSORS \
    {"y", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "hidden states of this layer"}, \
        {"gate", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "gate before silu"}, \
        {"past", VKZ_IN, "T", "m, rows, width", NULL, "normal(1)", \
         "hidden states of earlier layers, in this layer's space"}, \
        {"w", VKZ_IN, "f32", "width", NULL, "uniform(0.5,1.5)", "norm weights"}

// One row: s = y + silu(gate) ∘ Σ past, before the norm.
struct dense_row {
    int64_t width;
    real *s, *s_magnitude;       // s and the sum of its terms' magnitudes
    real *past, *past_magnitude; // Σ past_i and Σ |past_i|
    real *sigma;                 // σ(gate)
    const float *gate, *w;
    real r; // 1 / sqrt(mean(s²) + eps)
};

static inline struct dense_row dense_row(struct vkz_ref *ref, int64_t row)
{
    const int64_t rows = vkz_ref_dim(ref, "rows"), m = vkz_ref_dim(ref, "m");
    const int64_t width = vkz_ref_dim(ref, "width");
    const float *y = vkz_ref_in(ref, "y") + row * width;
    const float *past = vkz_ref_in(ref, "past");
    const size_t size = (size_t)width * sizeof(real);
    struct dense_row d = {
        .width = width,
        .s = vkz_ref_temp(ref, size),
        .s_magnitude = vkz_ref_temp(ref, size),
        .past = vkz_ref_temp(ref, size),
        .past_magnitude = vkz_ref_temp(ref, size),
        .sigma = vkz_ref_temp(ref, size),
        .gate = vkz_ref_in(ref, "gate") + row * width,
        .w = vkz_ref_in(ref, "w"),
    };
    real square = 0;
    for (int64_t c = 0; c < width; c++) {
        for (int64_t i = 0; i < m; i++) {
            const real x = (real)past[(i * rows + row) * width + c];
            d.past[c] += x;
            d.past_magnitude[c] += fabs(x);
        }
        const real gate = (real)d.gate[c];
        d.sigma[c] = (real)1 / ((real)1 + exp(-gate));
        const real silu = gate * d.sigma[c];
        d.s[c] = (real)y[c] + silu * d.past[c];
        d.s_magnitude[c] = fabs((real)y[c]) + fabs(silu) * d.past_magnitude[c];
        square += d.s[c] * d.s[c];
    }
    d.r = (real)1 / sqrt(square / (real)width + (real)vkz_ref_value(ref, "eps"));
    return d;
}

#endif
