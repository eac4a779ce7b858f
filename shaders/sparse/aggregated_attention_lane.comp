// SPDX-License-Identifier: MIT
//
// One softmax over a window of pixels and over pooled tokens; a lane a few pixels
//
//   P = softmax over [qs_i k̂_(i+w) + bl_w ; qs_i k̂p_x + bp_ix],  o_i = sum P v, see the contract
//
// Pixel-focused attention of TransNeXt, arXiv 2311.17132.
//
// Why this one: the pooled tokens go through the flash tile, whose lanes read each once
// together and hand it round; no barrier. The fastest on CPU drivers.
//
//! kernel   aggregated_attention_lane
//! op       aggregated_attention/1
//! tier     T1
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
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64   // lanes, each owns ROWS pixels
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = is_cpu && hh*ww > 8*WG_SIZE ? (head_dim <= 80 ? 4 : 2) : 1   // pixels a lane
//! spec     4 KEYS u32 4 = ROWS >= 4 ? 2 : 4   // pooled tokens a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     16 TOKENS u32 0
//! spec     32 HEAD_DIM u32 24 = head_dim
//! spec     34 WIN u32 3 = win
//! shared   4*(TOKENS?HEAD_DIM*WIN*WIN:1)
//! pass     prepare groups ceildiv(max(hh*ww,np),WG_SIZE) 1 batch*heads
//! pass     main    groups ceildiv(hh*ww,ROWS*WG_SIZE) 1 batch*heads
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define AGGREGATED_LANE
#include "sparse/aggregated.glsl"
