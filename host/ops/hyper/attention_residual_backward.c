// SPDX-License-Identifier: MIT
// attention_residual_backward: gradients of attention_residual, without norm of its output.
#include "ops/hyper/attention_residual.h"

static const struct vkz_dim dims[] = {DEPTH_DIMS, {0}};
static const struct vkz_scalar scalars[] = {DEPTH_SCALARS, {0}};
static const struct vkz_tensor tensors[] = {
    DEPTH_TENSORS,
    {"do", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "gradient of o"},
    {"dv", VKZ_OUT, "T", "l, rows, width", NULL, NULL, NULL},
    {"dq", VKZ_OUT, "f32", "width", NULL, NULL, NULL},
    {"dw", VKZ_OUT, "f32", "width", NULL, NULL, NULL},
    {0},
};

// Sums over the rows: Σ ds_i v_i r_i, of which dq and dw are made.
struct key_sum {
    real *value, *magnitude;
};

static void row_gradients(struct vkz_ref *ref, int64_t row, const struct key_sum *sum)
{
    const struct depth_row d = depth_row(ref, row);
    const real factor = (real)vkz_ref_value(ref, "scale");
    const float *d_o = vkz_ref_in(ref, "do") + row * d.width;
    double *dv = vkz_ref_out(ref, "dv"), *scale = vkz_ref_scale(ref, "dv");
    real *dp = vkz_ref_temp(ref, (size_t)d.l * sizeof(real));
    real *dp_magnitude = vkz_ref_temp(ref, (size_t)d.l * sizeof(real));
    real mean = 0, mean_magnitude = 0;
    for (int64_t i = 0; i < d.l; i++) {
        const float *v = depth_source(&d, i);
        for (int64_t c = 0; c < d.width; c++) {
            dp[i] += (real)v[c] * (real)d_o[c];
            dp_magnitude[i] += fabs((real)v[c] * (real)d_o[c]);
        }
        mean += d.p[i] * dp[i];
        mean_magnitude += d.p[i] * d.amplify[i] * dp_magnitude[i];
    }
    for (int64_t i = 0; i < d.l; i++) {
        const float *v = depth_source(&d, i);
        const real ds = factor * d.p[i] * (dp[i] - mean), r = d.r[i];
        const real ds_magnitude = fabs(factor) * d.p[i] * d.amplify[i] *
                                  (dp_magnitude[i] + mean_magnitude);
        real along = 0, along_magnitude = 0; // mean of gk ∘ v, but for ds
        for (int64_t c = 0; c < d.width; c++) {
            const real term = (real)d.w[c] * (real)d.q[c] * (real)v[c] / (real)d.width;
            along += term;
            along_magnitude += fabs(term);
        }
        for (int64_t c = 0; c < d.width; c++) {
            const int64_t at = (i * d.rows + row) * d.width + c;
            const real wq = (real)d.w[c] * (real)d.q[c], x = (real)v[c];
            dv[at] = (double)(d.p[i] * (real)d_o[c] +
                              r * ds * (wq - x * r * r * along));
            scale[at] = (double)(d.p[i] * d.amplify[i] * fabs((real)d_o[c]) +
                                 r * ds_magnitude *
                                     (fabs(wq) + fabs(x) * r * r * along_magnitude));
            sum->value[c] += ds * r * x;
            sum->magnitude[c] += ds_magnitude * r * fabs(x);
        }
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // dq and dw are sums over all rows
    const int64_t rows = vkz_ref_dim(ref, "rows"), width = vkz_ref_dim(ref, "width");
    const float *q = vkz_ref_in(ref, "q"), *w = vkz_ref_in(ref, "w");
    const struct key_sum sum = {
        .value = vkz_ref_temp(ref, (size_t)width * sizeof(real)),
        .magnitude = vkz_ref_temp(ref, (size_t)width * sizeof(real)),
    };
    for (int64_t row = 0; row < rows; row++) {
        row_gradients(ref, row, &sum);
    }
    for (int64_t c = 0; c < width; c++) {
        vkz_ref_out(ref, "dq")[c] = (double)((real)w[c] * sum.value[c]);
        vkz_ref_scale(ref, "dq")[c] = (double)(fabs((real)w[c]) * sum.magnitude[c]);
        vkz_ref_out(ref, "dw")[c] = (double)((real)q[c] * sum.value[c]);
        vkz_ref_scale(ref, "dw")[c] = (double)(fabs((real)q[c]) * sum.magnitude[c]);
    }
}

// The scores see only q ∘ w, and both gradients are made of one sum: w dw = q dq.
static bool check_query_weight(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const float *q = vkz_identity_float(run, data, "q");
    const float *w = vkz_identity_float(run, data, "w");
    double *dq = vkz_identity_output(run, data, "dq");
    double *dw = vkz_identity_output(run, data, "dw");
    const int64_t count = vkz_identity_count(data, "dq");
    for (int64_t i = 0; q && w && dq && dw && i < count; i++) {
        dq[i] *= (double)q[i];
        dw[i] *= (double)w[i];
    }
    return vkz_identity_equal(run, "dq", dq, dw, count, 2);
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"do", NULL};
    static const char *const outputs[] = {"dv", "dq", "dw", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

static const struct vkz_identity identities[] = {
    {"query_weight", "w dw is q dq", NULL, check_query_weight},
    {"linear", "doubling do doubles every gradient", NULL, check_linear},
    {0},
};

VKZ_OP(attention_residual_backward) = {
    .name = "attention_residual_backward",
    .family = "hyper",
    .abi = 1,
    .forward = "attention_residual",
    .title = "gradients of attention_residual",
    .doc = "dp_i = v_i · do,  ds_i = scale p_i (dp_i - Σ_j p_j dp_j)\n"
           "r_i = 1 / sqrt(mean(v_i²) + eps),  g_i = ds_i w ∘ q\n"
           "dv_i = p_i do + r_i (g_i - v_i r_i² mean(g_i ∘ v_i))\n"
           "dq = w ∘ Σ ds_i r_i v_i,  dw = q ∘ Σ ds_i r_i v_i   over layers and tokens\n"
           "\n"
           "Attention residuals arXiv 2603.15031.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .flops = "rows * l * width * 14",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
