// SPDX-License-Identifier: MIT
// linear_attention_backward: gradients of linear attention without a divisor, contract
// and reference.
#include <string.h>

#include "ops/linear/linear_attention.h"

static const struct vkz_dim dims[] = {VKZ_LINEAR_ATTENTION_DIMS, {0}};

static const struct vkz_scalar scalars[] = {VKZ_LINEAR_ATTENTION_SCALARS, {0}};

static const struct vkz_axis axes[] = {
    VKZ_LINEAR_ATTENTION_AXES,
    {"INIT", "off on", "the state did not start from zero: also its gradient"},
    {"FINAL", "off on", "the last state has a gradient, too"},
    {0},
};

#define G_SHAPE "DECAY == DECAY.head ? 1 : batch, heads, DECAY == DECAY.head ? 1 : len"

static const struct vkz_tensor tensors[] = {
    VKZ_LINEAR_ATTENTION_TENSORS_QKV,
    VKZ_LINEAR_ATTENTION_TENSOR_G,
    {"s0", VKZ_IN, "f32", "batch, heads, head_dim, v_dim", "INIT == INIT.on", "normal(1)",
     "state before the first token"},
    {"do", VKZ_IN, "T", "batch, heads, len, v_dim", NULL, "normal(1)", "gradient of o"},
    {"dst", VKZ_IN, "f32", "batch, heads, head_dim, v_dim", "FINAL == FINAL.on",
     "normal(1)", "gradient of st"},
    {"dq", VKZ_OUT, "T", "batch, heads, len, head_dim", NULL, NULL, "gradient of q"},
    {"dk", VKZ_OUT, "T", "batch, heads, len, head_dim", NULL, NULL, "gradient of k"},
    {"dv_", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL, "gradient of v"},
    {"dg", VKZ_OUT, "f32", G_SHAPE, "DECAY != DECAY.none", NULL, "gradient of g"},
    {"ds0", VKZ_OUT, "f32", "batch, heads, head_dim, v_dim", "INIT == INIT.on", NULL,
     "gradient of s0"},
    {0},
};

static real feature_slope(int kind, float x)
{
    const real y = (real)x;
    switch (kind) {
    case FEATURE_ELU1:
        return y > 0 ? (real)1 : exp(y);
    case FEATURE_RELU:
        return y > 0 ? (real)1 : (real)0;
    case FEATURE_SILU: {
        const real sigma = 1 / (1 + exp(-y));
        return sigma * (1 + y * (1 - sigma));
    }
    default:
        return 1;
    }
}

// The states that the way back needs are kept at the begin of every block of tokens, and
// those of one block are computed again.
enum { BLOCK = 32 };

struct gradients {
    double *dq, *dk, *dv_, *dq_scale, *dk_scale, *dv_scale;
};

// Forward: dq, the states at the begin of blocks, and per token Σ |φ(q)| |dq|.
static void forward(struct sequence *s, const float *d_o, const struct gradients *to,
                    real *kept, real *magnitude)
{
    const int64_t count = s->head_dim * s->v_dim;
    for (int64_t t = 0; t < s->len; t++) {
        if (t % BLOCK == 0) {
            memcpy(kept + t / BLOCK * count, s->state.s, (size_t)count * sizeof *kept);
        }
        sequence_step(s, t);
        for (int64_t c = 0; c < s->head_dim; c++) {
            const int64_t i = t * s->head_dim + c;
            const real slope = feature_slope(s->feature, s->q[i]);
            real sum = 0, size = 0;
            for (int64_t j = 0; j < s->v_dim; j++) {
                const real x = (real)d_o[t * s->v_dim + j];
                sum += s->state.s[c * s->v_dim + j] * x;
                size += s->state.size[c * s->v_dim + j] * fabs(x);
            }
            to->dq[i] = (double)(s->tau * sum * slope);
            to->dq_scale[i] = (double)(s->tau * size * fabs(slope));
            magnitude[t] += s->tau * size * fabs(feature(s->feature, s->q[i]));
        }
    }
}

