// SPDX-License-Identifier: MIT
// One row of W + f B A, which lora_merge and relora_reset share. Included by contract files
// only.
#ifndef VKZ_OPS_LORA_MERGE_H
#define VKZ_OPS_LORA_MERGE_H

#include "ops/lora/lora.h"

// Row o: `w` is its first element before.
static inline void merge_row(struct vkz_ref *ref, const float *w, real factor, int64_t o,
                             double *out, double *scale)
{
    const int64_t k = vkz_ref_dim(ref, "k"), rank = vkz_ref_dim(ref, "rank");
    const float *a = vkz_ref_in(ref, "a"), *b = vkz_ref_in(ref, "b") + o * rank;
    for (int64_t i = 0; i < k; i++) {
        real sum = 0, magnitude = 0;
        for (int64_t j = 0; j < rank; j++) {
            const real term = (real)b[j] * (real)a[j * k + i];
            sum += term;
            magnitude += fabs(term);
        }
        out[i] = (double)((real)w[i] + factor * sum);
        scale[i] = (double)(fabs((real)w[i]) + fabs(factor) * magnitude);
    }
}

#endif
