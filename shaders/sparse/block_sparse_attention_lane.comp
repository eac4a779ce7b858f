// SPDX-License-Identifier: MIT
//
// Softmax attention over lists of key tiles, flash form; a lane owns whole query rows
//
//   o_i = sum_j p_ij v_j,  p = softmax_j(tau q_i k_j),  j over the tiles that i's row of
//   tiles lists, masked where a tile is flagged
//
// FlashAttention, arXiv 2205.14135, section 3.3.
//
// Why this one: the tile of attention_lane, which walks the listed tiles instead of all
// keys, so that time goes with the listed pairs. The fastest on CPU drivers.
//
//! kernel   block_sparse_attention_lane
//! op       block_sparse_attention/1
//! tier     T1
//! bind     0 q     in   T[batch, heads, q_len, head_dim]
//! bind     1 k     in   T[batch, kv_heads, kv_len, head_dim]
//! bind     2 v     in   T[batch, kv_heads, kv_len, v_dim]
//! bind     3 start in   i32[list_batch, list_heads, ceildiv(q_len, br) + 1]
//! bind     4 cols  in   i32[nnz]
//! bind     5 flags in   u32[nnz]
//! bind     6 seg   in   i32[batch, kv_len]  when MASK == MASK.doc
//! bind     7 o     out  T[batch, heads, q_len, v_dim]
//! bind     8 lse   out  f32[batch, heads, q_len]  when LSE == LSE.on
//! push     heads:u32 kv_heads:u32 q_len:i32 kv_len:i32 wl:i32 wr:i32 np:i32 tau:f32
//! push     br:u32 bc:u32 list_batch:u32 list_heads:u32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : min(64,max(subgroup_size,next_pow2(br)))   // lanes, each owns ROWS rows
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = is_cpu ? max(1,min(prev_pow2(max(1,floordiv(br,WG_SIZE))),head_dim+v_dim <= 160 ? 4 : head_dim+v_dim <= 320 ? 2 : 1)) : 1   // query rows a lane
//! spec     4 KEYS u32 4 = ROWS >= 4 ? 2 : 4   // keys a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     16 MASK u32 0
//! spec     20 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! pass     main  groups ceildiv(q_len,br)*ceildiv(br,WG_SIZE*ROWS) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "sparse/block_rows.glsl"

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 4;
layout(constant_id = 7) const uint ROLL = 0;

#include "attention/hooks.glsl"
#include "lib/flash.glsl"

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uvec2 rows = block_rows(lanes * ROWS);
    if (rows.x < rows.y) {
        const int delta = pc.kv_len - pc.q_len;
        const uint first = rows.x + gl_LocalInvocationID.x;
        const score_map s = io_score_map();
        flash_lane(s, first, lanes, int(rows.x) + delta, int(rows.y) - 1 + delta);
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const uint row = min(first + r * lanes, rows.y - 1u);
            const bool mine = first + r * lanes < rows.y;
            flash_factor[r] = io_finish_row(s, row, mine, flash_m[r], flash_l[r]);
        }
        flash_store_rows(first, lanes, rows.y);
    }
}
