// SPDX-License-Identifier: MIT
//
// linear_attention's buffers, push constants and axes, and its hooks of lib/chunk.glsl
//
// The includer defines COLUMN_LANES: the lanes of a workgroup that have columns of their own.
#ifndef VKZ_LINEAR_LINEAR_ATTENTION_GLSL
#define VKZ_LINEAR_LINEAR_ATTENTION_GLSL

#include "lib/activation.glsl"

layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 16) const uint DECAY = 0; // none, head, token
layout(constant_id = 17) const uint FEATURE = 0; // identity, elu1, relu, silu
layout(constant_id = 18) const uint NORMALISE = 0; // none, sum, abs
layout(constant_id = 19) const uint INIT = 0;
layout(constant_id = 20) const uint FINAL = 0;
layout(constant_id = 32) const uint HEAD_DIM = 64;
layout(constant_id = 33) const uint V_DIM = 64;

const bool LINEAR_WHOLE = V_DIM % (4u * COLUMN_LANES) == 0u;
#include "linear/rows.glsl"

const uint DECAY_TOKEN = 2;
const uint FEATURE_ELU1 = 1;
const uint FEATURE_RELU = 2;
const uint FEATURE_SILU = 3;
const uint NORMALISE_SUM = 1;
const uint NORMALISE_ABS = 2;

layout(push_constant, std430) uniform Push {
    uint heads, len;
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
layout(std430, binding = 4) restrict readonly buffer S04 { vec4 s04[]; };
layout(std430, binding = 5) restrict readonly buffer Z0 { float z0[]; };
layout(std430, binding = 6) restrict writeonly buffer O { T o[]; };
layout(std430, binding = 6) restrict writeonly buffer O4 { W4 o4[]; };
layout(std430, binding = 7) restrict writeonly buffer St { float st[]; };
layout(std430, binding = 7) restrict writeonly buffer St4 { vec4 st4[]; };
layout(std430, binding = 8) restrict writeonly buffer Zt { float zt[]; };

uint io_head; // of h
uint io_unit; // batch * heads + head: the sequence

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

// 0 past the row's end, where a feature of 0 need not be 0.
vec4 io_features(const vec4 x, const uint c)
{
    const vec4 y = vec4(io_feature(x.x), io_feature(x.y), io_feature(x.z),
                        io_feature(x.w));
    return VEC == 4 ? y : mix(vec4(0.0), y, lessThan(4u * c + uvec4(0, 1, 2, 3),
                                                     uvec4(HEAD_DIM)));
}

vec4 io_q(const uint token, const uint c)
{
    LINEAR_LOAD4(q, q4, io_unit * pc.len + token, HEAD_DIM, c);
}

vec4 io_k(const uint token, const uint c)
{
    LINEAR_LOAD4(k, k4, io_unit * pc.len + token, HEAD_DIM, c);
}

// --- hooks ----------------------------------------------------------------------------

vec4 chunk_q(const uint token, const uint c)
{
    return io_features(io_q(token, c), c);
}

vec4 chunk_k(const uint token, const uint c)
{
    return io_features(io_k(token, c), c);
}

float chunk_q_scale(const uint token)
{
    return NORMALISE == NORMALISE_SUM ? 1.0 : pc.tau; // tau would cancel
}

float chunk_k_scale(const uint token)
{
    return 1.0;
}

vec4 chunk_v(const uint token, const uint j)
{
    LINEAR_LOAD4(v, v4, io_unit * pc.len + token, V_DIM, j);
}

#define CHUNK_GATE (DECAY == 0 ? CHUNK_GATE_NONE : CHUNK_GATE_TOKEN)
#define CHUNK_ROLL (VEC == 1)
#define CHUNK_HAS_GATE
float chunk_gate(const uint token)
{
    return g[DECAY == DECAY_TOKEN ? io_unit * pc.len + token : io_head];
}

#define CHUNK_SUM (NORMALISE == NORMALISE_SUM)
#define CHUNK_HAS_SUM
void chunk_store(const uint token, const uint j, const vec4 x, const float sum)
{
    vec4 y = x;
    if (NORMALISE == NORMALISE_SUM) {
        const float size = abs(sum);
        y /= size < 1.0e-6 ? 1.0e-6 : size; // NaN stays
    }
    LINEAR_STORE4(o, o4, io_unit * pc.len + token, V_DIM, j, y);
}

vec4 chunk_load_s(const uint row, const uint j)
{
    LINEAR_LOAD4_F32(s0, s04, io_unit * HEAD_DIM + row, V_DIM, j);
}

float chunk_load_z(const uint row)
{
    return z0[io_unit * HEAD_DIM + row];
}

void chunk_store_s(const uint row, const uint j, const vec4 x)
{
    LINEAR_STORE4_F32(st, st4, io_unit * HEAD_DIM + row, V_DIM, j, x);
}

void chunk_store_z(const uint row, const float x)
{
    zt[io_unit * HEAD_DIM + row] = x;
}

#endif
