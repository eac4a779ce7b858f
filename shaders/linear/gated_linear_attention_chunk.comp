// SPDX-License-Identifier: MIT
//
// Gated linear attention by chunks, three dispatches: all chunks, the states between them, all outputs
//
//   O = tau [(Q ∘ e^G) S + tril(Q Kᵀ ∘ Γ) V];  S <- e^G_C S + (K ∘ e^(G_C - G))ᵀ V
//
// GLA, arXiv 2312.06635.
//
// Why this one: only the states of a head follow one another; everything else is done for
// all chunks at once, which is what a GPU needs for long sequences of few heads. Its
// results between the passes go through memory: not for CPU drivers, nor for few tokens.
//
//! kernel   gated_linear_attention_chunk
//! op       gated_linear_attention/1
//! tier     T0
//! bind     0 q     in   T[batch, heads, len, head_dim]
//! bind     1 k     in   T[batch, heads, len, head_dim]
//! bind     2 v     in   T[batch, heads, len, v_dim]
//! bind     3 g     in   f32[batch, heads, len, head_dim]
//! bind     4 s0    in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     5 o     out  T[batch, heads, len, v_dim]
//! bind     6 st    out  f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! scratch  7 kd f32[batch, heads, padded, DP]
//! scratch  8 u f32[batch, heads, padded, ceildiv(v_dim,4)*4]
//! scratch  9 qet f32[batch, heads, chunks, DP, CHUNK]
//! scratch  10 last f32[batch, heads, chunks, DP]
//! scratch  11 amat f32[batch, heads, padded, CHUNK]
//! scratch  12 states f32[batch, heads, chunks, DP, ceildiv(v_dim,4)*4]
//! push     heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 64   // (CHUNK / 4) squared
//! spec     3 CHUNK u32 32     // tokens a chunk
//! spec     4 SLICE u32 8 = head_dim <= 64 ? 32 : head_dim <= 128 ? 16 : 8   // columns of v a workgroup of pass states
//! spec     5 ROLL u32 0 = is_cpu   // 1: sums live in memory, see STATE_ROWS
//! spec     15 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     17 INIT u32 0
//! spec     18 FINAL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! let      DP ceildiv(head_dim,4)*4
//! let      chunks ceildiv(len,CHUNK)
//! let      padded chunks*CHUNK
//! when     head_dim <= 256 : a slice of the state is kept in shared memory
//! shared   16*max(3*CHUNK*3+CHUNK/4*3,max(CHUNK*SLICE/4,max(32,CHUNK)*CHUNK/4))
//! tuning   chunk16  WG_SIZE=16 CHUNK=16
//! pass     inside  groups chunks heads batch
//! pass     states  groups ceildiv(v_dim,SLICE) heads batch
//! pass     outputs groups chunks*ceildiv(v_dim,WG_SIZE) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#define STATE_DELTA 0
#include "linear/state_chunk.glsl"