// One token back: dk, dv and what both add to the magnitude behind dg. r is dS.
static real back(const struct sequence *s, int64_t t, const float *d_o,
                 struct recurrence *r, const struct gradients *to)
{
    const int64_t v_dim = s->v_dim;
    const float *v = s->v + t * v_dim;
    real magnitude = 0;
    for (int64_t j = 0; j < v_dim; j++) {
        s->row[j] = s->size[j] = 0;
    }
    for (int64_t c = 0; c < s->head_dim; c++) {
        const int64_t i = t * s->head_dim + c;
        const real k = feature(s->feature, s->k[i]);
        const real slope = feature_slope(s->feature, s->k[i]);
        recurrence_add_row(r, c, s->tau * feature(s->feature, s->q[i]), d_o + t * v_dim);
        recurrence_read_row(r, c, k, s->row, s->size);
        real sum = 0, size = 0;
        for (int64_t j = 0; j < v_dim; j++) {
            sum += r->s[c * v_dim + j] * (real)v[j];
            size += r->size[c * v_dim + j] * fabs((real)v[j]);
        }
        to->dk[i] = (double)(sum * slope);
        to->dk_scale[i] = (double)(size * fabs(slope));
        magnitude += size * fabs(k);
    }
    for (int64_t j = 0; j < v_dim; j++) {
        to->dv_[t * v_dim + j] = (double)s->row[j];
        to->dv_scale[t * v_dim + j] = (double)s->size[j];
    }
    return magnitude;
}

// dg is e^g <dS, S_{t-1}>. Its scale is that of an equal sum, which has no states,
//   dg_t = Σ_{s>=t} (φ(q_s)·dφ(q)_s - φ(k_s)·dφ(k)_s) + <st, dst>,
// and which a kernel may use.
static void sequence_backward(struct vkz_ref *ref, int64_t unit, const float *dst,
                              const struct gradients *to, double *dg, double *dg_scale,
                              double *ds0, double *ds0_scale)
{
    struct sequence s = sequence_begin(ref, unit);
    const int64_t count = s.head_dim * s.v_dim;
    const float *d_o = vkz_ref_in(ref, "do") + unit * s.len * s.v_dim;
    real *kept =
        vkz_ref_temp(ref, (size_t)((s.len / BLOCK + 1) * count) * sizeof *kept);
    real *block = vkz_ref_temp(ref, (size_t)(BLOCK * count) * sizeof *block);
    real *magnitude = vkz_ref_temp(ref, (size_t)s.len * sizeof *magnitude);
    forward(&s, d_o, to, kept, magnitude);

    struct recurrence r = recurrence_zero(ref, s.head_dim, s.v_dim);
    real running = 0;
    for (int64_t i = 0; dst != NULL && i < count; i++) {
        r.s[i] = (real)dst[i];
        r.size[i] = fabs(r.s[i]);
        running += r.size[i] * s.state.size[i];
    }
    for (int64_t t = s.len - 1; t >= 0; t--) {
        const int64_t first = t / BLOCK * BLOCK;
        if (t == s.len - 1 || t % BLOCK == BLOCK - 1) {
            memcpy(s.state.s, kept + first / BLOCK * count,
                   (size_t)count * sizeof *block);
            for (int64_t i = first; i <= t; i++) {
                memcpy(block + (i - first) * count, s.state.s,
                       (size_t)count * sizeof *block);
                sequence_step(&s, i);
            }
        }
        running += back(&s, t, d_o, &r, to) + magnitude[t];
        const real decay = sequence_decay(&s, t);
        real sum = 0;
        for (int64_t i = 0; i < count; i++) {
            sum += r.s[i] * block[(t - first) * count + i];
        }
        if (dg != NULL) {
            const int64_t at = s.decay == DECAY_HEAD ? 0 : t;
            dg[at] += (double)(decay * sum);
            dg_scale[at] += (double)running;
        }
        for (int64_t c = 0; c < s.head_dim; c++) {
            recurrence_decay_row(&r, c, decay);
        }
    }
    for (int64_t i = 0; ds0 != NULL && i < count; i++) {
        ds0[i] = (double)r.s[i];
        ds0_scale[i] = (double)r.size[i];
    }
}

static double *at(double *x, int64_t i)
{
    return x == NULL ? NULL : x + i;
}

