// SPDX-License-Identifier: MIT
//
// Low-rank update of weights in place, tiles in shared memory
//
//   W <- W + f B A,   f = s or -s
//
// LoRA, arXiv 2106.09685.
//
// Why this one: W is read and written once and A and B once a tile of 64 rows or columns; a
// product whose sums are as short as the rank, so memory is what it waits for.
//
//! kernel   lora_merge_tile
//! op       lora_merge/1
//! tier     T0
//! bind     0 w      inout T[n, k]  when MASTER == MASTER.off
//! bind     1 a      in    T[rank, k]
//! bind     2 b      in    T[n, rank]
//! bind     3 master inout f32[n, k]  when MASTER == MASTER.on
//! bind     4 wt     out   T[n, k]  when MASTER == MASTER.on
//! push     n:u32 k:u32 rank:u32 s:f32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     11 ROLLED u32 0 = is_cpu   // loads in a loop
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 SIGN u32 0
//! spec     17 MASTER u32 0
//! shared   16 * TILE_K * (TILE_M / 4 + TILE_N / 4 + 2)
//! tuning   reg8   TILE_M=64 TILE_N=64 REG_M=8 REG_N=8
//! pass     main  groups ceildiv(k,TILE_N) ceildiv(n,TILE_M)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

layout(constant_id = 16) const uint SIGN = 0;

layout(push_constant, std430) uniform Push {
    uint n, k, rank;
    float s;
} pc;

#define MERGE_MASTER
#define MERGE_FACTOR (SIGN != 0 ? -pc.s : pc.s)
#include "lora/merge_tile.glsl"
