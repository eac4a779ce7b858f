// SPDX-License-Identifier: MIT
//
// Softmax attention to lists of tokens, flash form; a lane owns whole heads of a query
//
//   o_i = sum_x p_ix v_x,  p_i = softmax_x(tau q_i k_x),  x in the list of i
//
// DeepSeek-V3.2, arXiv 2512.02556; FlashAttention, arXiv 2205.14135.
//
// Why this one: all heads of a query read one list, so they are the rows of a tile and
// each token's key is fetched once for them, by all lanes together. Nothing crosses lanes
// but that. The fastest on CPU drivers; wants as many heads as a subgroup has lanes.
//
//! kernel   gathered_attention_lane
//! op       gathered_attention/1
//! tier     T1
//! bind     0 q     in   T[batch, heads, q_len, head_dim]
//! bind     1 k     in   T[batch, kv_len, head_dim]
//! bind     2 v     in   T[batch, kv_len, v_dim]  when VALUE == VALUE.own
//! bind     3 idx   in   i32[batch, q_len, top]
//! bind     4 o     out  T[batch, heads, q_len, v_dim]
//! bind     5 lse   out  f32[batch, heads, q_len]  when LSE == LSE.on
//! push     heads:u32 q_len:u32 kv_len:u32 top:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : min(64,next_pow2(max(heads,subgroup_size)))   // lanes, each owns ROWS heads
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = is_cpu ? min(ceildiv(heads,WG_SIZE),head_dim+v_dim<=160?4:head_dim+v_dim<=320?2:1) : 1   // heads a lane
//! spec     4 KEYS u32 4 = ROWS >= 4 ? 2 : 4   // tokens a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     16 VALUE u32 0
//! spec     17 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! pass     main  groups ceildiv(heads,WG_SIZE*ROWS) q_len batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 4;
layout(constant_id = 7) const uint ROLL = 0;

#include "sparse/gathered_io.glsl"
#include "lib/flash.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    // Every subgroup looks at the whole list.
    const ivec2 found = io_walk(gl_SubgroupInvocationID, gl_SubgroupSize);
    io_full = subgroupMin(found.x);
    io_end = subgroupMax(found.y);

    const uint lanes = gl_WorkGroupSize.x;
    const uint begin = gl_WorkGroupID.x * lanes * ROWS;
    const uint end = min(begin + lanes * ROWS, pc.heads);
    const uint first = begin + gl_LocalInvocationID.x;
    const score_map s = attend_map(pc.heads, pc.top, pc.tau);
    flash_lane(s, first, lanes, io_position, io_position);

    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = min(first + r * lanes, end - 1u);
        const bool mine = first + r * lanes < end;
        flash_factor[r] = io_finish(row, mine, flash_m[r], flash_l[r]);
    }
    flash_store_rows(first, lanes, end);
}
