// SPDX-License-Identifier: MIT
// copy: the bandwidth ceiling that counts reads and writes, contract and reference.
#include "ops/peak/stream.h"

static const struct vkz_dim dims[] = {
    {"n", "32-bit words", NULL},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "i32", "n", NULL,
     "range(-2147483648,2147483647)", "any words"},
    {"y", VKZ_OUT, "i32", "n", NULL, NULL, "the same words"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t size = stream_unit(vkz_ref_dim(ref, "n"));
    const int32_t *x = vkz_ref_in_int(ref, "x") + unit * size;
    double *y = vkz_ref_out(ref, "y");
    for (int64_t i = 0; i < size; i++) {
        y[i] = x[i];
    }
}

VKZ_OP(copy) = {
    .name = "copy",
    .family = "peak",
    .abi = 1,
    .title = "ceiling: memory bandwidth, reading and writing",
    .doc = "y = x\n"
           "\n"
           "Bytes count both directions: 8 n.",
    .dims = dims,
    .tensors = tensors,
    .flops = "n", // a move counts as one, so that large cases are sampled
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_BYTES,
    .units = STREAM_UNITS,
    .sampled = true,
    .reference = reference,
    .bitwise = true,
};
