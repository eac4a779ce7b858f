// SPDX-License-Identifier: MIT
// coopmat_mac: the ceiling of matrix units, contract and reference.
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"m", "rows of the product", NULL},
    {"n", "columns of the product", NULL},
    {"k", "length of the sums; stays in registers", "16"},
    {"iters", "products added, an odd number", NULL},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"a", VKZ_IN, "T", "m, k", NULL, "dyadic", "multiples of 1/4 in [-1, 1]"},
    {"b", VKZ_IN, "T", "k, n", NULL, "dyadic", "multiples of 1/4 in [-1, 1]"},
    {"c", VKZ_OUT, "C", "m, n", NULL, NULL, "the product, in the accumulator's type"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t n = vkz_ref_dim(ref, "n");
    const int64_t k = vkz_ref_dim(ref, "k");
    const int64_t iters = vkz_ref_dim(ref, "iters");
    const float *a = vkz_ref_in(ref, "a");
    const float *b = vkz_ref_in(ref, "b");
    double *c = vkz_ref_out(ref, "c");
    for (int64_t j = 0; j < n; j++) {
        real product = 0;
        for (int64_t l = 0; l < k; l++) {
            product += (real)a[row * k + l] * (real)b[l * n + j];
        }
        real sum = 0;
        for (int64_t t = 0; t < iters; t++) {
            sum += t % 2 == 0 ? product : -product;
        }
        c[j] = (double)sum;
    }
}

VKZ_OP(coopmat_mac) = {
    .name = "coopmat_mac",
    .family = "peak",
    .abi = 1,
    .title = "ceiling: cooperative-matrix multiply-adds",
    .doc = "C = Σ over t < iters of (-1)^t A B\n"
           "\n"
           "A and B stay in registers; quarters and the alternating sign keep the sums\n"
           "exact in every accumulator. One operand pair serves several accumulators,\n"
           "as in a product of large matrices.",
    .dims = dims,
    .tensors = tensors,
    .valid = "iters % 2 == 1 && k <= 64",
    .valid_reason = "iters must be odd (an even number of alternating terms is "
                    "zero), k at most 64 (the operands stay in registers)",
    .flops = "2 * m * n * k * iters",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_FLOPS,
    .unit = "coopmat",
    .units = "m",
    .sampled = true,
    .reference = reference,
    .bitwise = true,
};
