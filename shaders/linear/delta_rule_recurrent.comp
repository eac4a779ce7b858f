// SPDX-License-Identifier: MIT
//
// Delta rule, token by token; a lane owns columns of the state
//
//   S <- e^g S;  S <- S + beta k (v - Sᵀ k);  o = tau Sᵀ q
//
// DeltaNet, arXiv 2406.06484; Gated DeltaNet, arXiv 2412.06464.
//
// Why this one: the least work, 7 head_dim v_dim a token, and the state is read and
// written once: best for decoding, for few tokens, and on CPU drivers. On a GPU its tokens
// follow one another, so it loses once there are more than a few dozen of them and few
// heads.
//
//! kernel   delta_rule_recurrent
//! op       delta_rule/1
//! tier     T0
//! bind     0 q     in   T[batch, kv_heads, len, head_dim]
//! bind     1 k     in   T[batch, kv_heads, len, head_dim]
//! bind     2 v     in   T[batch, heads, len, v_dim]
//! bind     3 beta  in   f32[batch, heads, len]
//! bind     4 g     in   f32[batch, heads, len, GATE == GATE.vector ? head_dim : 1]  when GATE != GATE.none
//! bind     5 s0    in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     6 o     out  T[batch, heads, len, v_dim]
//! bind     7 st    out  f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! push     heads:u32 kv_heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 COLS u32 1 = is_cpu ? 4 : 1   // columns a lane
//! spec     4 STEP u32 4 = max(1,min(16,ceildiv(1281-head_dim,head_dim)-1))   // tokens staged at a time
//! spec     5 ROLL u32 0 = is_cpu   // 1: the state lives in memory, see STATE_ROWS
//! spec     15 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 GATE u32 0
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

#define STATE_DELTA 1
#include "linear/state_recurrent.glsl"
