// SPDX-License-Identifier: MIT
//
// Linear layer with a low-rank side path, one product, tiles in shared memory
//
//   z = (x * drop) A^T,   y = [x | s z] [W | B]^T + bias
//
//        k                 rank
//   +---------------+      +---+
//   | x             | ...  |s z|    the sums of a tile run on over the side path: rank more
//   +---------------+      +---+    steps into the same registers, no second pass over y
//
// LoRA, arXiv 2106.09685; rsLoRA, arXiv 2312.03732.
//
// Why this one: the base product's time and little more. z takes a thin product before,
// its sums split over workgroups, so that the side path costs no reading of x per column
// tile. CPU drivers pay for the barriers: lora_linear_pack is for them.
//
//! kernel   lora_linear_fused
//! op       lora_linear/1
//! tier     T0
//! bind     0 x      in   T[rows, k]
//! bind     1 w      in   T[n, k]  when WTYPE == WTYPE.t
//! bind     2 a      in   T[rank, k]
//! bind     3 b      in   T[n, rank]
//! bind     4 bias   in   f32[n]  when BIAS == BIAS.on
//! bind     5 drop   in   u32[ceildiv(rows * k, 32)]  when DROPMASK == DROPMASK.on
//! bind     6 wq     in   i8[n, k]  when WTYPE != WTYPE.t
//! bind     7 wscale in   f32[n, WTYPE == WTYPE.i8_block ? ceildiv(k, 32) : 1]  when WTYPE != WTYPE.t
//! bind     8 y      out  T[rows, n]
//! bind     9 z      out  f32[rows, rank]  when SAVE == SAVE.on
//! scratch  10 p4    f32[rows, 4 * ceildiv(rank,4)]
//! scratch  11 part  f32[parts, rows, 4 * ceildiv(rank,4)]
//! push     rows:u32 k:u32 n:u32 rank:u32 s:f32 p:f32 parts:u32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     8 THIN_N u32 16   // columns of a tile of z
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     11 ROLLED u32 0 = is_cpu   // loads in a loop
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 WTYPE u32 0
//! spec     17 BIAS u32 0
//! spec     18 DROPMASK u32 0
//! spec     19 SAVE u32 0
//! let      THIN_M WG_SIZE*16/THIN_N
//! let      parts is_cpu?1:max(1,min(16,min(ceildiv(k,64),ceildiv(256,ceildiv(rows,THIN_M)*ceildiv(rank,THIN_N)))))
//! shared   16 * TILE_K * (max(TILE_M + TILE_N, THIN_M + THIN_N) / 4 + 2)
//! tuning   reg8   TILE_M=64 TILE_N=64 REG_M=8 REG_N=8
//! tuning   large  TILE_M=128 TILE_N=128 TILE_K=8 REG_M=8 REG_N=8
//! pass     down    groups ceildiv(rank,THIN_N) ceildiv(rows,THIN_M) parts
//! pass     factor  groups min(ceildiv(rows*ceildiv(rank,4),WG_SIZE),1024)
//! pass     main    groups ceildiv(n,TILE_N) ceildiv(rows,TILE_M)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#include "lora/lora_linear.glsl"
#include "lora/forward.glsl"
