// SPDX-License-Identifier: MIT
//
// Delta rule by chunks; a lane owns four columns of the state, see lib/chunk.glsl
//
//   S <- e^g S;  S <- S + beta k (v - Sᵀ k);  o = tau Sᵀ q, CHUNK tokens at a time: the
//   triangular system inside a chunk, then the state
//
// DeltaNet, arXiv 2406.06484; Gated DeltaNet, arXiv 2412.06464.
//
// Why this one: the state is read and written once a chunk instead of once a token, and
// nothing is kept in memory between chunks. For few columns of wide heads; the chunks of
// a head follow one another.
//
//! kernel   delta_rule_lane
//! op       delta_rule/1
//! tier     T1
//! bind     0 q     in   T[batch, kv_heads, len, head_dim]
//! bind     1 k     in   T[batch, kv_heads, len, head_dim]
//! bind     2 v     in   T[batch, heads, len, v_dim]
//! bind     3 beta  in   f32[batch, heads, len]
//! bind     4 g     in   f32[batch, heads, len, GATE == GATE.vector ? head_dim : 1]  when GATE != GATE.none
//! bind     5 s0    in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     6 o     out  T[batch, heads, len, v_dim]
//! bind     7 st    out  f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! push     heads:u32 kv_heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // one subgroup
//! spec     3 CHUNK u32 16 = max(16,WG_SIZE)   // tokens a chunk, a multiple of WG_SIZE
//! spec     15 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 GATE u32 0
//! spec     17 INIT u32 0
//! spec     18 FINAL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! tuning   chunk8   CHUNK=8
//! pass     main  groups ceildiv(v_dim,4*WG_SIZE) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define STATE_DELTA 1
#include "linear/state_lane.glsl"
