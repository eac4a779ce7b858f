// SPDX-License-Identifier: MIT
//
// Products of the experts with the rows they take, whatever the engine
//
//   by position   y[p, :] = a(p, :) W_eᵀ, or a(p, :) W_e, a tile of positions at a time;
//                 workgroup y counts tiles, x the columns
//   by expert     d_e = Σ over e's positions of a(p, :) ⊗ b(p, :); workgroup z is the
//                 expert, y and x count rows and columns of d_e
//
// The kernel declares, before it includes this file and then calls product_main():
//   PROD_TN, PROD_NN, PROD_GATED     constant bools: by expert; W is [k, n]; two W side by
//                                    side, rows 0 .. N-1 gate and N .. 2N-1 up
//   PROD_K, PROD_N                   length of the sums, columns; by expert: rows, columns
//   PROD_BM                          positions of a tile of the map
//   uint prod_tiles()  uint prod_expert(uint tile)        how many tiles; a tile's expert
//   uint prod_begin(uint e)  uint prod_end(uint e)        positions of an expert
//   int prod_from(uint p)            row that a position takes, -1 in padding
//   vec4 prod_a(uint p, uint from, uint i)     elements i .. i+3 of a at p; 0 past the end
//   vec4 prod_b(uint p, uint from, uint i)     the same of b
//   float prod_a_one(uint p, uint from, uint i)   element i of a: product_lanes only
//   vec4 prod_w(uint e, uint row, uint i)      elements i .. i+3 of row `row` of W_e
//   void prod_store(e, p, padding, col, gate, sum)   four columns; gate of the same columns
//   void prod_store_expert(e, row, col, sum)         the same of d_e
// Stores get columns past the edge too, and drop them.
//
// This engine stages through shared memory. It takes the constants TILE_M, TILE_N, TILE_K
// and a workgroup of TILE_M / 4 * (TILE_N / 8), and 16 TILE_K ((TILE_M + TILE_N) / 4 + 2) +
// 4 TILE_M bytes of shared memory. With PRODUCT_LANES the engine is product_lanes.glsl,
// with PRODUCT_ROW product_row.glsl.
#ifndef VKZ_MOE_PRODUCT_GLSL
#define VKZ_MOE_PRODUCT_GLSL

uint prod_ceildiv(const uint a, const uint b) { return (a + b - 1) / b; }

#ifdef PRODUCT_LANES
#include "moe/product_lanes.glsl"
#elif defined(PRODUCT_ROW)
#include "moe/product_row.glsl"
#else

// Columns of y that a tile has: half of its columns of W where there are two.
const uint PROD_TILE_Y = PROD_GATED ? TILE_N / 2 : TILE_N;

// Workgroups of a product with `n` columns; `gated`: two W side by side.
uvec3 product_grid(const uint n, const uint tiles, const bool gated)
{
    return uvec3(prod_ceildiv(n, gated ? TILE_N / 2 : TILE_N),
                 min(tiles * prod_ceildiv(PROD_BM, TILE_M), 65535), 1);
}

// The same by expert, for d_e of `rows` rows.
uvec3 product_grid_expert(const uint rows, const uint n, const uint experts)
{
    return uvec3(prod_ceildiv(n, TILE_N), prod_ceildiv(rows, TILE_M), experts);
}

#ifndef PRODUCT_GRID

const uint REG_M = 4;
const uint REG_N = 8;
const uint STAGES = 1;
const uint PAD = 1;
const bool A_ALONG_K = !PROD_TN;
const bool B_ALONG_K = !PROD_TN && !PROD_NN;

shared vec4 tile_a[TILE_K * (TILE_M / 4 + PAD)];
shared vec4 tile_b[TILE_K * (TILE_N / 4 + PAD)];
shared int tile_rows[TILE_M]; // what prod_from says

