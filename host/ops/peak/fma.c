// SPDX-License-Identifier: MIT
// fma: the ceiling of fused multiply-adds, contract and reference.
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"lanes", "independent numbers", NULL},
    {"iters", "multiply-adds on each", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"a", "1 / next_pow2(2 * iters) - 1", "factor, a little above -1 and exact in f32"},
    {"b", "0.25", "summand"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "lanes", NULL, "normal(1)", "start values"},
    {"y", VKZ_OUT, "T", "lanes", NULL, NULL, "values after iters steps"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t iters = vkz_ref_dim(ref, "iters");
    const real a = (real)vkz_ref_value(ref, "a");
    const real b = (real)vkz_ref_value(ref, "b");
    real y = (real)vkz_ref_in(ref, "x")[unit];
    for (int64_t t = 0; t < iters; t++) {
        y = y * a + b;
    }
    *vkz_ref_out(ref, "y") = (double)y;
}

VKZ_OP(fma) = {
    .name = "fma",
    .family = "peak",
    .abi = 1,
    .title = "ceiling: multiply-adds in f32",
    .doc = "y_0 = x, y_{t+1} = a y_t + b, y = y_iters\n"
           "\n"
           "With a just above -1 the values swing around b / (1 - a) and lose less than\n"
           "half of their swing: no overflow, no subnormals, and the result still\n"
           "depends on x. A step depends on the one before; a kernel keeps several\n"
           "numbers in flight.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .flops = "2 * lanes * iters",
    .sum_length = "iters",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_FLOPS,
    .unit = "fma",
    .units = "lanes",
    .sampled = true,
    .reference = reference,
    .bitwise = true,
};
