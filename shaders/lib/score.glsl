// SPDX-License-Identifier: MIT
//
// From a dot product to a weight: masks, biases, caps and weight functions of attention
//
// The functions here are the hooks of every attention kernel. What is on is decided by
// constants, so a case pays for nothing that it does not use. Key j of a row whose query
// sits at key position p = i + kv_len - q_len:
//
//   x = raw * score.scale            the dot product in the weight function's unit
//   x = cap * tanh(x / cap)          CAP
//   x += bias(p, j)                  BIAS
//   w = weight(x) if visible(p, j), else exactly 0
//
// The kernel declares, before including this file:
//   constants   MASK BIAS CAP EXP (specialization constants), WEIGHT (WEIGHT_* below)
//   functions   float score_bias_load(uint row, uint key)   element of the bias tensor
//               int score_segment_load(uint key)            segment of a key
// and fills one `score_map` a workgroup. Softmax and sigmoid work in base 2: `unit` is
// log2 e there and 1 elsewhere, and `scale` includes it (unless CAP is on, which needs
// the natural unit first).
#ifndef VKZ_SCORE_GLSL
#define VKZ_SCORE_GLSL

#include "lib/exp.glsl"

const uint MASK_NONE = 0;
const uint MASK_CAUSAL = 1;
const uint MASK_WINDOW = 2;
const uint MASK_PREFIX = 3;
const uint MASK_DOC = 4;

const uint BIAS_NONE = 0;
const uint BIAS_TENSOR = 1;
const uint BIAS_ALIBI = 2;
const uint BIAS_KERPLE_LOG = 3;
const uint BIAS_KERPLE_POWER = 4;

const uint WEIGHT_SOFTMAX = 0;
const uint WEIGHT_SIGMOID = 1;
const uint WEIGHT_RELU = 2;
const uint WEIGHT_SOFTPLUS = 3;

// Stands for "nothing seen yet": an infinity would make inf - inf in the first rescale.
const float SCORE_LOWEST = -3.0e38;

const float SCORE_UNIT =
    WEIGHT == WEIGHT_SOFTMAX || WEIGHT == WEIGHT_SIGMOID ? VKZ_LOG2E : 1.0;

struct score_map {
    int q_len, kv_len;
    int wl, wr, np;  // window and prefix, -1: unbounded side
    float scale;     // on the raw dot product
    float cap;       // natural unit
    float offset;    // added to every score, in the weight function's unit
    float slope;     // ALiBi slope of this head, in the weight function's unit
    float r1, r2;    // KERPLE parameters of this head
};

// ALiBi slope of a head for any number of heads: the powers of the largest power of two
// below it, then every other power of twice that.
float score_alibi_slope(const uint head, const uint heads, const float slope0)
{
    const int log_l = findMSB(heads);
    const uint l = 1u << log_l;
    const float n = exp2(float(-log_l)); // exact: a power of two
    const float x = head < l ? slope0 * float(head + 1u) * n
                             : slope0 * 0.5 * float(2u * (head - l) + 1u) * n;
    return vkz_exp2_accurate(-x);
}

// --- masks ----------------------------------------------------------------------------

bool score_visible(const score_map s, const int p, const int key, const int row_segment)
{
    switch (MASK) {
    case MASK_CAUSAL:
        return key <= p;
    case MASK_WINDOW:
        return (s.wl < 0 || key >= p - s.wl) && (s.wr < 0 || key <= p + s.wr);
    case MASK_PREFIX:
        return key <= p || key < s.np;
    case MASK_DOC:
        return key <= p && score_segment_load(uint(key)) == row_segment;
    default:
        return true;
    }
}

