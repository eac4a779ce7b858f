// SPDX-License-Identifier: MIT
//
// Linear layer with a low-rank side path whose ranks are weighed, one product
//
//   z = x A^T,   y = [x | wr * z] [W | B]^T
//
// Dynamic rank-selective LoRA, arXiv 2412.01004.
//
// Why this one: lora_linear_fused with a diagonal where z is finished.
//
//! kernel   rank_select_linear_fused
//! op       rank_select_linear/1
//! tier     T0
//! bind     0 x      in   T[rows, k]
//! bind     1 w      in   T[n, k]
//! bind     2 a      in   T[rank, k]
//! bind     3 b      in   T[n, rank]
//! bind     4 wr     in   f32[rank]
//! bind     5 y      out  T[rows, n]
//! scratch  6 p4     f32[rows, 4 * ceildiv(rank,4)]
//! scratch  7 part   f32[parts, rows, 4 * ceildiv(rank,4)]
//! push     rows:u32 k:u32 n:u32 rank:u32 parts:u32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     8 THIN_N u32 16   // columns of a tile of the thin products
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     11 ROLLED u32 0 = is_cpu   // loads in a loop
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! let      THIN_M WG_SIZE*16/THIN_N
//! let      parts is_cpu?1:max(1,min(16,min(ceildiv(k,64),ceildiv(256,ceildiv(rows,THIN_M)*ceildiv(rank,THIN_N)))))
//! shared   16 * TILE_K * (max(TILE_M + TILE_N, THIN_M + THIN_N) / 4 + 2)
//! tuning   reg8   TILE_M=64 TILE_N=64 REG_M=8 REG_N=8
//! pass     down    groups ceildiv(rank,THIN_N) ceildiv(rows,THIN_M) parts
//! pass     factor  groups min(ceildiv(rows*ceildiv(rank,4),WG_SIZE),1024)
//! pass     main    groups ceildiv(n,TILE_N) ceildiv(rows,TILE_M)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#define diag wr
#define LORA_PUSH uint parts;
#define LORA_DIAG 4
#define LORA_Y 5
#define LORA_P 6
#define LORA_PART 7
#include "lora/forward.glsl"
