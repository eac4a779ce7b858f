// SPDX-License-Identifier: MIT
// token_permute_backward: gradient of token_permute.
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
    VKZ_MAP_POS,
    {"dxs", VKZ_IN, "T", "cap_total, width", NULL, "normal(1)", "gradient of xs"},
    {"dx", VKZ_OUT, "T", "rows, width", NULL, NULL, NULL},
    {0},
};

static void fill(struct vkz_fill *to, const char *tensor)
{
    map_fill(to, tensor);
}

static void reference(struct vkz_ref *ref, int64_t t)
{
    const int64_t width = vkz_ref_dim(ref, "width"), topk = vkz_ref_dim(ref, "topk");
    const int32_t *pos = vkz_ref_in_int(ref, "pos") + t * topk;
    const float *dxs = vkz_ref_in(ref, "dxs");
    double *dx = vkz_ref_out(ref, "dx"), *scale = vkz_ref_scale(ref, "dx");
    for (int64_t c = 0; c < width; c++) {
        real sum = 0, magnitude = 0;
        for (int64_t i = 0; i < topk; i++) {
            if (pos[i] >= 0) {
                const real term = (real)dxs[pos[i] * width + c];
                sum += term;
                magnitude += fabs(term);
            }
        }
        dx[c] = (double)sum;
        scale[c] = (double)magnitude;
    }
}

static bool check_double(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"dxs", NULL};
    static const char *const outputs[] = {"dx", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

static const struct vkz_identity identities[] = {
    {"double", "doubling dxs doubles dx", NULL, check_double},
    {0},
};

VKZ_OP(token_permute_backward) = {
    .name = "token_permute_backward",
    .family = "moe",
    .forward = "token_permute",
    .abi = 1,
    .title = "gradient of token_permute",
    .doc = "dx[t] = Σ_i dxs[pos[t, i]], i ascending, entries without a position left out:\n"
           "the inverse scatter-add, done as a gather.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = VKZ_MAP_VALID,
    .valid_reason = VKZ_MAP_VALID_REASON,
    .flops = "rows * topk * width",
    .sum_length = "topk",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
