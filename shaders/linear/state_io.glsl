// SPDX-License-Identifier: MIT
//
// What the kernels of gated_linear_attention and delta_rule share: axes, inputs and loads
//
// The includer defines STATE_DELTA to 1 for delta_rule, 0 for gated_linear_attention.
#ifndef VKZ_LINEAR_STATE_IO_GLSL
#define VKZ_LINEAR_STATE_IO_GLSL

#include "lib/words.glsl"
#include "lib/exp.glsl"

const bool DELTA = STATE_DELTA != 0;
const uint GATE_NONE = 0;
const uint GATE_SCALAR = 1;
const uint GATE_VECTOR = 2;

layout(constant_id = 15) const uint VEC = 1; // elements a load
#if STATE_DELTA
layout(constant_id = 16) const uint GATE = 0;
#else
const uint GATE = GATE_VECTOR;
#endif
layout(constant_id = 17) const uint INIT = 0;
layout(constant_id = 18) const uint FINAL = 0;
layout(constant_id = 32) const uint HEAD_DIM = 64;
layout(constant_id = 33) const uint V_DIM = 64;

layout(push_constant, std430) uniform Push {
    uint heads;
#if STATE_DELTA
    uint kv_heads;
#endif
    uint len;
    float tau;
} pc;

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { W4 k4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { W4 v4[]; };
#if STATE_DELTA
#define STATE_BINDING 3
layout(set = 0, binding = 3, std430) restrict readonly buffer Beta { float beta[]; };
#else
#define STATE_BINDING 2
#endif
#define STATE_BIND(n) binding = STATE_BINDING + n
layout(set = 0, STATE_BIND(1), std430) restrict readonly buffer G { float g[]; };
layout(set = 0, STATE_BIND(1), std430) restrict readonly buffer G4 { vec4 g4[]; };
layout(set = 0, STATE_BIND(2), std430) restrict readonly buffer S0 { float s0[]; };
layout(set = 0, STATE_BIND(2), std430) restrict readonly buffer S04 { vec4 s04[]; };

// --- where this workgroup reads and writes --------------------------------------------

uint io_head;  // number of the head of v, over all batches
uint io_k_row; // row of q and k where the head's tokens begin
uint io_v_row; // row of v, beta, g and o

void io_begin(const uint head, const uint batch)
{
    io_head = batch * pc.heads + head;
    io_v_row = io_head * pc.len;
#if STATE_DELTA
    io_k_row = (batch * pc.kv_heads + head / (pc.heads / pc.kv_heads)) * pc.len;
#else
    io_k_row = io_v_row;
#endif
}

// Elements 4c .. 4c+3 of a row of `width` elements; 0 past its end.
#define IO_LOAD4(name, name4, widen, load, row, width, c)                               \
    if (VEC == 4) {                                                                     \
        const vec4 x = widen(name4[(row) * ((width) / 4u) + min(c, (width) / 4u - 1u)]); \
        return 4u * (c) < (width) ? x : vec4(0.0);                                      \
    }                                                                                   \
    vec4 x;                                                                             \
    [[unroll]] for (uint i = 0; i < 4u; i++) {                                          \
        const uint e = 4u * (c) + i;                                                    \
        const float y = load(name[(row) * (width) + min(e, (width) - 1u)]);             \
        x[i] = e < (width) ? y : 0.0;                                                   \
    }                                                                                   \
    return x
#define IO_AS_IS(x) (x)

vec4 io_q(const uint token, const uint c)
{
    IO_LOAD4(q, q4, vkz_load_w4, vkz_load, io_k_row + token, HEAD_DIM, c);
}

vec4 io_k(const uint token, const uint c)
{
    IO_LOAD4(k, k4, vkz_load_w4, vkz_load, io_k_row + token, HEAD_DIM, c);
}

vec4 io_v(const uint token, const uint c)
{
    IO_LOAD4(v, v4, vkz_load_w4, vkz_load, io_v_row + token, V_DIM, c);
}

float io_v1(const uint token, const uint column)
{
    return vkz_load(v[(io_v_row + token) * V_DIM + min(column, V_DIM - 1u)]);
}

// Log decay of the key columns 4c .. 4c+3; vector gates only.
vec4 io_g(const uint token, const uint c)
{
    IO_LOAD4(g, g4, IO_AS_IS, IO_AS_IS, io_v_row + token, HEAD_DIM, c);
}

float io_g1(const uint token)
{
    return GATE == GATE_SCALAR ? g[io_v_row + token] : 0.0;
}

float io_beta(const uint token)
{
#if STATE_DELTA
    return beta[io_v_row + token];
#else
    return 1.0;
#endif
}

// Columns 4j .. 4j+3 of row c of the state before the first token.
vec4 io_s0(const uint c, const uint j)
{
    IO_LOAD4(s0, s04, IO_AS_IS, IO_AS_IS, io_head * HEAD_DIM + c, V_DIM, j);
}

float io_s01(const uint c, const uint column)
{
    return s0[(io_head * HEAD_DIM + c) * V_DIM + min(column, V_DIM - 1u)];
}

// A loop over rows of the state, which moves it from or to memory. ROLL = 1 leaves it a
// loop: a driver that keeps large arrays in memory anyway compiles several times faster
// so. On a GPU it would force them out of registers: 0 there.
#define STATE_ROWS(c, count, body)                                                      \
    if (ROLL != 0) {                                                                    \
        [[dont_unroll]] for (uint c = 0; c < count; c++) {                              \
            body                                                                        \
        }                                                                               \
    } else {                                                                            \
        [[unroll]] for (uint c = 0; c < count; c++) {                                   \
            body                                                                        \
        }                                                                               \
    }

// e^x for x <= 0, with no error but rounding: errors of one sign would add up over tokens.
float io_decay(const float x)
{
    return vkz_exp2_accurate(x * VKZ_LOG2E);
}

vec4 io_decay(const vec4 x)
{
    return vec4(io_decay(x.x), io_decay(x.y), io_decay(x.z), io_decay(x.w));
}

#endif
