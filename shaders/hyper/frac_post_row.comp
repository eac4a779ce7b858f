// SPDX-License-Identifier: MIT
//
// Frac-connections after a layer: its output added to every fraction
//
//   z_i = y_i + sum_f beta_if f_f   of st m fractions z_i, m fractions f_f
//
// Frac-connections, arXiv 2503.14125.
//
// Why this one: the layer's output is read once for all fractions of a token, and everything
// is read and written in order.
//
//! kernel   frac_post_row
//! op       frac_post/1
//! tier     T0
//! bind     0 f    in  T[rows, width]
//! bind     1 y    in  T[rows, st, width]
//! bind     2 beta in  f32[rows, st * m, m]
//! bind     3 z    out T[rows, st, width]
//! push     rows:u32 cols:u32
//! let      cols ceildiv(width,m)
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     4 VEC u32 1 = ceildiv(width,m) % 4 == 0 ? 4 : 1   // elements an access
//! spec     32 STREAMS u32 1 = st*m
//! spec     33 PARTS u32 1 = m
//! tuning   wide  WG_SIZE=128
//! pass     main  groups min(rows,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#include "hyper/connect_post.glsl"
