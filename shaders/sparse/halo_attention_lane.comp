// SPDX-License-Identifier: MIT
//
// Blocks of pixels attend to a window around the block; keys handed round by lanes
//
//   S = tau q k + [REL] q rh[wy-by+w0-1] + q rw[wx-bx+w0-1],  o = softmax_window(S) v
//
// HaloNet, arXiv 2103.12731.
//
// Why this one: no shared memory and no barrier; each key is read once by a subgroup for ROWS
// pixels of every lane. The fastest on CPU drivers.
//
//! kernel   halo_attention_lane
//! op       halo_attention/1
//! tier     T1
//! bind     0 q  in   T[batch, hh, ww, heads, head_dim]
//! bind     1 k  in   T[batch, hh, ww, heads, head_dim]
//! bind     2 v  in   T[batch, hh, ww, heads, v_dim]
//! bind     3 rh in   T[2*(bs+2*halo)-1, head_dim]  when REL == REL.on
//! bind     4 rw in   T[2*(bs+2*halo)-1, head_dim]  when REL == REL.on
//! bind     5 o  out  T[batch, hh, ww, heads, v_dim]
//! push     hh:u32 ww:u32 heads:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64   // lanes
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = is_cpu ? min(4,bs) : 1   // pixels a lane, below one another
//! spec     4 KEYS u32 4 = ROWS >= 4 ? 2 : 4   // keys a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 REL u32 0
//! spec     17 PAD u32 0
//! spec     32 HEAD_DIM u32 16 = head_dim
//! spec     33 V_DIM u32 16 = v_dim
//! spec     34 BS u32 8 = bs
//! spec     35 HALO u32 3 = halo
//! pass     main  groups hh*ww/(bs*bs)*ceildiv(bs*ceildiv(bs,ROWS),WG_SIZE) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define HALO_LANE
#include "sparse/halo.glsl"
