// SPDX-License-Identifier: MIT
//
// RandLoRA with both diagonals folded into the products, tiles in shared memory
//
//   down  P = s lam (x D)      D = gam A^T where k <= n, else B     K = k
//   main  y = x W^T + P U      U = B^T where k <= n, else gam A     K = k + columns of P
//
// RandLoRA, arXiv 2502.00987.
//
// Why this one: the second product goes on in the accumulators of the base product, so
// that y is written once, and gam meets A on its way to shared memory: the scaled basis,
// as large as W, is neither written nor read, only A, which all bases share.
//
//! kernel   randlora_linear_fused
//! op       randlora_linear/1
//! tier     T0
//! bind     0 x     in   T[rows, k]
//! bind     1 w     in   T[n, k]
//! bind     2 a     in   T[rank, min(k,n)]  when BASIS == BASIS.dense
//! bind     3 b     in   T[ceildiv(min(k,n),rank), max(k,n), rank]  when BASIS == BASIS.dense
//! bind     4 abits in   u32[ceildiv(rank*min(k,n),16)]  when BASIS == BASIS.ternary
//! bind     5 bbits in   u32[ceildiv(ceildiv(min(k,n),rank)*max(k,n)*rank,16)]  when BASIS == BASIS.ternary
//! bind     6 lam   in   f32[ceildiv(min(k,n),rank), rank]
//! bind     7 gam   in   f32[ceildiv(min(k,n),rank), min(k,n)]
//! bind     8 y     out  T[rows, n]
//! scratch  9 p     f32[rows, columns]
//! push     rows:u32 k:u32 n:u32 rank:u32 pr:u32 bases:u32 s:f32
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
//! tuning   small  TILE_M=32 TILE_N=32 REG_M=4
//! pass     down  groups ceildiv(columns,TILE_N) ceildiv(rows,TILE_M)
//! pass     main  groups ceildiv(n,TILE_N) ceildiv(rows,TILE_M)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define RAND_A 2
#include "lora/randlora_forward.glsl"

#ifdef PASS_DOWN
void load_block_a(const uint row, const uint q, out vec4 m[4]) { block_x(row, 4 * q, m); }
void load_block_b(const uint q, const uint col, out vec4 m[4]) { down_block(q, col, m); }

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.rows && col < rand_columns()) {
        p[row * (rand_columns() / 4) + col / 4] = side_scale() * lam4(col) * sum;
    }
}
#else
void load_block_a(const uint row, const uint q, out vec4 m[4])
{
    if (q < base_groups()) {
        block_x(row, 4 * q, m);
    } else {
        block_p(row, 4 * (q - base_groups()), m);
    }
}

void load_block_b(const uint q, const uint col, out vec4 m[4])
{
    if (q < base_groups()) {
        base_block(q, col, m);
    } else {
        up_block(q - base_groups(), col, m);
    }
}

void store_c4(const uint row, const uint col, const vec4 sum) { store_y(row, col, sum); }
#endif

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;
#include "lora/tiles.glsl"
#include "lib/tile.glsl"

void main()
{
#ifdef PASS_DOWN
    const uint groups = base_groups();
#else
    const uint groups = base_groups() + rand_columns() / 4;
#endif
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, groups);
}
