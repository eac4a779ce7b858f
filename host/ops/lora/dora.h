// SPDX-License-Identifier: MIT
// What dora_linear and its gradient share: axes, inputs and row norms. Included by contract
// files only.
#ifndef VKZ_OPS_LORA_DORA_H
#define VKZ_OPS_LORA_DORA_H

#include "ops/lora/lora.h"

enum { NORM_FULL, NORM_CACHED, NORM_GIVEN };

#define DORA_SCALARS {"s", "2", "factor of the side path"}
#define DORA_NORM_AXIS \
    {"NORM", "full cached given", \
     "c of W + s B A; the same with ‖W_o‖² given; or c0, whose gradient is 0 (detached)"}
#define DORA_GIVEN "NORM == NORM.given"
#define DORA_TENSORS \
    {"x", VKZ_IN, "T", "rows, k", NULL, "normal(1)", "tokens"}, \
        {"w", VKZ_IN, "T", "n, k", NULL, "linear_w", "frozen weights"}, \
        {"a", VKZ_IN, "T", "rank, k", NULL, "linear_w", "down"}, \
        {"b", VKZ_IN, "T", "n, rank", NULL, "normal(0.02)", "up"}, \
        {"m", VKZ_IN, "f32", "n", NULL, "normal(1)", "magnitudes"}, \
        {"c0", VKZ_IN, "f32", "n", DORA_GIVEN, "uniform(0.5,2)", "row norms"}

// V = W + s B A and the magnitudes of its sums, [n, k] each.
static inline struct lora_sums dora_weights(struct vkz_ref *ref, const struct lora *l)
{
    const struct lora_sums v = lora_sums(ref, l->n * l->k);
    for (int64_t o = 0; o < l->n; o++) {
        for (int64_t i = 0; i < l->k; i++) {
            const int64_t at = o * l->k + i;
            lora_add(v, at, (real)l->w[at], (real)l->w[at]);
            for (int64_t j = 0; j < l->rank; j++) {
                const real term =
                    l->s * (real)l->b[o * l->rank + j] * (real)l->a[j * l->k + i];
                lora_add(v, at, term, term);
            }
        }
    }
    return v;
}

#endif
