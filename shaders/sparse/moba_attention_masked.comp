// SPDX-License-Identifier: MIT
//
// Attention over chosen blocks; all keys are walked and what was not chosen is hidden
//
//   blocks of query i: its own and the top - 1 earlier ones with the largest q_i mean(k);
//   o_i = softmax over the tokens j <= i of those blocks of tau q_i k_j, times v
//
// Mixture of block attention, arXiv 2502.13189.
//
// Why this one: the plain form, one tile loop with a mask; its cost is that of causal
// attention, whatever is chosen. What the inverted kernels are measured against.
//
//! kernel   moba_attention_masked
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
//! baseline
//! pass     mean     groups ceildiv(len,bs) 1 batch*heads
//! pass     gate     groups ceildiv(len,WG_SIZE) 1 batch*heads
//! pass     main     groups ceildiv(len,ROWS) 1 batch*heads
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
