// SPDX-License-Identifier: MIT
//
// Projections of parallel attention and feed-forward layers, one product on packed panels
//
//   input:  [qkv | ffn] = norm(x) w^T + bias      output:  y = x + [a | g] [wo | wd]^T
//
// PaLM, arXiv 2204.02311; parallel attention and feed-forward net, arXiv 2305.13297.
//
// Why this one: the fastest product of CPU drivers, gemm_pack; the norm is done where x is
// packed, and both parts of a concatenation lie side by side in the panels.
//
//! kernel   parallel_block_pack
//! op       parallel_block/1
//! tier     T1
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
//! scratch  11 pa   f32[ceildiv(m,TILE_ROWS)*TILE_ROWS, k]
//! scratch  12 pb   f32[ceildiv(n,COLUMNS)*COLUMNS, k]
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // LANES: one subgroup
//! spec     3 TILE_ROWS u32 16 = is_cpu ? max(8,subgroup_size) : 16   // rows a tile, a multiple of WG_SIZE
//! spec     4 TILE_COLS u32 1     // groups of four columns a lane
//! spec     12 VEC_K u32 1 = (PART==PART.input?width%4==0:ka%4==0&&kf%4==0)?4:1
//! spec     13 VEC_N u32 1 = (PART==PART.input?na%4==0&&nf%4==0:width%4==0)?4:1
//! spec     16 PART u32 0
//! spec     17 NORM u32 0
//! spec     18 BIAS u32 0
//! let      m rows
//! let      n PART==PART.input?na+nf:width
//! let      k 4*(PART==PART.input?ceildiv(width,4):ceildiv(ka,4)+ceildiv(kf,4))
//! push     m:u32 n:u32 k:u32 width:u32 na:u32 nf:u32 ka:u32 kf:u32 eps:f32
//! let      COLUMNS 4*WG_SIZE*TILE_COLS
//! let      strips ceildiv(m,TILE_ROWS)*TILE_ROWS/4+ceildiv(n,COLUMNS)*COLUMNS/4
//! shared   16 * WG_SIZE
//! tuning   rows16  TILE_ROWS=16
//! tuning   rows32  TILE_ROWS=32
//! pass     norm  groups min(rows,4096)
//! pass     pack  groups min(strips,is_cpu?128:4096)
//! pass     main  groups ceildiv(m,TILE_ROWS) ceildiv(n,COLUMNS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#ifdef PASS_NORM
layout(local_size_x = 4, local_size_x_id = 0) in;
#include "hyper/parallel.glsl"
#else
#define PACK_BIND 11
#define PACK_IO
#include "hyper/parallel.glsl"
const uint TRANS_NT = 0;
const uint TRANS_TN = 2;
const uint TRANS = TRANS_NT;
#include "gemm/pack.glsl"
#endif
