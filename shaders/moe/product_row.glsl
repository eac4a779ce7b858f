// SPDX-License-Identifier: MIT
//
// The products of product.glsl as dot products, for few rows an expert
//
// A workgroup has four columns (with two W the same four of both) of an expert. Its lanes
// split k: neighbours read neighbouring groups of four of W's rows, each once for ROWS rows
// of a. Their sums meet in shared memory.
//
// The kernel defines LANES, the workgroup's size, and the constant ROWS. Not for d_e, nor
// for W with its rows along n.
#ifndef VKZ_MOE_PRODUCT_ROW_GLSL
#define VKZ_MOE_PRODUCT_ROW_GLSL

#extension GL_EXT_control_flow_attributes : require

const uint PROD_COLS = 4;

// Workgroups of a product with `n` columns.
uvec3 product_grid(const uint n, const uint tiles, const bool gated)
{
    return uvec3(prod_ceildiv(n, PROD_COLS), min(tiles, 512), 1);
}

// There is no product by expert.
uvec3 product_grid_expert(const uint rows, const uint n, const uint experts)
{
    return uvec3(1);
}

#ifndef PRODUCT_GRID

const uint PROD_W = PROD_GATED ? 2 : 1;

vec4 prod_acc[ROWS * PROD_W];
shared vec4 prod_part[LANES * ROWS * 2];

// Positions first .. last - 1, at most ROWS.
void prod_chunk(const uint e, const uint first, const uint last)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint col = PROD_COLS * gl_WorkGroupID.x;
    int from[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        const int row = prod_from(min(first + r, last - 1));
        from[r] = first + r < last ? row : -1;
        [[unroll]] for (uint j = 0; j < PROD_W; ++j) {
            prod_acc[r * PROD_W + j] = vec4(0.0);
        }
    }
    [[dont_unroll]] for (uint q = lane; q < (PROD_K + 3) / 4; q += LANES) {
        vec4 w[4 * PROD_W];
        [[unroll]] for (uint i = 0; i < 4 * PROD_W; ++i) {
            w[i] = prod_w(e, min(col + i % 4, PROD_N - 1) + i / 4 * PROD_N, 4 * q);
        }
        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
            if (from[r] >= 0) {
                const vec4 a = prod_a(first + r, uint(from[r]), 4 * q);
                [[unroll]] for (uint j = 0; j < PROD_W; ++j) {
                    prod_acc[r * PROD_W + j] +=
                        vec4(dot(a, w[4 * j]), dot(a, w[4 * j + 1]), dot(a, w[4 * j + 2]),
                             dot(a, w[4 * j + 3]));
                }
            }
        }
    }
    [[unroll]] for (uint i = 0; i < ROWS * PROD_W; ++i) {
        prod_part[lane * ROWS * PROD_W + i] = prod_acc[i];
    }
    barrier();
    for (uint r = lane; r < last - first; r += LANES) {
        vec4 gate = vec4(0.0);
        vec4 sum = vec4(0.0);
        for (uint l = 0; l < LANES; ++l) {
            const uint at = (l * ROWS + r) * PROD_W;
            gate += prod_part[at];
            sum += prod_part[at + PROD_W - 1];
        }
        prod_store(e, first + r, prod_from(first + r) < 0, col, gate, sum);
    }
    barrier(); // read before the next chunk writes
}

void product_main()
{
    const uint tiles = prod_tiles();
    for (uint tile = gl_WorkGroupID.y; tile < tiles; tile += gl_NumWorkGroups.y) {
        const uint e = prod_expert(tile);
        const uint begin = prod_begin(e);
        const uint offset = tile * PROD_BM - begin;
        for (uint at = prod_ceildiv(offset, ROWS) * ROWS; at < offset + PROD_BM; at += ROWS) {
            prod_chunk(e, begin + at, min(begin + at + ROWS, prod_end(e)));
        }
    }
}

#endif
#endif
