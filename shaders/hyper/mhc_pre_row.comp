// SPDX-License-Identifier: MIT
//
// Coefficients and input of constrained hyper-connections, a tile of tokens
//
//   v = vec(x), r = 1 / sqrt(mean(v^2) + eps_norm),  a = r phi v * scale + base
//   pre = sigmoid(a[0..s)) + eps_pre,  post = mu sigmoid(a[s..2s)),
//   comb = sinkhorn(rest)
//   h0 = sum_i pre_i x_i
//
// mHC, arXiv 2512.24880.
//
// Why this one: norm, product with phi, Sinkhorn and mix in one dispatch. x comes from
// memory once, for the mix from the cache; phi, which is larger than a token by far, is
// read once for TOKENS tokens. The norm is applied to the products, not to x.
//
//! kernel   mhc_pre_row
//! op       mhc_pre/1
//! tier     T0
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
//! spec     0 WG_SIZE u32 64 = is_cpu ? min(subgroup_size,64) : 64   // 4 to 64, a power of two
//! spec     3 TOKENS u32 4   // tokens a workgroup
//! spec     4 DOTS u32 8   // rows of phi at a time
//! spec     5 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 COMB u32 0
//! spec     17 NORMW u32 0
//! spec     32 STREAMS u32 4 = streams
//! let      phi_rows 2 * STREAMS + (COMB == 0 ? STREAMS * STREAMS : STREAMS == 4 ? 24 : STREAMS == 3 ? 6 : STREAMS)
//! shared   4 * (ceildiv(phi_rows,DOTS) * (DOTS + 1) * TOKENS + WG_SIZE * (WG_SIZE > 16 ? 17 : 65) + TOKENS * STREAMS * (STREAMS + 2))
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
layout(constant_id = 32) const uint STREAMS = 4;

#include "hyper/mhc_pre.glsl"
