// SPDX-License-Identifier: MIT
//
// linear_attention_backward: buffers, and hooks of lib/chunk.glsl that make each gradient
// a forward walk of its own
//
//   pass    queries   keys      values    state    walks     gives
//   dq      tau do    v         phi(k)    S^T      forward   dphi(q)
//   dv      phi(k)    tau phi(q)  do      dS       backward  dv, ds0
//   dk      v         tau do    phi(q)    dS^T     backward  dphi(k)
//   gate    dg_t = sum_{s>=t} (phi(q_s) dphi(q)_s - phi(k_s) dphi(k)_s) + <st, dst>
//
// Backward, token i of the walk is len-1-i of the sequence and decays by the gate of the
// token after it; the first does not decay. The includer defines COLUMN_LANES as for
// linear/linear_attention.glsl, and one PASS_ macro is set.
#ifndef VKZ_LINEAR_LINEAR_ATTENTION_BACKWARD_GLSL
#define VKZ_LINEAR_LINEAR_ATTENTION_BACKWARD_GLSL

#include "lib/activation.glsl"

layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 16) const uint DECAY = 0; // none, head, token
layout(constant_id = 17) const uint FEATURE = 0; // identity, elu1, relu, silu
layout(constant_id = 19) const uint INIT = 0;
layout(constant_id = 20) const uint FINAL = 0;
layout(constant_id = 32) const uint KEY_DIM = 64;
layout(constant_id = 33) const uint V_DIM = 64;

#ifdef PASS_DV
#define HEAD_DIM KEY_DIM // rows of this pass's state
#define COLUMNS V_DIM
#else
#define HEAD_DIM V_DIM
#define COLUMNS KEY_DIM
#endif

const bool LINEAR_WHOLE = COLUMNS % (4u * COLUMN_LANES) == 0u;
#include "linear/rows.glsl"

const uint DECAY_TOKEN = 2;
const uint FEATURE_ELU1 = 1;
const uint FEATURE_RELU = 2;
const uint FEATURE_SILU = 3;
const uint KEY_QUADS = (KEY_DIM + 3u) / 4u;

layout(push_constant, std430) uniform Push {
    uint batch, heads, len;
    float tau;
} pc;

layout(std430, binding = 0) restrict readonly buffer Q { T q[]; };
layout(std430, binding = 0) restrict readonly buffer Q4 { W4 q4[]; };
layout(std430, binding = 1) restrict readonly buffer K { T k[]; };
layout(std430, binding = 1) restrict readonly buffer K4 { W4 k4[]; };
layout(std430, binding = 2) restrict readonly buffer V { T v[]; };
layout(std430, binding = 2) restrict readonly buffer V4 { W4 v4[]; };
layout(std430, binding = 3) restrict readonly buffer G { float g[]; };
layout(std430, binding = 4) restrict readonly buffer S0 { float s0[]; };
layout(std430, binding = 5) restrict readonly buffer Do { T do_[]; };
layout(std430, binding = 5) restrict readonly buffer Do4 { W4 do4[]; };
layout(std430, binding = 6) restrict readonly buffer Dst { float dst[]; };
layout(std430, binding = 6) restrict readonly buffer Dst4 { vec4 dst4[]; };
layout(std430, binding = 7) restrict writeonly buffer Dq { T dq[]; };
layout(std430, binding = 7) restrict writeonly buffer Dq4 { W4 dq4[]; };
layout(std430, binding = 8) restrict writeonly buffer Dk { T dk[]; };
layout(std430, binding = 8) restrict writeonly buffer Dk4 { W4 dk4[]; };
layout(std430, binding = 9) restrict writeonly buffer Dv { T dv_[]; };
layout(std430, binding = 9) restrict writeonly buffer Dv4 { W4 dv_4[]; };
layout(std430, binding = 10) restrict writeonly buffer Dg { float dg[]; };
layout(std430, binding = 11) restrict writeonly buffer Ds0 { float ds0[]; };
layout(std430, binding = 11) restrict writeonly buffer Ds04 { vec4 ds04[]; };
// phi(q) dphi(q) by token and four columns, in row len what <st, dst> adds; and of k.
#ifdef PASS_GATE
layout(std430, binding = 12) restrict readonly buffer PartQ { float part_q[]; };
layout(std430, binding = 13) restrict readonly buffer PartK { float part_k[]; };
#else
layout(std430, binding = 12) restrict writeonly buffer PartQ { float part_q[]; };
layout(std430, binding = 13) restrict writeonly buffer PartK { float part_k[]; };
#endif

