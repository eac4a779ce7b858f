// SPDX-License-Identifier: MIT
// moe_combine: the experts' outputs weighted and added up, contract and reference.
#include <tgmath.h>

#include "ops/moe/map.h"
#include "zoo/identity.h"

static const struct vkz_dim dims[] = {
    VKZ_MAP_DIMS,
    {"width", "elements of a row", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {VKZ_MAP_SCALARS, {0}};

static const struct vkz_axis axes[] = {
    {"SHARED", "off on", "the shared expert's output is added"},
    {"RESIDUAL", "off on", "the residual stream is added"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"ys", VKZ_IN, "T", "cap_total, width", NULL, "normal(1)", "a row a position"},
    {"w", VKZ_IN, "f32", "rows, topk", NULL, "uniform(0,1)", "weight of each entry"},
    VKZ_MAP_POS,
    {"shared_", VKZ_IN, "T", "rows, width", "SHARED == SHARED.on", "normal(1)",
     "the shared expert's output"},
    {"res", VKZ_IN, "T", "rows, width", "RESIDUAL == RESIDUAL.on", "normal(1)",
     "the residual stream"},
    {"y", VKZ_OUT, "T", "rows, width", NULL, NULL, "a row a token"},
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
    const float *w = vkz_ref_in(ref, "w") + t * topk;
    const float *ys = vkz_ref_in(ref, "ys");
    const float *more[] = {vkz_ref_in(ref, "shared_"), vkz_ref_in(ref, "res")};
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    for (int64_t c = 0; c < width; c++) {
        real sum = 0, magnitude = 0;
        for (int64_t i = 0; i < topk; i++) {
            if (pos[i] >= 0) {
                const real term = (real)w[i] * (real)ys[pos[i] * width + c];
                sum += term;
                magnitude += fabs(term);
            }
        }
        for (int i = 0; i < 2; i++) {
            if (more[i] != NULL) {
                sum += (real)more[i][t * width + c];
                magnitude += fabs((real)more[i][t * width + c]);
            }
        }
        y[c] = (double)sum;
        scale[c] = (double)magnitude;
    }
}

static bool check_double(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"ys", "shared_", "res"};
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    for (int x = 0; x < 3; x++) {
        float *values = vkz_identity_float(run, two, inputs[x]);
        for (int64_t i = 0; values != NULL && i < vkz_identity_count(two, inputs[x]); i++) {
            values[i] *= 2;
        }
    }
    const int64_t count = vkz_identity_count(one, "y");
    double *a = vkz_identity_output(run, one, "y");
    for (int64_t i = 0; a != NULL && i < count; i++) {
        a[i] *= 2;
    }
    return vkz_identity_equal(run, "y", a, vkz_identity_output(run, two, "y"), count, 2);
}

// Where every expert gives the same row, weights that add up to 1 give that row.
static bool check_mean(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "SHARED=off RESIDUAL=off");
    const int64_t width = vkz_identity_dim(run, "width");
    const int64_t topk = vkz_identity_dim(run, "topk");
    const int64_t count = vkz_identity_count(data, "y");
    float *ys = vkz_identity_float(run, data, "ys");
    float *w = vkz_identity_float(run, data, "w");
    const int32_t *pos = vkz_identity_int(run, data, "pos");
    double *expected = vkz_identity_temp(run, count);
    if (ys == NULL || w == NULL || pos == NULL || expected == NULL) {
        return false;
    }
    for (int64_t i = width; i < vkz_identity_count(data, "ys"); i++) {
        ys[i] = ys[i % width];
    }
    for (int64_t t = 0; t < count / width; t++) {
        int64_t present = 0;
        for (int64_t i = 0; i < topk; i++) {
            present += pos[t * topk + i] >= 0;
        }
        for (int64_t i = 0; i < topk; i++) {
            w[t * topk + i] = 1.0f / (float)(present > 0 ? present : 1);
        }
        for (int64_t c = 0; c < width; c++) {
            expected[t * width + c] = present > 0 ? (double)ys[c] : 0;
        }
    }
    return vkz_identity_equal(run, "y", expected, vkz_identity_output(run, data, "y"),
                              count, 4);
}

static const struct vkz_identity identities[] = {
    {"double", "doubling all rows doubles y", NULL, check_double},
    {"mean", "equal rows and weights that add up to 1 give that row", NULL, check_mean},
    {0},
};

VKZ_OP(moe_combine) = {
    .name = "moe_combine",
    .family = "moe",
    .abi = 1,
    .title = "outputs of a token's experts, weighted and added up",
    .doc = "y_t = Σ_i w[t, i] ys[pos[t, i]], i ascending, entries without a position left\n"
           "out; then the shared expert's output and the residual stream, where asked for.\n"
           "\n"
           "Sparsely-gated mixture of experts arXiv 1701.06538.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_MAP_VALID,
    .valid_reason = VKZ_MAP_VALID_REASON,
    .flops = "2 * rows * topk * width",
    .bytes = "T.bytes * rows * width * (1 + topk + (SHARED == SHARED.on) + "
             "(RESIDUAL == RESIDUAL.on)) + 8 * rows * topk",
    .sum_length = "topk + 2",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