uint prod_e;
uint prod_first, prod_last; // positions: of the tile; by expert: all
uint prod_row0, prod_col0;  // of y or d_e that the tile begins with

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    if (PROD_TN) {
        vec4 by_k[4];
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            const uint p = min(prod_first + 4 * q + i, prod_last - 1);
            const int from = prod_from(p);
            const vec4 four = prod_a(p, uint(max(from, 0)), prod_row0 + row);
            const bool any = from >= 0 && prod_first + 4 * q + i < prod_last;
            by_k[i] = any ? four : vec4(0.0);
        }
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            block[i] = vec4(by_k[0][i], by_k[1][i], by_k[2][i], by_k[3][i]);
        }
    } else {
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            const int from = tile_rows[row + i];
            const uint p = min(prod_first + row + i, prod_last - 1);
            const vec4 four = prod_a(p, uint(max(from, 0)), 4 * q);
            block[i] = from < 0 ? vec4(0.0) : four;
        }
    }
}

// Row of W that column `col` of the tile is.
uint prod_w_row(const uint col)
{
    const bool up = PROD_GATED && col >= PROD_TILE_Y;
    return min(prod_col0 + (up ? col - PROD_TILE_Y : col), PROD_N - 1) + (up ? PROD_N : 0);
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    if (PROD_TN) {
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            const uint p = min(prod_first + 4 * q + i, prod_last - 1);
            const int from = prod_from(p);
            const vec4 four = prod_b(p, uint(max(from, 0)), prod_col0 + col);
            const bool any = from >= 0 && prod_first + 4 * q + i < prod_last;
            block[i] = any ? four : vec4(0.0);
        }
    } else if (PROD_NN) {
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            const vec4 four = prod_w(prod_e, min(4 * q + i, PROD_K - 1), prod_col0 + col);
            block[i] = 4 * q + i < PROD_K ? four : vec4(0.0);
        }
    } else {
        vec4 by_col[4];
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            by_col[i] = prod_w(prod_e, prod_w_row(col + i), 4 * q);
        }
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            block[i] = vec4(by_col[0][i], by_col[1][i], by_col[2][i], by_col[3][i]);
        }
    }
}

vec4 prod_gate; // of the row that is being stored: comes just before its up

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (PROD_TN) {
        prod_store_expert(prod_e, prod_row0 + row, prod_col0 + col, sum);
    } else if (PROD_GATED && col < PROD_TILE_Y) {
        prod_gate = sum;
    } else if (prod_first + row < prod_last) {
        prod_store(prod_e, prod_first + row, tile_rows[row] < 0,
                   prod_col0 + (PROD_GATED ? col - PROD_TILE_Y : col), prod_gate, sum);
    }
}

#include "lib/tile.glsl"

void prod_tile(const uint index)
{
    const uint chunks = prod_ceildiv(PROD_BM, TILE_M);
    const uint tile = index / chunks;
    prod_e = prod_expert(tile);
    prod_first = tile * PROD_BM + index % chunks * TILE_M;
    prod_last = min(prod_first + TILE_M, (tile + 1) * PROD_BM);
    barrier(); // the tile before may still look up its rows
    for (uint i = gl_LocalInvocationID.x; i < TILE_M; i += gl_WorkGroupSize.x) {
        tile_rows[i] = prod_first + i < prod_last ? prod_from(prod_first + i) : -1;
    }
    barrier();
    // Padding is at the end: a tile that begins with it has nothing to add up.
    vkz_tile(gl_LocalInvocationID.x, 0, 0, 0, tile_rows[0] < 0 ? 0 : (PROD_K + 3) / 4);
}

void product_main()
{
    if (PROD_TN) {
        prod_e = gl_WorkGroupID.z;
        prod_row0 = gl_WorkGroupID.y * TILE_M;
        prod_col0 = gl_WorkGroupID.x * TILE_N;
        prod_first = prod_begin(prod_e);
        prod_last = prod_end(prod_e);
        vkz_tile(gl_LocalInvocationID.x, 0, 0, 0, (prod_last - prod_first + 3) / 4);
    } else {
        const uint tiles = prod_tiles() * prod_ceildiv(PROD_BM, TILE_M);
        prod_col0 = gl_WorkGroupID.x * PROD_TILE_Y;
        for (uint i = gl_WorkGroupID.y; i < tiles; i += gl_NumWorkGroups.y) {
            prod_tile(i);
        }
    }
}

#endif
#endif
#endif
