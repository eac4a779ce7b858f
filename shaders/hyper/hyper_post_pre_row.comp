// SPDX-License-Identifier: MIT
//
// Hyper-connections between two layers: the depth connection of one, the width
// connection of the next
//
//   z_i = y_i + beta_i f, rounded to T; then alpha, rho, beta of z as in hyper_pre
//   h0 = sum_i alpha_i z_i,  y_next_j = sum_i rho_ij z_i
//
// Hyper-connections, arXiv 2409.19606.
//
// Why this one: the streams between the layers are never written (SAVE=on does, for a
// backward pass), and the bits are those of hyper_post_row and hyper_pre_row.
//
//! kernel   hyper_post_pre_row
//! op       hyper_post_pre/1
//! tier     T0
//! bind     0 f     in  T[rows, width]
//! bind     1 y     in  T[rows, streams, width]
//! bind     2 beta  in  f32[rows, streams]
//! bind     3 am    in  f32[streams]
//! bind     4 ar    in  f32[streams, streams]
//! bind     5 bs    in  f32[streams]
//! bind     6 wm    in  f32[width]  when KIND == KIND.dynamic
//! bind     7 wr    in  f32[streams, width]  when KIND == KIND.dynamic
//! bind     8 wb    in  f32[width]  when KIND == KIND.dynamic
//! bind     9 sa    in  f32[1]  when KIND == KIND.dynamic
//! bind     10 sb    in  f32[1]  when KIND == KIND.dynamic
//! bind     11 gamma in  f32[width]  when KIND == KIND.dynamic
//! bind     12 h0    out T[rows, width]
//! bind     13 y_next out T[rows, streams, width]
//! bind     14 beta_next out f32[rows, streams]
//! bind     15 z     out T[rows, streams, width]  when SAVE == SAVE.on
//! push     rows:u32 cols:u32 eps:f32
//! let      cols width
//! spec     0 WG_SIZE u32 64 = is_cpu ? min(subgroup_size,16) : 64   // 4 to 64, a power of two
//! spec     3 TOKENS u32 1     // tokens a workgroup
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     5 BLOCK u32 1 = min(streams,ceildiv(24,3+streams))   // streams measured at a time
//! spec     6 WHOLE u32 0 = width % 256 == 0   // no strand ends early
//! spec     16 KIND u32 0
//! spec     17 NORM u32 0
//! spec     18 SAVE u32 0
//! spec     32 STREAMS u32 1 = streams
//! spec     33 PARTS u32 1 = 1
//! shared   4*(ceildiv(STREAMS,BLOCK)*TOKENS*BLOCK*((KIND == 1 ? 1+2*PARTS+STREAMS : 0)+1)+1+WG_SIZE*(WG_SIZE>16?17:65)+TOKENS*STREAMS*(2*PARTS+STREAMS+1))
//! tuning   pairs  TOKENS=2
//! pass     main  groups ceildiv(rows,TOKENS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define CONNECT_POST
#include "hyper/connect_pre.glsl"
