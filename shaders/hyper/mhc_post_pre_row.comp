// SPDX-License-Identifier: MIT
//
// From a layer's output to the next layer's input: mhc_post and mhc_pre, a tile of tokens
//
//   z_j = post_j f + sum_i comb[i, j] x_i
//   v = vec(z), r = 1 / sqrt(mean(v^2) + eps_norm),  a = r phi v * scale + base
//   next_pre = sigmoid(a[0..s)) + eps_pre,  next_post = mu sigmoid(a[s..2s)),
//   next_comb = sinkhorn(rest);  h0 = sum_i next_pre_i z_i, or the RMS norm of that
//
// mHC, arXiv 2512.24880.
//
// Why this one: the streams are read and written once where the two ops read them twice.
// A lane reads again only columns it wrote itself, so z needs no barrier, is rounded as
// mhc_post rounds it, and the sums are those of mhc_pre bit for bit.
//
//! kernel   mhc_post_pre_row
//! op       mhc_post_pre/1
//! tier     T0
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
//! spec     0 WG_SIZE u32 64 = is_cpu ? min(subgroup_size,64) : 64   // 4 to 64, a power of two
//! spec     3 TOKENS u32 4   // tokens a workgroup
//! spec     4 DOTS u32 8   // rows of phi at a time
//! spec     5 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 COMB u32 0
//! spec     17 NORMW u32 0
//! spec     18 NORM_OUT u32 0
//! spec     32 STREAMS u32 4 = streams
//! let      phi_rows 2 * STREAMS + (COMB == 0 ? STREAMS * STREAMS : STREAMS == 4 ? 24 : STREAMS == 3 ? 6 : STREAMS)
//! shared   4 * (ceildiv(phi_rows,DOTS) * (DOTS + 1) * TOKENS + WG_SIZE * (WG_SIZE > 16 ? 17 : 65) + WG_SIZE + TOKENS * STREAMS * (STREAMS + 2))
//! pass     main groups ceildiv(rows,TOKENS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TOKENS = 4;
layout(constant_id = 4) const uint DOTS = 8;
layout(constant_id = 5) const uint VEC = 1;
layout(constant_id = 16) const uint COMB = 0;
layout(constant_id = 17) const uint NORMW = 0;
layout(constant_id = 18) const uint NORM_OUT = 0;
layout(constant_id = 32) const uint STREAMS = 4;

#include "hyper/mhc_post_pre.glsl"
