// SPDX-License-Identifier: MIT
//
// From a layer's output to the next layer's input: mhc_post, mhc_pre, a row of phi a lane
//
//   z_j = post_j f + sum_i comb[i, j] x_i
//   v = vec(z), r = 1 / sqrt(mean(v^2) + eps_norm),  a = r phi v * scale + base
//   next_pre = sigmoid(a[0..s)) + eps_pre,  next_post = mu sigmoid(a[s..2s)),
//   next_comb = sinkhorn(rest);  h0 = sum_i next_pre_i z_i, or the RMS norm of that
//
// mHC, arXiv 2512.24880.
//
// Why this one: fastest on CPU drivers, like mhc_pre_lane, whose bits it gives.
//
//! kernel   mhc_post_pre_lane
//! op       mhc_post_pre/1
//! tier     T1
//! bind     0 x     in  T[rows, streams, width]
//! bind     1 f     in  T[rows, width]
//! bind     2 post  in  f32[rows, streams]
//! bind     3 comb  in  f32[rows, streams, streams]
//! bind     4 phi   in  f32[2 * streams + (COMB == COMB.sinkhorn ? streams * streams : streams == 4 ? 24 : streams == 3 ? 6 : streams), streams * width]
//! bind     5 scale in  f32[3]
//! bind     6 base  in  f32[2 * streams + (COMB == COMB.sinkhorn ? streams * streams : streams == 4 ? 24 : streams == 3 ? 6 : streams)]
//! bind     7 normw in  f32[streams * width] when NORMW == NORMW.on
//! bind     8 gain  in  f32[width] when NORM_OUT == NORM_OUT.on
//! bind     9 z     out T[rows, streams, width]
//! bind     10 h0   out T[rows, width]
//! bind     11 next_pre  out f32[rows, streams]
//! bind     12 next_post out f32[rows, streams]
//! bind     13 next_comb out f32[rows, streams, streams]
//! push     rows:u32 width:u32 iters:u32 eps_norm:f32 eps_pre:f32 eps_sk:f32 mu:f32
//! spec     0 WG_SIZE u32 4 = min(subgroup_size,8)   // lanes of one subgroup, 4 or 8
//! spec     3 TOKENS u32 8 = streams > 4 ? 8 : rows < 128 ? 8 : rows < 256 ? 32 : 64   // tokens a workgroup
//! spec     4 QUADS u32 8 = width % 4 == 0 && streams <= 4 && rows >= 128 ? 16 : 8   // groups of four columns of phi in registers, a multiple of 8
//! spec     5 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     6 HAND u32 0   // 1: lanes hand columns of x to each other
//! spec     7 ROLLED u32 1 = rows < 128   // less to compile
//! spec     16 COMB u32 0
//! spec     17 NORMW u32 0
//! spec     18 NORM_OUT u32 0
//! spec     32 STREAMS u32 4 = streams
//! let      phi_rows 2 * STREAMS + (COMB == 0 ? STREAMS * STREAMS : STREAMS == 4 ? 24 : STREAMS == 3 ? 6 : STREAMS)
//! shared   4 * (TOKENS * (WG_SIZE * (ceildiv(phi_rows,WG_SIZE) + 1) + STREAMS * (STREAMS + 2)) + WG_SIZE)
//! tuning   hand   HAND=1 ROLLED=0
//! pass     main groups ceildiv(rows,TOKENS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 4, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TOKENS = 8;
layout(constant_id = 4) const uint QUADS = 8;
layout(constant_id = 5) const uint VEC = 1;
layout(constant_id = 6) const uint HAND = 0;
layout(constant_id = 7) const uint ROLLED = 1;
layout(constant_id = 16) const uint COMB = 0;
layout(constant_id = 17) const uint NORMW = 0;
layout(constant_id = 18) const uint NORM_OUT = 0;
layout(constant_id = 32) const uint STREAMS = 4;

#define MHC_LANES
#include "hyper/mhc_post_pre.glsl"
