// SPDX-License-Identifier: MIT
//
// Softmax attention to pooled blocks, flash form; a lane owns whole query rows
//
//   o_i = sum_c p_ic v_c,  p_i = softmax_c(tau q_i k_c),  blocks c that end at i or before
//
// Native sparse attention, arXiv 2502.11089; FlashAttention, arXiv 2205.14135.
//
// Why this one: it is attention_lane with a staircase for a mask. No row is reduced
// across lanes; the lanes of a subgroup read each pooled key once, together. The fastest
// on CPU drivers.
//
//! kernel   compressed_attention_lane
//! op       compressed_attention/1
//! tier     T1
//! bind     0 q     in   T[batch, heads, len, head_dim]
//! bind     1 k     in   T[batch, kv_heads, len, head_dim]  when PHI == PHI.mean
//! bind     2 v     in   T[batch, kv_heads, len, v_dim]  when PHI == PHI.mean
//! bind     3 kc    in   T[batch, kv_heads, max(1,(len>=lc?floordiv(len-lc,st)+1:0)), head_dim]  when PHI == PHI.given
//! bind     4 vc    in   T[batch, kv_heads, max(1,(len>=lc?floordiv(len-lc,st)+1:0)), v_dim]  when PHI == PHI.given
//! bind     5 o     out  T[batch, heads, len, v_dim]
//! bind     6 lse   out  f32[batch, heads, len]  when LSE == LSE.on
//! scratch  7 mean_k f32[batch, kv_heads, rows, 4*ceildiv(head_dim,4)]  when PHI == PHI.mean
//! scratch  8 mean_v f32[batch, kv_heads, rows, 4*ceildiv(v_dim,4)]  when PHI == PHI.mean
//! push     heads:u32 kv_heads:u32 len:u32 lc:u32 st:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64   // lanes, each owns ROWS rows
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = is_cpu ? (head_dim + v_dim <= 160 ? 4 : head_dim + v_dim <= 320 ? 2 : 1) : 1   // query rows a lane
//! spec     4 KEYS u32 4 = ROWS >= 4 ? 2 : 4   // keys a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     16 PHI u32 0
//! spec     17 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! let      rows max(1,(len>=lc?floordiv(len-lc,st)+1:0))
//! pass     pool  groups (PHI==PHI.mean?ceildiv(rows*(ceildiv(head_dim,4)+ceildiv(v_dim,4)),WG_SIZE):1) batch*kv_heads
//! pass     main  groups ceildiv(len,WG_SIZE*ROWS) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 4;
layout(constant_id = 7) const uint ROLL = 0;

#include "sparse/compressed_io.glsl"

#ifdef PASS_POOL

void main()
{
    pool_main();
}

#else

#include "lib/flash.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    // The last rows see the most keys: start with them.
    const uint block = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x;
    const uint lanes = gl_WorkGroupSize.x;
    const uint begin = block * lanes * ROWS;
    const uint end = min(begin + lanes * ROWS, pc.len);
    const uint first = begin + gl_LocalInvocationID.x;
    const score_map s = attend_map(pc.len, pooled_count(), pc.tau);
    flash_lane(s, first, lanes, flash_row_position(begin), flash_row_position(end - 1u));

    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = min(first + r * lanes, end - 1u);
        const bool mine = first + r * lanes < end;
        flash_factor[r] = io_finish(row, mine, flash_m[r], flash_l[r]);
    }
    flash_store_rows(first, lanes, end);
}

#endif
