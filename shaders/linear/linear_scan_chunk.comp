// SPDX-License-Identifier: MIT
//
// Linear recurrences along time in chunks: fold, carry, scan
//
//   h_t = a_t h_{t-1} + x_t
//
// Martin and Cundy, Parallelizing Linear Recurrent Neural Nets Over Sequence Length,
// arXiv 1709.04057; HGRN, arXiv 2311.04823.
//
// Why this one: few channels leave most of a device idle when each is walked from
// end to end; chunks of time run side by side, for reading the inputs twice.
//
//! kernel   linear_scan_chunk
//! op       linear_scan/1
//! tier     T0
//! bind     0 a  in   f32[batch, len, width]
//! bind     1 x  in   T[batch, len, width]
//! bind     2 h0 in   f32[batch, width]  when INIT == INIT.on
//! bind     3 h  out  T[batch, len, width]
//! bind     4 ht out  f32[batch, width]  when FINAL == FINAL.on
//! scratch  8 part f32[batch, chunks, 2, 4*groups]
//! push     len:u32 width:u32 chunk:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 GROUPS u32 1 = is_cpu ? 2 : 1   // of four channels a lane
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1
//! spec     5 STEPS u32 4   // loaded ahead
//! spec     16 GATE u32 0
//! spec     17 DIR u32 0
//! spec     18 INIT u32 0
//! spec     19 FINAL u32 0
//! let      groups ceildiv(width,4)
//! let      across ceildiv(groups,WG_SIZE*GROUPS)
//! let      chunk max(16,ceildiv(len,max(1,(is_cpu?16:2048)/(batch*across))))
//! let      chunks ceildiv(len,chunk)
//! when     batch <= 65535 && chunks <= 65535 : workgroups of one dispatch
//! tuning   groups1 GROUPS=1
//! tuning   groups4 GROUPS=4
//! pass     fold  groups across chunks batch
//! pass     carry groups ceildiv(groups,WG_SIZE) 1 batch
//! pass     scan  groups across chunks batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define SCAN_CHUNKS
#include "linear/linear_scan.glsl"
