// SPDX-License-Identifier: MIT
//
// ssd's buffers, push constants and axes, and its hooks of lib/chunk.glsl
//
// k = b, q = c, v = step x and a decay a token, step A.
#ifndef VKZ_LINEAR_SSD_GLSL
#define VKZ_LINEAR_SSD_GLSL

#include "lib/activation.glsl"
#include "linear/rows.glsl"
#include "linear/ssd_step.glsl"

layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 16) const uint INIT = 0;
layout(constant_id = 17) const uint FINAL = 0;
layout(constant_id = 18) const uint GATE = 0;
layout(constant_id = 19) const uint CLAMP = 0;
layout(constant_id = 32) const uint HEAD_DIM = 64; // rows of the state
layout(constant_id = 33) const uint V_DIM = 64;    // its columns: the contract's head_dim
const bool LINEAR_WHOLE = V_DIM % (4u * COLUMN_LANES) == 0u;

layout(push_constant, std430) uniform Push {
    uint heads, groups, len;
    float lo, hi;
} pc;

layout(std430, binding = 0) restrict readonly buffer X { T x[]; };
layout(std430, binding = 0) restrict readonly buffer X4 { W4 x4[]; };
layout(std430, binding = 1) restrict readonly buffer Dt { float dt[]; };
layout(std430, binding = 2) restrict readonly buffer Dtb { float dtb[]; };
layout(std430, binding = 3) restrict readonly buffer Alog { float alog[]; };
layout(std430, binding = 4) restrict readonly buffer Skip { float d_skip[]; };
layout(std430, binding = 5) restrict readonly buffer B { T b[]; };
layout(std430, binding = 5) restrict readonly buffer B4 { W4 b4[]; };
layout(std430, binding = 6) restrict readonly buffer C { T c[]; };
layout(std430, binding = 6) restrict readonly buffer C4 { W4 c4[]; };
layout(std430, binding = 7) restrict readonly buffer Z { T z[]; };
layout(std430, binding = 7) restrict readonly buffer Z4 { W4 z4[]; };
layout(std430, binding = 8) restrict writeonly buffer Y { T y[]; };
layout(std430, binding = 8) restrict writeonly buffer Y4 { W4 y4[]; };
layout(std430, binding = 9) restrict readonly buffer S0 { float s0[]; };
layout(std430, binding = 9) restrict readonly buffer S04 { vec4 s04[]; };
layout(std430, binding = 10) restrict writeonly buffer St { float st[]; };
layout(std430, binding = 10) restrict writeonly buffer St4 { vec4 st4[]; };

uint io_unit;  // batch * heads + head: the sequence of x
uint io_group; // batch * groups + group: the sequence of b and c
float io_a;    // of the head, and the next two
float io_bias;
float io_skip;

void io_begin(const uint head, const uint batch)
{
    io_unit = batch * pc.heads + head;
    io_group = batch * pc.groups + head * pc.groups / pc.heads;
    io_a = -vkz_exp2_accurate(alog[head] * VKZ_LOG2E);
    io_bias = dtb[head];
    io_skip = d_skip[head];
}

float io_step(const uint token)
{
    const float step = ssd_softplus(dt[io_unit * pc.len + token] + io_bias);
    return CLAMP != 0 ? ssd_clamp(step, pc.lo, pc.hi) : step;
}

vec4 io_z(const uint token, const uint j)
{
    LINEAR_LOAD4(z, z4, io_unit * pc.len + token, V_DIM, j);
}

// --- hooks ----------------------------------------------------------------------------

vec4 chunk_q(const uint token, const uint n)
{
    LINEAR_LOAD4(c, c4, io_group * pc.len + token, HEAD_DIM, n);
}

vec4 chunk_k(const uint token, const uint n)
{
    LINEAR_LOAD4(b, b4, io_group * pc.len + token, HEAD_DIM, n);
}

float chunk_q_scale(const uint token) { return 1.0; }

float chunk_k_scale(const uint token) { return io_step(token); }

vec4 chunk_v(const uint token, const uint j)
{
    LINEAR_LOAD4(x, x4, io_unit * pc.len + token, V_DIM, j);
}

#define CHUNK_GATE CHUNK_GATE_TOKEN
#define CHUNK_HAS_GATE
float chunk_gate(const uint token) { return io_step(token) * io_a; }

void chunk_store(const uint token, const uint j, const vec4 o, const float sum)
{
    vec4 r = fma(vec4(io_skip), chunk_v(token, j), o);
    if (GATE != 0) {
        const vec4 g = io_z(token, j);
        r *= vec4(vkz_silu(g.x), vkz_silu(g.y), vkz_silu(g.z), vkz_silu(g.w));
    }
    LINEAR_STORE4(y, y4, io_unit * pc.len + token, V_DIM, j, r);
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
