// SPDX-License-Identifier: MIT
//
// One softmax over a window of pixels and over pooled tokens; a lane a pixel
//
//   P = softmax over [qs_i k̂_(i+w) + bl_w ; qs_i k̂p_x + bp_ix],  o_i = sum P v, see the contract
//
// Pixel-focused attention of TransNeXt, arXiv 2311.17132.
//
// Why this one: no row crosses lanes; pooled tokens are staged once a workgroup in shared
// memory, windows are read where they lie and overlap in cache. The baseline for GPUs.
//
//! kernel   aggregated_attention_row
//! op       aggregated_attention/1
//! tier     T0
//! bind     0 q    in   T[batch, heads, hh*ww, head_dim]
//! bind     1 k    in   T[batch, heads, hh*ww, head_dim]
//! bind     2 v    in   T[batch, heads, hh*ww, head_dim]
//! bind     3 kp   in   T[batch, heads, np, head_dim]
//! bind     4 vp   in   T[batch, heads, np, head_dim]
//! bind     5 qe   in   f32[heads, head_dim]
//! bind     6 temp in   f32[heads]
//! bind     7 bl   in   f32[heads, win*win]
//! bind     8 bp   in   T[heads, hh*ww, np]
//! bind     9 tok  in   f32[heads, head_dim, win*win]  when TOKENS == TOKENS.on
//! bind     10 btok in  f32[heads, win*win]  when TOKENS == TOKENS.on
//! bind     11 o   out  T[batch, heads, hh*ww, head_dim]
//! scratch  12 qnorm f32[batch, heads, hh*ww]
//! scratch  13 knorm f32[batch, heads, hh*ww]
//! scratch  14 kpn   f32[batch, heads, np, ceildiv(head_dim,4)*4]
//! push     heads:u32 hh:u32 ww:u32 np:u32
//! spec     0 WG_SIZE u32 32 = is_cpu ? 32 : 64   // lanes, a pixel each
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 TOKENS u32 0
//! spec     32 HEAD_DIM u32 24 = head_dim
//! spec     34 WIN u32 3 = win
//! shared   4*(TOKENS?HEAD_DIM*WIN*WIN:1)+256*ceildiv(HEAD_DIM,4)
//! pass     prepare groups ceildiv(max(hh*ww,np),WG_SIZE) 1 batch*heads
//! pass     main    groups ceildiv(hh*ww,WG_SIZE) 1 batch*heads
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "sparse/aggregated.glsl"