uint io_head;
uint io_unit; // batch * heads + head: the sequence
float io_overlap = 0.0; // what the lane's columns add to <st, dst>

void io_begin(const uint head, const uint batch)
{
    io_head = head;
    io_unit = batch * pc.heads + head;
}

float io_feature(const float x)
{
    switch (FEATURE) {
    case FEATURE_ELU1:
        return x > 0.0 ? x + 1.0 : vkz_exp2(x * VKZ_LOG2E, EXP_POLY5);
    case FEATURE_RELU:
        return vkz_relu(x);
    case FEATURE_SILU:
        return vkz_silu(x);
    default:
        return x;
    }
}

float io_slope(const float x)
{
    switch (FEATURE) {
    case FEATURE_ELU1:
        return x > 0.0 ? 1.0 : vkz_exp2(x * VKZ_LOG2E, EXP_POLY5);
    case FEATURE_RELU:
        return x > 0.0 ? 1.0 : 0.0;
    case FEATURE_SILU: {
        // silu' = sigma (1 + x (1 - sigma)); 1 - sigma(x) = sigma(-x) = t sigma(x).
        const float t = vkz_exp2(-abs(x) * VKZ_LOG2E, EXP_POLY5);
        const float less = t / (1.0 + t); // sigma(-|x|)
        const float more = 1.0 / (1.0 + t);
        return x > 0.0 ? more * (1.0 + x * less) : less * (1.0 + x * more);
    }
    default:
        return 1.0;
    }
}

// 0 past the row's end, where a feature of 0 need not be 0.
vec4 io_features(const vec4 x, const uint c)
{
    const vec4 y = vec4(io_feature(x.x), io_feature(x.y), io_feature(x.z),
                        io_feature(x.w));
    return VEC == 4 ? y : mix(vec4(0.0), y, lessThan(4u * c + uvec4(0, 1, 2, 3),
                                                     uvec4(KEY_DIM)));
}

vec4 io_slopes(const vec4 x)
{
    return vec4(io_slope(x.x), io_slope(x.y), io_slope(x.z), io_slope(x.w));
}

vec4 io_q(const uint row, const uint c)
{
    LINEAR_LOAD4(q, q4, row, KEY_DIM, c);
}

vec4 io_k(const uint row, const uint c)
{
    LINEAR_LOAD4(k, k4, row, KEY_DIM, c);
}

vec4 io_v(const uint row, const uint c)
{
    LINEAR_LOAD4(v, v4, row, V_DIM, c);
}

vec4 io_do(const uint row, const uint c)
{
    LINEAR_LOAD4(do_, do4, row, V_DIM, c);
}

// Token of the sequence, and its row in the tensors.
uint io_token(const uint i)
{
#ifdef PASS_DQ
    return i;
#else
    return pc.len - 1u - i;
#endif
}

uint io_row(const uint i)
{
    return io_unit * pc.len + io_token(i);
}

float io_gate(const uint token)
{
    return g[DECAY == DECAY_TOKEN ? io_unit * pc.len + token : io_head];
}

// --- hooks ----------------------------------------------------------------------------

#ifndef PASS_GATE

vec4 chunk_q(const uint i, const uint c)
{
#if defined(PASS_DQ)
    return io_do(io_row(i), c);
#elif defined(PASS_DV)
    return io_features(io_k(io_row(i), c), c);
#else
    return io_v(io_row(i), c);
#endif
}

vec4 chunk_k(const uint i, const uint c)
{
#if defined(PASS_DQ)
    return io_v(io_row(i), c);
#elif defined(PASS_DV)
    return io_features(io_q(io_row(i), c), c);
#else
    return io_do(io_row(i), c);
#endif
}

vec4 chunk_v(const uint i, const uint j)
{
#if defined(PASS_DQ)
    return io_features(io_k(io_row(i), j), j);
#elif defined(PASS_DV)
    return io_do(io_row(i), j);
#else
    return io_features(io_q(io_row(i), j), j);
#endif
}

float chunk_q_scale(const uint i)
{
#ifdef PASS_DQ
    return pc.tau;
#else
    return 1.0;
#endif
}

