// SPDX-License-Identifier: MIT
// idot: the ceiling of dot products of four 8-bit integers, contract and reference.
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"lanes", "independent numbers", NULL},
    {"iters", "dot products on each", NULL},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "i32", "lanes", NULL,
     "range(-2147483648,2147483647)", "start values, any words"},
    {"w", VKZ_IN, "i32", "4", NULL,
     "range(-2147483648,2147483647)", "weights; lane i has word i mod 4"},
    {"y", VKZ_OUT, "i32", "lanes", NULL, NULL, "values after iters steps"},
    {0},
};

static int32_t signed_byte(uint32_t word, int index)
{
    const int32_t byte = (int32_t)(word >> (8 * index) & 255);
    return byte < 128 ? byte : byte - 256;
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t iters = vkz_ref_dim(ref, "iters");
    const uint32_t w = (uint32_t)vkz_ref_in_int(ref, "w")[unit % 4];
    uint32_t y = (uint32_t)vkz_ref_in_int(ref, "x")[unit];
    for (int64_t t = 0; t < iters; t++) {
        int32_t dot = 0;
        for (int c = 0; c < 4; c++) {
            dot += signed_byte(y, c) * signed_byte(w, c);
        }
        y = (uint32_t)dot + w;
    }
    *vkz_ref_out(ref, "y") = (double)(int32_t)y;
}

VKZ_OP(idot) = {
    .name = "idot",
    .family = "peak",
    .abi = 1,
    .title = "ceiling: dot products of four 8-bit integers",
    .doc = "y_0 = x, y_{t+1} = Σ_c byte_c(y_t) byte_c(w) + w, y = y_iters\n"
           "\n"
           "Bytes are signed, sums are 32-bit and wrap. A step is one dot product with\n"
           "its accumulation: 8 operations.",
    .dims = dims,
    .tensors = tensors,
    .flops = "8 * lanes * iters",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_FLOPS,
    .unit = "idot",
    .units = "lanes",
    .sampled = true,
    .reference = reference,
    .bitwise = true,
};
