// SPDX-License-Identifier: MIT
//
// Coefficients and input of constrained hyper-connections, a row of phi a lane
//
//   v = vec(x), r = 1 / sqrt(mean(v^2) + eps_norm),  a = r phi v * scale + base
//   pre = sigmoid(a[0..s)) + eps_pre,  post = mu sigmoid(a[s..2s)),
//   comb = sinkhorn(rest)
//   h0 = sum_i pre_i x_i
//
// mHC, arXiv 2512.24880.
//
// Why this one: fastest on CPU drivers. There it is loads that cost, of 4 bytes or 16,
// cached or not: a lane's loads of phi serve 32 tokens, and x comes once for all rows of
// phi. The workgroup is part of one subgroup.
//
//! kernel   mhc_pre_lane
//! op       mhc_pre/1
//! tier     T1
//! bind     0 x     in  T[rows, streams, width]
//! bind     1 phi   in  f32[2 * streams + (COMB == COMB.sinkhorn ? streams * streams : streams == 4 ? 24 : streams == 3 ? 6 : streams), streams * width]
//! bind     2 scale in  f32[3]
//! bind     3 base  in  f32[2 * streams + (COMB == COMB.sinkhorn ? streams * streams : streams == 4 ? 24 : streams == 3 ? 6 : streams)]
//! bind     4 normw in  f32[streams * width] when NORMW == NORMW.on
//! bind     5 h0    out T[rows, width]
//! bind     6 pre   out f32[rows, streams]
//! bind     7 post  out f32[rows, streams]
//! bind     8 comb  out f32[rows, streams, streams]
//! push     rows:u32 width:u32 iters:u32 eps_norm:f32 eps_pre:f32 eps_sk:f32 mu:f32
//! spec     0 WG_SIZE u32 4 = min(subgroup_size,8)   // lanes of one subgroup, 4 or 8
//! spec     3 TOKENS u32 8 = streams > 4 ? 8 : rows < 128 ? 8 : rows < 256 ? 32 : 64   // tokens a workgroup
//! spec     4 QUADS u32 8 = width % 4 == 0 && streams <= 4 && rows >= 128 ? 16 : 8   // groups of four columns of phi in registers, a multiple of 8
//! spec     5 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     6 HAND u32 0   // 1: lanes hand columns of x to each other
//! spec     7 ROLLED u32 1 = rows < 128   // less to compile
//! spec     16 COMB u32 0
//! spec     17 NORMW u32 0
//! spec     32 STREAMS u32 4 = streams
//! let      phi_rows 2 * STREAMS + (COMB == 0 ? STREAMS * STREAMS : STREAMS == 4 ? 24 : STREAMS == 3 ? 6 : STREAMS)
//! shared   4 * TOKENS * (WG_SIZE * (ceildiv(phi_rows,WG_SIZE) + 1) + STREAMS * (STREAMS + 2))
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
layout(constant_id = 32) const uint STREAMS = 4;

#define MHC_LANES
#include "hyper/mhc_pre.glsl"
