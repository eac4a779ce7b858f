// SPDX-License-Identifier: MIT
//
// What the kernels of this family share: push constants, axes, buffers, loads and stores
//
// The includer defines ATTENTION_WEIGHT to the number of a WEIGHT_ constant of
// lib/score.glsl, and ATTENTION_DECODE if the op is attention_decode. Of the tensors only
// those that the op has are declared.
//
// Ops of other families that attend with the same tile define ATTENTION_PLAIN: softmax of
// the scores as they are, with a mask and perhaps a log-sum-exp. They may set
//   IO_MASK                    the one mask (a MASK_ number) of an op without the axis MASK:
//                              queries and keys are then `len` tokens
//   IO_BIND_O IO_BIND_LSE      bindings of the outputs; without IO_BIND_LSE there is no lse
//   IO_LSE                     0 or 1 where the op has no axis LSE
//   IO_PUSH_MORE               members that follow tau in the push constants
#ifndef VKZ_ATTENTION_IO_GLSL
#define VKZ_ATTENTION_IO_GLSL

#include "lib/words.glsl"

const uint WEIGHT = ATTENTION_WEIGHT;

// --- axes and shapes ------------------------------------------------------------------

layout(constant_id = 5) const uint EXP = 5;
layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 32) const uint HEAD_DIM = 64;
layout(constant_id = 33) const uint V_DIM = 64;

#if ATTENTION_WEIGHT == 3 // softplus: causal, nothing else
const uint MASK = 1;
#elif defined(IO_MASK)
const uint MASK = IO_MASK;
#else
layout(constant_id = 16) const uint MASK = 0;
#endif
#if ATTENTION_WEIGHT == 0 && !defined(ATTENTION_PLAIN)
#define IO_MODIFIERS // CAP and SINK
#endif
#if ATTENTION_WEIGHT <= 1 && !defined(ATTENTION_PLAIN)
#define IO_BIAS
layout(constant_id = 17) const uint BIAS = 0;
#else
const uint BIAS = 0;
#endif
#ifdef IO_MODIFIERS
#define IO_BIND_O 7
#define IO_BIND_LSE 8
layout(constant_id = 18) const uint CAP = 0;
layout(constant_id = 19) const uint SINK = 0;
#else
const uint CAP = 0;
const uint SINK = 0;
#endif
#ifndef IO_BIND_O
#define IO_BIND_O 7
#endif
#ifdef IO_LSE
const uint LSE = IO_LSE;
#elif ATTENTION_WEIGHT == 0 && defined(IO_BIND_LSE)
layout(constant_id = 20) const uint LSE = 0;
#endif
#if ATTENTION_WEIGHT == 2
layout(constant_id = 21) const uint NORM = 0;
const uint NORM_VISIBLE = 0;
const uint NORM_TK = 1;
#endif

layout(push_constant, std430) uniform Push {
    uint heads, kv_heads;
#if ATTENTION_WEIGHT == 3
    int len;
#elif defined(IO_MASK)
    int len;
    float tau;
#else
    int q_len, kv_len;
    int wl, wr;
#ifndef ATTENTION_DECODE
    int np;
#endif
    float tau;
#endif
#ifdef IO_PUSH_MORE
    IO_PUSH_MORE
#endif
#ifdef IO_MODIFIERS
    float slope0, cap;
#ifdef ATTENTION_DECODE
    uint nsplit;
#endif
#elif ATTENTION_WEIGHT == 1
    float slope0, beta;
#elif ATTENTION_WEIGHT == 2
    float alpha;
#endif
} pc;

#if ATTENTION_WEIGHT == 3 || defined(IO_MASK)
#define IO_Q_LEN pc.len
#define IO_KV_LEN pc.len
#else
#define IO_Q_LEN pc.q_len
#define IO_KV_LEN pc.kv_len
#endif

