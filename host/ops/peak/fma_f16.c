// SPDX-License-Identifier: MIT
// fma_f16: the ceiling of multiply-adds on packed half floats, contract and reference.
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"lanes", "independent numbers", NULL},
    {"iters", "multiply-adds on each", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"a", "-1", "factor"},
    {"b", "95 / 256", "summand, exact in f16"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "lanes", NULL, "op", "multiples of 1/256 in [-2, 2)"},
    {"y", VKZ_OUT, "T", "lanes", NULL, NULL, "values after iters steps"},
    {0},
};

static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor;
    float *out = vkz_fill_float(fill);
    const int64_t count = vkz_fill_count(fill);
    for (int64_t i = 0; i < count; i++) {
        const int32_t step = (int32_t)(vkz_fill_uniform(fill, (uint64_t)i) * 1024);
        out[i] = (float)(step - 512) / 256;
    }
}

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

VKZ_OP(fma_f16) = {
    .name = "fma_f16",
    .family = "peak",
    .abi = 1,
    .title = "ceiling: multiply-adds in f16",
    .doc = "y_0 = x, y_{t+1} = a y_t + b, y = y_iters, every step in f16\n"
           "\n"
           "With a = -1, b = 95/256 and multiples of 1/256 for x no step rounds, so the\n"
           "result is bit-exact although the sums stay in f16. Use an odd number of\n"
           "steps: after an even one y is x again.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .flops = "2 * lanes * iters",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_FLOPS,
    .unit = "fma_f16",
    .units = "lanes",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .bitwise = true,
};
