// SPDX-License-Identifier: MIT
//
// Buffers, push constants and axes of rwkv6 and rwkv7, and their hooks of lib/chunk.glsl
//
// The includer defines RWKV as 6 or 7.
#ifndef VKZ_LINEAR_RWKV_GLSL
#define VKZ_LINEAR_RWKV_GLSL

#include "linear/rows.glsl"

layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 16) const uint INIT = 0;
layout(constant_id = 17) const uint FINAL = 0;
layout(constant_id = 32) const uint HEAD_DIM = 64;
layout(constant_id = 33) const uint V_DIM = 64;
const bool LINEAR_WHOLE = V_DIM % (4u * COLUMN_LANES) == 0u;

layout(push_constant, std430) uniform Push {
    uint heads, len;
#if RWKV == 6
    float tau;
#endif
} pc;

layout(std430, binding = 0) restrict readonly buffer Q { T q[]; };
layout(std430, binding = 0) restrict readonly buffer Q4 { W4 q4[]; };
layout(std430, binding = 1) restrict readonly buffer K { T k[]; };
layout(std430, binding = 1) restrict readonly buffer K4 { W4 k4[]; };
layout(std430, binding = 2) restrict readonly buffer V { T v[]; };
layout(std430, binding = 2) restrict readonly buffer V4 { W4 v4[]; };
layout(std430, binding = 3) restrict readonly buffer W { float w[]; };
layout(std430, binding = 3) restrict readonly buffer Wide { vec4 w4[]; };
#if RWKV == 6
layout(std430, binding = 4) restrict readonly buffer U { float u[]; };
layout(std430, binding = 4) restrict readonly buffer U4 { vec4 u4[]; };
#define RWKV_S0 5
#define RWKV_O 6
#define RWKV_ST 7
#else
layout(std430, binding = 4) restrict readonly buffer A { T a[]; };
layout(std430, binding = 4) restrict readonly buffer A4 { W4 a4[]; };
layout(std430, binding = 5) restrict readonly buffer B { T b[]; };
layout(std430, binding = 5) restrict readonly buffer B4 { W4 b4[]; };
#define RWKV_S0 6
#define RWKV_O 7
#define RWKV_ST 8
#endif
layout(std430, binding = RWKV_S0) restrict readonly buffer S0 { float s0[]; };
layout(std430, binding = RWKV_S0) restrict readonly buffer S04 { vec4 s04[]; };
layout(std430, binding = RWKV_O) restrict writeonly buffer O { T o[]; };
layout(std430, binding = RWKV_O) restrict writeonly buffer O4 { W4 o4[]; };
layout(std430, binding = RWKV_ST) restrict writeonly buffer St { float st[]; };
layout(std430, binding = RWKV_ST) restrict writeonly buffer St4 { vec4 st4[]; };

uint io_head; // of h
uint io_unit; // batch * heads + head: the sequence

void io_begin(const uint head, const uint batch)
{
    io_head = head;
    io_unit = batch * pc.heads + head;
}

// --- hooks ----------------------------------------------------------------------------

vec4 chunk_q(const uint token, const uint c)
{
    LINEAR_LOAD4(q, q4, io_unit * pc.len + token, HEAD_DIM, c);
}

vec4 chunk_k(const uint token, const uint c)
{
    LINEAR_LOAD4(k, k4, io_unit * pc.len + token, HEAD_DIM, c);
}

vec4 chunk_v(const uint token, const uint j)
{
    LINEAR_LOAD4(v, v4, io_unit * pc.len + token, V_DIM, j);
}

#define CHUNK_GATE CHUNK_GATE_KEY
#define CHUNK_HAS_GATE4
vec4 chunk_gate4(const uint token, const uint c)
{
    LINEAR_LOAD4_F32(w, w4, io_unit * pc.len + token, HEAD_DIM, c);
}

#if RWKV == 6
#define RWKV_TAU pc.tau
#else
#define RWKV_TAU 1.0
#endif
float chunk_q_scale(const uint token) { return RWKV_TAU; }
float chunk_k_scale(const uint token) { return 1.0; }

#if RWKV == 6

#define CHUNK_EXCLUSIVE
vec4 chunk_u(const uint c)
{
    LINEAR_LOAD4_F32(u, u4, io_head, HEAD_DIM, c);
}

#else

#define CHUNK_RULE CHUNK_PAIR
vec4 chunk_a(const uint token, const uint c)
{
    LINEAR_LOAD4(a, a4, io_unit * pc.len + token, HEAD_DIM, c);
}

vec4 chunk_b(const uint token, const uint c)
{
    LINEAR_LOAD4(b, b4, io_unit * pc.len + token, HEAD_DIM, c);
}

#endif

void chunk_store(const uint token, const uint j, const vec4 x, const float sum)
{
    LINEAR_STORE4(o, o4, io_unit * pc.len + token, V_DIM, j, x);
}

vec4 chunk_load_s(const uint row, const uint j)
{
    LINEAR_LOAD4_F32(s0, s04, io_unit * HEAD_DIM + row, V_DIM, j);
}

void chunk_store_s(const uint row, const uint j, const vec4 s)
{
    LINEAR_STORE4_F32(st, st4, io_unit * HEAD_DIM + row, V_DIM, j, s);
}

#endif
