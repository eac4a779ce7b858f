// SPDX-License-Identifier: MIT
//
// Linear layer with a low-rank side path, one product on packed panels
//
//   z = (x * drop) A^T,   y = [x | s z] [W | B]^T + bias
//
// LoRA, arXiv 2106.09685; rsLoRA, arXiv 2312.03732.
//
// Why this one: the fastest product of CPU drivers, gemm_pack, with a panel of A among the
// panels of W and the rank as more steps of the sums. W is converted once where it is
// packed, whatever its type. Packing costs as much memory again, in float.
//
//! kernel   lora_linear_pack
//! op       lora_linear/1
//! tier     T1
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
//! scratch  10 px    f32[ceildiv(rows,TILE_ROWS)*TILE_ROWS, KR]
//! scratch  11 pw    f32[ceildiv(n,COLUMNS)*COLUMNS, KR]
//! scratch  12 pa    f32[ceildiv(rank,COLUMNS)*COLUMNS, 4*ceildiv(k,4)]
//! push     rows:u32 k:u32 n:u32 rank:u32 s:f32 p:f32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // one subgroup
//! spec     3 TILE_ROWS u32 16 = is_cpu ? max(8,subgroup_size) : 16   // rows a tile, a multiple of WG_SIZE
//! spec     4 TILE_COLS u32 1     // groups of four columns a lane
//! spec     11 ROLLED u32 0   // 1: loads in a loop
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 WTYPE u32 0
//! spec     17 BIAS u32 0
//! spec     18 DROPMASK u32 0
//! spec     19 SAVE u32 0
//! let      COLUMNS 4*WG_SIZE*TILE_COLS
//! let      KR 4*(ceildiv(k,4)+ceildiv(rank,4))
//! let      strips ceildiv(rows,TILE_ROWS)*TILE_ROWS/4+(ceildiv(n,COLUMNS)+ceildiv(rank,COLUMNS))*COLUMNS/4
//! tuning   rows16  TILE_ROWS=16
//! tuning   rows32  TILE_ROWS=32
//! tuning   rows32x2  TILE_ROWS=32 TILE_COLS=2
//! pass     pack  groups min(strips,is_cpu?128:4096)
//! pass     down  groups ceildiv(rows,TILE_ROWS) ceildiv(rank,COLUMNS)
//! pass     main  groups ceildiv(rows,TILE_ROWS) ceildiv(n,COLUMNS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define LORA_PACK
#include "lora/lora_linear.glsl"
#include "lora/pack.glsl"
