// SPDX-License-Identifier: MIT
// rwkv7: time mixing of RWKV-7, contract and reference.
#include <string.h>

#include "ops/linear/rwkv.h"

static const struct vkz_dim dims[] = {RWKV_DIMS, {0}};
static const struct vkz_axis axes[] = {RWKV_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    RWKV_QKVW,
    {"a", VKZ_IN, "T", RWKV_KEYS, NULL, "unit", "what is read back, usually -k̂"},
    {"b", VKZ_IN, "T", RWKV_KEYS, NULL, "normal(0.5/sqrt(head_dim))",
     "where it is added, usually k̂ ∘ η"},
    RWKV_RESULTS,
    {0},
};

// One head of one sequence. The magnitudes are those of what is added: k v, and b times the
// terms of what is read back, |a| |S|. Their own magnitudes, followed through time, would
// grow without bound.
static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t len = vkz_ref_dim(ref, "len"), d = vkz_ref_dim(ref, "head_dim");
    const int64_t dv = vkz_ref_dim(ref, "v_dim");
    const float *q = vkz_ref_in(ref, "q") + unit * len * d;
    const float *k = vkz_ref_in(ref, "k") + unit * len * d;
    const float *v = vkz_ref_in(ref, "v") + unit * len * dv;
    const float *w = vkz_ref_in(ref, "w") + unit * len * d;
    const float *a = vkz_ref_in(ref, "a") + unit * len * d;
    const float *b = vkz_ref_in(ref, "b") + unit * len * d;
    double *o = vkz_ref_out(ref, "o"), *o_scale = vkz_ref_scale(ref, "o");
    const struct recurrence state = recurrence_begin(ref, unit, d, dv);
    real *keep = vkz_ref_temp(ref, (size_t)d * sizeof *keep);
    for (int64_t t = 0; t < len; t++) {
        for (int64_t c = 0; c < d; c++) {
            keep[c] = exp((real)w[t * d + c]);
        }
        for (int64_t j = 0; j < dv; j++) {
            real back = 0, back_terms = 0, sum = 0, terms = 0;
            for (int64_t c = 0; c < d; c++) {
                const real term = (real)a[t * d + c] * state.s[c * dv + j];
                back += term;
                back_terms += fabs(term);
            }
            for (int64_t c = 0; c < d; c++) {
                const real pair = (real)b[t * d + c] * back;
                const real in = (real)k[t * d + c] * (real)v[t * dv + j];
                const real query = (real)q[t * d + c];
                real *s = &state.s[c * dv + j], *m = &state.size[c * dv + j];
                *s = keep[c] * *s + (pair + in);
                *m = keep[c] * *m + fabs((real)b[t * d + c]) * back_terms + fabs(in);
                sum += query * *s;
                terms += fabs(query) * *m;
            }
            o[t * dv + j] = (double)sum;
            o_scale[t * dv + j] = (double)terms;
        }
    }
    recurrence_end(&state, ref);
}

static bool check_reset(struct vkz_identity_run *run)
{
    return recurrence_reset(run, "w", -1000, "a", 0);
}

// Without a the pair is gone, whatever b is; without b too.
static bool check_no_pair(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *a = vkz_identity_float(run, one, "a");
    float *b = vkz_identity_float(run, two, "b");
    const int64_t count = vkz_identity_count(one, "a");
    if (a == NULL || b == NULL) {
        return false;
    }
    memset(a, 0, (size_t)count * sizeof *a);
    memset(b, 0, (size_t)count * sizeof *b);
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

// q = k = b = -a, one of the axes of the space, and no decay: what k reads is replaced by
// v, so that q reads v. Keys repeat.
static bool check_overwrite(struct vkz_identity_run *run)
{
    static const char *const keys[] = {"q", "k", "b", "a", "w"};
    struct vkz_data *data = vkz_identity_inputs(run, "FINAL=off");
    const int64_t d = vkz_identity_dim(run, "head_dim");
    for (int i = 0; i < 5; i++) {
        float *x = vkz_identity_float(run, data, keys[i]);
        const int64_t count = vkz_identity_count(data, keys[i]);
        const float value = i == 4 ? 0 : i == 3 ? -1 : 1;
        for (int64_t j = 0; x != NULL && j < count; j++) {
            x[j] = (5 * (j / d) + 2) % d == j % d ? value : 0;
        }
    }
    const float *v = vkz_identity_float(run, data, "v");
    const int64_t count = vkz_identity_count(data, "v");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; v != NULL && expected != NULL && i < count; i++) {
        expected[i] = (double)v[i];
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, data, "o"),
                              count, 2);
}

static const struct vkz_identity identities[] = {
    RECURRENCE_PREFIX(""),
    RECURRENCE_SPLIT(""),
    RECURRENCE_LINEAR,
    {"reset", "a gate of -1000 makes the past count for nothing", "len > 1", check_reset},
    {"no_pair", "a = 0 and b = 0 both leave gated linear attention", NULL, check_no_pair},
    {"overwrite", "b = -a = k without decay replaces what k reads", NULL,
     check_overwrite},
    {0},
};

VKZ_OP(rwkv7) = {
    .name = "rwkv7",
    .family = "linear",
    .abi = 1,
    .title = "time mixing of RWKV-7: a generalised delta rule with a decay a key column",
    .doc = "S_t = diag(e^(w_t)) S_(t-1) + b_t ⊗ (S_(t-1)ᵀ a_t) + k_t ⊗ v_t\n"
           "o_t = q_tᵀ S_t\n"
           "\n"
           "w is the log decay itself. Usually a = -k̂ and b = k̂ ∘ η; a = 0 is gated\n"
           "linear attention.\n"
           "\n"
           "RWKV-7, arXiv 2503.14456.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "8 * batch * heads * len * head_dim * v_dim",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
