// SPDX-License-Identifier: MIT
//
// RandLoRA's update as one product over all columns of all bases
//
//   dw = (s lam B) (gam A) where k <= n, else (s lam gam A)^T B^T
//
// RandLoRA, arXiv 2502.00987.
//
// Why this one: a dense product on tiles in shared memory; lam and gam are met on the way
// there, so that neither factor is written out.
//
//! kernel   randlora_delta_tile
//! op       randlora_delta/1
//! tier     T0
//! bind     0 a     in   T[rank, min(k,n)]  when BASIS == BASIS.dense
//! bind     1 b     in   T[ceildiv(min(k,n),rank), max(k,n), rank]  when BASIS == BASIS.dense
//! bind     2 abits in   u32[ceildiv(rank*min(k,n),16)]  when BASIS == BASIS.ternary
//! bind     3 bbits in   u32[ceildiv(ceildiv(min(k,n),rank)*max(k,n)*rank,16)]  when BASIS == BASIS.ternary
//! bind     4 lam   in   f32[ceildiv(min(k,n),rank), rank]
//! bind     5 gam   in   f32[ceildiv(min(k,n),rank), min(k,n)]
//! bind     6 dw    out  T[n, k]
//! push     k:u32 n:u32 rank:u32 pr:u32 bases:u32 s:f32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     11 ROLLED u32 0 = is_cpu   // loads in a loop
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 BASIS u32 0
//! spec     17 WIDE u32 0 = k > n
//! let      pr 4*ceildiv(rank,4)
//! let      bases ceildiv(min(k,n),rank)
//! let      columns bases*pr
//! shared   16 * TILE_K * (TILE_M / 4 + TILE_N / 4 + 2)
//! pass     main  groups ceildiv(k,TILE_N) ceildiv(n,TILE_M)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define RAND_A 0
#define RAND_DELTA
#include "lora/randlora.glsl"

layout(set = 0, binding = 6, std430) restrict writeonly buffer Dw { T dw[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Dw4 { W4 dw4[]; };

void load_block_a(const uint row, const uint q, out vec4 m[4])
{
    if (WIDE != 0) {
        block_a(4 * q, row, m);
        lora_transpose(m);
    } else {
        block_b(4 * q, row, m);
    }
    const vec4 scale = 4 * q < rand_columns() ? side_scale() * lam4(4 * q) : vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        m[i] *= scale;
    }
}

void load_block_b(const uint q, const uint col, out vec4 m[4])
{
    if (WIDE != 0) {
        block_b(4 * q, col, m);
        lora_transpose(m);
    } else {
        block_a(4 * q, col, m);
    }
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.n && col < pc.k) {
        LORA_STORE(dw, dw4, VEC_K, row * pc.k, col, pc.k, sum)
    }
}

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;
#include "lora/tiles.glsl"
#include "lib/tile.glsl"

void main()
{
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, rand_columns() / 4);
}
