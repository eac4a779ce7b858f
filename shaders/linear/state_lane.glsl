// SPDX-License-Identifier: MIT
//
// The body of delta_rule_lane and gated_linear_attention_lane: hooks of lib/chunk.glsl;
// with STATE_TOKENS of gated_linear_attention_update, and of lib/recurrent_lane.glsl
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 4, local_size_x_id = 0) in;
#ifdef STATE_TOKENS
layout(constant_id = 1) const uint HAND = 4;
layout(constant_id = 3) const uint TOKENS = 1;
layout(constant_id = 4) const uint WIDE = 1;
#else
layout(constant_id = 3) const uint CHUNK = 16;
const uint SUBGROUP = gl_WorkGroupSize.x;
#endif

#include "linear/state_io.glsl"

layout(set = 0, STATE_BIND(3), std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, STATE_BIND(3), std430) restrict writeonly buffer O4 { T4 o4[]; };
layout(set = 0, STATE_BIND(4), std430) restrict writeonly buffer St { float st[]; };
layout(set = 0, STATE_BIND(4), std430) restrict writeonly buffer St4 { vec4 st4[]; };

#if STATE_DELTA
#define CHUNK_RULE CHUNK_DELTA
#endif
#define CHUNK_GATE GATE // the same numbers
#define CHUNK_HAS_GATE
#define CHUNK_HAS_GATE4

vec4 chunk_q(const uint token, const uint c)
{
    return io_q(token, c) * pc.tau;
}

vec4 chunk_k(const uint token, const uint c)
{
    return io_k(token, c);
}

float chunk_q_scale(const uint token)
{
    return 1.0;
}

float chunk_k_scale(const uint token)
{
    return 1.0;
}

vec4 chunk_v(const uint token, const uint j)
{
    return io_v(token, j);
}

float chunk_gate(const uint token)
{
    return io_g1(token);
}

vec4 chunk_gate4(const uint token, const uint c)
{
    return io_g(token, c);
}

float chunk_beta(const uint token)
{
    return io_beta(token);
}

void chunk_store(const uint token, const uint j, const vec4 x, const float sum)
{
    const uint at = (io_v_row + token) * V_DIM + 4u * j;
    if (VEC == 4) {
        if (4u * j < V_DIM) {
            o4[at / 4u] = vkz_store4(x);
        }
    } else {
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            if (4u * j + i < V_DIM) {
                o[at + i] = vkz_store(x[i]);
            }
        }
    }
}

vec4 chunk_load_s(const uint row, const uint j)
{
    return io_s0(row, j);
}

void chunk_store_s(const uint row, const uint j, const vec4 x)
{
    const uint at = (io_head * HEAD_DIM + row) * V_DIM + 4u * j;
    if (VEC == 4) {
        if (4u * j < V_DIM) {
            st4[at / 4u] = x;
        }
    } else {
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            if (4u * j + i < V_DIM) {
                st[at + i] = x[i];
            }
        }
    }
}

#ifdef STATE_TOKENS
#include "lib/recurrent_lane.glsl"
#define STATE_WALK chunk_walk(0u, pc.len, j)
#else
#include "lib/chunk.glsl"
#define STATE_WALK chunk_walk(0u, pc.len, j, CHUNK_ALL)
#endif

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint j = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    chunk_begin(j, INIT != 0);
    STATE_WALK;
    if (FINAL != 0) {
        chunk_end(j);
    }
}
