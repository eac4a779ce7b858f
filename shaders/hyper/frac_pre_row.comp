// SPDX-License-Identifier: MIT
//
// Frac-connections before a layer: coefficients, its input and the mixed fractions
//
//   alpha_if = am_if + sa tanh(n_i . wm_f),  beta_if = bs_if + sb tanh(n_i . wb_f)
//   rho_ij = ar_ij + sa tanh(n_i . wr_j),  n_i = norm(x_i) * gamma
//   h0_f = sum_i alpha_if x_i,  y_j = sum_i rho_ij x_i      of st m fractions x_i
//
// Frac-connections, arXiv 2503.14125.
//
// Why this one: hyper_pre_row with one more axis, and the same code.
//
//! kernel   frac_pre_row
//! op       frac_pre/1
//! tier     T0
//! bind     0 x     in  T[rows, st, width]
//! bind     1 am    in  f32[st * m, m]
//! bind     2 ar    in  f32[st * m, st * m]
//! bind     3 bs    in  f32[st * m, m]
//! bind     4 wm    in  f32[m, width / m]  when KIND == KIND.dynamic
//! bind     5 wr    in  f32[st * m, width / m]  when KIND == KIND.dynamic
//! bind     6 wb    in  f32[m, width / m]  when KIND == KIND.dynamic
//! bind     7 sa    in  f32[1]  when KIND == KIND.dynamic
//! bind     8 sb    in  f32[1]  when KIND == KIND.dynamic
//! bind     9 gamma in  f32[width / m]  when KIND == KIND.dynamic
//! bind     10 h0    out T[rows, width]
//! bind     11 y     out T[rows, st, width]
//! bind     12 beta  out f32[rows, st * m, m]
//! push     rows:u32 cols:u32 eps:f32
//! let      cols ceildiv(width,m)
//! spec     0 WG_SIZE u32 64 = is_cpu ? min(subgroup_size,16) : 64   // 4 to 64, a power of two
//! spec     3 TOKENS u32 1     // tokens a workgroup
//! spec     4 VEC u32 1 = ceildiv(width,m) % 4 == 0 ? 4 : 1   // elements a load
//! spec     5 BLOCK u32 1 = min(st*m,ceildiv(24,1+2*m+st*m))   // streams measured at a time
//! spec     6 WHOLE u32 0 = ceildiv(width,m) % 256 == 0   // no strand ends early
//! spec     16 KIND u32 0
//! spec     17 NORM u32 0
//! spec     32 STREAMS u32 1 = st*m
//! spec     33 PARTS u32 1 = m
//! shared   4*(ceildiv(STREAMS,BLOCK)*TOKENS*BLOCK*((KIND == 1 ? 1+2*PARTS+STREAMS : 0)+1)+1+WG_SIZE*(WG_SIZE>16?17:65)+TOKENS*STREAMS*(2*PARTS+STREAMS))
//! tuning   pairs  TOKENS=2
//! pass     main  groups ceildiv(rows,TOKENS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#include "hyper/connect_pre.glsl"
