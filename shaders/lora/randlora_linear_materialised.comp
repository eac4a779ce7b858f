// SPDX-License-Identifier: MIT
//
// RandLoRA as a composition: the scaled basis written out, then plain products
//
//   basis  S = s lam A gam, one row a column of P
//   base   x W^T, in float
//   down   P = x S^T where k <= n, else x B
//   up     y = base + P B^T where k <= n, else base + P S
//
// RandLoRA, arXiv 2502.00987.
//
// Why this one: what a program of dense products does, on the same tiles. S is as large
// as W and is written and read once more in float; so are the base product's sums. Others
// are held against it.
//
//! kernel   randlora_linear_materialised
//! op       randlora_linear/1
//! tier     T0
//! baseline
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
//! scratch  10 basis f32[columns, 4*ceildiv(min(k,n),4)]
//! scratch  11 base f32[rows, 4*ceildiv(n,4)]
//! push     rows:u32 k:u32 n:u32 rank:u32 pr:u32 bases:u32 s:f32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     11 ROLLED u32 0   // loads side by side: rolled, llvmpipe 26.1.6 crashes on pass basis
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 BASIS u32 0
//! spec     17 WIDE u32 0 = k > n
//! let      pr 4*ceildiv(rank,4)
//! let      bases ceildiv(min(k,n),rank)
//! let      columns bases*pr
//! shared   16 * TILE_K * (TILE_M / 4 + TILE_N / 4 + 2)
//! pass     basis  groups ceildiv(ceildiv(min(k,n),4),WG_SIZE) min(columns/4,65535)
//! pass     base   groups ceildiv(n,TILE_N) ceildiv(rows,TILE_M)
//! pass     down   groups ceildiv(columns,TILE_N) ceildiv(rows,TILE_M)
//! pass     up     groups ceildiv(n,TILE_N) ceildiv(rows,TILE_M)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define RAND_A 2
#include "lora/randlora_forward.glsl"

uint quads_dm() { return (rand_dm() + 3) / 4; }
uint quads_n() { return (pc.n + 3) / 4; }

layout(set = 0, binding = 10, std430) restrict buffer Basis { vec4 basis[]; };
layout(set = 0, binding = 11, std430) restrict buffer Base { vec4 base[]; };

#ifdef PASS_BASIS

layout(local_size_x = 128, local_size_x_id = 0) in;

void main()
{
    const uint q = gl_GlobalInvocationID.x;
    const uint strips = rand_columns() / 4;
    const uint step = gl_NumWorkGroups.y;
    for (uint f = gl_WorkGroupID.y; q < quads_dm() && f < strips; f += step) {
        vec4 m[4];
        block_a(4 * f, 4 * q, m);
        const vec4 scale = side_scale() * lam4(4 * f);
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            basis[(4 * f + i) * quads_dm() + q] = scale[i] * m[i];
        }
    }
}

#else

LORA_SCRATCH(block_basis, basis, rand_columns(), quads_dm())

#ifdef PASS_UP
void load_block_a(const uint row, const uint q, out vec4 m[4]) { block_p(row, 4 * q, m); }
#else
void load_block_a(const uint row, const uint q, out vec4 m[4]) { block_x(row, 4 * q, m); }
#endif

void load_block_b(const uint q, const uint col, out vec4 m[4])
{
#if defined(PASS_BASE)
    base_block(q, col, m);
#elif defined(PASS_DOWN)
    if (WIDE != 0) {
        block_b(col, 4 * q, m);
    } else {
        block_basis(col, 4 * q, m);
        lora_transpose(m);
    }
#else
    if (WIDE != 0) {
        block_basis(4 * q, col, m);
    } else {
        block_b(4 * q, col, m);
        lora_transpose(m);
    }
#endif
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
#if defined(PASS_BASE)
    if (row < pc.rows && col < pc.n) {
        base[row * quads_n() + col / 4] = sum;
    }
#elif defined(PASS_DOWN)
    if (row < pc.rows && col < rand_columns()) {
        p[row * (rand_columns() / 4) + col / 4] = sum;
    }
#else
    if (row < pc.rows && col < pc.n) {
        store_y(row, col, sum + base[row * quads_n() + col / 4]);
    }
#endif
}

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;
#include "lora/tiles.glsl"
#include "lib/tile.glsl"

void main()
{
#ifdef PASS_UP
    const uint groups = rand_columns() / 4;
#else
    const uint groups = base_groups();
#endif
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, groups);
}

#endif
