// SPDX-License-Identifier: MIT
// What the attention contracts share: dims, axes, masks, biases and the score of a pair.
// Included by contract files only, which are compiled once with `real` = double and once
// with `real` = float.
#ifndef VKZ_OPS_ATTENTION_SCORE_H
#define VKZ_OPS_ATTENTION_SCORE_H

#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/op.h"

// Axis texts: an op lists a prefix of these, so the numbers agree between ops.
#define VKZ_ATTENTION_MASK_VALUES "none causal window prefix doc"
#define VKZ_ATTENTION_BIAS_VALUES "none tensor alibi kerple_log kerple_power"
#define VKZ_ATTENTION_SINK_VALUES "none zero learned"

enum { MASK_NONE, MASK_CAUSAL, MASK_WINDOW, MASK_PREFIX, MASK_DOC };
enum { BIAS_NONE, BIAS_TENSOR, BIAS_ALIBI, BIAS_KERPLE_LOG, BIAS_KERPLE_POWER };
enum { SINK_NONE, SINK_ZERO, SINK_LEARNED };

#define VKZ_ATTENTION_DIMS \
    {"batch", "independent sequences", NULL}, {"heads", "query heads", NULL}, \
        {"kv_heads", "key and value heads; each serves heads / kv_heads query heads", \
         "heads"}, \
        {"q_len", "queries of a sequence; the last stands at the last key", NULL}, \
        {"kv_len", "keys of a sequence", "q_len"}, \
        {"head_dim", "width of a query and a key", NULL}, \
        {"v_dim", "width of a value", "head_dim"}

#define VKZ_ATTENTION_SCALAR_TAU \
    {"tau", "1 / sqrt(head_dim)", "factor of every dot product"}
#define VKZ_ATTENTION_SCALAR_SLOPE \
    {"slope0", "8", "ALiBi exponent range: the last head's slope is 2^-slope0"}
#define VKZ_ATTENTION_SCALARS_MASK \
    {"wl", "-1", "window: keys visible before the query; -1: all"}, \
        {"wr", "0", "window: keys visible after the query; -1: all"}, \
        {"np", "0", "prefix: the first np keys are visible to every query"}

#define VKZ_ATTENTION_Q_SHAPE "batch, heads, q_len, head_dim"
#define VKZ_ATTENTION_K_SHAPE "batch, kv_heads, kv_len, head_dim"
#define VKZ_ATTENTION_V_SHAPE "batch, kv_heads, kv_len, v_dim"
#define VKZ_ATTENTION_O_SHAPE "batch, heads, q_len, v_dim"

#define VKZ_ATTENTION_TENSORS_QKV \
    {"q", VKZ_IN, "T", VKZ_ATTENTION_Q_SHAPE, NULL, "normal(1)", "queries"}, \
        {"k", VKZ_IN, "T", VKZ_ATTENTION_K_SHAPE, NULL, "normal(1)", "keys"}, \
        {"v", VKZ_IN, "T", VKZ_ATTENTION_V_SHAPE, NULL, "normal(1)", "values"}
#define VKZ_ATTENTION_TENSOR_BIAS \
    {"bias", VKZ_IN, "T", "batch, heads, q_len, kv_len", "BIAS == BIAS.tensor", \
     "normal(1)", "added to the scores; may hold -inf"}
#define VKZ_ATTENTION_TENSOR_RPAR \
    {"rpar", VKZ_IN, "f32", "heads, 2", \
     "BIAS == BIAS.kerple_log || BIAS == BIAS.kerple_power", "uniform(0.05,1.2)", \
     "KERPLE's r1 and r2, both positive"}
#define VKZ_ATTENTION_TENSOR_SINK \
    {"sink", VKZ_IN, "f32", "heads", "SINK == SINK.learned", "normal(2)", \
     "logit of a key whose value is 0"}
#define VKZ_ATTENTION_TENSOR_SEG \
    {"seg", VKZ_IN, "i32", "batch, kv_len", "MASK == MASK.doc", "op", \
     "document of every token; documents are consecutive"}
#define VKZ_ATTENTION_TENSOR_O \
    {"o", VKZ_OUT, "T", VKZ_ATTENTION_O_SHAPE, NULL, NULL, "weighted sums of values"}

#define VALID_WINDOW \
    "wl >= -1 && wl == floor(wl) && wr >= -1 && wr == floor(wr)"
#define VKZ_ATTENTION_VALID \
    "heads % kv_heads == 0 && np >= 0 && np == floor(np) && " VALID_WINDOW
#define VKZ_ATTENTION_VALID_REASON \
    "heads must be a multiple of kv_heads; wl and wr whole numbers of at least -1, np of " \
    "at least 0"

// Visible pairs of one head, in closed form. sum over y < x of clamp(y, 0, top) is
// z (z - 1) / 2 + max(0, x - top) top with z = clamp(x, 0, top); the sum over queries of
// clamp(i + c, 0, top) is its difference between q_len + c and c.
#define SUM_CLAMP(x, top) \
    "(min(max(" x ", 0), " top ") * (min(max(" x ", 0), " top ") - 1) / 2" \
    " + max(0, " x " - (" top ")) * (" top "))"