// --- buffers --------------------------------------------------------------------------

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K2 { W2 k2[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { W4 k4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V2 { W2 v2[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { W4 v4[]; };
#ifdef IO_BIAS
layout(set = 0, binding = 3, std430) restrict readonly buffer Bias { T bias[]; };
#endif
#ifdef IO_MODIFIERS
layout(set = 0, binding = 4, std430) restrict readonly buffer Rpar { float rpar[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Sink { float sink[]; };
#endif
#if ATTENTION_WEIGHT <= 2 && !defined(ATTENTION_DECODE) && !defined(IO_MASK)
#define IO_SEGMENTS
layout(set = 0, binding = 6, std430) restrict readonly buffer Seg { int seg[]; };
#endif
layout(set = 0, binding = IO_BIND_O, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = IO_BIND_O, std430) restrict writeonly buffer O4 { T4 o4[]; };
#if ATTENTION_WEIGHT == 0 && defined(IO_BIND_LSE)
layout(set = 0, binding = IO_BIND_LSE, std430) restrict writeonly buffer Lse { float lse[]; };
#elif ATTENTION_WEIGHT == 3
layout(set = 0, binding = 8, std430) restrict writeonly buffer Sum1 { float sum1[]; };
// 1 / |k_j| of every key, written by pass norm.
#define IO_KEY_NORM
#ifdef PASS_NORM
layout(set = 0, binding = 9, std430) restrict writeonly buffer Knorm { float knorm[]; };
#else
layout(set = 0, binding = 9, std430) restrict readonly buffer Knorm { float knorm[]; };
#endif
#endif

// --- where this workgroup reads and writes --------------------------------------------

uint io_head;     // query head
uint io_q_row;    // row of q, o, lse, bias where the head's queries begin
uint io_k_row;    // row of k and v where the KV head's keys begin
uint io_seg_base; // element of seg where the batch's keys begin

void io_begin(const uint head, const uint batch)
{
    io_head = head;
    io_q_row = (batch * pc.heads + head) * uint(IO_Q_LEN);
    io_k_row = (batch * pc.kv_heads + head / (pc.heads / pc.kv_heads)) * uint(IO_KV_LEN);
    io_seg_base = batch * uint(IO_KV_LEN);
}

// --- hooks of lib/score.glsl ----------------------------------------------------------

float score_bias_load(const uint row, const uint key)
{
#ifdef IO_BIAS
    return vkz_load(bias[(io_q_row + row) * uint(IO_KV_LEN) + key]);
#else
    return 0.0;
#endif
}

int score_segment_load(const uint key)
{
#ifdef IO_SEGMENTS
    return seg[io_seg_base + key];
#else
    return 0;
#endif
}

#include "lib/score.glsl"

score_map io_score_map()
{
    score_map s;
    s.q_len = IO_Q_LEN;
    s.kv_len = IO_KV_LEN;
    s.wl = -1;
    s.wr = -1;
    s.np = 0;
    s.scale = 1.0;
    s.cap = 1.0;
    s.offset = 0.0;
    s.slope = 0.0;
    s.r1 = 0.0;
    s.r2 = 0.0;
#if ATTENTION_WEIGHT != 3
#ifndef IO_MASK
    s.wl = pc.wl;
    s.wr = pc.wr;
#ifndef ATTENTION_DECODE
    s.np = pc.np;
#endif
#endif
    s.scale = CAP != 0 ? pc.tau : pc.tau * SCORE_UNIT;
#endif
#ifdef IO_BIAS
    if (BIAS == BIAS_ALIBI) {
        s.slope = score_alibi_slope(io_head, pc.heads, pc.slope0) * SCORE_UNIT;
    }
#endif
#ifdef IO_MODIFIERS
    s.cap = pc.cap;
    if (BIAS == BIAS_KERPLE_LOG || BIAS == BIAS_KERPLE_POWER) {
        s.r1 = rpar[2u * io_head];
        s.r2 = rpar[2u * io_head + 1u];
    }
#elif ATTENTION_WEIGHT == 1
    s.offset = pc.beta * SCORE_UNIT;
#endif
    return s;
}

// --- rows of four elements ------------------------------------------------------------

// Elements 4c .. 4c+3 of a row of `width` elements; 0 past its end. `width` and c are
// constants after unrolling, so the tests of the VEC = 1 form fold away.
#define IO_LOAD4(name, name4, row, width, c)                                            \
    if (VEC == 4) {                                                                     \
        return vkz_load_w4(name4[(row) * ((width) / 4u) + (c)]);                          \
    }                                                                                   \
    const uint at = (row) * (width) + 4u * (c);                                         \
    vec4 x = vec4(vkz_load(name[at]), 0.0, 0.0, 0.0);                                   \
    if (4u * (c) + 1u < (width)) {                                                      \
        x.y = vkz_load(name[at + 1u]);                                                  \
    }                                                                                   \
    if (4u * (c) + 2u < (width)) {                                                      \
        x.z = vkz_load(name[at + 2u]);                                                  \
    }                                                                                   \
    if (4u * (c) + 3u < (width)) {                                                      \
        x.w = vkz_load(name[at + 3u]);                                                  \
    }                                                                                   \
    return x

vec4 io_q(const uint row, const uint c)
{
    IO_LOAD4(q, q4, io_q_row + row, HEAD_DIM, c);
}

vec4 io_k(const uint key, const uint c)
{
    IO_LOAD4(k, k4, io_k_row + key, HEAD_DIM, c);
}

vec4 io_v(const uint key, const uint c)
{
    IO_LOAD4(v, v4, io_k_row + key, V_DIM, c);
}

// Elements 2c and 2c+1 of a row, each lane another c; anything readable past its end.
#define IO_LOAD2(name, name2, row, width, c)                                            \
    if (VEC == 4) {                                                                     \
        const uint at = (row) * ((width) / 2u) + min((c), (width) / 2u - 1u);           \
        return vkz_load_w2(name2[at]);                                                    \
    }                                                                                   \
    const uint e = 2u * (c);                                                            \
    const uint at = (row) * (width);                                                    \
    return vec2(vkz_load(name[at + min(e, (width) - 1u)]),                              \
                vkz_load(name[at + min(e + 1u, (width) - 1u)]))

vec2 io_k2(const uint key, const uint c)
{
    IO_LOAD2(k, k2, io_k_row + key, HEAD_DIM, c);
}

vec2 io_v2(const uint key, const uint c)
{
    IO_LOAD2(v, v2, io_k_row + key, V_DIM, c);
}

float io_v_element(const uint key, const uint column)
{
    return vkz_load(v[(io_k_row + key) * V_DIM + column]);
}

void io_store_element(const uint at, const float x)
{
    o[at] = vkz_store(x);
}

void io_store_o(const uint row, const uint c, const vec4 x)
{
    if (VEC == 4) {
        o4[(io_q_row + row) * (V_DIM / 4u) + c] = vkz_store4(x);
        return;
    }
    const uint at = (io_q_row + row) * V_DIM + 4u * c;
    o[at] = vkz_store(x.x);
    if (4u * c + 1u < V_DIM) {
        o[at + 1u] = vkz_store(x.y);
    }
    if (4u * c + 2u < V_DIM) {
        o[at + 2u] = vkz_store(x.z);
    }
    if (4u * c + 3u < V_DIM) {
        o[at + 3u] = vkz_store(x.w);
    }
}

// --- norms ----------------------------------------------------------------------------

// 1 / max(|x|, 1e-12) from |x|^2.
float io_inverse_norm(const float norm2)
{
    const float norm = sqrt(norm2);
    return 1.0 / (norm < 1.0e-12 ? 1.0e-12 : norm);
}

// --- the end of a row -----------------------------------------------------------------

// Writes what the op keeps of a row's statistics and returns the factor that finishes its
// outputs: m is the running maximum in base 2, l the sum of weights (both where the
// weight function has them).
float io_finish_row(const score_map s, const uint row, const bool store, const float m,
                    const float l)
{
#if ATTENTION_WEIGHT == 0
    float top = m;
    float sum = l;
#ifdef IO_MODIFIERS
    if (SINK != 0) {
        // One more key, of value 0.
        const float x = SINK == 1 ? 0.0 : sink[io_head] * SCORE_UNIT;
        top = max(m, x);
        sum = l * vkz_exp2_accurate(m - top) + vkz_exp2_accurate(x - top);
    }
#endif
#ifdef IO_BIND_LSE
    if (LSE != 0 && store) {
        // The logarithm of 0 is spelled out: not every driver's is an infinity.
        const float minus_infinity = uintBitsToFloat(0xff800000u);
        lse[io_q_row + row] =
            sum == 0.0 ? minus_infinity : (top + vkz_log2(sum)) * VKZ_LN2;
    }
#endif
    return sum == 0.0 ? 0.0 : (SINK != 0 ? vkz_exp2_accurate(m - top) : 1.0) / sum;
#elif ATTENTION_WEIGHT == 1
    return 1.0;
#elif ATTENTION_WEIGHT == 2
    if (NORM == NORM_TK) {
        return 1.0 / float(pc.kv_len);
    }
    if (NORM != NORM_VISIBLE) {
        return vkz_exp2_accurate(-pc.alpha * vkz_log2(float(pc.kv_len)));
    }
    const int p = int(row) + pc.kv_len - pc.q_len;
    const int segment = MASK == MASK_DOC ? score_segment_load(uint(max(p, 0))) : 0;
    const uint n = score_visible_count(s, p, segment);
    return n == 0u ? 0.0 : 1.0 / float(n);
#else
    if (store) {
        sum1[io_q_row + row] = l;
    }
    return l == 0.0 ? 0.0 : 1.0 / l;
#endif
}

#endif
