// SPDX-License-Identifier: MIT
// What attention_residual and its gradient share: dims, inputs, the weights of a token.
// Included by contract files only.
#ifndef VKZ_OPS_HYPER_ATTENTION_RESIDUAL_H
#define VKZ_OPS_HYPER_ATTENTION_RESIDUAL_H

#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

#define DEPTH_DIMS \
    {"rows", "tokens", NULL}, {"width", "elements of a hidden state", NULL}, \
        {"l", "layers that are attended to", NULL}
#define DEPTH_SCALARS \
    {"scale", "1", "factor of the scores"}, {"eps", "1e-6", "added to the mean squares"}
#define DEPTH_TENSORS \
    {"v", VKZ_IN, "T", "l, rows, width", NULL, "normal(1)", "outputs of earlier layers"}, \
        {"q", VKZ_IN, "f32", "width", NULL, "linear_w", "this layer's query"}, \
        {"w", VKZ_IN, "f32", "width", NULL, "uniform(0.5,1.5)", "norm weights of keys"}

// The weights of one token.
struct depth_row {
    int64_t rows, width, l;
    const float *v, *q, *w; // v: of layer 0
    real *p, *r;            // weights, and 1 / sqrt(mean(v²) + eps)
    real *amplify;          // 1 + what rounding of the scores does to a weight
};

static inline const float *depth_source(const struct depth_row *d, int64_t layer)
{
    return d->v + layer * d->rows * d->width;
}

static inline struct depth_row depth_row(struct vkz_ref *ref, int64_t row)
{
    const int64_t l = vkz_ref_dim(ref, "l"), width = vkz_ref_dim(ref, "width");
    const size_t size = (size_t)l * sizeof(real);
    const real scale = (real)vkz_ref_value(ref, "scale");
    struct depth_row d = {
        .rows = vkz_ref_dim(ref, "rows"),
        .width = width,
        .l = l,
        .v = vkz_ref_in(ref, "v") + row * width,
        .q = vkz_ref_in(ref, "q"),
        .w = vkz_ref_in(ref, "w"),
        .p = vkz_ref_temp(ref, size),
        .r = vkz_ref_temp(ref, size),
        .amplify = vkz_ref_temp(ref, size),
    };
    real top = 0, total = 0, mean = 0;
    for (int64_t i = 0; i < l; i++) {
        const float *v = depth_source(&d, i);
        real square = 0, dot = 0, magnitude = 0;
        for (int64_t c = 0; c < width; c++) {
            const real term = (real)v[c] * (real)d.w[c] * (real)d.q[c];
            square += (real)v[c] * (real)v[c];
            dot += term;
            magnitude += fabs(term);
        }
        d.r[i] = (real)1 / sqrt(square / (real)width + (real)vkz_ref_value(ref, "eps"));
        d.p[i] = dot * d.r[i] * scale;
        d.amplify[i] = magnitude * d.r[i] * fabs(scale);
        top = i == 0 || d.p[i] > top ? d.p[i] : top;
    }
    for (int64_t i = 0; i < l; i++) {
        d.p[i] = exp(d.p[i] - top);
        total += d.p[i];
    }
    for (int64_t i = 0; i < l; i++) {
        d.p[i] /= total;
        mean += d.p[i] * d.amplify[i];
    }
    for (int64_t i = 0; i < l; i++) {
        d.amplify[i] += (real)1 + mean;
    }
    return d;
}

#endif