float chunk_k_scale(const uint i)
{
#ifdef PASS_DQ
    return 1.0;
#else
    return pc.tau;
#endif
}

#define CHUNK_GATE (DECAY == 0 ? CHUNK_GATE_NONE : CHUNK_GATE_TOKEN)
#define CHUNK_ROLL (VEC == 1)
#define CHUNK_HAS_GATE
float chunk_gate(const uint i)
{
#ifdef PASS_DQ
    return io_gate(i);
#else
    const float x = io_gate(min(pc.len - i, pc.len - 1u));
    return i == 0u ? 0.0 : x;
#endif
}

#ifdef PASS_DV
void io_store_dv(const uint row, const uint j, const vec4 x)
{
    LINEAR_STORE4(dv_, dv_4, row, V_DIM, j, x);
}
#elif defined(PASS_DQ)
void io_store_dx(const uint row, const uint j, const vec4 x)
{
    LINEAR_STORE4(dq, dq4, row, KEY_DIM, j, x);
}
#else
void io_store_dx(const uint row, const uint j, const vec4 x)
{
    LINEAR_STORE4(dk, dk4, row, KEY_DIM, j, x);
}
#endif

void chunk_store(const uint i, const uint j, const vec4 x, const float sum)
{
    const uint row = io_row(i);
#ifdef PASS_DV
    io_store_dv(row, j, x);
#else
#ifdef PASS_DQ
    const vec4 y = io_q(row, j);
#else
    const vec4 y = io_k(row, j);
#endif
    if (DECAY != 0 && j < KEY_QUADS) {
        const float part = dot(io_features(y, j), x);
#ifdef PASS_DQ
        part_q[(io_unit * (pc.len + 1u) + io_token(i)) * KEY_QUADS + j] = part;
#else
        part_k[row * KEY_QUADS + j] = part;
#endif
    }
    io_store_dx(row, j, x * io_slopes(y));
#endif
}

// Four elements of a column of a [KEY_DIM, V_DIM] state: rows 4j.. of column `column`.
#define IO_TRANSPOSED(name)                                                             \
    vec4 x = vec4(0.0);                                                                 \
    [[unroll]] for (uint i = 0; i < 4u; i++) {                                          \
        if (4u * j + i < KEY_DIM) {                                                     \
            x[i] = name[(io_unit * KEY_DIM + 4u * j + i) * V_DIM + column];             \
        }                                                                               \
    }                                                                                   \
    return x

vec4 io_dst_column(const uint column, const uint j)
{
    IO_TRANSPOSED(dst);
}

vec4 io_s0_column(const uint column, const uint j)
{
    IO_TRANSPOSED(s0);
}

vec4 io_dst_row(const uint row, const uint j)
{
    LINEAR_LOAD4_F32(dst, dst4, io_unit * KEY_DIM + row, V_DIM, j);
}

vec4 chunk_load_s(const uint row, const uint j)
{
#if defined(PASS_DQ)
    return io_s0_column(row, j);
#elif defined(PASS_DV)
    return io_dst_row(row, j);
#else
    return io_dst_column(row, j);
#endif
}

void chunk_store_s(const uint row, const uint j, const vec4 x)
{
#if defined(PASS_DQ)
    io_overlap += dot(x, io_dst_column(row, j));
#elif defined(PASS_DV)
    vec4 y = x;
    if (DECAY != 0) {
        y *= vkz_exp2(io_gate(0u) * VKZ_LOG2E, EXP_POLY5);
    }
    LINEAR_STORE4_F32(ds0, ds04, io_unit * KEY_DIM + row, V_DIM, j, y);
#endif
}

// Whether the walk of this pass starts from a given state, and what it does with the last.
#ifdef PASS_DQ
const bool IO_LOADS = INIT != 0;
const bool IO_STORES = FINAL != 0 && DECAY != 0;
#elif defined(PASS_DV)
const bool IO_LOADS = FINAL != 0;
const bool IO_STORES = INIT != 0;
#else
const bool IO_LOADS = FINAL != 0;
const bool IO_STORES = false;
#endif

// After the walk's end: the column group's share of <st, dst>.
void io_end(const uint j, const float overlap)
{
#ifdef PASS_DQ
    if (DECAY != 0 && j < KEY_QUADS) {
        part_q[(io_unit * (pc.len + 1u) + pc.len) * KEY_QUADS + j] = overlap;
    }
#endif
}

#endif
#endif
