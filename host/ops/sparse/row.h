// SPDX-License-Identifier: MIT
// One row of softmax attention over a set of keys that something else has chosen, and its
// gradient. Included by contract files only.
#ifndef VKZ_OPS_SPARSE_ROW_H
#define VKZ_OPS_SPARSE_ROW_H

#include "ops/attention/identities.h"
#include "ops/attention/score.h"

// The row of output unit (batch * heads + head) * len + i of an op whose queries and keys
// are `len` tokens and whose mask is causal.
static inline struct score sparse_causal_begin(struct vkz_ref *ref, int64_t unit,
                                               int64_t kv_heads, int64_t v_dim)
{
    const int64_t heads = vkz_ref_dim(ref, "heads"), len = vkz_ref_dim(ref, "len");
    struct score s = {
        .batch = unit / len / heads,
        .head = unit / len % heads,
        .query = unit % len,
        .position = unit % len,
        .kv_len = len,
        .head_dim = vkz_ref_dim(ref, "head_dim"),
        .v_dim = v_dim,
        .mask = MASK_CAUSAL,
        .tau = (real)vkz_ref_value(ref, "tau"),
    };
    s.kv_head = s.head * kv_heads / heads;
    const int64_t kv = (s.batch * kv_heads + s.kv_head) * len;
    s.q = vkz_ref_in(ref, "q") + unit * s.head_dim;
    s.k = vkz_ref_in(ref, "k") + kv * s.head_dim;
    s.v = vkz_ref_in(ref, "v") + kv * s.v_dim;
    return s;
}

// Softmax over keys[0..count) of the row: weights, and ln of their sum before the division
// in *lse (-inf for no keys).
static inline void sparse_weights(const struct score *s, const int32_t *keys,
                                  int64_t count, real *weight, real *lse)
{
    real top = -(real)INFINITY, total = 0;
    for (int64_t n = 0; n < count; n++) {
        weight[n] = score_value(s, keys[n]);
        top = weight[n] > top ? weight[n] : top;
    }
    if (!(top > -(real)INFINITY)) {
        top = 0;
    }
    for (int64_t n = 0; n < count; n++) {
        weight[n] = exp(weight[n] - top);
        total += weight[n];
    }
    for (int64_t n = 0; n < count && total != 0; n++) {
        weight[n] /= total;
    }
    *lse = total == 0 ? -(real)INFINITY : top + log(total);
}

// Writes the row of o and, where the op has it, of lse.
static inline void sparse_row(struct vkz_ref *ref, const struct score *s,
                              const int32_t *keys, int64_t count, bool has_lse)
{
    real *weight = vkz_ref_temp(ref, (size_t)(count + 1) * sizeof *weight);
    real *o = vkz_ref_temp(ref, (size_t)s->v_dim * sizeof *o);
    real *scale = vkz_ref_temp(ref, (size_t)s->v_dim * sizeof *scale);
    real sum;
    sparse_weights(s, keys, count, weight, &sum);
    for (int64_t n = 0; n < count; n++) {
        score_add_value(s, keys[n], weight[n], weight[n], o, scale);
    }
    score_store(vkz_ref_out(ref, "o"), o, s->v_dim);
    score_store(vkz_ref_scale(ref, "o"), scale, s->v_dim);
    double *lse = has_lse ? vkz_ref_out(ref, "lse") : NULL;
    if (lse != NULL) {
        *lse = (double)sum;
        *vkz_ref_scale(ref, "lse") = isfinite(*lse) && fabs(*lse) > 1 ? fabs(*lse) : 1;
    }
}

// Where a row's gradients are summed, and the magnitudes behind them: tensors of one KV
// head (dk, dv) and the row's own (dq).
struct sparse_gradient {
    real *dq, *dk, *dv;
    real *dq_scale, *dk_scale, *dv_scale;
};

