// SPDX-License-Identifier: MIT
// What mhc_post, its gradient and mhc_post_pre share. Included by contract files only.
#ifndef VKZ_OPS_HYPER_MHC_POST_H
#define VKZ_OPS_HYPER_MHC_POST_H

#include "ops/hyper/mhc.h"

#define MHC_POST_TENSORS \
    {"x", VKZ_IN, "T", "rows, streams, width", NULL, NULL, "residual streams"}, \
        {"f", VKZ_IN, "T", "rows, width", NULL, NULL, "the layer's output"}, \
        {"post", VKZ_IN, "f32", "rows, streams", NULL, "uniform(0,2)", \
         "weights of f in the streams"}, \
        {"comb", VKZ_IN, "f32", "rows, streams, streams", NULL, "uniform(0,0.5)", \
         "source, target: how streams are mixed"}

// z[j, k] = post_j f[k] + sum_i comb[i, j] x_i[k] of a token, and the terms' magnitudes.
static inline void mhc_post_token(struct vkz_ref *ref, int64_t row, real *z,
                                  real *magnitude)
{
    const int64_t s = vkz_ref_dim(ref, "streams"), width = vkz_ref_dim(ref, "width");
    const float *x = vkz_ref_in(ref, "x") + row * s * width;
    const float *f = vkz_ref_in(ref, "f") + row * width;
    const float *post = vkz_ref_in(ref, "post") + row * s;
    const float *comb = vkz_ref_in(ref, "comb") + row * s * s;
    for (int64_t j = 0; j < s; j++) {
        for (int64_t k = 0; k < width; k++) {
            real sum = (real)post[j] * (real)f[k], size = fabs(sum);
            for (int64_t i = 0; i < s; i++) {
                const real term = (real)comb[i * s + j] * (real)x[i * width + k];
                sum += term;
                size += fabs(term);
            }
            z[j * width + k] = sum;
            magnitude[j * width + k] = size;
        }
    }
}

#endif
