// SPDX-License-Identifier: MIT
//
// Hyper-connections after a layer: its output added to every stream
//
//   z_i = y_i + beta_i f
//
// Hyper-connections, arXiv 2409.19606.
//
// Why this one: the layer's output is read once for all streams of a token, and everything
// is read and written in order.
//
//! kernel   hyper_post_row
//! op       hyper_post/1
//! tier     T0
//! bind     0 f    in  T[rows, width]
//! bind     1 y    in  T[rows, streams, width]
//! bind     2 beta in  f32[rows, streams]
//! bind     3 z    out T[rows, streams, width]
//! push     rows:u32 cols:u32
//! let      cols width
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements an access
//! spec     32 STREAMS u32 1 = streams
//! spec     33 PARTS u32 1 = 1
//! tuning   wide  WG_SIZE=128
//! pass     main  groups min(rows,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#include "hyper/connect_post.glsl"