#define SUM_QUERIES(c, top) \
    "(" SUM_CLAMP("(q_len + (" c "))", top) " - " SUM_CLAMP("(" c ")", top) ")"
// causal and doc count (max(0, kv_len - q_len) + kv_len) / 2 keys a query: the convention
// of the field, not the exact sum; for doc it is an upper bound. window and prefix are
// exact.
#define PAIRS_CAUSAL "q_len * (max(0, kv_len - q_len) + kv_len) / 2"
#define PAIRS_WINDOW \
    "((wr < 0 ? q_len * kv_len : " SUM_QUERIES("kv_len - q_len + wr + 1", "kv_len") ")" \
    " - (wl < 0 ? 0 : " SUM_QUERIES("kv_len - q_len - wl", "kv_len") "))"
#define PAIRS_PREFIX \
    "(q_len * min(np, kv_len) + " \
    SUM_QUERIES("kv_len - q_len + 1 - min(np, kv_len)", "(kv_len - min(np, kv_len))") ")"

// For ops with the first three masks, and with all five.
#define VKZ_ATTENTION_PAIRS3 \
    "(MASK == MASK.none ? q_len * kv_len : MASK == MASK.window ? " PAIRS_WINDOW \
    " : " PAIRS_CAUSAL ")"
#define VKZ_ATTENTION_PAIRS5 \
    "(MASK == MASK.none ? q_len * kv_len : MASK == MASK.window ? " PAIRS_WINDOW \
    " : MASK == MASK.prefix ? " PAIRS_PREFIX " : " PAIRS_CAUSAL ")"

#define VKZ_ATTENTION_MASK_DOC \
    "MASK, with p = i + kv_len - q_len: causal j <= p; window p - wl <= j <= p + wr\n" \
    "(-1: unbounded); prefix j <= p or j < np; doc seg[j] == seg[p] and j <= p. A\n" \
    "pair that is not visible contributes nothing, whatever its key and value hold.\n"
#define VKZ_ATTENTION_ALIBI_DOC \
    "alibi: -m_x |p-j| with L = 2^floor(log2 heads), m_x = 2^(-slope0 (x+1)/L) for\n" \
    "head x < L, else 2^(-slope0/2 (2(x-L)+1)/L).\n"

// One query row of one case, everything looked up once.
struct score {
    int64_t batch, head, kv_head, query; // where the row is
    int64_t position;                    // p: the query's place among the keys
    int64_t kv_len, head_dim, v_dim;
    const float *q, *k, *v; // the row's query, its head's keys and values
    const float *bias;      // [kv_len] of this row
    const int32_t *seg;     // [kv_len] of this sequence
    int mask, bias_kind;
    int64_t wl, wr, np;
    real tau, slope, r1, r2;
    real cap; // 0: no cap
};

static inline bool score_visible(const struct score *s, int64_t j)
{
    switch (s->mask) {
    case MASK_CAUSAL:
        return j <= s->position;
    case MASK_WINDOW:
        return (s->wl < 0 || j >= s->position - s->wl) &&
               (s->wr < 0 || j <= s->position + s->wr);
    case MASK_PREFIX:
        return j <= s->position || j < s->np;
    case MASK_DOC:
        return j <= s->position && s->seg[j] == s->seg[s->position];
    default:
        return true;
    }
}

static inline real score_alibi_slope(real slope0, int64_t heads, int64_t head)
{
    int64_t low = 1;
    while (low * 2 <= heads) {
        low *= 2;
    }
    const real exponent = head < low
                              ? slope0 * (real)(head + 1) / (real)low
                              : slope0 / 2 * (real)(2 * (head - low) + 1) / (real)low;
    return exp2(-exponent);
}

static inline real score_bias(const struct score *s, int64_t j)
{
    const real distance = (real)(j < s->position ? s->position - j : j - s->position);
    switch (s->bias_kind) {
    case BIAS_TENSOR:
        return (real)s->bias[j];
    case BIAS_ALIBI:
        return -s->slope * distance;
    case BIAS_KERPLE_LOG:
        return -s->r1 * log((real)1 + s->r2 * distance);
    case BIAS_KERPLE_POWER:
        return distance > 0 ? -s->r1 * pow(distance, s->r2) : (real)0;
    default:
        return 0;
    }
}

// Σ a b in four interleaved sums: a machine can overlap them, and the order is fixed.
static inline real score_dot(const float *a, const float *b, int64_t count)
{
    real part[4] = {0};
    int64_t c = 0;
    for (; c + 4 <= count; c += 4) {
        for (int l = 0; l < 4; l++) {
            part[l] += (real)a[c + l] * (real)b[c + l];
        }
    }
    for (; c < count; c++) {
        part[0] += (real)a[c] * (real)b[c];
    }
    return (part[0] + part[1]) + (part[2] + part[3]);
}

// The logit of a visible pair: scaled, capped, biased.
static inline real score_value(const struct score *s, int64_t j)
{
    real x = s->tau * score_dot(s->q, s->k + j * s->head_dim, s->head_dim);
    if (s->cap > 0) {
        x = s->cap * tanh(x / s->cap);
    }
    return x + score_bias(s, j);
}

