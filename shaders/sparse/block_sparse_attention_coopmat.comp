// SPDX-License-Identifier: MIT
//
// Softmax attention over lists of key tiles; scores and outputs on cooperative matrices
//
//   o_i = sum_j p_ij v_j,  p = softmax_j(tau q_i k_j),  j over the tiles that i's row of
//   tiles lists, masked where a tile is flagged
//
// FlashAttention, arXiv 2205.14135, section 3.3.
//
// Why this one: the tile of attention_coopmat, which walks the listed tiles instead of all
// keys: both products on matrix units. Slow where a driver only imitates them.
//
//! kernel   block_sparse_attention_coopmat
//! op       block_sparse_attention/1
//! tier     T2
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
//! spec     3 WARPS u32 4 = is_cpu ? 2 : min(max(head_dim,v_dim) <= 128 ? 4 : 2,max(1,floordiv(br,max(1,CM_M))))   // subgroups, CM_M query rows each
//! spec     0 WG_SIZE u32 128 = WARPS*subgroup_size
//! spec     4 KEYS u32 32 = bc <= 16 ? 16 : 32   // keys of a tile, a multiple of CM_N and CM_K
//! spec     5 EXP u32 5 = is_cpu ? 5 : 0   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: outputs in shared memory, loops stay loops
//! spec     16 MASK u32 0
//! spec     20 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! spec     34 CM_M u32 16 = CM_M
//! spec     35 CM_N u32 16 = CM_N
//! spec     36 CM_K u32 16 = CM_K
//! let      q_pitch ceildiv(ceildiv(HEAD_DIM,CM_K)*CM_K,4)+2
//! let      pitch max(q_pitch,ceildiv(ceildiv(V_DIM,CM_N)*CM_N,4)+2)
//! let      tile_rows WARPS*CM_M
//! shared   8*(tile_rows*q_pitch+KEYS*pitch)+tile_rows*(4*(max(KEYS,CM_N)+4)+2*(KEYS+8)+12)+12+4*(ROLL!=0?tile_rows*ceildiv(V_DIM,CM_N)*CM_N:1)
//! tuning   wide   KEYS=64
//! tuning   narrow WARPS=2
//! pass     main  groups ceildiv(q_len,br)*ceildiv(br,WARPS*CM_M) heads batch
//! variant  f16  T=f16 coopmat=f16,f16,f32,f32
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require

#include "sparse/block_rows.glsl"
#include "attention/coopmat.glsl"

void main()
{
    const uvec2 rows = block_rows(ROWS);
    if (rows.x < rows.y) {
        coopmat_rows(io_score_map(), rows.x, rows.y);
    }
}