// First key whose segment lies between those of the rows p_low..p_high. Where documents
// follow one another that is where the first row's document begins.
int score_segment_begin_(const int p_low, const int p_high)
{
    int least = score_segment_load(uint(max(p_high, 0)));
    int most = least;
    for (int p = max(p_low, 0); p < p_high; p++) {
        const int segment = score_segment_load(uint(p));
        least = min(least, segment);
        most = max(most, segment);
    }
    int key = 0;
    for (; key < p_low; key++) {
        const int segment = score_segment_load(uint(key));
        if (segment >= least && segment <= most) {
            break;
        }
    }
    return key;
}

// Keys [x, y) outside of which no row of p_low..p_high sees anything.
ivec2 score_key_range(const score_map s, const int p_low, const int p_high)
{
    int low = 0;
    int high = s.kv_len;
    if (MASK == MASK_DOC) {
        low = score_segment_begin_(p_low, p_high);
        high = p_high + 1;
    } else if (MASK == MASK_CAUSAL) {
        high = p_high + 1;
    } else if (MASK == MASK_PREFIX) {
        high = max(p_high + 1, s.np);
    } else if (MASK == MASK_WINDOW) {
        low = s.wl < 0 ? 0 : p_low - s.wl;
        high = s.wr < 0 ? s.kv_len : p_high + s.wr + 1;
    }
    return ivec2(max(low, 0), min(high, s.kv_len));
}

// True when every row of p_low..p_high sees every key of [first, last].
bool score_all_visible(const score_map s, const int p_low, const int p_high,
                       const int first, const int last)
{
    if (last >= s.kv_len) {
        return false;
    }
    switch (MASK) {
    case MASK_CAUSAL:
        return last <= p_low;
    case MASK_WINDOW:
        return (s.wl < 0 || first >= p_high - s.wl) && (s.wr < 0 || last <= p_low + s.wr);
    case MASK_PREFIX:
        return last <= p_low || last < s.np;
    case MASK_DOC:
        return false;
    default:
        return true;
    }
}

// Number of keys that a row sees, for weights that are divided by it.
uint score_visible_count(const score_map s, const int p, const int row_segment)
{
    if (MASK == MASK_DOC) {
        uint n = 0;
        for (int key = 0; key <= p; key++) {
            n += score_segment_load(uint(key)) == row_segment ? 1u : 0u;
        }
        return n;
    }
    const ivec2 range = score_key_range(s, p, p);
    return uint(max(range.y - range.x, 0));
}

// --- scores ---------------------------------------------------------------------------

// Of the scaled dot product. `row` and `key` are in range, masked or not.
float score_modify(const score_map s, const float scaled, const int p, const uint row,
                   const uint key)
{
    float x = scaled;
    if (CAP != 0) {
        x = s.cap * vkz_tanh(x / s.cap) * SCORE_UNIT;
    }
    x += s.offset;
    if (BIAS == BIAS_TENSOR) {
        x = fma(score_bias_load(row, key), SCORE_UNIT, x);
    } else if (BIAS != BIAS_NONE) {
        const float t = float(abs(p - int(key)));
        if (BIAS == BIAS_ALIBI) {
            x = fma(-s.slope, t, x);
        } else if (BIAS == BIAS_KERPLE_LOG) {
            x -= s.r1 * SCORE_UNIT * VKZ_LN2 * vkz_log2(fma(s.r2, t, 1.0));
        } else {
            const float power = vkz_exp2_accurate(min(s.r2 * vkz_log2(t), 120.0));
            x -= s.r1 * SCORE_UNIT * (t > 0.0 ? power : 0.0);
        }
    }
    return x;
}

// Weights without row statistics. A NaN score gives a NaN weight.
float score_weight(const float x)
{
    if (WEIGHT == WEIGHT_SIGMOID) {
        float y = -x;
        y = y < -125.0 ? -125.0 : y;
        y = y > 125.0 ? 125.0 : y;
        return 1.0 / (1.0 + vkz_exp2(y, EXP));
    }
    if (WEIGHT == WEIGHT_RELU) {
        return x <= 0.0 ? 0.0 : x;
    }
    return vkz_softplus(x);
}

#endif
