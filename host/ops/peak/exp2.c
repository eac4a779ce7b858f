// SPDX-License-Identifier: MIT
// exp2: the ceiling of powers of two, what a softmax spends its time on; contract and
// reference.
#include <tgmath.h>

#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"lanes", "independent sums", NULL},
    {"iters", "powers in each", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"step", "8 / next_pow2(iters)", "distance of the exponents, exact in f32"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "f32", "lanes", NULL, "normal(1)", "largest exponents"},
    {"y", VKZ_OUT, "f32", "lanes", NULL, NULL, "the sums"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t iters = vkz_ref_dim(ref, "iters");
    const real step = (real)vkz_ref_value(ref, "step");
    const real x = (real)vkz_ref_in(ref, "x")[unit];
    real sum = 0;
    for (int64_t t = 0; t < iters; t++) {
        sum += exp2(x - (real)t * step);
    }
    *vkz_ref_out(ref, "y") = (double)sum;
    *vkz_ref_scale(ref, "y") = (double)sum; // every term is positive
}

VKZ_OP(exp2) = {
    .name = "exp2",
    .family = "peak",
    .abi = 1,
    .title = "ceiling: powers of two",
    .doc = "y = Σ over t < iters of 2^(x - t step)\n"
           "\n"
           "Counts one operation a power; the multiply-add and the addition beside it\n"
           "run elsewhere on most devices and are part of every use of exp2.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .flops = "lanes * iters",
    // A device's exp2 may be off by 3 + 2 |x| ulp: 54 half-ulps at the ends of the range,
    // which is the floor of a sum of 183 terms.
    .sum_length = "iters + 183",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .unit = "exp2",
    .units = "lanes",
    .sampled = true,
    .reference = reference,
    .bitwise = true,
};
