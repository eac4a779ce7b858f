// SPDX-License-Identifier: MIT
// load_balance: auxiliary losses that keep experts equally busy, contract and reference.
#include "ops/moe/load_balance.h"

static const struct vkz_dim dims[] = {BALANCE_DIMS, {0}};
static const struct vkz_scalar scalars[] = {BALANCE_SCALARS, {0}};
static const struct vkz_axis axes[] = {BALANCE_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    BALANCE_INPUTS(BALANCE_HAS_SCORE),
    {"idx", VKZ_IN, "i32", "rows, topk", BALANCE_HAS_IDX, "range(-1,experts-1)",
     "experts of a token, -1: none"},
    {"loss", VKZ_OUT, "f32", "1", NULL, NULL, "the loss"},
    {"f", VKZ_OUT, BALANCE_F, NULL, "what is added up over the tokens, or the fractions"},
    {0},
};

// The sums over tokens of which the loss takes the coefficient of variation.
static void column_sums(struct vkz_ref *ref, const struct balance *b, real *v)
{
    (void)ref;
    for (int64_t row = 0; row < b->rows; row++) {
        for (int64_t e = 0; e < b->experts; e++) {
            const int64_t at = row * b->experts + e;
            if (b->kind == BALANCE_IMPORTANCE) {
                v[e] += (real)b->score[at];
            } else {
                const real z = ((real)b->logits[at] - balance_threshold(b, row, e)) /
                               (real)b->sd[at];
                v[e] += erfc(-z * (real)0.70710678118654752) / 2;
            }
        }
    }
}

static void variation(struct vkz_ref *ref, const struct balance *b, double *loss,
                      double *loss_scale)
{
    double *f = vkz_ref_out(ref, "f"), *f_scale = vkz_ref_scale(ref, "f");
    real *v = vkz_ref_temp(ref, (size_t)b->experts * sizeof *v);
    real mean = 0, var = 0, magnitude = 0;
    column_sums(ref, b, v);
    for (int64_t e = 0; e < b->experts; e++) {
        mean += v[e] / (real)b->experts;
    }
    for (int64_t e = 0; e < b->experts; e++) {
        var += (v[e] - mean) * (v[e] - mean) / (real)b->experts;
        magnitude += (v[e] * v[e] + mean * mean) / (real)b->experts;
        f[e] = (double)v[e];
        f_scale[e] = fabs((double)v[e]) + 1e-30;
    }
    const real below = mean * mean + (real)1e-10;
    *loss = (double)(b->alpha * var / below);
    *loss_scale = (double)(fabs(b->alpha) * magnitude / below);
}

// Also the loss of whole batches: one sequence, scores taken as they are.
static void fractions(struct vkz_ref *ref, const struct balance *b, double *loss,
                      double *loss_scale)
{
    double *f = vkz_ref_out(ref, "f"), *f_scale = vkz_ref_scale(ref, "f");
    const int32_t *idx = vkz_ref_in_int(ref, "idx");
    const int64_t sequences = b->rows / b->len;
    real *p = vkz_ref_temp(ref, (size_t)(sequences * b->experts) * sizeof *p);
    for (int64_t i = 0; i < sequences * b->experts; i++) {
        f[i] = 0;
    }
    for (int64_t row = 0; row < b->rows; row++) {
        const int64_t first = row / b->len * b->experts;
        const real sum = b->kind == BALANCE_SEQUENCE ? balance_row_sum(b, row) : 1;
        for (int64_t e = 0; e < b->experts; e++) {
            p[first + e] += (real)b->score[row * b->experts + e] / sum;
        }
        for (int64_t t = 0; t < b->topk; t++) {
            const int32_t e = idx[row * b->topk + t];
            if (e >= 0) {
                f[first + e] += 1;
            }
        }
    }
    real total = 0, magnitude = 0;
    for (int64_t i = 0; i < sequences * b->experts; i++) {
        const real fraction =
            (real)f[i] * (real)b->experts / (real)(b->len * b->topk);
        f[i] = (double)fraction;
        f_scale[i] = (double)fraction + 1e-30;
        total += fraction * p[i] / (real)b->len;
        magnitude += fabs(fraction * p[i]) / (real)b->len;
    }
    *loss = (double)(b->alpha * total / (real)sequences);
    *loss_scale = (double)(fabs(b->alpha) * magnitude / (real)sequences);
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit;
    const struct balance b = balance_of(ref);
    double *loss = vkz_ref_out(ref, "loss"), *loss_scale = vkz_ref_scale(ref, "loss");
    if (b.kind == BALANCE_Z) {
        real sum = 0;
        for (int64_t row = 0; row < b.rows; row++) {
            const real lse = balance_lse(&b, row);
            sum += lse * lse;
        }
        *loss = (double)(b.alpha * sum / (real)b.rows);
        *loss_scale = fabs(*loss);
    } else if (b.kind == BALANCE_IMPORTANCE || b.kind == BALANCE_LOAD) {
        variation(ref, &b, loss, loss_scale);
    } else {
        fractions(ref, &b, loss, loss_scale);
    }
    *loss_scale += 1e-30;
}

