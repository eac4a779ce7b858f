// SPDX-License-Identifier: MIT
// linear_attention: the state of a linear transformer with scalar decay, contract and
// reference.
#include "ops/linear/linear_attention.h"

static const struct vkz_dim dims[] = {VKZ_LINEAR_ATTENTION_DIMS, {0}};

static const struct vkz_scalar scalars[] = {VKZ_LINEAR_ATTENTION_SCALARS, {0}};

static const struct vkz_axis axes[] = {
    VKZ_LINEAR_ATTENTION_AXES,
    {"NORMALISE", "none sum abs", "what the outputs are divided by"},
    VKZ_RECURRENCE_AXES,
    {0},
};

static const struct vkz_tensor tensors[] = {
    VKZ_LINEAR_ATTENTION_TENSORS_QKV,
    VKZ_LINEAR_ATTENTION_TENSOR_G,
    {"s0", VKZ_IN, "f32", "batch, heads, head_dim, v_dim", "INIT == INIT.on", "normal(1)",
     "state before the first token, rows = key index"},
    {"z0", VKZ_IN, "f32", "batch, heads, head_dim",
     "INIT == INIT.on && NORMALISE == NORMALISE.sum", "uniform(0,2)", "the same of z"},
    {"o", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL, "outputs"},
    {"st", VKZ_OUT, "f32", "batch, heads, head_dim, v_dim", "FINAL == FINAL.on", NULL,
     "state after the last token"},
    {"zt", VKZ_OUT, "f32", "batch, heads, head_dim",
     "FINAL == FINAL.on && NORMALISE == NORMALISE.sum", NULL, "the same of z"},
    {0},
};

enum { NORMALISE_NONE, NORMALISE_SUM, NORMALISE_ABS };

// o_t of NORMALISE=abs: the scores of a row in full, as no state holds their magnitudes.
static void abs_row(const struct sequence *s, int64_t t, double *o, double *scale)
{
    real decay = 1, sum = 0;
    real *row = s->row, *size = s->size;
    for (int64_t j = 0; j < s->v_dim; j++) {
        row[j] = size[j] = 0;
    }
    for (int64_t i = t; i >= 0; i--) {
        real a = 0;
        for (int64_t c = 0; c < s->head_dim; c++) {
            a += feature(s->feature, s->q[t * s->head_dim + c]) *
                 feature(s->feature, s->k[i * s->head_dim + c]);
        }
        a *= s->tau * decay;
        sum += fabs(a);
        for (int64_t j = 0; j < s->v_dim; j++) {
            const real x = a * (real)s->v[i * s->v_dim + j];
            row[j] += x;
            size[j] += fabs(x);
        }
        decay *= sequence_decay(s, i);
    }
    const real divisor = sum < 1 ? (real)1 : sum;
    for (int64_t j = 0; j < s->v_dim; j++) {
        o[t * s->v_dim + j] = (double)(row[j] / divisor);
        scale[t * s->v_dim + j] = (double)((size[j] + fabs(row[j])) / divisor);
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    struct sequence s = sequence_begin(ref, unit);
    const int normalise = (int)vkz_ref_dim(ref, "NORMALISE");
    double *o = vkz_ref_out(ref, "o"), *o_scale = vkz_ref_scale(ref, "o");
    if (normalise == NORMALISE_ABS) {
        for (int64_t t = 0; t < s.len; t++) {
            abs_row(&s, t, o, o_scale);
        }
        return;
    }
    // z, beside the state: the same recurrence for v = 1.
    const float *z0 = vkz_ref_in(ref, "z0");
    real *z = vkz_ref_temp(ref, (size_t)s.head_dim * sizeof *z);
    real *z_size = vkz_ref_temp(ref, (size_t)s.head_dim * sizeof *z);
    for (int64_t c = 0; z0 != NULL && c < s.head_dim; c++) {
        z[c] = (real)z0[unit * s.head_dim + c];
        z_size[c] = fabs(z[c]);
    }
    for (int64_t t = 0; t < s.len; t++) {
        const real decay = sequence_decay(&s, t);
        real sum = 0, sum_size = 0;
        for (int64_t c = 0; c < s.head_dim; c++) {
            const real k = feature(s.feature, s.k[t * s.head_dim + c]);
            const real q = feature(s.feature, s.q[t * s.head_dim + c]);
            z[c] = decay * z[c] + k;
            z_size[c] = decay * z_size[c] + fabs(k);
            sum += q * z[c];
            sum_size += fabs(q) * z_size[c];
        }
        sequence_step(&s, t);
        real factor = s.tau, spread = 0;
        if (normalise == NORMALISE_SUM) {
            const real size = fabs(sum);
            factor = 1 / (size < (real)1e-6 ? (real)1e-6 : size);
            spread = sum_size * factor;
        }
        for (int64_t j = 0; j < s.v_dim; j++) {
            const real x = s.row[j] * factor;
            o[t * s.v_dim + j] = (double)x;
            // A quotient carries the error of its divisor, too.
            o_scale[t * s.v_dim + j] = (double)(s.size[j] * factor + fabs(x) * spread);
        }
    }
    sequence_end(&s, ref);
    double *zt = vkz_ref_out(ref, "zt"), *zt_scale = vkz_ref_scale(ref, "zt");
    for (int64_t c = 0; zt != NULL && c < s.head_dim; c++) {
        zt[c] = (double)z[c];
        zt_scale[c] = (double)z_size[c];
    }
}

static void fill(struct vkz_fill *to, const char *tensor)
{
    (void)tensor; // g is the only one
    linear_attention_fill_g(to);
}

#define HAS_STATE "NORMALISE != NORMALISE.abs"

static const struct vkz_identity identities[] = {
    RECURRENCE_PREFIX(""),
    RECURRENCE_SPLIT(" && " HAS_STATE),
    {"linear", "doubled v doubles o", HAS_STATE, recurrence_check_linear},
    {"linear_state", "doubled v doubles the last state", HAS_STATE,
     recurrence_check_linear_state},
    RECURRENCE_RESET(" && DECAY == DECAY.token && " HAS_STATE),
    {0},
};

VKZ_OP(linear_attention) = {
    .name = "linear_attention",
    .family = "linear",
    .abi = 1,
    .title = "linear attention with scalar decay",
    .doc = "S_t = e^g_t S_{t-1} + φ(k_t) ⊗ v_t;  o_t = τ φ(q_t) S_t\n"
           "\n"
           "NORMALISE=sum: z_t = e^g_t z_{t-1} + φ(k_t), o_t = φ(q_t) S_t /\n"
           "max(|φ(q_t)·z_t|, 1e-6). NORMALISE=abs: A = τ tril((QKᵀ)∘Γ), o_i = Σ_j A_ij\n"
           "v_j / max(1, Σ_j |A_ij|), without a state.\n"
           "DECAY=head: RetNet's g_h = ln(1 - 2^(-5-h)) by default.\n"
           "\n"
           "Linear transformers arXiv 2006.16236; RetNet 2307.08621; "
           "Lightning attention\n"
           "2401.04658; scalar gates 2312.06635.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "NORMALISE != NORMALISE.abs || INIT == INIT.off && FINAL == FINAL.off",
    .valid_reason = "NORMALISE=abs has no state",
    .flops = "4 * batch * heads * len * head_dim * v_dim",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
