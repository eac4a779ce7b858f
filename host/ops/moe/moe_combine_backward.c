// SPDX-License-Identifier: MIT
// moe_combine_backward: gradients of moe_combine.
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
    {"ys", VKZ_IN, "T", "cap_total, width", NULL, "normal(1)", "a row a position"},
    {"w", VKZ_IN, "f32", "rows, topk", NULL, "uniform(0,1)", "weight of each entry"},
    VKZ_MAP_POS,
    VKZ_MAP_SRC,
    {"dy", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "gradient of y"},
    {"dys", VKZ_OUT, "T", "cap_total, width", NULL, NULL, "0 in padding"},
    {"dw", VKZ_OUT, "f32", "rows, topk", NULL, NULL, "0 without a position"},
    {0},
};

static void fill(struct vkz_fill *to, const char *tensor)
{
    map_fill(to, tensor);
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // positions and tokens are not in one order
    const int64_t width = vkz_ref_dim(ref, "width"), topk = vkz_ref_dim(ref, "topk");
    const int64_t rows = vkz_ref_dim(ref, "rows");
    const int32_t *pos = vkz_ref_in_int(ref, "pos"), *src = vkz_ref_in_int(ref, "src");
    const float *w = vkz_ref_in(ref, "w"), *ys = vkz_ref_in(ref, "ys");
    const float *dy = vkz_ref_in(ref, "dy");
    double *dys = vkz_ref_out(ref, "dys"), *dys_scale = vkz_ref_scale(ref, "dys");
    double *dw = vkz_ref_out(ref, "dw"), *dw_scale = vkz_ref_scale(ref, "dw");
    for (int64_t p = 0; p < vkz_ref_dim(ref, "cap_total"); p++) {
        for (int64_t c = 0; c < width; c++) {
            const real term =
                src[p] < 0 ? 0 : (real)w[src[p]] * (real)dy[src[p] / topk * width + c];
            dys[p * width + c] = (double)term;
            dys_scale[p * width + c] = (double)fabs(term);
        }
    }
    for (int64_t i = 0; i < rows * topk; i++) {
        real sum = 0, magnitude = 0;
        for (int64_t c = 0; pos[i] >= 0 && c < width; c++) {
            const real term = (real)ys[pos[i] * width + c] * (real)dy[i / topk * width + c];
            sum += term;
            magnitude += fabs(term);
        }
        dw[i] = (double)sum;
        dw_scale[i] = (double)magnitude;
    }
}

// y is bilinear: Σ dys ys = Σ dw w in every token.
static bool check_bilinear(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const int64_t width = vkz_identity_dim(run, "width");
    const float *ys = vkz_identity_float(run, data, "ys");
    const float *w = vkz_identity_float(run, data, "w");
    const int32_t *pos = vkz_identity_int(run, data, "pos");
    const double *dys = vkz_identity_output(run, data, "dys");
    const double *dw = vkz_identity_output(run, data, "dw");
    const int64_t count = vkz_identity_count(data, "dw");
    // One more: the size of what is summed, on both sides.
    double *a = vkz_identity_temp(run, count + 1), *b = vkz_identity_temp(run, count + 1);
    if (ys == NULL || w == NULL || pos == NULL || dys == NULL || dw == NULL || a == NULL ||
        b == NULL) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        real size = 0;
        for (int64_t c = 0; pos[i] >= 0 && c < width; c++) {
            const double term = dys[pos[i] * width + c] * (double)ys[pos[i] * width + c];
            a[i] += term;
            size += (real)fabs(term);
        }
        b[i] = dw[i] * (double)w[i];
        a[count] = fmax(a[count], (double)size);
    }
    b[count] = a[count];
    return vkz_identity_equal(run, "dys", a, b, count + 1, 4);
}

static const struct vkz_identity identities[] = {
    {"bilinear", "dys times ys adds up to dw times w", NULL, check_bilinear},
    {0},
};

VKZ_OP(moe_combine_backward) = {
    .name = "moe_combine_backward",
    .family = "moe",
    .forward = "moe_combine",
    .abi = 1,
    .title = "gradients of moe_combine",
    .doc = "dys[p] = w[src[p]] dy[src[p] / topk], 0 in padding\n"
           "dw[t, i] = ys[pos[t, i]] · dy_t, 0 without a position\n"
           "\n"
           "The gradients of the shared expert's output and of the residual are dy itself.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = VKZ_MAP_VALID,
    .valid_reason = VKZ_MAP_VALID_REASON,
    .flops = "(cap_total + 2 * rows * topk) * width",
    .sum_length = "width",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "1",
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
