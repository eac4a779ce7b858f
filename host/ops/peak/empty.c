// SPDX-License-Identifier: MIT
// empty: a dispatch that does next to nothing, contract and reference. Its time is the
// price of a dispatch.
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"n", "words written, each by its own workgroup", "1"},
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
    *vkz_ref_out(ref, "y") = vkz_ref_in_int(ref, "x")[unit];
}

VKZ_OP(empty) = {
    .name = "empty",
    .family = "peak",
    .abi = 1,
    .title = "ceiling: the time of an almost empty dispatch",
    .doc = "y = x, one workgroup a word\n"
           "\n"
           "n = 1 is the price of a dispatch, a large n the price of a workgroup.",
    .dims = dims,
    .tensors = tensors,
    .flops = "0",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_BYTES,
    .units = "n",
    .sampled = true,
    .reference = reference,
    .bitwise = true,
};
