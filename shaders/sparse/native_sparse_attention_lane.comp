// SPDX-License-Identifier: MIT
//
// Native sparse attention, flash form; a lane owns whole rows
//
//   o = g_0 o_cmp + g_1 o_sel + g_2 o_win: pooled blocks, selected blocks, the near past
//
// Native sparse attention, arXiv 2502.11089; FlashAttention, arXiv 2205.14135.
//
// Why this one: the heads of a group read the same blocks, so they are the rows of a
// tile; the lanes of a subgroup read each key once, together. One pass walks the selected
// blocks, then the window, and adds the gated branches up as it stores. The fastest on
// CPU drivers; wants as many heads a group as a subgroup has lanes.
//
//! kernel   native_sparse_attention_lane
//! op       native_sparse_attention/1
//! tier     T1
//! bind     0 q     in   T[batch, heads, len, head_dim]
//! bind     1 k     in   T[batch, kv_heads, len, head_dim]
//! bind     2 v     in   T[batch, kv_heads, len, v_dim]
//! bind     3 k_cmp in   T[batch, kv_heads, len, head_dim]  when SHARED_KV == SHARED_KV.off
//! bind     4 v_cmp in   T[batch, kv_heads, len, v_dim]  when SHARED_KV == SHARED_KV.off
//! bind     5 k_win in   T[batch, kv_heads, len, head_dim]  when SHARED_KV == SHARED_KV.off
//! bind     6 v_win in   T[batch, kv_heads, len, v_dim]  when SHARED_KV == SHARED_KV.off
//! bind     7 gate  in   f32[batch, heads, len, 3]
//! bind     8 idx   in   i32[batch, kv_heads, len, top]  when IDX == IDX.given
//! bind     9 o     out  T[batch, heads, len, v_dim]
//! scratch  10 mean_k f32[batch, kv_heads, rows, 4*ceildiv(head_dim,4)]
//! scratch  11 mean_v f32[batch, kv_heads, rows, 4*ceildiv(v_dim,4)]
//! scratch  12 part f32[batch, heads, len, 4*ceildiv(v_dim,4)]
//! scratch  13 lse  f32[batch, heads, len]
//! scratch  14 sel  i32[batch, kv_heads, len, top]  when IDX == IDX.compute
//! push     heads:u32 kv_heads:u32 len:u32 lc:u32 st:u32 ls:u32 top:u32 wl:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 32   // lanes, each owns its rows
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = min(ceildiv(heads/kv_heads,WG_SIZE),is_cpu?(head_dim+v_dim<=160?4:2):1)   // heads a lane, pass main
//! spec     4 ROWS_COMPRESS u32 1 = is_cpu ? (head_dim + v_dim <= 160 ? 4 : head_dim + v_dim <= 320 ? 2 : 1) : 1   // queries a lane
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     8 ROWS_SELECT u32 1 = min(heads/kv_heads,is_cpu?(head_dim<=128?4:2):2)   // heads at a time
//! spec     16 SHARED_KV u32 0
//! spec     17 IDX u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! spec     34 BLOCKS u32 16 = max(16,next_pow2(ceildiv(len,ls)))
//! let      rows max(1,(len>=lc?floordiv(len-lc,st)+1:0))
//! let      chunks ceildiv(heads/kv_heads,WG_SIZE*ROWS)
//! when     IDX == IDX.given || BLOCKS*WG_SIZE <= 8192 : its importances must fit into shared memory
//! shared   4*(IDX==1?1:BLOCKS*WG_SIZE)
//! pass     pool      groups ceildiv(rows*(ceildiv(head_dim,4)+ceildiv(v_dim,4)),WG_SIZE) batch*kv_heads
//! pass     compress  groups ceildiv(len,WG_SIZE*ROWS_COMPRESS) heads batch
//! pass     select    groups (IDX==IDX.given?1:ceildiv(len,WG_SIZE)) kv_heads batch
//! pass     main      groups len kv_heads*chunks batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 1) const uint SUBGROUP = 4;
#ifdef PASS_COMPRESS
layout(constant_id = 4) const uint ROWS_COMPRESS = 1;
#define ROWS ROWS_COMPRESS
#elif defined(PASS_SELECT)
layout(constant_id = 8) const uint ROWS_SELECT = 1;
#define ROWS ROWS_SELECT
#else
layout(constant_id = 3) const uint ROWS = 1;
#endif
layout(constant_id = 7) const uint ROLL = 0;
layout(constant_id = 34) const uint BLOCKS = 16;
const uint KEYS = ROWS >= 4 ? 2 : 4;

#include "sparse/native_io.glsl"

#ifdef PASS_SELECT

shared float block_importance[IDX != 0 ? 1 : BLOCKS * gl_WorkGroupSize.x];

#include "sparse/block_importance.glsl"

void main()
{
    if (IDX != 0) {
        return;
    }
    const uint lanes = gl_WorkGroupSize.x;
    // The longest first.
    const uint begin = (gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x) * lanes;
    const uint last = min(begin + lanes, pc.len) - 1u;
    const uint i = min(begin + gl_LocalInvocationID.x, last);
    io_begin(i, gl_WorkGroupID.z * pc.kv_heads + gl_WorkGroupID.y);
    block_rows(io_group(), pooled_visible(i), pooled_visible(last), last / pc.ls + 1u,
               true);
    block_choose(i / pc.ls, pc.top, begin + gl_LocalInvocationID.x <= last);
}

#endif

#if defined(PASS_COMPRESS) || defined(PASS_MAIN)

#include "lib/flash.glsl"

// Rows first, first + lanes .. below `end` of those that `s` counts.
void attend(const score_map s, const uint first, const uint end, const int p_low,
            const int p_high)
{
    const uint lanes = gl_WorkGroupSize.x;
    flash_lane(s, first, lanes, p_low, p_high);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = min(first + r * lanes, end - 1u);
        const bool mine = first + r * lanes < end;
        flash_factor[r] = io_finish(row, mine, flash_m[r], flash_l[r]);
    }
    flash_store_rows(first, lanes, end);
}

#endif

#ifdef PASS_COMPRESS

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint rows = gl_WorkGroupSize.x * ROWS;
    const uint begin = (gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x) * rows;
    const uint end = min(begin + rows, pc.len);
    const score_map s = attend_map(pc.len, pooled_count(), pc.tau);
    attend(s, begin + gl_LocalInvocationID.x, end, flash_row_position(begin), flash_row_position(end - 1u));
}

#endif

#ifdef PASS_MAIN

void main()
{
    const uint i = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x;
    const uint rows = gl_WorkGroupSize.x * ROWS;
    io_begin(i, gl_WorkGroupID.z * pc.kv_heads + gl_WorkGroupID.y % pc.kv_heads);
    const uint begin = gl_WorkGroupID.y / pc.kv_heads * rows;
    const uint end = min(begin + rows, io_group());
    const score_map s = attend_map(io_group(), pc.len, pc.tau);
    [[dont_unroll]] for (io_branch = 0u; io_branch < 2u; io_branch++) {
        attend(s, begin + gl_LocalInvocationID.x, end, io_i, io_i);
    }
}

#endif