// A unit is one sequence; with DECAY=head, where dg is a sum over the batch, all of them.
static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t len = vkz_ref_dim(ref, "len");
    const int64_t keys = len * vkz_ref_dim(ref, "head_dim");
    const int64_t values = len * vkz_ref_dim(ref, "v_dim");
    const int64_t state = keys / len * (values / len);
    const bool head = (int)vkz_ref_dim(ref, "DECAY") == DECAY_HEAD;
    const int64_t heads = vkz_ref_dim(ref, "heads");
    const int64_t first = head ? 0 : unit;
    const int64_t taken = head ? vkz_ref_dim(ref, "batch") * heads : 1;
    const float *dst = vkz_ref_in(ref, "dst");
    double *dg = vkz_ref_out(ref, "dg"), *dg_scale = vkz_ref_scale(ref, "dg");
    double *ds0 = vkz_ref_out(ref, "ds0"), *ds0_scale = vkz_ref_scale(ref, "ds0");
    for (int64_t i = 0; i < taken; i++) {
        const struct gradients to = {
            .dq = vkz_ref_out(ref, "dq") + i * keys,
            .dk = vkz_ref_out(ref, "dk") + i * keys,
            .dv_ = vkz_ref_out(ref, "dv_") + i * values,
            .dq_scale = vkz_ref_scale(ref, "dq") + i * keys,
            .dk_scale = vkz_ref_scale(ref, "dk") + i * keys,
            .dv_scale = vkz_ref_scale(ref, "dv_") + i * values,
        };
        const int64_t g = head ? i % heads : 0;
        // Sums start at 0, whatever was there.
        const int64_t gates = i >= heads ? 0 : head ? 1 : len;
        for (int64_t t = 0; dg != NULL && t < gates; t++) {
            dg[g + t] = dg_scale[g + t] = 0;
        }
        sequence_backward(ref, first + i, dst == NULL ? NULL : dst + (first + i) * state,
                          &to, at(dg, g), at(dg_scale, g), at(ds0, i * state),
                          at(ds0_scale, i * state));
    }
}

static void fill(struct vkz_fill *to, const char *tensor)
{
    (void)tensor; // g is the only one
    linear_attention_fill_g(to);
}

// Outputs are linear in v and, without an initial state, in k: Σ k·dk = Σ v·dv = Σ o·do,
// with the features' identity map; so is the sum over all tokens of q·dq.
static bool check_euler(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"q", "k", "v"};
    static const char *const outputs[] = {"dq", "dk", "dv_"};
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    double *sum = vkz_identity_temp(run, 4);
    double *same = vkz_identity_temp(run, 4);
    if (sum == NULL || same == NULL) {
        return false;
    }
    for (int o = 0; o < 3; o++) {
        const float *x = vkz_identity_float(run, data, inputs[o]);
        const double *dx = vkz_identity_output(run, data, outputs[o]);
        for (int64_t i = 0; x != NULL && dx != NULL &&
                            i < vkz_identity_count(data, inputs[o]); i++) {
            sum[o] += (double)x[i] * dx[i];
            // The size that what cancels has, on both sides.
            same[3] += fabs((double)x[i] * dx[i]);
        }
    }
    sum[3] = same[3];
    same[0] = same[1] = same[2] = sum[0];
    return vkz_identity_equal(run, "dq", sum, same, 4, 4);
}

static const struct vkz_identity identities[] = {
    RECURRENCE_GRADIENTS,
    {"euler", "Σ q·dq = Σ k·dk = Σ v·dv",
     "FINAL == FINAL.off && INIT == INIT.off && FEATURE == FEATURE.identity",
     check_euler},
    {0},
};

VKZ_OP(linear_attention_backward) = {
    .name = "linear_attention_backward",
    .family = "linear",
    .abi = 1,
    .title = "gradients of linear attention with scalar decay",
    .doc = "From the last token, dS = dst: dS += τ φ(q_t) ⊗ do_t;  dφ(k)_t = dS v_t;\n"
           "dv_t = dSᵀ φ(k_t);  dg_t = e^g_t <dS, S_{t-1}>;  dS *= e^g_t;  "
           "ds0 = dS at last;\n"
           "dφ(q)_t = τ S_t do_t.  With DECAY=head dg is the sum over tokens and batch.\n"
           "\n"
           "dg_t = Σ_{s>=t} (φ(q_s)·dφ(q)_s - φ(k_s)·dφ(k)_s) + <st, dst> "
           "needs no states; the\n"
           "error of dg is measured by the terms of that sum. relu has slope 0 at 0.\n"
           "\n"
           "RetNet arXiv 2307.08621; gated linear attention 2312.06635.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "10 * batch * heads * len * head_dim * v_dim",
    .sum_length = "len",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "DECAY == DECAY.head ? 1 : batch * heads",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .forward = "linear_attention",
    .bitwise = true,
};