// Tokens in the opposite order. (Of a sequence each, or of the batch.)
static bool check_permute_tokens(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"score", "logits", "noisy", "sd"};
    const int64_t rows = vkz_identity_dim(run, "rows");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    for (int x = 0; x < 4; x++) {
        const int64_t n = vkz_identity_count(one, inputs[x]) / rows;
        const float *from = n > 0 ? vkz_identity_float(run, one, inputs[x]) : NULL;
        float *to = n > 0 ? vkz_identity_float(run, two, inputs[x]) : NULL;
        for (int64_t i = 0; from != NULL && to != NULL && i < rows * n; i++) {
            to[i] = from[(rows - 1 - i / n) * n + i % n];
        }
    }
    const int64_t topk = vkz_identity_count(one, "idx") / rows;
    const int32_t *from = topk > 0 ? vkz_identity_int(run, one, "idx") : NULL;
    int32_t *to = topk > 0 ? vkz_identity_int(run, two, "idx") : NULL;
    for (int64_t i = 0; from != NULL && to != NULL && i < rows * topk; i++) {
        to[i] = from[(rows - 1 - i / topk) * topk + i % topk];
    }
    return vkz_identity_equal(run, "loss", vkz_identity_output(run, one, "loss"),
                              vkz_identity_output(run, two, "loss"), 1, 4);
}

// Equal probabilities and loads give alpha; equal sums do not vary.
static bool check_uniform(struct vkz_identity_run *run)
{
    const int64_t experts = vkz_identity_dim(run, "experts");
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t topk = vkz_identity_dim(run, "topk");
    const int64_t entries = rows * topk;
    if (entries % experts != 0) {
        return true;
    }
    const bool varies = vkz_identity_dim(run, "KIND") == BALANCE_IMPORTANCE;
    struct vkz_data *data = vkz_identity_inputs(run, "fill.score=const(1/experts)");
    int32_t *idx = varies ? NULL : vkz_identity_int(run, data, "idx");
    for (int64_t i = 0; idx != NULL && i < entries; i++) {
        idx[i] = (int32_t)(i % experts);
    }
    double expected[2] = {varies ? 0 : vkz_identity_value(run, "alpha"), 1};
    const double *loss = vkz_identity_output(run, data, "loss");
    double got[2] = {loss != NULL ? loss[0] : 0, 1};
    return vkz_identity_equal(run, "loss", expected, got, 2, 4);
}

static const struct vkz_identity identities[] = {
    {"permute_tokens", "the order of the tokens does not matter", NULL,
     check_permute_tokens},
    {"uniform", "equal loads cost alpha, or nothing where the variation is the loss",
     "KIND == KIND.switch || KIND == KIND.importance_cv2", check_uniform},
    {0},
};

VKZ_OP(load_balance) = {
    .name = "load_balance",
    .family = "moe",
    .abi = 1,
    .title = "auxiliary losses that keep experts equally busy",
    .doc = "switch: f_e = count_e experts/(rows topk), P_e = mean_t score_te;\n"
           "  loss = alpha Σ_e f_e P_e\n"
           "sequence: the same for each sequence of len tokens with score_te / Σ_e score_te,\n"
           "  averaged over sequences; f [rows/len, experts]\n"
           "importance_cv2: alpha CV²(f), f_e = Σ_t score_te, CV² = var/(mean² + 1e-10)\n"
           "load_cv2: alpha CV²(f), f_e = Σ_t Φ((logits_te - th_te) / sd_te), th_te the\n"
           "  topk-th largest of noisy_t with e left out\n"
           "zloss: alpha mean_t LSE(logits_t)²\n"
           "\n"
           "Shazeer arXiv 1701.06538, Switch 2101.03961, ST-MoE 2202.08906, DeepSeek-V3\n"
           "2412.19437.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = BALANCE_VALID,
    .valid_reason = BALANCE_VALID_REASON,
    .flops = "rows * experts * 4",
    .sum_length = "rows * experts",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
