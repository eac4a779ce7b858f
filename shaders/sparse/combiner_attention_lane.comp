// SPDX-License-Identifier: MIT
//
// Attention over the own segment and summaries of the earlier ones; a lane owns rows
//
//   o_i = softmax over [tau q_i k_j of the own segment, j <= i; tau q_i k̄_r of earlier ones]
//
// Combiner-fixed, arXiv 2107.05768.
//
// Why this one: no barrier and no reduction across lanes in the attention pass, each key is
// read once by a subgroup. The fastest on CPU drivers. Loses where segments are shorter than
// the rows of a workgroup.
//
//! kernel   combiner_attention_lane
//! op       combiner_attention/1
//! tier     T1
//! bind     0 q  in   T[batch, heads, len, head_dim]
//! bind     1 k  in   T[batch, heads, len, head_dim]
//! bind     2 v  in   T[batch, heads, len, head_dim]
//! bind     3 o  out  T[batch, heads, len, head_dim]
//! scratch  4 kbar f32[batch, heads, ceildiv(len,sg), ceildiv(head_dim,4)*4]
//! scratch  5 vbar f32[batch, heads, ceildiv(len,sg), ceildiv(head_dim,4)*4]
//! push     heads:u32 len:u32 sg:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64   // lanes, each owns ROWS rows
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = is_cpu && sg > 2*WG_SIZE ? (head_dim <= 80 ? 4 : head_dim <= 160 ? 2 : 1) : 1   // query rows a lane
//! spec     4 KEYS u32 4 = ROWS >= 4 ? 2 : 4   // keys a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     8 LANES u32 1 = min(next_pow2(ceildiv(head_dim,4)),SUBGROUP)   // lanes that share a token
//! spec     16 POOL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! pass     summary  groups ceildiv(len/sg,WG_SIZE/LANES) batch*heads
//! pass     main     groups len/sg*ceildiv(sg,ROWS*WG_SIZE) batch*heads
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define COMBINER_ROWS 1
#define COMBINER_KEYS 4
#include "sparse/combiner.glsl"
