// SPDX-License-Identifier: MIT
//
// Attention over the own segment and summaries of the earlier ones; shared-memory tiles
//
//   o_i = softmax over [tau q_i k_j of the own segment, j <= i; tau q_i k̄_r of earlier ones]
//
// Combiner-fixed, arXiv 2107.05768.
//
// Why this one: after one pass that pools every segment, the flash tile walks a list of keys
// that begins with the summaries; they are staged like any key. The baseline for GPUs;
// barriers make it slow on CPU drivers.
//
//! kernel   combiner_attention_twopass
//! op       combiner_attention/1
//! tier     T0
//! bind     0 q  in   T[batch, heads, len, head_dim]
//! bind     1 k  in   T[batch, heads, len, head_dim]
//! bind     2 v  in   T[batch, heads, len, head_dim]
//! bind     3 o  out  T[batch, heads, len, head_dim]
//! scratch  4 kbar f32[batch, heads, ceildiv(len,sg), ceildiv(head_dim,4)*4]
//! scratch  5 vbar f32[batch, heads, ceildiv(len,sg), ceildiv(head_dim,4)*4]
//! push     heads:u32 len:u32 sg:u32 tau:f32
//! spec     0 WG_SIZE u32 128
//! spec     3 ROWS u32 32     // query rows of a workgroup, a multiple of WG_SIZE / ACROSS
//! spec     4 KEYS u32 32     // keys of a tile, a multiple of ACROSS
//! spec     5 EXP u32 5 = is_cpu ? 5 : 0   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ACROSS u32 16   // lanes along keys and columns
//! spec     8 LANES u32 1 = min(next_pow2(ceildiv(head_dim,4)),WG_SIZE)   // lanes that share a token
//! spec     9 SLICE u32 32    // elements of queries and keys staged together
//! spec     10 SLAB u32 32 = min(KEYS,prev_pow2(floordiv((ROWS+KEYS)*(SLICE/4+1),ceildiv(head_dim,4))))   // keys whose values are staged together
//! spec     16 POOL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! shared   max(4*((ROWS+KEYS)*(SLICE+4)+ROWS*(KEYS+4)+ROWS*ACROSS),32*WG_SIZE+16*ceildiv(HEAD_DIM,4)+128*LANES+128)
//! tuning   wide   WG_SIZE=256 ROWS=64 KEYS=64
//! tuning   small  WG_SIZE=64 ROWS=16 KEYS=32
//! pass     summary  groups len/sg batch*heads
//! pass     main     groups len/sg*ceildiv(sg,ROWS) batch*heads
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define COMBINER_TILE
#define COMBINER_ROWS 32
#define COMBINER_KEYS 32
#include "sparse/combiner.glsl"
