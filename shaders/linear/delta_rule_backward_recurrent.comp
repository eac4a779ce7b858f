// SPDX-License-Identifier: MIT
//
// Gradients of the delta rule, token by token; no state is kept for later
//
//   dS += tau q ⊗ do;  w = dSᵀ k;  dv = beta w;  dbeta = w·e;  dk = beta (dS e - Sd w)
//   dS <- dS - beta k ⊗ w;  dg = rowsum(dS ∘ Sd);  dS <- e^g dS;  dq = tau S do
//
// DeltaNet, arXiv 2406.06484; Gated DeltaNet, arXiv 2412.06464.
//
// Why this one: four walks over the tokens compute each sum once, in the lane that owns
// it, and keep no more than a state a SPAN of tokens. Best on CPU drivers. On a GPU the
// tokens of a head follow one another, which leaves it idle unless there are many heads.
//
//! kernel   delta_rule_backward_recurrent
//! op       delta_rule_backward/1
//! tier     T0
//! bind     0 q     in   T[batch, kv_heads, len, head_dim]
//! bind     1 k     in   T[batch, kv_heads, len, head_dim]
//! bind     2 v     in   T[batch, heads, len, v_dim]
//! bind     3 beta  in   f32[batch, heads, len]
//! bind     4 g     in   f32[batch, heads, len, GATE == GATE.vector ? head_dim : 1]  when GATE != GATE.none
//! bind     5 s0    in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     6 do    in   T[batch, heads, len, v_dim]
//! bind     7 dst   in   f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! bind     8 dq    out  T[batch, kv_heads, len, head_dim]
//! bind     9 dk    out  T[batch, kv_heads, len, head_dim]
//! bind     10 dv_  out  T[batch, heads, len, v_dim]
//! bind     11 dbeta out f32[batch, heads, len]
//! bind     12 dg   out  f32[batch, heads, len, GATE == GATE.vector ? head_dim : 1]  when GATE != GATE.none
//! bind     13 ds0  out  f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! scratch  14 e    f32[batch, heads, len, v_dim]
//! scratch  15 w    f32[batch, heads, len, v_dim]
//! scratch  16 dqh  f32[batch, heads, len, head_dim]
//! scratch  17 dkh  f32[batch, heads, len, head_dim]
//! scratch  18 dgh  f32[batch, heads, GATE == GATE.none ? 1 : len, head_dim]
//! scratch  19 ends f32[batch, heads, GATE == GATE.none ? 1 : ceildiv(len,SPAN), v_dim, head_dim]
//! push     heads:u32 kv_heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 COLS u32 1 = is_cpu ? 4 : 1   // columns a lane
//! spec     4 STEP u32 4 = max(1,min(8,ceildiv(1025-max(head_dim,v_dim),max(head_dim,v_dim))))   // tokens staged at a time
//! spec     5 ROLL u32 0 = is_cpu   // 1: the state lives in memory, see STATE_ROWS
//! spec     6 SPAN u32 8   // tokens between kept states
//! spec     15 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 GATE u32 0
//! spec     17 INIT u32 0
//! spec     18 FINAL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   16*4*STEP*ceildiv(max(HEAD_DIM,V_DIM),4)
//! pass     known   groups ceildiv(v_dim,WG_SIZE*COLS) heads batch
//! pass     values  groups ceildiv(v_dim,WG_SIZE*COLS) heads batch
//! pass     queries groups ceildiv(head_dim,WG_SIZE*COLS) heads batch
//! pass     keys    groups ceildiv(head_dim,WG_SIZE*COLS) heads batch
//! pass     finish  groups ceildiv(len,WG_SIZE) kv_heads batch
//! variant  f32  T=f32
//! variant  f32_shuffle T=f32 SHUFFLE=1 tier=T1
//! variant  f16  T=f16 SHUFFLE=1 tier=T1
//! variant  bf16 T=bf16 SHUFFLE=1 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#define STATE_DELTA 1
#include "linear/state_backward.glsl"
