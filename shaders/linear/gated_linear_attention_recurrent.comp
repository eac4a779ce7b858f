// SPDX-License-Identifier: MIT
//
// Gated linear attention, token by token; a lane owns columns of the state
//
//   S <- diag(e^g) S + k vᵀ;  o = tau Sᵀ q
//
// GLA, arXiv 2312.06635.
//
// Why this one: the least work, 4 head_dim v_dim a token, and the state is read and
// written once: best for decoding, for few tokens, and on CPU drivers. On a GPU its tokens
// follow one another, so it loses once there are more than a few dozen of them and few
// heads.
//
//! kernel   gated_linear_attention_recurrent
//! op       gated_linear_attention/1
//! tier     T0
//! bind     0 q     in   T[batch, heads, len, head_dim]
//! bind     1 k     in   T[batch, heads, len, head_dim]
//! bind     2 v     in   T[batch, heads, len, v_dim]
//! bind     3 g     in   f32[batch, heads, len, head_dim]
//! bind     4 s0    in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     5 o     out  T[batch, heads, len, v_dim]
//! bind     6 st    out  f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! push     heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 COLS u32 1 = is_cpu ? 4 : 1   // columns a lane
//! spec     4 STEP u32 4 = max(1,min(16,ceildiv(1281-head_dim,head_dim)-1))   // tokens staged at a time
//! spec     5 ROLL u32 0 = is_cpu   // 1: the state lives in memory, see STATE_ROWS
//! spec     15 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     17 INIT u32 0
//! spec     18 FINAL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   16*3*(STEP+1)*ceildiv(HEAD_DIM,4)
//! pass     main  groups ceildiv(v_dim,WG_SIZE*COLS) heads batch
//! variant  f32  T=f32
//! variant  f32_shuffle T=f32 SHUFFLE=1 tier=T1
//! variant  f16  T=f16 SHUFFLE=1 tier=T1
//! variant  bf16 T=bf16 SHUFFLE=1 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#define STATE_DELTA 0
#include "linear/state_recurrent.glsl"
