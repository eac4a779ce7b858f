// SPDX-License-Identifier: MIT
//
// Projections of parallel attention and feed-forward layers, tiles in shared memory
//
//   input:  [qkv | ffn] = norm(x) w^T + bias      output:  y = x + [a | g] [wo | wd]^T
//
// PaLM, arXiv 2204.02311; parallel attention and feed-forward net, arXiv 2305.13297.
//
// Why this one: gemm_tile with the norm done while a tile is loaded: for GPUs.
//
//! kernel   parallel_block_tile
//! op       parallel_block/1
//! tier     T0
//! bind     0 x    in  T[rows, width]
//! bind     1 w    in  T[na + nf, width]  when PART == PART.input
//! bind     2 bias in  f32[na + nf]  when PART == PART.input && BIAS == BIAS.on
//! bind     3 a    in  T[rows, ka]  when PART == PART.output
//! bind     4 g    in  T[rows, kf]  when PART == PART.output
//! bind     5 wo   in  T[width, ka]  when PART == PART.output
//! bind     6 wd   in  T[width, kf]  when PART == PART.output
//! bind     7 qkv  out T[rows, na]  when PART == PART.input
//! bind     8 ffn  out T[rows, nf]  when PART == PART.input
//! bind     9 y    out T[rows, width]  when PART == PART.output
//! scratch  10 stat f32[rows, 2]
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     12 VEC_K u32 1 = (PART==PART.input?width%4==0:ka%4==0&&kf%4==0)?4:1
//! spec     13 VEC_N u32 1 = (PART==PART.input?na%4==0&&nf%4==0:width%4==0)?4:1
//! spec     16 PART u32 0
//! spec     17 NORM u32 0
//! spec     18 BIAS u32 0
//! let      m rows
//! let      n PART==PART.input?na+nf:width
//! let      k 4*(PART==PART.input?ceildiv(width,4):ceildiv(ka,4)+ceildiv(kf,4))
//! push     m:u32 n:u32 k:u32 width:u32 na:u32 nf:u32 ka:u32 kf:u32 eps:f32
//! shared   16 * max(TILE_K * (TILE_M / 4 + TILE_N / 4 + 2), WG_SIZE)
//! pass     norm  groups min(rows,4096)
//! pass     main  groups ceildiv(n,TILE_N) ceildiv(m,TILE_M)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_M = 64;
layout(constant_id = 4) const uint TILE_N = 64;
layout(constant_id = 5) const uint TILE_K = 16;
layout(constant_id = 6) const uint REG_M = 8;
layout(constant_id = 7) const uint REG_N = 4;

#include "hyper/parallel.glsl"

#ifdef PASS_MAIN

const uint STAGES = 1;
const uint PAD = 1;
const bool A_ALONG_K = true;
const bool B_ALONG_K = true;

shared vec4 tile_a[TILE_K * (TILE_M / 4 + PAD)];
shared vec4 tile_b[TILE_K * (TILE_N / 4 + PAD)];

#include "lib/tile.glsl"

void main()
{
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, pc.k / 4u);
}

#endif
