// SPDX-License-Identifier: MIT
// attention_residual: attention over the depth of the network, in a residual's place.
#include "ops/hyper/attention_residual.h"

enum { NORM_OUT_ON = 1 };

static const struct vkz_dim dims[] = {DEPTH_DIMS, {0}};
static const struct vkz_scalar scalars[] = {DEPTH_SCALARS, {0}};
static const struct vkz_axis axes[] = {
    {"NORM_OUT", "off on", "whether the sum is divided by its root mean square"},
    {"SAVE", "off on", "whether the weights are stored"},
    {0},
};
static const struct vkz_tensor tensors[] = {
    DEPTH_TENSORS,
    {"o", VKZ_OUT, "T", "rows, width", NULL, NULL, "input of this layer"},
    {"p", VKZ_OUT, "f32", "rows, l", "SAVE == SAVE.on", NULL, "weights"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct depth_row d = depth_row(ref, row);
    double *o = vkz_ref_out(ref, "o"), *scale = vkz_ref_scale(ref, "o");
    double *p = vkz_ref_out(ref, "p"), *p_scale = vkz_ref_scale(ref, "p");
    real *sum = vkz_ref_temp(ref, (size_t)d.width * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)d.width * sizeof(real));
    for (int64_t i = 0; i < d.l; i++) {
        const float *v = depth_source(&d, i);
        for (int64_t c = 0; c < d.width; c++) {
            sum[c] += d.p[i] * (real)v[c];
            magnitude[c] += d.p[i] * fabs((real)v[c]) * d.amplify[i];
        }
        if (p != NULL) {
            p[i] = (double)d.p[i];
            p_scale[i] = (double)(d.p[i] * d.amplify[i]);
        }
    }
    real r = 1, lost = 0; // 1 / root mean square, and how rounding moves it
    if (vkz_ref_dim(ref, "NORM_OUT") == NORM_OUT_ON) {
        real square = 0, terms = 0;
        for (int64_t c = 0; c < d.width; c++) {
            square += sum[c] * sum[c] / (real)d.width;
            terms += fabs(sum[c]) * magnitude[c] / (real)d.width;
        }
        r = (real)1 / sqrt(square + (real)vkz_ref_value(ref, "eps"));
        lost = terms * r * r;
    }
    for (int64_t c = 0; c < d.width; c++) {
        o[c] = (double)(sum[c] * r);
        scale[c] = (double)(r * (magnitude[c] + fabs(sum[c]) * lost));
    }
}

// Without a query all layers count alike.
static bool check_mean(struct vkz_identity_run *run)
{
    const int64_t l = vkz_identity_dim(run, "l");
    struct vkz_data *data =
        vkz_identity_inputs(run, "NORM_OUT=off fill.q=const(0) fill.v=normal(1)");
    const float *v = vkz_identity_float(run, data, "v");
    const int64_t count = vkz_identity_count(data, "o");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; v && expected && i < l * count; i++) {
        expected[i % count] += (double)v[i] / (double)l;
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, data, "o"),
                              count, 2);
}

static bool check_permute_layers(struct vkz_identity_run *run)
{
    const int64_t l = vkz_identity_dim(run, "l");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    const float *from = vkz_identity_float(run, one, "v");
    float *to = vkz_identity_float(run, two, "v");
    const int64_t count = vkz_identity_count(one, "v"), layer = count / l;
    for (int64_t i = 0; from && to && i < count; i++) {
        to[i] = from[(l - 1 - i / layer) * layer + i % layer];
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

static bool check_one_layer(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "l=1 NORM_OUT=off fill.v=normal(1)");
    const float *v = vkz_identity_float(run, data, "v");
    const int64_t count = vkz_identity_count(data, "o");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; v && expected && i < count; i++) {
        expected[i] = (double)v[i];
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, data, "o"),
                              count, 2);
}

static const struct vkz_identity identities[] = {
    {"one_layer", "one layer alone passes through", NULL, check_one_layer},
    {"mean", "with q = 0 the output is the mean of the layers", NULL, check_mean},
    {"permute_layers", "the order of the layers does not matter", "l > 1",
     check_permute_layers},
    {0},
};

VKZ_OP(attention_residual) = {
    .name = "attention_residual",
    .family = "hyper",
    .abi = 1,
    .title = "softmax attention of a token over the outputs of earlier layers",
    .doc = "k_i = w ∘ v_i / sqrt(mean(v_i²) + eps)\n"
           "p = softmax_i(scale q · k_i),  o = Σ_i p_i v_i\n"
           "\n"
           "NORM_OUT=on divides o by sqrt(mean(o²) + eps).\n"
           "Attention residuals arXiv 2603.15031.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "rows * l * width * 6",
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
