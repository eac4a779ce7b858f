// SPDX-License-Identifier: MIT
//
// Hyper-connections before a layer: coefficients, its input and the mixed streams
//
//   alpha_i = am_i + sa tanh(n_i . wm),  beta_i = bs_i + sb tanh(n_i . wb)
//   rho_ij = ar_ij + sa tanh(n_i . wr_j),  n_i = norm(x_i) * gamma
//   h0 = sum_i alpha_i x_i,  y_j = sum_i rho_ij x_i
//
// Hyper-connections, arXiv 2409.19606.
//
// Why this one: a token's streams are read from memory once; all products with the weights
// are one sweep, the mixes a second one that finds the streams in a cache.
//
//! kernel   hyper_pre_row
//! op       hyper_pre/1
//! tier     T0
//! bind     0 x     in  T[rows, streams, width]
//! bind     1 am    in  f32[streams]
//! bind     2 ar    in  f32[streams, streams]
//! bind     3 bs    in  f32[streams]
//! bind     4 wm    in  f32[width]  when KIND == KIND.dynamic
//! bind     5 wr    in  f32[streams, width]  when KIND == KIND.dynamic
//! bind     6 wb    in  f32[width]  when KIND == KIND.dynamic
//! bind     7 sa    in  f32[1]  when KIND == KIND.dynamic
//! bind     8 sb    in  f32[1]  when KIND == KIND.dynamic
//! bind     9 gamma in  f32[width]  when KIND == KIND.dynamic
//! bind     10 h0    out T[rows, width]
//! bind     11 y     out T[rows, streams, width]
//! bind     12 beta  out f32[rows, streams]
//! push     rows:u32 cols:u32 eps:f32
//! let      cols width
//! spec     0 WG_SIZE u32 64 = is_cpu ? min(subgroup_size,16) : 64   // 4 to 64, a power of two
//! spec     3 TOKENS u32 1     // tokens a workgroup
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     5 BLOCK u32 1 = min(streams,ceildiv(24,3+streams))   // streams measured at a time
//! spec     6 WHOLE u32 0 = width % 256 == 0   // no strand ends early
//! spec     16 KIND u32 0
//! spec     17 NORM u32 0
//! spec     32 STREAMS u32 1 = streams
//! spec     33 PARTS u32 1 = 1
//! shared   4*(ceildiv(STREAMS,BLOCK)*TOKENS*BLOCK*((KIND == 1 ? 1+2*PARTS+STREAMS : 0)+1)+1+WG_SIZE*(WG_SIZE>16?17:65)+TOKENS*STREAMS*(2*PARTS+STREAMS))
//! tuning   pairs  TOKENS=2
//! pass     main  groups ceildiv(rows,TOKENS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#include "hyper/connect_pre.glsl"
