// SPDX-License-Identifier: MIT
//
// A matrix product per expert, staged through shared memory
//
//   y[p] = epilogue(x[src[p] / topk] W_e^T), e = tile_expert[p / bm]; nn and tn likewise
//
// MegaBlocks arXiv 2211.15841.
//
// Why this one: gemm_tile with rows gathered as they are staged and W from the tile's
// expert. The tile is as high as the map's, 16 to 64 rows, so that the host's choice of bm
// for the rows an expert takes is the kernel's. With swiglu a lane has the same columns of
// gate and up, and their product never reaches memory apart. The baseline for GPUs.
//
//! kernel   grouped_gemm_tile
//! op       grouped_gemm/1
//! tier     T0
//! bind     0 x     in  T[GATHER == GATHER.on ? rows : cap_total, k]
//! bind     1 w     in  T[experts, TRANS == TRANS.nn ? k : EPILOGUE == EPILOGUE.swiglu ? 2 * n : n, TRANS == TRANS.nn ? n : k]  when TRANS != TRANS.tn
//! bind     2 dy    in  T[cap_total, n]  when TRANS == TRANS.tn
//! bind     3 src   in  i32[cap_total]
//! bind     4 tile_expert in i32[cap_total / bm]
//! bind     5 start in  i32[experts + 1]
//! bind     6 args  in  u32[3]
//! bind     7 c0    in  T[cap_total, n]  when EPILOGUE == EPILOGUE.residual
//! bind     8 bias  in  f32[experts, n]  when EPILOGUE >= EPILOGUE.bias && EPILOGUE <= EPILOGUE.bias_silu
//! bind     9 scale in  f32[EPILOGUE == EPILOGUE.scale_row ? cap_total : experts * n]  when EPILOGUE == EPILOGUE.scale_row || EPILOGUE == EPILOGUE.scale_col
//! bind     10 y    out T[cap_total, n]  when TRANS != TRANS.tn
//! bind     11 dw   out f32[experts, n, k]  when TRANS == TRANS.tn
//! scratch  12 grid u32[3]
//! push     topk:u32 experts:u32 bm:u32 cap_total:u32 n:u32 k:u32
//! spec     0 WG_SIZE u32 128 = TRANS == TRANS.tn || bm > 32 ? 128 : bm > 16 ? 64 : 32   // TILE_M / REG_M * (TILE_N / REG_N)
//! spec     3 TILE_M u32 64 = TRANS == TRANS.tn || bm > 32 ? 64 : bm > 16 ? 32 : 16
//! spec     4 TILE_N u32 64
//! spec     5 TILE_K u32 16
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     16 TRANS u32 0
//! spec     17 EPILOGUE u32 0
//! spec     18 GATHER u32 0
//! shared   16*TILE_K*((TILE_M+TILE_N)/4+2)+4*TILE_M
//! pass     grid  groups min(cap_total,1024)
//! pass     main  indirect grid
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_M = 64;
layout(constant_id = 4) const uint TILE_N = 64;
layout(constant_id = 5) const uint TILE_K = 16;

#include "moe/grouped.glsl"

// Columns of y that a tile has: half of its columns of W with swiglu.
const uint TILE_Y = SWIGLU ? TILE_N / 2 : TILE_N;

uint ceildiv(const uint a, const uint b) { return (a + b - 1) / b; }

#ifdef PASS_GRID

void main()
{
    if (TRANS == TRANS_TN) {
        grid_set(uvec3(ceildiv(pc.k, TILE_N), ceildiv(pc.n, TILE_M), pc.experts));
    } else {
        const uint tiles = args[0] * ceildiv(pc.bm, TILE_M);
        grid_set(uvec3(ceildiv(pc.n, TILE_Y), min(tiles, 65535), 1));
    }
    clear_rest();
}

#else

const uint REG_M = 4;
const uint REG_N = 8;
const uint STAGES = 1;
const uint PAD = 1;
const bool A_ALONG_K = TRANS != TRANS_TN;
const bool B_ALONG_K = TRANS == TRANS_NT;

shared vec4 tile_a[TILE_K * (TILE_M / 4 + PAD)];
shared vec4 tile_b[TILE_K * (TILE_N / 4 + PAD)];
shared int tile_rows[TILE_M]; // rows of x, -1 in padding

