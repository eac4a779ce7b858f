// SPDX-License-Identifier: MIT
//
// Attention over chosen blocks, from the blocks' side; a lane owns query rows
//
//   blocks of query i: its own and the top - 1 earlier ones with the largest q_i mean(k);
//   o_i = softmax over the tokens j <= i of those blocks of tau q_i k_j, times v
//
// Mixture of block attention, arXiv 2502.13189.
//
// Why this one: a tile holds queries that chose the same block, each key is read once by a
// subgroup, and nothing crosses lanes. The fastest on CPU drivers. Loses where blocks have
// fewer queries than a tile has rows.
//
//! kernel   moba_attention_lane
//! op       moba_attention/1
//! tier     T1
//! bind     0 q   in   T[batch, heads, len, head_dim]
//! bind     1 k   in   T[batch, heads, len, head_dim]
//! bind     2 v   in   T[batch, heads, len, v_dim]
//! bind     3 sel in   i32[batch, heads, len, top]  when IDX == IDX.given
//! bind     4 idx out  i32[batch, heads, len, top]  when IDX == IDX.compute
//! bind     5 o   out  T[batch, heads, len, v_dim]
//! bind     6 lse out  f32[batch, heads, len]
//! scratch  7 kmean  f32[batch, heads, ceildiv(len,bs), ceildiv(head_dim,4)*4]
//! scratch  8 counts u32[batch, heads, ceildiv(len,bs)]
//! scratch  9 pick   u32[batch, heads, len, max(top-1,1), 2]
//! scratch  10 first u32[batch, heads, ceildiv(len,bs)+1, 2]
//! scratch  11 list  u32[batch, heads, len, max(top-1,1)]
//! scratch  12 part  f32[batch, heads, len, max(top-1,1), ceildiv(v_dim,4)*4]
//! scratch  13 stat  f32[batch, heads, len, max(top-1,1), 2]
//! push     len:u32 bs:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64   // lanes, each owns ROWS rows
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = is_cpu && bs > 2*WG_SIZE ? (head_dim + v_dim <= 160 ? 4 : head_dim + v_dim <= 320 ? 2 : 1) : 1   // query rows a lane
//! spec     4 KEYS u32 4 = ROWS >= 4 ? 2 : 4   // keys a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     8 LANES u32 1 = min(next_pow2(ceildiv(head_dim,4)),WG_SIZE)   // lanes that share a key
//! spec     16 IDX u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! spec     34 TOP u32 2 = top
//! shared   16*WG_SIZE
//! let      tiles ceildiv(len*max(top-1,1),(ROWS*WG_SIZE))+ceildiv(len,bs)
//! pass     mean     groups ceildiv(len,bs) 1 batch*heads
//! pass     gate     groups ceildiv(len,WG_SIZE) 1 batch*heads
//! pass     scan     groups 1 1 batch*heads
//! pass     scatter  groups ceildiv(len,WG_SIZE) 1 batch*heads
//! pass     list     groups min(tiles,32768) ceildiv(tiles,32768) batch*heads
//! pass     own      groups ceildiv(len,bs)*ceildiv(bs,(ROWS*WG_SIZE)) 1 batch*heads
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define MOBA_ROWS 1
#define MOBA_KEYS 4
#include "sparse/moba.glsl"