// P = softmax, dP_j = do·v_j, dS = P (dP - do·o); dq += tau dS k, dk += tau dS q, dv += P do.
// The magnitude of dS is that of P (|dP| + |do·o|).
static inline void sparse_row_backward(struct vkz_ref *ref, const struct score *s,
                                       const int32_t *keys, int64_t count,
                                       const float *d_o, const struct sparse_gradient *g)
{
    real *weight = vkz_ref_temp(ref, (size_t)(count + 1) * sizeof *weight);
    real *dp = vkz_ref_temp(ref, (size_t)(count + 1) * sizeof *dp);
    real delta = 0, magnitude = 0, sum;
    sparse_weights(s, keys, count, weight, &sum);
    for (int64_t n = 0; n < count; n++) {
        const float *v = s->v + keys[n] * s->v_dim;
        real size = 0;
        for (int64_t c = 0; c < s->v_dim; c++) {
            size += fabs((real)d_o[c] * (real)v[c]);
        }
        dp[n] = score_dot(d_o, v, s->v_dim);
        delta += weight[n] * dp[n];
        magnitude += weight[n] * size;
    }
    for (int64_t n = 0; n < count; n++) {
        const int64_t j = keys[n];
        const float *k = s->k + j * s->head_dim;
        const real ds = s->tau * weight[n] * (dp[n] - delta);
        const real ds_scale = fabs(s->tau) * weight[n] * (fabs(dp[n]) + magnitude);
        for (int64_t c = 0; c < s->head_dim; c++) {
            g->dq[c] += ds * (real)k[c];
            g->dq_scale[c] += ds_scale * fabs((real)k[c]);
            g->dk[j * s->head_dim + c] += ds * (real)s->q[c];
            g->dk_scale[j * s->head_dim + c] += ds_scale * fabs((real)s->q[c]);
        }
        for (int64_t c = 0; c < s->v_dim; c++) {
            g->dv[j * s->v_dim + c] += weight[n] * (real)d_o[c];
            g->dv_scale[j * s->v_dim + c] += weight[n] * fabs((real)d_o[c]);
        }
    }
}

// One KV head (unit = batch * kv_heads + kv_head): the gradients of all its rows.
// `keys_of` lists the keys of query i; `s` of a row comes from `begin`.
static inline void sparse_backward(
    struct vkz_ref *ref, int64_t unit, int64_t q_len,
    struct score (*begin)(struct vkz_ref *ref, int64_t row),
    int64_t (*keys_of)(struct vkz_ref *ref, const struct score *s, int32_t *keys))
{
    const int64_t heads = vkz_ref_dim(ref, "heads"), kv_heads = vkz_ref_dim(ref, "kv_heads");
    const int64_t group = heads / kv_heads, first = unit * group * q_len;
    const struct score any = begin(ref, first);
    const int64_t d = any.head_dim, dv = any.v_dim;
    const int64_t sizes[3] = {group * q_len * d, any.kv_len * d, any.kv_len * dv};
    static const char *const names[3] = {"dq", "dk", "dv_"};
    real *sum[3], *scale[3];
    for (int i = 0; i < 3; i++) {
        sum[i] = vkz_ref_temp(ref, (size_t)sizes[i] * sizeof(real));
        scale[i] = vkz_ref_temp(ref, (size_t)sizes[i] * sizeof(real));
    }
    int32_t *keys = vkz_ref_temp(ref, (size_t)any.kv_len * sizeof *keys);
    for (int64_t row = 0; row < group * q_len; row++) {
        const struct score s = begin(ref, first + row);
        const int64_t count = keys_of(ref, &s, keys);
        const struct sparse_gradient g = {sum[0] + row * d,   sum[1],   sum[2],
                                          scale[0] + row * d, scale[1], scale[2]};
        sparse_row_backward(ref, &s, keys, count,
                            vkz_ref_in(ref, "do") + (first + row) * dv, &g);
    }
    for (int i = 0; i < 3; i++) {
        score_store(vkz_ref_out(ref, names[i]), sum[i], sizes[i]);
        score_store(vkz_ref_scale(ref, names[i]), scale[i], sizes[i]);
    }
}

// Gradients are linear in do.
static inline bool sparse_check_scale_gradient(struct vkz_identity_run *run)
{
    static const char *const outputs[] = {"dq", "dk", "dv_"};
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    scale_floats(vkz_identity_float(run, two, "do"), vkz_identity_count(two, "do"), 2);
    for (int i = 0; i < 3; i++) {
        const int64_t count = vkz_identity_count(one, outputs[i]);
        double *a = vkz_identity_output(run, one, outputs[i]);
        scale_doubles(a, count, 2);
        if (!vkz_identity_equal(run, outputs[i], a,
                                vkz_identity_output(run, two, outputs[i]), count, 2)) {
            return false;
        }
    }
    return true;
}

#define SPARSE_IDENTITY_SCALE_GRADIENT \
    {"scale_gradient", "doubling do doubles every gradient", NULL, \
     sparse_check_scale_gradient}

#endif
