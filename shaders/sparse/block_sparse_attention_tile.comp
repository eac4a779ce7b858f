// SPDX-License-Identifier: MIT
//
// Softmax attention over lists of key tiles, flash form; a tile through shared memory
//
//   o_i = sum_j p_ij v_j,  p = softmax_j(tau q_i k_j),  j over the tiles that i's row of
//   tiles lists, masked where a tile is flagged
//
// FlashAttention, arXiv 2205.14135, section 3.3.
//
// Why this one: the tile of attention_tile, which walks the listed tiles instead of all
// keys. The baseline for GPUs; barriers make it slow on CPU drivers.
//
//! kernel   block_sparse_attention_tile
//! op       block_sparse_attention/1
//! tier     T0
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
//! spec     0 WG_SIZE u32 128
//! spec     3 ROWS u32 32 = br <= 16 ? 16 : 32   // query rows of a workgroup, a multiple of WG_SIZE / ACROSS
//! spec     4 KEYS u32 32 = bc <= 16 ? 16 : 32   // keys of a tile, a multiple of ACROSS
//! spec     5 EXP u32 5 = is_cpu ? 5 : 0   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ACROSS u32 16   // lanes along keys and columns
//! spec     8 SLICE u32 32    // elements of queries and keys staged together
//! spec     9 SLAB u32 32 = min(KEYS,prev_pow2(floordiv((ROWS+KEYS)*(SLICE/4+1),ceildiv(v_dim,4))))   // keys whose values are staged together
//! spec     16 MASK u32 0
//! spec     20 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   4*((ROWS+KEYS)*(SLICE+4)+ROWS*(KEYS+4)+ROWS*ACROSS)
//! tuning   wide   WG_SIZE=256 ROWS=64 KEYS=64
//! tuning   tall   WG_SIZE=128 ROWS=64 KEYS=32
//! tuning   small  WG_SIZE=64 ROWS=16 KEYS=32
//! pass     main  groups ceildiv(q_len,br)*ceildiv(br,ROWS) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "sparse/block_rows.glsl"

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(constant_id = 3) const uint ROWS = 32;
layout(constant_id = 4) const uint KEYS = 32;
layout(constant_id = 7) const uint ACROSS = 16;
layout(constant_id = 8) const uint SLICE = 32;
layout(constant_id = 9) const uint SLAB = 32;

#include "attention/hooks.glsl"

shared vec4 flash_stage[(ROWS + KEYS) * (SLICE / 4u + 1u)];
shared float flash_w[ROWS * (KEYS + 4u)];
shared float flash_top[ROWS * ACROSS];

score_map tile_map;

float flash_finish(const uint row, const bool store, const float m, const float l)
{
    return io_finish_row(tile_map, row, store, m, l);
}

#include "lib/flash_tile.glsl"

void main()
{
    const uvec2 rows = block_rows(ROWS);
    if (rows.x < rows.y) {
        const int delta = pc.kv_len - pc.q_len;
        tile_map = io_score_map();
        flash_tile(tile_map, rows.x, rows.y, int(rows.x) + delta,
                   int(rows.y) - 1 + delta);
    }
}
