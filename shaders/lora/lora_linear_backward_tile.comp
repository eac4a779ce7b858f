// SPDX-License-Identifier: MIT
//
// Gradients of a linear layer with a low-rank side path, tiles in shared memory
//
//   dZ = s dy B,   dB = s dy^T z,   dA = dZ^T (x * drop),   dx = dy W + drop * (dZ A)
//
// LoRA, arXiv 2106.09685; rsLoRA, arXiv 2312.03732.
//
// Why this one: dx is one product whose sums run on over the rank; z and dZ, then dA and
// dB, are thin products side by side, their sums split over workgroups and added in order,
// so that few columns still fill a GPU. The weights' own gradient is nowhere formed.
//
//! kernel   lora_linear_backward_tile
//! op       lora_linear_backward/1
//! tier     T0
//! bind     0 x      in   T[rows, k]
//! bind     1 w      in   T[n, k]  when WTYPE == WTYPE.t
//! bind     2 a      in   T[rank, k]
//! bind     3 b      in   T[n, rank]
//! bind     4 drop   in   u32[ceildiv(rows * k, 32)]  when DROPMASK == DROPMASK.on
//! bind     5 wq     in   i8[n, k]  when WTYPE != WTYPE.t
//! bind     6 wscale in   f32[n, WTYPE == WTYPE.i8_block ? ceildiv(k, 32) : 1]  when WTYPE != WTYPE.t
//! bind     7 z      in   f32[rows, rank]  when SAVE == SAVE.on
//! bind     8 dy     in   T[rows, n]
//! bind     9 dx     out  T[rows, k]
//! bind     10 da    out  f32[rank, k]
//! bind     11 db    out  f32[n, rank]
//! scratch  12 down  f32[2 * parts, rows, 4 * ceildiv(rank,4)]
//! scratch  13 mid   f32[2, rows, 4 * ceildiv(rank,4)]
//! scratch  14 grads f32[gparts, k + n, 4 * ceildiv(rank,4)]
//! push     rows:u32 k:u32 n:u32 rank:u32 s:f32 p:f32 parts:u32 gparts:u32
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
//! spec     16 WTYPE u32 0
//! spec     18 DROPMASK u32 0
//! spec     19 SAVE u32 0
//! let      THIN_M WG_SIZE*16/THIN_N
//! let      parts is_cpu?1:max(1,min(16,min(ceildiv(min(k,n),64),ceildiv(256,ceildiv(rows,THIN_M)*ceildiv(rank,THIN_N)))))
//! let      gparts is_cpu?1:max(1,min(16,min(ceildiv(rows,64),ceildiv(256,ceildiv(min(k,n),THIN_M)*ceildiv(rank,THIN_N)))))
//! shared   16 * TILE_K * (max(TILE_M + TILE_N, THIN_M + THIN_N) / 4 + 2)
//! tuning   reg8   TILE_M=64 TILE_N=64 REG_M=8 REG_N=8
//! pass     down_z  groups (SAVE == SAVE.on ? 1 : ceildiv(rank,THIN_N)) (SAVE == SAVE.on ? 1 : ceildiv(rows,THIN_M)) parts
//! pass     down_h  groups ceildiv(rank,THIN_N) ceildiv(rows,THIN_M) parts
//! pass     factor  groups min(ceildiv(rows*ceildiv(rank,4),WG_SIZE),1024)
//! pass     wide    groups ceildiv(k,TILE_N) ceildiv(rows,TILE_M)
//! pass     grad_a  groups ceildiv(rank,THIN_N) ceildiv(k,THIN_M) gparts
//! pass     grad_b  groups ceildiv(rank,THIN_N) ceildiv(n,THIN_M) gparts
//! pass     finish  groups min(ceildiv((k+n)*ceildiv(rank,4),WG_SIZE),1024)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#define LORA_PUSH float s, p; uint parts, gparts;
#define LORA_SCALE
#define LORA_DROP 4
#define LORA_QUANT 5
#define LORA_Z 7
#define LORA_DY 8
#define LORA_DX 9
#define LORA_DA 10
#define LORA_DB 11
#define LORA_DOWN 12
#define LORA_MID 13
#define LORA_GRADS 14
#include "lora/backward.glsl"
