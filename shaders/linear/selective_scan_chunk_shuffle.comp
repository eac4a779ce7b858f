// SPDX-License-Identifier: MIT
//
// Selective scan in chunks of time; B and C go round by shuffles
//
//   h_t = e^(delta_t A) h_{t-1} + delta_t x_t B_t,  y_t = h_t C_t + D x_t,  times silu(z)
//
// Mamba, arXiv 2312.00752.
//
// Why this one: few channels leave most of a device idle when each is walked from
// end to end. Chunks of time run side by side, for computing the states twice; only the sum
// of a chunk's steps is kept beside its state, since decays multiply.
//
//! kernel   selective_scan_chunk_shuffle
//! op       selective_scan/1
//! tier     T1
//! bind     0 x   in   T[batch, len, width]
//! bind     1 dt  in   T[batch, len, width]
//! bind     2 dtb in   f32[width]
//! bind     3 d   in   f32[width]
//! bind     4 a   in   f32[width, state]
//! bind     5 b   in   T[batch, len, state]
//! bind     6 c   in   T[batch, len, state]
//! bind     7 z   in   T[batch, len, width]  when GATE == GATE.on
//! bind     8 h0  in   f32[batch, width, state]  when INIT == INIT.on
//! bind     9 y   out  T[batch, len, width]
//! bind     10 ht out  f32[batch, width, state]  when FINAL == FINAL.on
//! scratch  11 part f32[batch, chunks, state + 1, width]
//! push     len:u32 width:u32 chunk:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 CHANNELS u32 1 = is_cpu ? 2 : 1   // of a lane
//! spec     16 GATE u32 0
//! spec     17 INIT u32 0
//! spec     18 FINAL u32 0
//! spec     32 STATE u32 16 = state
//! let      across ceildiv(width,WG_SIZE*CHANNELS)
//! let      chunk max(64,ceildiv(len,max(1,(is_cpu?16:1024)/(batch*across))))
//! let      chunks ceildiv(len,chunk)
//! when     batch <= 65535 && state <= 64 : one dispatch, states in registers
//! tuning   channels1 CHANNELS=1
//! tuning   channels4 CHANNELS=4
//! pass     fold  groups across chunks batch
//! pass     carry groups ceildiv(width,WG_SIZE) state batch
//! pass     scan  groups across chunks batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define SELECTIVE_CHUNKS
#define SELECTIVE_SHUFFLE
#include "linear/selective.glsl"
