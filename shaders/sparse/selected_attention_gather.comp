// SPDX-License-Identifier: MIT
//
// Attention to selected blocks: the heads of a group at one token, tiles in shared memory
//
//   o_i = sum_j p_ij v_j,  p = softmax_j(tau q_i k_j),  j <= i in the blocks of idx
//
// Native sparse attention, arXiv 2502.11089.
//
// Why this one: the heads of a group select alike, so a block's keys are read once for all
// of them. The baseline for GPUs, best where a group fills the tile's rows; barriers make it
// slow on CPU drivers.
//
//! kernel   selected_attention_gather
//! op       selected_attention/1
//! tier     T0
//! bind     0 q    in   T[batch, heads, len, head_dim]
//! bind     1 k    in   T[batch, kv_heads, len, head_dim]
//! bind     2 v    in   T[batch, kv_heads, len, v_dim]
//! bind     3 idx  in   i32[batch, kv_heads, len, top]
//! bind     4 o    out  T[batch, heads, len, v_dim]
//! bind     5 lse  out  f32[batch, heads, len]
//! push     heads:u32 kv_heads:u32 len:i32 tau:f32 ls:i32 top:u32
//! spec     0 WG_SIZE u32 64
//! spec     7 ACROSS u32 16   // lanes along keys and columns
//! spec     3 ROWS u32 16 = min(32,ceildiv(heads/kv_heads,WG_SIZE/ACROSS)*WG_SIZE/ACROSS)   // heads of a workgroup, a multiple of WG_SIZE / ACROSS
//! spec     4 KEYS u32 32 = ls <= 16 ? 16 : 32    // keys of a tile, a multiple of ACROSS
//! spec     5 EXP u32 5 = is_cpu ? 5 : 0   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     8 SLICE u32 32    // elements of queries and keys staged together
//! spec     9 SLAB u32 16 = min(KEYS,prev_pow2(floordiv((ROWS+KEYS)*(SLICE/4+1),ceildiv(v_dim,4))))   // keys whose values are staged together
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   4*((ROWS+KEYS)*(SLICE+4)+ROWS*(KEYS+4)+ROWS*ACROSS)
//! tuning   wide   SLICE=64 KEYS=64
//! pass     main  groups min(len,32768) kv_heads*ceildiv(heads/kv_heads,ROWS) batch*ceildiv(len,32768)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "sparse/selected_rows.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(constant_id = 3) const uint ROWS = 16;
layout(constant_id = 4) const uint KEYS = 32;
layout(constant_id = 7) const uint ACROSS = 16;
layout(constant_id = 8) const uint SLICE = 32;
layout(constant_id = 9) const uint SLAB = 16;

shared vec4 flash_stage[(ROWS + KEYS) * (SLICE / 4u + 1u)];
shared float flash_w[ROWS * (KEYS + 4u)];
shared float flash_top[ROWS * ACROSS];

float flash_finish(const uint row, const bool store, const float m, const float l)
{
    return selected_finish(row, store, m, l);
}

#include "lib/flash_tile.glsl"

void main()
{
    const uvec2 rows = selected_rows(ROWS);
    if (rows.x < rows.y) {
        flash_tile(selected_map(), rows.x, rows.y, 0, 0);
    }
}
