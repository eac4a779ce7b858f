// SPDX-License-Identifier: MIT
//
// Attention over chosen blocks, from the blocks' side; shared-memory tiles
//
//   blocks of query i: its own and the top - 1 earlier ones with the largest q_i mean(k);
//   o_i = softmax over the tokens j <= i of those blocks of tau q_i k_j, times v
//
// Mixture of block attention, arXiv 2502.13189.
//
// Why this one: a tile holds queries that chose the same block, so its keys are read once for
// all of them and no pair is computed in vain. The baseline for GPUs; barriers make it slow
// on CPU drivers.
//
//! kernel   moba_attention_inverted
//! op       moba_attention/1
//! tier     T0
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
//! spec     0 WG_SIZE u32 128
//! spec     3 ROWS u32 32     // query rows of a workgroup, a multiple of WG_SIZE / ACROSS
//! spec     4 KEYS u32 32     // keys of a tile, a multiple of ACROSS
//! spec     5 EXP u32 5 = is_cpu ? 5 : 0   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ACROSS u32 16   // lanes along keys and columns
//! spec     8 LANES u32 1 = min(next_pow2(ceildiv(head_dim,4)),WG_SIZE)   // lanes that share a key
//! spec     9 SLICE u32 32    // elements of queries and keys staged together
//! spec     10 SLAB u32 32 = min(KEYS,prev_pow2(floordiv((ROWS+KEYS)*(SLICE/4+1),ceildiv(v_dim,4))))   // keys whose values are staged together
//! spec     16 IDX u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! spec     34 TOP u32 2 = top
//! shared   max(4*((ROWS+KEYS)*(SLICE+4)+ROWS*(KEYS+4)+ROWS*ACROSS),16*WG_SIZE)
//! tuning   wide   WG_SIZE=256 ROWS=64 KEYS=64
//! tuning   small  WG_SIZE=64 ROWS=16 KEYS=32
//! let      tiles ceildiv(len*max(top-1,1),ROWS)+ceildiv(len,bs)
//! pass     mean     groups ceildiv(len,bs) 1 batch*heads
//! pass     gate     groups ceildiv(len,WG_SIZE) 1 batch*heads
//! pass     scan     groups 1 1 batch*heads
//! pass     scatter  groups ceildiv(len,WG_SIZE) 1 batch*heads
//! pass     list     groups min(tiles,32768) ceildiv(tiles,32768) batch*heads
//! pass     own      groups ceildiv(len,bs)*ceildiv(bs,ROWS) 1 batch*heads
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define MOBA_TILE
#define MOBA_ROWS 32
#define MOBA_KEYS 32
#include "sparse/moba.glsl"
