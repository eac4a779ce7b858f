// SPDX-License-Identifier: MIT
// One row of softmax attention: shared by attention and attention_decode, which are the
// same mathematics on different shapes.
#ifndef VKZ_OPS_ATTENTION_SOFTMAX_H
#define VKZ_OPS_ATTENTION_SOFTMAX_H

#include "ops/attention/identities.h"

#define VKZ_SOFTMAX_DOC \
    "s_ij = tau q_i·k_j;  CAP: s = cap tanh(s / cap);  s += bias_ij;\n" \
    "P_ij = exp(s_ij) / (Σ_j exp(s_ij) + sink'),  sink' = 0 | 1 (zero) | exp(sink_x)\n" \
    "o_i = Σ_j P_ij v_j,  lse_i = ln(Σ_j exp(s_ij) + sink')\n" \
    "\n" \
    "Sums run over the visible keys. Query head x reads KV head floor(x kv_heads /\n" \
    "heads). A row with nothing to see and no sink gives o = 0 and lse = -inf.\n" \
    VKZ_ATTENTION_MASK_DOC \
    "BIAS, with p as above: tensor bias_ij (a -inf there is a score, not a mask);\n" \
    "kerple_log -r1 ln(1 + r2 |p-j|); kerple_power -r1 |p-j|^r2;\n" \
    VKZ_ATTENTION_ALIBI_DOC

// Writes the row `unit` of o and, when asked for, of lse. The maximum is taken over
// visible keys and the sink; NaN scores are left out of it but not out of the sums, so
// they spread to the whole row as the mathematics says.
static inline void softmax_row(struct vkz_ref *ref, int64_t unit)
{
    const struct score s = score_begin(ref, unit, true, true);
    const int sink_kind = (int)vkz_ref_dim(ref, "SINK");
    real sink = -(real)INFINITY;
    if (sink_kind == SINK_ZERO) {
        sink = 0;
    } else if (sink_kind == SINK_LEARNED) {
        sink = (real)vkz_ref_in(ref, "sink")[s.head];
    }

    real *logits = vkz_ref_temp(ref, (size_t)s.kv_len * sizeof(real));
    real top = sink;
    for (int64_t j = 0; j < s.kv_len; j++) {
        if (score_visible(&s, j)) {
            logits[j] = score_value(&s, j);
            top = logits[j] > top ? logits[j] : top;
        }
    }
    if (!(top > -(real)INFINITY)) {
        top = 0; // every score is -inf or NaN: the weights come out as 0 or NaN
    }

    real *o = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    real *scale = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    real total = sink_kind == SINK_NONE ? (real)0 : exp(sink - top);
    for (int64_t j = 0; j < s.kv_len; j++) {
        if (score_visible(&s, j)) {
            const real weight = exp(logits[j] - top);
            total += weight;
            score_add_value(&s, j, weight, weight, o, scale);
        }
    }
    if (total != 0) {
        for (int64_t c = 0; c < s.v_dim; c++) {
            o[c] /= total;
            scale[c] /= total;
        }
    }
    score_store(vkz_ref_out(ref, "o"), o, s.v_dim);
    score_store(vkz_ref_scale(ref, "o"), scale, s.v_dim);

    double *lse = vkz_ref_out(ref, "lse");
    if (lse != NULL) {
        *lse = total == 0 ? -INFINITY : (double)(top + log(total));
        *vkz_ref_scale(ref, "lse") = isfinite(*lse) && fabs(*lse) > 1 ? fabs(*lse) : 1;
    }
}

// A constant added to every logit of a row cancels out. Dyadic numbers stay exact in
// every storage type.
static inline bool check_shift_logits(struct vkz_identity_run *run)
{
    static const char settings[] = "BIAS=tensor fill.bias=dyadic";
    struct vkz_data *one = vkz_identity_inputs(run, settings);
    struct vkz_data *two = vkz_identity_inputs(run, settings);
    const int64_t kv_len = vkz_identity_dim(run, "kv_len");
    float *bias = vkz_identity_float(run, two, "bias");
    for (int64_t i = 0; i < vkz_identity_count(two, "bias"); i++) {
        bias[i] += (float)(i / kv_len % 5) - 2;
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

// With all values 1 every row is the sum of its weights: 1, or 0 where nothing is
// visible, which its log-sum-exp tells.
static inline bool check_weights(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(
        run, "LSE=on fill.q=normal(1) fill.k=normal(1) fill.v=const(1)");
    const int64_t count = vkz_identity_count(data, "o");
    const int64_t v_dim = vkz_identity_dim(run, "v_dim");
    const double *lse = vkz_identity_output(run, data, "lse");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; lse != NULL && expected != NULL && i < count; i++) {
        expected[i] = lse[i / v_dim] == -INFINITY ? 0 : 1;
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, data, "o"),
                              count, 2);
}

// softmax with one more in the sum is a learned sink of 0.
static inline bool check_zero_sink(struct vkz_identity_run *run)
{
    struct vkz_data *zero = vkz_identity_inputs(run, "SINK=zero");
    struct vkz_data *learned = vkz_identity_inputs(run,
                                                   "SINK=learned fill.sink=const(0)");
    return vkz_identity_equal(run, "o", vkz_identity_output(run, zero, "o"),
                              vkz_identity_output(run, learned, "o"),
                              vkz_identity_count(zero, "o"), 2);
}

// The merge of two halves of the keys, weighted by their log-sum-exp, is the whole.
static inline bool check_split_keys(struct vkz_identity_run *run)
{
    static const char settings[] = "SINK=none LSE=on";
    const int64_t kv_len = vkz_identity_dim(run, "kv_len"), half = kv_len / 2;
    const int64_t v_dim = vkz_identity_dim(run, "v_dim");
    struct vkz_data *whole = vkz_identity_inputs(run, settings);
    struct vkz_data *first = cut_keys(run, whole, 0, half, settings);
    struct vkz_data *second = cut_keys(run, whole, half, kv_len - half, settings);
    const int64_t count = vkz_identity_count(whole, "o");
    double *merged = vkz_identity_temp(run, count);
    const double *o1 = vkz_identity_output(run, first, "o");
    const double *l1 = vkz_identity_output(run, first, "lse");
    const double *o2 = vkz_identity_output(run, second, "o");
    const double *l2 = vkz_identity_output(run, second, "lse");
    if (merged == NULL || o1 == NULL || o2 == NULL || l1 == NULL || l2 == NULL) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = i / v_dim;
        const double share = 1 / (1 + (double)exp((double)(l2[row] - l1[row])));
        merged[i] = share * o1[i] + (1 - share) * o2[i];
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, whole, "o"), merged,
                              count, 3);
}

#define SOFTMAX_IDENTITIES \
    IDENTITY_SCALE_VALUES, IDENTITY_PERMUTE_KEYS, \
        {"shift_logits", "adding a constant to every logit of a row changes nothing", \
         "SINK == SINK.none", check_shift_logits}, \
        {"weights", "with all values 1 a row is the sum of its weights, 1", \
         "SINK == SINK.none", check_weights}, \
        {"zero_sink", "SINK=zero is a learned sink of 0", "SINK == SINK.zero", \
         check_zero_sink}, \
        {"split_keys", "the merge of two halves of the keys is the whole", \
         KEYS_HAVE_NO_ORDER " && kv_len > 1", check_split_keys}

#endif
