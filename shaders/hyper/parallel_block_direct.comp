// SPDX-License-Identifier: MIT
//
// Projections of parallel attention and feed-forward layers, register tiles from global memory
//
//   input:  [qkv | ffn] = norm(x) w^T + bias      output:  y = x + [a | g] [wo | wd]^T
//
// PaLM, arXiv 2204.02311; parallel attention and feed-forward net, arXiv 2305.13297.
//
// Why this one: one product for both layers, the norm done while x is loaded and the
// residual while y is stored. No shared memory: for CPU drivers, and few rows.
//
//! kernel   parallel_block_direct
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
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     3 TILE_ROWS u32 8 = is_cpu ? 4 : 8   // rows a workgroup
//! spec     12 VEC_K u32 1 = (PART==PART.input?width%4==0:ka%4==0&&kf%4==0)?4:1
//! spec     13 VEC_N u32 1 = (PART==PART.input?na%4==0&&nf%4==0:width%4==0)?4:1
//! spec     16 PART u32 0
//! spec     17 NORM u32 0
//! spec     18 BIAS u32 0
//! let      m rows
//! let      n PART==PART.input?na+nf:width
//! let      k 4*(PART==PART.input?ceildiv(width,4):ceildiv(ka,4)+ceildiv(kf,4))
//! push     m:u32 n:u32 k:u32 width:u32 na:u32 nf:u32 ka:u32 kf:u32 eps:f32
//! shared   16 * WG_SIZE
//! pass     norm  groups min(rows,4096)
//! pass     main  groups ceildiv(n,4*WG_SIZE) ceildiv(m,TILE_ROWS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_ROWS = 8;

#include "hyper/parallel.glsl"

#ifdef PASS_MAIN

const uint TILE_COLS = 1;

// The tail of k, which is a multiple of four: never asked for.
float load_a(const uint row, const uint kk)
{
    return 0.0;
}

vec4 load_b4(const uint kk, const uint col)
{
    return vec4(0.0);
}

#include "lib/tile_direct.glsl"

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint col = 4u * (gl_WorkGroupID.x * lanes + gl_LocalInvocationID.x);
    vkz_tile_direct(gl_WorkGroupID.y * TILE_ROWS, col, lanes, 0, pc.k);
}

#endif
