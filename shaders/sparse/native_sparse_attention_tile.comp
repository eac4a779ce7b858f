// SPDX-License-Identifier: MIT
//
// Native sparse attention, flash form; tiles of rows and keys in shared memory
//
//   o = g_0 o_cmp + g_1 o_sel + g_2 o_win: pooled blocks, selected blocks, the near past
//
// Native sparse attention, arXiv 2502.11089; FlashAttention, arXiv 2205.14135.
//
// Why this one: the heads of a group read the same blocks, so a block is gathered once
// into shared memory for all of them. One pass walks the selected blocks, then the
// window, and adds the gated branches up as it stores. The baseline for GPUs; small
// groups leave rows of the tile empty.
//
//! kernel   native_sparse_attention_tile
//! op       native_sparse_attention/1
//! tier     T0
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
//! spec     0 WG_SIZE u32 64
//! spec     3 ROWS u32 16 = heads/kv_heads <= 16 ? 16 : 32   // rows of a workgroup, a multiple of WG_SIZE / ACROSS
//! spec     4 KEYS u32 32     // keys of a tile, a multiple of ACROSS
//! spec     5 EXP u32 5 = is_cpu ? 5 : 0   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ACROSS u32 16   // lanes along keys and columns
//! spec     8 SLICE u32 32    // elements of queries and keys staged together
//! spec     9 SLAB u32 16 = min(KEYS,prev_pow2(floordiv((ROWS+KEYS)*(SLICE/4+1),ceildiv(v_dim,4))))   // keys whose values are staged together
//! spec     10 HEADS u32 4 = min(heads/kv_heads,8)   // query heads at a time, pass select
//! spec     16 SHARED_KV u32 0
//! spec     17 IDX u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! spec     34 BLOCKS u32 16 = max(16,next_pow2(ceildiv(len,ls)))
//! let      rows max(1,(len>=lc?floordiv(len-lc,st)+1:0))
//! let      chunks ceildiv(heads/kv_heads,ROWS)
//! shared   max(4*((ROWS+KEYS)*(SLICE+4)+ROWS*(KEYS+4)+ROWS*ACROSS),4*(HEADS*4*ceildiv(HEAD_DIM,4)+2*HEADS*WG_SIZE+2*BLOCKS))
//! pass     pool      groups ceildiv(rows*(ceildiv(head_dim,4)+ceildiv(v_dim,4)),WG_SIZE) batch*kv_heads
//! pass     compress  groups ceildiv(len,ROWS) heads batch
//! pass     select    groups (IDX==IDX.given?1:len) kv_heads batch
//! pass     main      groups len kv_heads*chunks batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(constant_id = 3) const uint ROWS = 16;
layout(constant_id = 4) const uint KEYS = 32;
layout(constant_id = 7) const uint ACROSS = 16;
layout(constant_id = 8) const uint SLICE = 32;
layout(constant_id = 9) const uint SLAB = 16;
layout(constant_id = 10) const uint HEADS = 4;
layout(constant_id = 34) const uint BLOCKS = 16;

#include "sparse/native_io.glsl"

#ifdef PASS_SELECT

#include "sparse/block_group.glsl"

void main()
{
    if (IDX != 0) {
        return; // the whole workgroup
    }
    const uint i = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x;
    io_begin(i, gl_WorkGroupID.z * pc.kv_heads + gl_WorkGroupID.y);
    block_group(io_group(), pooled_visible(i), i / pc.ls, pc.top, true);
}

#endif

#if defined(PASS_COMPRESS) || defined(PASS_MAIN)

shared vec4 flash_stage[(ROWS + KEYS) * (SLICE / 4u + 1u)];
shared float flash_w[ROWS * (KEYS + 4u)];
shared float flash_top[ROWS * ACROSS];

float flash_finish(const uint row, const bool store, const float m, const float l)
{
    return io_finish(row, store, m, l);
}

#include "lib/flash_tile.glsl"

#endif

#ifdef PASS_COMPRESS

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint begin = (gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x) * ROWS;
    const uint end = min(begin + ROWS, pc.len);
    flash_tile(attend_map(pc.len, pooled_count(), pc.tau), begin, end,
               flash_row_position(begin), flash_row_position(end - 1u));
}

#endif

#ifdef PASS_MAIN

void main()
{
    const uint i = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x;
    io_begin(i, gl_WorkGroupID.z * pc.kv_heads + gl_WorkGroupID.y % pc.kv_heads);
    const score_map s = attend_map(io_group(), pc.len, pc.tau);
    [[dont_unroll]] for (io_branch = 0u; io_branch < 2u; io_branch++) {
        flash_tile(s, gl_WorkGroupID.y / pc.kv_heads * ROWS, io_group(), io_i, io_i);
        barrier(); // shared memory has been read
    }
}

#endif
