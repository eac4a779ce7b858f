// SPDX-License-Identifier: MIT
// token_permute: the tokens' rows in the order of the experts, contract and reference.
#include <tgmath.h>

#include "ops/moe/map.h"
#include "zoo/identity.h"

static const struct vkz_dim dims[] = {
    VKZ_MAP_DIMS,
    {"width", "elements of a row", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {VKZ_MAP_SCALARS, {0}};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "a row a token"},
    VKZ_MAP_SRC,
    {"xs", VKZ_OUT, "T", "cap_total, width", NULL, NULL, "a row a position, 0 in padding"},
    {0},
};

static void fill(struct vkz_fill *to, const char *tensor)
{
    map_fill(to, tensor);
}

static void reference(struct vkz_ref *ref, int64_t p)
{
    const int64_t width = vkz_ref_dim(ref, "width");
    const int32_t entry = vkz_ref_in_int(ref, "src")[p];
    const float *x = vkz_ref_in(ref, "x");
    double *xs = vkz_ref_out(ref, "xs");
    for (int64_t c = 0; c < width; c++) {
        xs[c] = entry < 0 ? 0 : (double)x[entry / vkz_ref_dim(ref, "topk") * width + c];
    }
}

// Every token's row is there once for each of its entries: the sums of all elements agree
// to the last bit when they are small integers.
static bool check_sum(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "fill.x=dyadic");
    const int64_t width = vkz_identity_dim(run, "width");
    const int64_t topk = vkz_identity_dim(run, "topk");
    const float *x = vkz_identity_float(run, data, "x");
    const int32_t *src = vkz_identity_int(run, data, "src");
    const double *xs = vkz_identity_output(run, data, "xs");
    double *expected = vkz_identity_temp(run, width);
    double *found = vkz_identity_temp(run, width);
    if (x == NULL || src == NULL || xs == NULL || expected == NULL || found == NULL) {
        return false;
    }
    for (int64_t i = 0; i < vkz_identity_count(data, "xs"); i++) {
        const int32_t entry = src[i / width];
        found[i % width] += xs[i];
        expected[i % width] +=
            entry < 0 ? 0 : (double)x[entry / topk * width + i % width];
    }
    return vkz_identity_equal(run, "xs", expected, found, width, 1);
}

static const struct vkz_identity identities[] = {
    {"sum", "the rows add up to each token's times its entries", NULL, check_sum},
    {0},
};

VKZ_OP(token_permute) = {
    .name = "token_permute",
    .family = "moe",
    .abi = 1,
    .title = "tokens' rows in the order of the experts",
    .doc = "xs[p] = x[src[p] / topk], zeros where src is -1: the rows that each expert\n"
           "takes lie together. grouped_gemm with GATHER=on does this as it loads.\n"
           "\n"
           "MegaBlocks arXiv 2211.15841.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = VKZ_MAP_VALID,
    .valid_reason = VKZ_MAP_VALID_REASON,
    .flops = "cap_total * width",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_BYTES,
    .units = "cap_total",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
