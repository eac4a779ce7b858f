// SPDX-License-Identifier: MIT
//
// Attention to selected blocks: the heads of a group at one token, a lane owns heads
//
//   o_i = sum_j p_ij v_j,  p = softmax_j(tau q_i k_j),  j <= i in the blocks of idx
//
// Native sparse attention, arXiv 2502.11089.
//
// Why this one: no barrier and no shared memory, and each key is read once for the group.
// The fastest on CPU drivers. Lanes beyond the group's heads are idle.
//
//! kernel   selected_attention_lane
//! op       selected_attention/1
//! tier     T1
//! bind     0 q    in   T[batch, heads, len, head_dim]
//! bind     1 k    in   T[batch, kv_heads, len, head_dim]
//! bind     2 v    in   T[batch, kv_heads, len, v_dim]
//! bind     3 idx  in   i32[batch, kv_heads, len, top]
//! bind     4 o    out  T[batch, heads, len, v_dim]
//! bind     5 lse  out  f32[batch, heads, len]
//! push     heads:u32 kv_heads:u32 len:i32 tau:f32 ls:i32 top:u32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : max(subgroup_size,min(64,next_pow2(heads/kv_heads)))   // lanes, each owns ROWS heads
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = is_cpu ? min(head_dim+v_dim <= 160 ? 4 : head_dim+v_dim <= 320 ? 2 : 1,ceildiv(heads/kv_heads,WG_SIZE)) : 1   // heads a lane
//! spec     4 KEYS u32 4 = ROWS >= 4 ? 2 : 4   // keys a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! pass     main  groups min(len,32768) kv_heads*ceildiv(heads/kv_heads,WG_SIZE*ROWS) batch*ceildiv(len,32768)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "sparse/selected_rows.glsl"

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 4;
layout(constant_id = 7) const uint ROLL = 0;

#include "lib/flash.glsl"

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uvec2 rows = selected_rows(lanes * ROWS);
    if (rows.x >= rows.y) {
        return; // all lanes together, and there is no barrier
    }
    const uint first = rows.x + gl_LocalInvocationID.x;
    flash_lane(selected_map(), first, lanes, 0, 0);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = min(first + r * lanes, rows.y - 1u);
        const bool mine = first + r * lanes < rows.y;
        flash_factor[r] = selected_finish(row, mine, flash_m[r], flash_l[r]);
    }
    flash_store_rows(first, lanes, rows.y);
}
