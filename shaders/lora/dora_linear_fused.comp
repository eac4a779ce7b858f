// SPDX-License-Identifier: MIT
//
// Linear layer with a low-rank side path and learned row magnitudes, one product
//
//   c_o^2 = |W_o|^2 + 2 s <(W A^T)_o, B_o> + s^2 B_o (A A^T) B_o^T
//   y = (m / c) * [x | s z] [W | B]^T + bias,   z = x A^T
//
// DoRA, arXiv 2402.09353.
//
// Why this one: lora_linear_fused with a factor a column where sums are stored. The norms
// come from thin products with the rank as their columns; W + s B A is formed nowhere.
//
//! kernel   dora_linear_fused
//! op       dora_linear/1
//! tier     T0
//! bind     0 x      in   T[rows, k]
//! bind     1 w      in   T[n, k]
//! bind     2 a      in   T[rank, k]
//! bind     3 b      in   T[n, rank]
//! bind     4 m      in   f32[n]
//! bind     5 c0     in   f32[n]  when NORM == NORM.given
//! bind     6 bias   in   f32[n]  when BIAS == BIAS.on
//! bind     7 wsq    in   f32[n]  when NORM == NORM.cached
//! bind     8 y      out  T[rows, n]
//! bind     9 c      out  f32[n]  when NORM != NORM.given
//! scratch  10 p4    f32[rows, 4 * ceildiv(rank,4)]
//! scratch  11 part  f32[parts, rows, 4 * ceildiv(rank,4)]
//! scratch  12 gram  f32[rank + n, 4 * ceildiv(rank,4)]
//! push     rows:u32 k:u32 n:u32 rank:u32 s:f32 parts:u32
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
//! spec     16 NORM u32 0
//! spec     17 BIAS u32 0
//! let      THIN_M WG_SIZE*16/THIN_N
//! let      parts is_cpu?1:max(1,min(16,min(ceildiv(k,64),ceildiv(256,ceildiv(rows,THIN_M)*ceildiv(rank,THIN_N)))))
//! shared   16 * TILE_K * (max(TILE_M + TILE_N, THIN_M + THIN_N) / 4 + 2)
//! tuning   reg8   TILE_M=64 TILE_N=64 REG_M=8 REG_N=8
//! pass     gram    groups (NORM == NORM.given ? 1 : ceildiv(rank,THIN_N)) (NORM == NORM.given ? 1 : ceildiv(max(n,rank),THIN_M)) 2
//! pass     norm    groups NORM==NORM.given?1:min(n,is_cpu?64:65535)
//! pass     down    groups ceildiv(rank,THIN_N) ceildiv(rows,THIN_M) parts
//! pass     factor  groups min(ceildiv(rows*ceildiv(rank,4),WG_SIZE),1024)
//! pass     main    groups ceildiv(n,TILE_N) ceildiv(rows,TILE_M)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define LORA_PUSH float s; uint parts;
#define LORA_SCALE
#define LORA_BIAS 6
#define LORA_Y 8
#define LORA_P 10
#define LORA_PART 11
#define DORA_M 4
#define DORA_C0 5
#define DORA_WSQ 7
#define DORA_C 9
#define DORA_GRAM 12
#include "lora/dora.glsl"
#if !defined(PASS_GRAM) && !defined(PASS_NORM)
#include "lora/forward.glsl"
#endif
