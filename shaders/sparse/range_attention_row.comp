// SPDX-License-Identifier: MIT
//
// Attention over a range of keys of each query's own; a workgroup takes a few queries
//
//   o_i = sum_j p_ij v_j,  p_i = softmax over lo_i <= j < hi_i of tau q_i k_j
//
// Local and segmental monotonic attention, arXiv 2103.16710.
//
// Why this one: ranges are short, so lanes share keys and not queries; neighbouring queries
// walk the union of their ranges together and read each key once. ROWS=1 where neighbours'
// ranges have little in common.
//
//! kernel   range_attention_row
//! op       range_attention/1
//! tier     T0
//! bind     0 q  in   T[batch, heads, q_len, head_dim]
//! bind     1 k  in   T[batch, kv_heads, kv_len, head_dim]
//! bind     2 v  in   T[batch, kv_heads, kv_len, v_dim]
//! bind     3 lo in   i32[batch, q_len]
//! bind     4 hi in   i32[batch, q_len]
//! bind     5 o  out  T[batch, heads, q_len, v_dim]
//! push     heads:u32 kv_heads:u32 q_len:i32 kv_len:i32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64
//! spec     3 ROWS u32 1 = head_dim + v_dim <= 256 ? 4 : 2   // queries of a workgroup
//! spec     4 KEYS u32 4 = is_cpu && ROWS >= 4 ? 8 : 4   // keys that a group of lanes takes a step
//! spec     5 EXP u32 5   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     8 LANES u32 1 = min(next_pow2(ceildiv(max(head_dim,v_dim),4)),subgroup_size)   // lanes that share a key
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   4*(WG_SIZE*ROWS*max(KEYS,2)+WG_SIZE/LANES*V_DIM)
//! tuning   single  ROWS=1
//! tuning   pairs   ROWS=2
//! pass     main  groups ceildiv(q_len,ROWS) heads batch
//! variant  f32  T=f32
//! variant  f32_shuffle T=f32 SHUFFLE=1 tier=T1
//! variant  f16  T=f16 SHUFFLE=1 tier=T1
//! variant  bf16 T=bf16 SHUFFLE=1 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SHUFFLE
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define FLASH_SHUFFLE
#endif

#include "sparse/wide.glsl"

layout(local_size_x = 32, local_size_x_id = 0) in;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 4;
layout(constant_id = 5) const uint EXP = 5;
layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 7) const uint ROLL = 0;
layout(constant_id = 8) const uint LANES = 1;
layout(constant_id = 32) const uint HEAD_DIM = 64;
layout(constant_id = 33) const uint V_DIM = 64;
const uint MASK = 2; // a window at the range's first key

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { W4 k4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { W4 v4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Lo { int lo[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Hi { int hi[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer O { T o[]; };

layout(push_constant, std430) uniform Push {
    uint heads, kv_heads;
    int q_len, kv_len;
    float tau;
} pc;

#include "sparse/plain_score.glsl"

shared float flash_share[gl_WorkGroupSize.x * ROWS * (KEYS > 1u ? KEYS : 2u)];
shared float flash_out[gl_WorkGroupSize.x / LANES * V_DIM];

uint q_row; // row of q and o where the head's queries begin
uint k_row; // row of k and v where the KV head's keys begin

vec4 flash_q(const uint row, const uint c)
{
    WIDE_LOAD4(q, q_row + row, HEAD_DIM, c);
}

vec4 flash_k(const uint key, const uint c)
{
    WIDE_LOAD4(k, k_row + key, HEAD_DIM, c);
}

vec4 flash_v(const uint key, const uint c)
{
    WIDE_LOAD4(v, k_row + key, V_DIM, c);
}

#include "sparse/flash_keys_finish.glsl"

void main()
{
    const uint head = gl_WorkGroupID.y;
    const uint batch = gl_WorkGroupID.z;
    q_row = (batch * pc.heads + head) * uint(pc.q_len);
    k_row = (batch * pc.kv_heads + head / (pc.heads / pc.kv_heads)) * uint(pc.kv_len);
    const uint first = gl_WorkGroupID.x * ROWS;
    const uint end = uint(pc.q_len);

    ivec2 keys = ivec2(pc.kv_len, 0);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint at = batch * end + min(first + r, end - 1u);
        const int low = max(lo[at], 0);
        const int high = min(hi[at], pc.kv_len);
        flash_map[r] = plain_score_map(end, uint(pc.kv_len), pc.tau);
        // Keys position .. position + wr. An empty range stands where no key is.
        flash_map[r].wl = 0;
        flash_map[r].wr = max(high - low - 1, 0);
        flash_position[r] = low < high ? low : pc.kv_len;
        if (low < high) {
            keys = ivec2(min(keys.x, low), max(keys.y, high));
        }
    }
    flash_keys(first, end, keys);
}
