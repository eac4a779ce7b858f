// SPDX-License-Identifier: MIT
// read: the bandwidth ceiling of reading alone, contract and reference. With `repeat` it
// reads the same array several times, for the caches' bandwidths and sizes.
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"n", "32-bit words", NULL},
    {"parts", "slices of x, and words written", "ceildiv(n, 8192)"},
    {"repeat", "slices that go into each word written", "1"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "i32", "n", NULL,
     "range(-2147483648,2147483647)", "any words"},
    {"y", VKZ_OUT, "i32", "parts", NULL, NULL, "sums of slices, modulo 2^32"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t part)
{
    const int64_t n = vkz_ref_dim(ref, "n");
    const int64_t parts = vkz_ref_dim(ref, "parts");
    const int64_t repeat = vkz_ref_dim(ref, "repeat");
    const int64_t length = (n + 4 * parts - 1) / (4 * parts) * 4;
    const int64_t step = (parts + repeat - 1) / repeat;
    const int32_t *x = vkz_ref_in_int(ref, "x");
    uint32_t sum = 0;
    for (int64_t r = 0; r < repeat; r++) {
        const int64_t first = (part + r * step) % parts * length;
        const int64_t end = first + length < n ? first + length : n;
        for (int64_t i = first; i < end; i++) {
            sum += (uint32_t)x[i];
        }
    }
    *vkz_ref_out(ref, "y") = (double)(int32_t)sum;
}

VKZ_OP(read) = {
    .name = "read",
    .family = "peak",
    .abi = 1,
    .title = "ceiling: memory bandwidth, reading only",
    .doc = "x is cut in `parts` slices of 4 ceildiv(n, 4 parts) words, the last ones\n"
           "shorter.\n"
           "y_p = Σ over r < repeat of the sum of slice (p + r s) mod parts, modulo\n"
           "2³², with s = ceildiv(parts, repeat)\n"
           "\n"
           "Bytes: 4 n repeat read, 4 parts written. The slices of a word are far\n"
           "apart, so that a slice is read again only after about n words of others:\n"
           "what a repeat finds in a cache is what a cache of that size holds.",
    .dims = dims,
    .tensors = tensors,
    .flops = "n * repeat",
    .bytes = "4 * n * repeat + 4 * parts",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_BYTES,
    .unit = "int",
    .units = "parts",
    .sampled = true,
    .reference = reference,
    .bitwise = true,
};
