// SPDX-License-Identifier: MIT
// load_balance_backward: gradients of the balancing losses.
#include "ops/moe/load_balance.h"

static const struct vkz_dim dims[] = {BALANCE_DIMS, {0}};
static const struct vkz_scalar scalars[] = {BALANCE_SCALARS, {0}};
static const struct vkz_axis axes[] = {BALANCE_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    BALANCE_INPUTS("KIND == KIND.sequence"),
    {"f", VKZ_IN, BALANCE_F, "forward", "as load_balance wrote it"},
    {"dloss", VKZ_IN, "f32", "1", NULL, "uniform(0.5,1.5)", "gradient of the loss"},
    {"dscore", VKZ_OUT, "f32", "rows, experts", BALANCE_HAS_SCORE, NULL, NULL},
    {"dlogits", VKZ_OUT, "f32", "rows, experts", BALANCE_HAS_LOGITS, NULL, NULL},
    {"dsd", VKZ_OUT, "f32", "rows, experts", BALANCE_HAS_LOAD, NULL, NULL},
    {0},
};

// Gradient of alpha CV² with respect to v_e.
static real variation(const struct balance *b, const float *f, int64_t e, real *magnitude)
{
    const real n = (real)b->experts;
    real mean = 0, var = 0;
    for (int64_t i = 0; i < b->experts; i++) {
        mean += (real)f[i] / n;
    }
    for (int64_t i = 0; i < b->experts; i++) {
        var += ((real)f[i] - mean) * ((real)f[i] - mean) / n;
    }
    const real below = mean * mean + (real)1e-10;
    const real first = 2 / (n * below), second = 2 * var * mean / (n * below * below);
    *magnitude = fabs(b->alpha) *
                 (first * (fabs((real)f[e]) + fabs(mean)) + fabs(second));
    return b->alpha * (((real)f[e] - mean) * first - second);
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct balance b = balance_of(ref);
    const int64_t n = b.experts;
    const float *f = vkz_ref_in(ref, "f");
    const real up = (real)vkz_ref_in(ref, "dloss")[0];
    double *dscore = vkz_ref_out(ref, "dscore"), *dlogits = vkz_ref_out(ref, "dlogits");
    double *dsd = vkz_ref_out(ref, "dsd");
    double *s_scale = vkz_ref_scale(ref, "dscore");
    double *l_scale = vkz_ref_scale(ref, "dlogits");
    double *sd_scale = vkz_ref_scale(ref, "dsd");
    if (f != NULL && b.kind == BALANCE_SEQUENCE) {
        f += row / b.len * n;
    }
    real sum = 0, inner = 0, lse = 0;
    if (b.kind == BALANCE_SEQUENCE) {
        sum = balance_row_sum(&b, row);
        for (int64_t e = 0; e < n; e++) {
            inner += (real)f[e] * (real)b.score[row * n + e] / sum;
        }
    } else if (b.kind == BALANCE_Z) {
        lse = balance_lse(&b, row);
    }
    for (int64_t e = 0; e < n; e++) {
        const int64_t at = row * n + e;
        real d = 0, magnitude = 0;
        switch (b.kind) {
        case BALANCE_SWITCH:
            d = b.alpha * (real)f[e] / (real)b.rows;
            magnitude = fabs(d);
            break;
        case BALANCE_SEQUENCE:
            d = b.alpha * ((real)f[e] - inner) / (sum * (real)b.rows);
            magnitude = fabs(b.alpha) * ((real)f[e] + inner) / (sum * (real)b.rows);
            break;
        case BALANCE_Z: {
            const real p = exp((real)b.logits[at] - lse);
            d = b.alpha * 2 / (real)b.rows * lse * p;
            magnitude = fabs(d) + fabs(b.alpha) * p / (real)b.rows;
            break;
        }
        default:
            d = variation(&b, f, e, &magnitude);
        }
        d *= up;
        magnitude = magnitude * fabs(up) + (real)1e-30;
        if (b.kind == BALANCE_LOAD) {
            const real sd = (real)b.sd[at];
            const real z = ((real)b.logits[at] - balance_threshold(&b, row, e)) / sd;
            const real density = exp(-z * z / 2) * (real)0.39894228040143268 / sd;
            dsd[e] = (double)(-d * density * z);
            sd_scale[e] = (double)(magnitude * density * (fabs(z) + 1)) + 1e-30;
            d *= density;
            magnitude *= density * (1 + z * z);
        }
        if (dscore != NULL) {
            dscore[e] = (double)d;
            s_scale[e] = (double)magnitude;
        } else {
            dlogits[e] = (double)d;
            l_scale[e] = (double)magnitude + 1e-30;
        }
    }
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const outputs[] = {"dscore", "dlogits", "dsd"};
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *dloss = vkz_identity_float(run, two, "dloss");
    if (dloss != NULL) {
        dloss[0] *= 2;
    }
    for (int x = 0; x < 3; x++) {
        const int64_t count = vkz_identity_count(one, outputs[x]);
        double *a = count > 0 ? vkz_identity_output(run, one, outputs[x]) : NULL;
        for (int64_t i = 0; a != NULL && i < count; i++) {
            a[i] *= 2;
        }
        if (count > 0 &&
            !vkz_identity_equal(run, outputs[x], a,
                                vkz_identity_output(run, two, outputs[x]), count, 2)) {
            return false;
        }
    }
    return true;
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dloss doubles every gradient", NULL, check_linear},
    {0},
};

VKZ_OP(load_balance_backward) = {
    .name = "load_balance_backward",
    .family = "moe",
    .abi = 1,
    .forward = "load_balance",
    .title = "gradients of the balancing losses",
    .doc = "switch: dscore_te = dloss alpha f_e / rows; the fractions have no gradient\n"
           "sequence: the same through score / Σ score\n"
           "zloss: dlogits = dloss alpha 2/rows LSE softmax(logits)\n"
           "cv2: df_e = dloss alpha [2 (f_e - μ)/(experts (μ² + δ)) -\n"
           "  2 var μ/(experts (μ² + δ)²)], δ = 1e-10; load_cv2: through Φ to logits and\n"
           "  sd, the threshold being fixed\n"
           "\n"
           "Shazeer arXiv 1701.06538, Switch 2101.03961, ST-MoE 2202.08906.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = BALANCE_VALID,
    .valid_reason = BALANCE_VALID_REASON,
    .flops = "rows * experts * 4",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