uint expert;
uint first, end; // positions: of the tile; with tn of the expert
uint col0;       // column of y or dW that the tile begins with

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    if (TRANS == TRANS_TN) {
        vec4 by_k[4];
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            const uint p = min(first + 4 * q + i, end - 1);
            by_k[i] = load_dy(p, gl_WorkGroupID.y * TILE_M + row);
            by_k[i] = first + 4 * q + i < end && src[p] >= 0 ? by_k[i] : vec4(0.0);
        }
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            block[i] = vec4(by_k[0][i], by_k[1][i], by_k[2][i], by_k[3][i]);
        }
    } else {
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            const int from = tile_rows[row + i];
            const vec4 four = load_x(uint(max(from, 0)), 4 * q);
            block[i] = from < 0 ? vec4(0.0) : four;
        }
    }
}

// Row of W that column `col` of the tile is.
uint w_row(const uint col)
{
    const bool up = SWIGLU && col >= TILE_Y;
    return min(col0 + (up ? col - TILE_Y : col), pc.n - 1) + (up ? pc.n : 0);
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    if (TRANS == TRANS_TN) {
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            const uint p = min(first + 4 * q + i, end - 1);
            const int from = x_row(p);
            const vec4 four = load_x(uint(max(from, 0)), col0 + col);
            block[i] = from < 0 || first + 4 * q + i >= end ? vec4(0.0) : four;
        }
    } else if (TRANS == TRANS_NN) {
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            const vec4 four = load_w(expert, min(4 * q + i, pc.k - 1), col0 + col);
            block[i] = 4 * q + i < pc.k ? four : vec4(0.0);
        }
    } else {
        vec4 by_col[4];
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            by_col[i] = load_w(expert, w_row(col + i), 4 * q);
        }
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            block[i] = vec4(by_col[0][i], by_col[1][i], by_col[2][i], by_col[3][i]);
        }
    }
}

vec4 gate; // of the row that is being stored: comes just before its up

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (TRANS == TRANS_TN) {
        store_dw4(expert, gl_WorkGroupID.y * TILE_M + row, col0 + col, sum);
    } else if (SWIGLU && col < TILE_Y) {
        gate = sum;
    } else if (first + row < end) {
        const vec4 silu = vec4(vkz_silu(gate.x), vkz_silu(gate.y), vkz_silu(gate.z),
                               vkz_silu(gate.w));
        store_y4(expert, first + row, tile_rows[row] < 0,
                 col0 + (SWIGLU ? col - TILE_Y : col), SWIGLU ? silu * sum : sum);
    }
}

#include "lib/tile.glsl"

void tile_of_positions(const uint index)
{
    const uint chunks = ceildiv(pc.bm, TILE_M);
    const uint tile = index / chunks;
    expert = uint(tile_expert[tile]);
    first = tile * pc.bm + index % chunks * TILE_M;
    end = min(first + TILE_M, (tile + 1) * pc.bm);
    barrier(); // the tile before may still look up its rows
    for (uint i = gl_LocalInvocationID.x; i < TILE_M; i += gl_WorkGroupSize.x) {
        tile_rows[i] = first + i < end ? x_row(first + i) : -1;
    }
    barrier();
    // Padding is at the end: a tile that begins with it has nothing to add up.
    vkz_tile(gl_LocalInvocationID.x, 0, 0, 0, tile_rows[0] < 0 ? 0 : (pc.k + 3) / 4);
}

void main()
{
    if (TRANS == TRANS_TN) {
        expert = gl_WorkGroupID.z;
        col0 = gl_WorkGroupID.x * TILE_N;
        first = uint(start[expert]);
        end = uint(start[expert + 1]);
        vkz_tile(gl_LocalInvocationID.x, 0, 0, 0, (end - first + 3) / 4);
    } else {
        const uint tiles = args[0] * ceildiv(pc.bm, TILE_M);
        col0 = gl_WorkGroupID.x * TILE_Y;
        for (uint i = gl_WorkGroupID.y; i < tiles; i += gl_NumWorkGroups.y) {
            tile_of_positions(i);
        }
    }
}

#endif
