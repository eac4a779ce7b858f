// SPDX-License-Identifier: MIT
// moe_ffn: a layer of experts, given who takes which token, contract and reference.
#include "ops/moe/ffn.h"
#include "zoo/identity.h"

static const struct vkz_dim dims[] = {FFN_DIMS, {0}};
static const struct vkz_scalar scalars[] = {FFN_SCALARS, {0}};

static const struct vkz_axis axes[] = {
    FFN_ACT,
    {"SHARED", "off on", "one more expert that takes every token, with weight 1"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    FFN_TENSORS,
    {"ws1", VKZ_IN, "T", FFN_GATED " ? 2 * ff_width : ff_width, width",
     "SHARED == SHARED.on", "linear_w", "w1 of the shared expert"},
    {"ws2", VKZ_IN, "T", "width, ff_width", "SHARED == SHARED.on", "linear_w",
     "w2 of the shared expert"},
    {"y", VKZ_OUT, "T", "rows, width", NULL, NULL, "a row a token"},
    {0},
};

// Adds weight times the expert's output.
static void add_expert(struct vkz_ref *ref, const float *x, const float *w1,
                       const float *w2, real weight, real *sum, real *magnitude)
{
    const struct ffn_layer layer = ffn_layer(ref);
    const size_t hidden = (size_t)(2 * layer.ff) * sizeof(real);
    real *up = vkz_ref_temp(ref, hidden), *up_magnitude = vkz_ref_temp(ref, hidden);
    ffn_up(&layer, w1, x, up, up_magnitude);
    for (int64_t f = 0; f < layer.ff; f++) {
        const int64_t second = layer.gated ? layer.ff + f : f;
        const struct ffn_hidden y = ffn_act(layer.act, up[f], up_magnitude[f], up[second],
                                            up_magnitude[second]);
        up[f] = y.h;
        up_magnitude[f] = y.magnitude;
    }
    for (int64_t c = 0; c < layer.width; c++) {
        const float *row = w2 + c * layer.ff;
        real one = 0, one_magnitude = 0;
        for (int64_t f = 0; f < layer.ff; f++) {
            one += (real)row[f] * up[f];
            one_magnitude += fabs((real)row[f]) * (up_magnitude[f] + fabs(up[f]));
        }
        sum[c] += weight * one;
        magnitude[c] += fabs(weight) * one_magnitude;
    }
}

static void reference(struct vkz_ref *ref, int64_t t)
{
    const struct ffn_layer layer = ffn_layer(ref);
    const int64_t topk = vkz_ref_dim(ref, "topk");
    const int64_t one = (layer.gated ? 2 : 1) * layer.ff * layer.width;
    const float *x = vkz_ref_in(ref, "x") + t * layer.width;
    const int32_t *idx = vkz_ref_in_int(ref, "idx") + t * topk;
    real *sum = vkz_ref_temp(ref, (size_t)layer.width * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)layer.width * sizeof(real));
    for (int64_t i = 0; i < topk; i++) {
        if (idx[i] >= 0) {
            add_expert(ref, x, vkz_ref_in(ref, "w1") + idx[i] * one,
                       vkz_ref_in(ref, "w2") + idx[i] * layer.ff * layer.width,
                       (real)vkz_ref_in(ref, "w")[t * topk + i], sum, magnitude);
        }
    }
    if (vkz_ref_in(ref, "ws1") != NULL) {
        add_expert(ref, x, vkz_ref_in(ref, "ws1"), vkz_ref_in(ref, "ws2"), 1, sum,
                   magnitude);
    }
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    for (int64_t c = 0; c < layer.width; c++) {
        y[c] = (double)sum[c];
        scale[c] = (double)magnitude[c];
    }
}

static bool check_weights(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "SHARED=off");
    struct vkz_data *two = vkz_identity_inputs(run, "SHARED=off");
    float *w = vkz_identity_float(run, two, "w");
    for (int64_t i = 0; i < vkz_identity_count(two, "w"); i++) {
        w[i] *= 2;
    }
    const int64_t count = vkz_identity_count(one, "y");
    double *a = vkz_identity_output(run, one, "y");
    for (int64_t i = 0; a != NULL && i < count; i++) {
        a[i] *= 2;
    }
    return vkz_identity_equal(run, "y", a, vkz_identity_output(run, two, "y"), count, 2);
}

// Experts that are all alike: it does not matter who takes a token.
static bool check_alike(struct vkz_identity_run *run)
{
    static const char *const weights[] = {"w1", "w2"};
    const int64_t experts = vkz_identity_dim(run, "experts");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    struct vkz_data *both[] = {one, two};
    for (int d = 0; d < 2; d++) {
        for (int x = 0; x < 2; x++) {
            float *values = vkz_identity_float(run, both[d], weights[x]);
            const int64_t count = vkz_identity_count(both[d], weights[x]);
            for (int64_t i = count / experts; values != NULL && i < count; i++) {
                values[i] = values[i % (count / experts)];
            }
        }
    }
    int32_t *idx = vkz_identity_int(run, two, "idx");
    for (int64_t i = 0; i < vkz_identity_count(two, "idx"); i++) {
        idx[i] = idx[i] < 0 ? -1 : (int32_t)((idx[i] + 1) % experts);
    }
    return vkz_identity_equal(run, "y", vkz_identity_output(run, one, "y"),
                              vkz_identity_output(run, two, "y"),
                              vkz_identity_count(one, "y"), 2);
}

static const struct vkz_identity identities[] = {
    {"weights", "doubling the weights of the entries doubles y", NULL, check_weights},
    {"alike", "experts that are all alike may change places", "experts > 1", check_alike},
    {0},
};

VKZ_OP(moe_ffn) = {
    .name = "moe_ffn",
    .family = "moe",
    .abi = 1,
    .title = "a layer of experts, given which takes what",
    .doc = "y_t = Σ_i w[t, i] W2_e act(W1_e x_t), e = idx[t, i], entries of -1 left out\n"
           "\n"
           "swiglu: silu(a) b with [a; b] = W1_e x; relu and gelu (erf form): of W1_e x;\n"
           "swiglu_clamp: (b' + 1) a' σ(1.702 a'), a' = min(a, 7), b' = clamp(b, -7, 7).\n"
           "SHARED: one more expert that takes all tokens with weight 1.\n"
           "\n"
           "arXiv 1701.06538; Mixtral 2401.04088; DeepSeekMoE 2401.06066 (shared expert).",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = FFN_VALID,
    .valid_reason = FFN_VALID_REASON,
    .flops = "rows * (topk + (SHARED == SHARED.on)) * width * ff_width * (" FFN_GATED
             " ? 6 : 4)",
    .bytes = "T.bytes * width * ((" VKZ_MAP_TAKEN " + (SHARED == SHARED.on)) * ff_width *"
             " (" FFN_GATED " ? 3 : 2) + 2 * rows)",
    .sum_length = "width + ff_width",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = ffn_fill,
    .identities = identities,
    .bitwise = true,
};
