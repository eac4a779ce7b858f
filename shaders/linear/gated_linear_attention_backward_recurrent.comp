// SPDX-License-Identifier: MIT
//
// Gradients of gated linear attention, token by token; no state is kept for later
//
//   dS += tau q ⊗ do;  dq = tau S do;  dk = dS v;  dv = dSᵀ k
//   dg = e^g ∘ rowsum(dS ∘ S_before);  dS <- diag(e^g) dS
//
// GLA, arXiv 2312.06635.
//
// Why this one: three walks over the tokens compute each sum once, in the lane that owns
// it, and keep no more than a state a SPAN of tokens. Best on CPU drivers. On a GPU the
// tokens of a head follow one another, which leaves it idle unless there are many heads.
//
//! kernel   gated_linear_attention_backward_recurrent
//! op       gated_linear_attention_backward/1
//! tier     T0
//! bind     0 q     in   T[batch, heads, len, head_dim]
//! bind     1 k     in   T[batch, heads, len, head_dim]
//! bind     2 v     in   T[batch, heads, len, v_dim]
//! bind     3 g     in   f32[batch, heads, len, head_dim]
//! bind     4 s0    in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     5 do    in   T[batch, heads, len, v_dim]
//! bind     6 dst   in   f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! bind     7 dq    out  T[batch, heads, len, head_dim]
//! bind     8 dk    out  T[batch, heads, len, head_dim]
//! bind     9 dv_   out  T[batch, heads, len, v_dim]
//! bind     10 dg   out  f32[batch, heads, len, head_dim]
//! bind     11 ds0  out  f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! scratch  12 dqh  f32[batch, heads, len, head_dim]
//! scratch  13 ends f32[batch, heads, ceildiv(len,SPAN), v_dim, head_dim]
//! push     heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 COLS u32 1 = is_cpu ? 4 : 1   // columns a lane
//! spec     4 STEP u32 4 = max(1,min(8,ceildiv(1025-max(head_dim,v_dim),max(head_dim,v_dim))))   // tokens staged at a time
//! spec     5 ROLL u32 0 = is_cpu   // 1: the state lives in memory, see STATE_ROWS
//! spec     6 SPAN u32 8   // tokens between kept states
//! spec     15 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     17 INIT u32 0
//! spec     18 FINAL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   16*4*STEP*ceildiv(max(HEAD_DIM,V_DIM),4)
//! pass     values  groups ceildiv(v_dim,WG_SIZE*COLS) heads batch
//! pass     queries groups ceildiv(head_dim,WG_SIZE*COLS) heads batch
//! pass     keys    groups ceildiv(head_dim,WG_SIZE*COLS) heads batch
//! variant  f32  T=f32
//! variant  f32_shuffle T=f32 SHUFFLE=1 tier=T1
//! variant  f16  T=f16 SHUFFLE=1 tier=T1
//! variant  bf16 T=bf16 SHUFFLE=1 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#define STATE_DELTA 0
#include "linear/state_backward.glsl"