// Magnitude of the sum behind a score, for ops whose weights are linear in it: where the dot
// product cancels, its error does not.
static inline real score_magnitude(const struct score *s, int64_t j)
{
    const float *restrict k = s->k + j * s->head_dim;
    real sum = 0;
    for (int64_t c = 0; c < s->head_dim; c++) {
        sum += fabs((real)s->q[c] * (real)k[c]);
    }
    return fabs(s->tau) * sum;
}

// out[c] += weight * v_j[c], scale[c] += magnitude * |v_j[c]|, for a weight >= 0.
static inline void score_add_value(const struct score *s, int64_t j, real weight,
                                   real magnitude, real *restrict out,
                                   real *restrict scale)
{
    const float *restrict v = s->v + j * s->v_dim;
    for (int64_t c = 0; c < s->v_dim; c++) {
        out[c] += weight * (real)v[c];
        scale[c] += magnitude * fabs((real)v[c]);
    }
}

// Writes a row kept in `real` where doubles are wanted.
static inline void score_store(double *out, const real *row, int64_t count)
{
    for (int64_t c = 0; c < count; c++) {
        out[c] = (double)row[c];
    }
}

// Finds the tensors and numbers of output row `unit` = (batch * heads + head) * q_len +
// i. `capped`: the op has an axis CAP; `bias`: it has an axis BIAS. Both say what an op
// may ask for, since asking for a name that is not in its contract is a mistake.
static inline struct score score_begin(struct vkz_ref *ref, int64_t unit, bool bias,
                                       bool capped)
{
    const int64_t heads = vkz_ref_dim(ref, "heads");
    const int64_t kv_heads = vkz_ref_dim(ref, "kv_heads");
    const int64_t q_len = vkz_ref_dim(ref, "q_len");
    struct score s = {
        .batch = unit / q_len / heads,
        .head = unit / q_len % heads,
        .query = unit % q_len,
        .kv_len = vkz_ref_dim(ref, "kv_len"),
        .head_dim = vkz_ref_dim(ref, "head_dim"),
        .v_dim = vkz_ref_dim(ref, "v_dim"),
        .mask = (int)vkz_ref_dim(ref, "MASK"),
        .tau = (real)vkz_ref_value(ref, "tau"),
    };
    s.kv_head = s.head * kv_heads / heads;
    s.position = s.query + s.kv_len - q_len;
    const int64_t kv = (s.batch * kv_heads + s.kv_head) * s.kv_len;
    s.q = vkz_ref_in(ref, "q") + unit * s.head_dim;
    s.k = vkz_ref_in(ref, "k") + kv * s.head_dim;
    s.v = vkz_ref_in(ref, "v") + kv * s.v_dim;

    if (s.mask == MASK_WINDOW) {
        s.wl = (int64_t)vkz_ref_value(ref, "wl");
        s.wr = (int64_t)vkz_ref_value(ref, "wr");
    } else if (s.mask == MASK_PREFIX) {
        s.np = (int64_t)vkz_ref_value(ref, "np");
    } else if (s.mask == MASK_DOC) {
        s.seg = vkz_ref_in_int(ref, "seg") + s.batch * s.kv_len;
    }
    if (capped && vkz_ref_dim(ref, "CAP") != 0) {
        s.cap = (real)vkz_ref_value(ref, "cap");
    }
    s.bias_kind = bias ? (int)vkz_ref_dim(ref, "BIAS") : BIAS_NONE;
    if (s.bias_kind == BIAS_TENSOR) {
        s.bias = vkz_ref_in(ref, "bias") + unit * s.kv_len;
    } else if (s.bias_kind == BIAS_ALIBI) {
        s.slope = score_alibi_slope((real)vkz_ref_value(ref, "slope0"), heads, s.head);
    } else if (s.bias_kind == BIAS_KERPLE_LOG || s.bias_kind == BIAS_KERPLE_POWER) {
        const float *rpar = vkz_ref_in(ref, "rpar") + 2 * s.head;
        s.r1 = (real)rpar[0];
        s.r2 = (real)rpar[1];
    }
    return s;
}

// The fill of `seg`: documents of varying length, five a sequence on average, numbered
// from 0, and always at least two when there are two tokens.
static inline void score_fill_seg(struct vkz_fill *fill)
{
    const int64_t kv_len = (int64_t)vkz_fill_value(fill, "kv_len");
    const int64_t count = vkz_fill_count(fill);
    int32_t *seg = vkz_fill_int(fill);
    for (int64_t first = 0; first < count; first += kv_len) {
        const double at = vkz_fill_uniform(fill, (uint64_t)(count + first));
        const int64_t sure = 1 + (int64_t)(at * (double)(kv_len - 1));
        int32_t document = 0;
        for (int64_t j = 0; j < kv_len; j++) {
            const double u = vkz_fill_uniform(fill, (uint64_t)(first + j));
            document += j > 0 && (j == sure || u * (double)kv_len < 4);
            seg[first + j] = document;
        }
    }
}

#endif
