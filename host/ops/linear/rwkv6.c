// SPDX-License-Identifier: MIT
// rwkv6: time mixing of RWKV-6, contract and reference.
#include <string.h>

#include "ops/linear/rwkv.h"

static const struct vkz_dim dims[] = {RWKV_DIMS, {0}};

static const struct vkz_scalar scalars[] = {
    {"tau", "1/sqrt(head_dim)", "factor of the outputs"},
    {0},
};

static const struct vkz_axis axes[] = {RWKV_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    RWKV_QKVW,
    {"u", VKZ_IN, "f32", "heads, head_dim", NULL, "normal(1)", "bonus of the own token"},
    RWKV_RESULTS,
    {0},
};

// One head of one sequence; the magnitudes follow |terms| as the state follows the terms.
static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t len = vkz_ref_dim(ref, "len"), d = vkz_ref_dim(ref, "head_dim");
    const int64_t dv = vkz_ref_dim(ref, "v_dim");
    const float *q = vkz_ref_in(ref, "q") + unit * len * d;
    const float *k = vkz_ref_in(ref, "k") + unit * len * d;
    const float *v = vkz_ref_in(ref, "v") + unit * len * dv;
    const float *w = vkz_ref_in(ref, "w") + unit * len * d;
    const float *u = vkz_ref_in(ref, "u") + unit % vkz_ref_dim(ref, "heads") * d;
    const real tau = (real)vkz_ref_value(ref, "tau");
    double *o = vkz_ref_out(ref, "o"), *o_scale = vkz_ref_scale(ref, "o");
    const struct recurrence state = recurrence_begin(ref, unit, d, dv);
    for (int64_t t = 0; t < len; t++) {
        for (int64_t j = 0; j < dv; j++) {
            real sum = 0, terms = 0;
            for (int64_t c = 0; c < d; c++) {
                const real in = (real)k[t * d + c] * (real)v[t * dv + j];
                const real bonus = (real)u[c] * in, query = (real)q[t * d + c];
                const real keep = exp((real)w[t * d + c]);
                real *s = &state.s[c * dv + j], *m = &state.size[c * dv + j];
                sum += query * (*s + bonus);
                terms += fabs(query) * (*m + fabs(bonus));
                *s = keep * *s + in;
                *m = keep * *m + fabs(in);
            }
            o[t * dv + j] = (double)(tau * sum);
            o_scale[t * dv + j] = (double)(fabs(tau) * terms);
        }
    }
    recurrence_end(&state, ref);
}

static bool check_reset(struct vkz_identity_run *run)
{
    return recurrence_reset(run, "w", -1000, NULL, 1);
}

// o = (o of u = 0) + tau (q · (u ∘ k)) v.
static bool check_bonus(struct vkz_identity_run *run)
{
    const int64_t d = vkz_identity_dim(run, "head_dim");
    const int64_t dv = vkz_identity_dim(run, "v_dim");
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t heads = vkz_identity_dim(run, "heads");
    const double tau = vkz_identity_value(run, "tau");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    const float *q = vkz_identity_float(run, one, "q");
    const float *k = vkz_identity_float(run, one, "k");
    const float *v = vkz_identity_float(run, one, "v");
    const float *u = vkz_identity_float(run, one, "u");
    float *none = vkz_identity_float(run, two, "u");
    const int64_t count = vkz_identity_count(one, "o");
    if (q == NULL || k == NULL || v == NULL || u == NULL || none == NULL) {
        return false;
    }
    memset(none, 0, (size_t)(heads * d) * sizeof *none);
    double *o = vkz_identity_output(run, two, "o");
    for (int64_t i = 0; o != NULL && i < count; i++) {
        const int64_t row = i / dv, head = row / len % heads;
        double bonus = 0;
        for (int64_t c = 0; c < d; c++) {
            bonus += (double)q[row * d + c] * (double)u[head * d + c] *
                     (double)k[row * d + c];
        }
        o[i] += tau * bonus * (double)v[i];
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"), o, count, 3);
}

static const struct vkz_identity identities[] = {
    RECURRENCE_PREFIX(""),
    RECURRENCE_SPLIT(""),
    RECURRENCE_LINEAR,
    {"reset", "a gate of -1000 makes the past count for nothing", "len > 2", check_reset},
    {"bonus", "u adds tau q (u k) v, nothing else", NULL, check_bonus},
    {0},
};

VKZ_OP(rwkv6) = {
    .name = "rwkv6",
    .family = "linear",
    .abi = 1,
    .title = "time mixing of RWKV-6: linear attention, a decay a key column, a bonus",
    .doc = "o_t = τ q_tᵀ (S_(t-1) + (u ∘ k_t) ⊗ v_t)\n"
           "S_t = diag(e^(w_t)) S_(t-1) + k_t ⊗ v_t\n"
           "\n"
           "w is the log decay itself; models store ln(-ln decay).\n"
           "\n"
           "RWKV-5/6, arXiv 2404.05892.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "4 * batch * heads * len * head_dim * v_dim",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
