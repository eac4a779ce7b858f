// SPDX-License-Identifier: MIT
//
// Gated linear attention, two tokens at a time; a lane owns columns of the state
//
//   S <- diag(e^g) S + k vᵀ;  o = tau Sᵀ q
//
// GLA, arXiv 2312.06635.
//
// Why this one: the state is read and written once for two tokens, and in whole words;
// nothing is shared. The fastest on CPU drivers. On a GPU a lane's state is too large for
// its registers.
//
//! kernel   gated_linear_attention_update
//! op       gated_linear_attention/1
//! tier     T1
//! bind     0 q     in   T[batch, heads, len, head_dim]
//! bind     1 k     in   T[batch, heads, len, head_dim]
//! bind     2 v     in   T[batch, heads, len, v_dim]
//! bind     3 g     in   f32[batch, heads, len, head_dim]
//! bind     4 s0    in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     5 o     out  T[batch, heads, len, v_dim]
//! bind     6 st    out  f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! push     heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : 16
//! spec     1 HAND u32 4 = min(subgroup_size,8)   // lanes that hand elements round; more compile slowly
//! spec     3 TOKENS u32 1 = is_cpu && len > 1 ? 2 : 1   // tokens for one reading of the state
//! spec     4 WIDE u32 1 = is_cpu && len > 1 && v_dim > 4*WG_SIZE ? 2 : 1   // times four columns a lane
//! spec     15 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     17 INIT u32 0
//! spec     18 FINAL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! pass     main  groups ceildiv(v_dim,4*WG_SIZE*WIDE) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define STATE_DELTA 0
#define STATE_TOKENS
#include "linear/state_lane.glsl"
