// SPDX-License-Identifier: MIT
// triad: the bandwidth ceiling with two reads to a write, contract and reference.
#include <tgmath.h>

#include "ops/peak/stream.h"

static const struct vkz_dim dims[] = {
    {"n", "elements of each array", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"s", "3", "factor of b"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"a", VKZ_IN, "f32", "n", NULL, "normal(1)", "first array"},
    {"b", VKZ_IN, "f32", "n", NULL, "normal(1)", "second array"},
    {"y", VKZ_OUT, "f32", "n", NULL, NULL, "a + s b"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t size = stream_unit(vkz_ref_dim(ref, "n"));
    const float *a = vkz_ref_in(ref, "a") + unit * size;
    const float *b = vkz_ref_in(ref, "b") + unit * size;
    const real s = (real)vkz_ref_value(ref, "s");
    double *y = vkz_ref_out(ref, "y");
    double *scale = vkz_ref_scale(ref, "y");
    for (int64_t i = 0; i < size; i++) {
        const real term = s * (real)b[i];
        y[i] = (double)((real)a[i] + term);
        scale[i] = (double)(fabs((real)a[i]) + fabs(term));
    }
}

VKZ_OP(triad) = {
    .name = "triad",
    .family = "peak",
    .abi = 1,
    .title = "ceiling: memory bandwidth, two reads and a write",
    .doc = "y = a + s b\n"
           "\n"
           "The triad of STREAM. Bytes count three streams: 12 n; a cache that reads a\n"
           "line before it is overwritten moves a fourth one that is not counted.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .flops = "2 * n",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = STREAM_UNITS,
    .sampled = true,
    .reference = reference,
    .bitwise = true,
};
