// SPDX-License-Identifier: MIT
//
// The products of product.glsl where a workgroup is one subgroup
//
//             columns of lane 0   lane 1   ...     A lane has four columns (with two W the
//           +-------------------+--------+         same four of both) of GROUPS * LANES
//   row 0   |                   |        |         rows. It reads W at its own columns, four
//   row 1   |  sums of lane 0   |        |         k at a time, and of every LANES rows of a
//   ...     |                   |        |         one, which it hands round to all lanes:
//           +-------------------+--------+         no shared memory, no barrier.
//
// A CPU driver reads every lane's elements one by one, and an address that all lanes share
// just as slowly; so what counts is how many sums each element read serves. Groups of rows
// that are all padding are left out: the last tile of an expert costs what it has in it.
//
// An expert's positions are cut anew, every PROD_ROWS from its begin, and whoever has the
// tile of the map in which a cut lies takes the rows from there: small tiles, which need
// little padding, are joined, and large ones divided.
//
// The kernel defines LANES, the workgroup's size, no more than the smallest subgroup, and
// the constants GROUPS and STEPS: groups of four k that are read at a time.
#ifndef VKZ_MOE_PRODUCT_LANES_GLSL
#define VKZ_MOE_PRODUCT_LANES_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

const uint PROD_ROWS = GROUPS * LANES;
const uint PROD_COLS = 4 * LANES;
const uint PROD_TILES = 512; // side by side; on a CPU a workgroup costs as much as a tile's test

// Workgroups of a product with `n` columns; `gated`: two W side by side.
uvec3 product_grid(const uint n, const uint tiles, const bool gated)
{
    return uvec3(prod_ceildiv(n, PROD_COLS), min(tiles, PROD_TILES), 1);
}

// The same by expert, for d_e of `rows` rows.
uvec3 product_grid_expert(const uint rows, const uint n, const uint experts)
{
    return uvec3(prod_ceildiv(n, PROD_COLS), prod_ceildiv(rows, PROD_ROWS), experts);
}

#ifndef PRODUCT_GRID

const uint PROD_W = PROD_GATED ? 2 : 1;

vec4 prod_acc[PROD_ROWS * PROD_W];
vec4 prod_b_[STEPS * 4 * PROD_W];

// Step `s` of four k: rows g * LANES .. of a, the lane's own in `mine`.
void prod_step(const uint g, const uint s, const vec4 mine)
{
    [[unroll]] for (uint l = 0; l < LANES; ++l) {
        const vec4 a = subgroupShuffle(mine, l);
        [[unroll]] for (uint j = 0; j < PROD_W; ++j) {
            vec4 sum = prod_acc[(g * LANES + l) * PROD_W + j];
            sum += a.x * prod_b_[(4 * s + 0) * PROD_W + j];
            sum += a.y * prod_b_[(4 * s + 1) * PROD_W + j];
            sum += a.z * prod_b_[(4 * s + 2) * PROD_W + j];
            sum += a.w * prod_b_[(4 * s + 3) * PROD_W + j];
            prod_acc[(g * LANES + l) * PROD_W + j] = sum;
        }
    }
}

// W at steps q .. q + STEPS - 1. All of a row's first: a line of memory is read at once,
// while rows a power of two apart would push each other out of the cache.
void prod_load_w(const uint e, const uint q, const uint col)
{
    [[unroll]] for (uint j = 0; j < PROD_W; ++j) {
        if (PROD_NN) {
            [[unroll]] for (uint i = 0; i < 4 * STEPS; ++i) {
                const vec4 four = prod_w(e, min(4 * q + i, PROD_K - 1), col);
                prod_b_[i * PROD_W + j] = 4 * q + i < PROD_K ? four : vec4(0.0);
            }
        } else {
            [[unroll]] for (uint i = 0; i < 4; ++i) {
                const uint row = min(col + i, PROD_N - 1) + j * PROD_N;
                [[unroll]] for (uint s = 0; s < STEPS; ++s) {
                    const vec4 four = prod_w(e, row, 4 * (q + s));
                    [[unroll]] for (uint c = 0; c < 4; ++c) {
                        prod_b_[(4 * s + c) * PROD_W + j][i] = four[c];
                    }
                }
            }
        }
    }
}

void prod_clear()
{
    [[unroll]] for (uint i = 0; i < PROD_ROWS * PROD_W; ++i) {
        prod_acc[i] = vec4(0.0);
    }
}

// Positions first .. first + PROD_ROWS - 1, those before `last`.
void prod_chunk(const uint e, const uint first, const uint last)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint col = 4 * (gl_WorkGroupID.x * LANES + lane);
    int from[GROUPS];
    uint groups = 0;
    [[unroll]] for (uint g = 0; g < GROUPS; ++g) {
        const uint p = first + g * LANES + lane;
        const int row = prod_from(min(p, last - 1));
        from[g] = p < last ? row : -1;
        groups += subgroupShuffle(from[g], 0) >= 0 ? 1 : 0;
    }
    prod_clear();
    const uint quads = groups == 0 ? 0 : (PROD_K + 3) / 4;
    for (uint q = 0; q < quads; q += STEPS) {
        prod_load_w(e, q, col);
        [[unroll]] for (uint g = 0; g < GROUPS; ++g) {
            if (g < groups) {
                const uint p = min(first + g * LANES + lane, last - 1);
                [[unroll]] for (uint s = 0; s < STEPS; ++s) {
                    const vec4 four = prod_a(p, uint(max(from[g], 0)), 4 * (q + s));
                    prod_step(g, s, from[g] < 0 ? vec4(0.0) : four);
                }
            }
        }
    }
    [[unroll]] for (uint g = 0; g < GROUPS; ++g) {
        if (first + g * LANES < last) {
            [[unroll]] for (uint l = 0; l < LANES; ++l) {
                const uint at = (g * LANES + l) * PROD_W;
                const bool padding = subgroupShuffle(from[g], l) < 0;
                if (first + g * LANES + l < last) {
                    prod_store(e, first + g * LANES + l, padding, col, prod_acc[at],
                               prod_acc[at + PROD_W - 1]);
                }
            }
        }
    }
}

// d_e, PROD_ROWS rows of it: the sums run over positions.
void prod_by_expert()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint e = gl_WorkGroupID.z;
    const uint row = gl_WorkGroupID.y * PROD_ROWS;
    const uint col = 4 * (gl_WorkGroupID.x * LANES + lane);
    const uint first = prod_begin(e);
    const uint last = prod_end(e);
    prod_clear();
    for (uint p0 = first; p0 < last; p0 += 4) {
        uint rows[4];
        bool any[4];
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            const int from = prod_from(min(p0 + i, last - 1));
            any[i] = from >= 0 && p0 + i < last;
            rows[i] = uint(max(from, 0));
            const vec4 four = prod_b(min(p0 + i, last - 1), rows[i], col);
            prod_b_[i * PROD_W] = any[i] ? four : vec4(0.0);
        }
        [[unroll]] for (uint g = 0; g < GROUPS; ++g) {
            vec4 mine;
            [[unroll]] for (uint i = 0; i < 4; ++i) {
                const uint p = min(p0 + i, last - 1);
                const float one = prod_a_one(p, rows[i], row + g * LANES + lane);
                mine[i] = any[i] ? one : 0.0;
            }
            prod_step(g, 0, mine);
        }
    }
    [[unroll]] for (uint i = 0; i < PROD_ROWS; ++i) {
        prod_store_expert(e, row + i, col, prod_acc[i * PROD_W]);
    }
}

void product_main()
{
    if (PROD_TN) {
        prod_by_expert();
    } else {
        const uint tiles = prod_tiles();
        for (uint tile = gl_WorkGroupID.y; tile < tiles; tile += gl_NumWorkGroups.y) {
            const uint e = prod_expert(tile);
            const uint begin = prod_begin(e);
            const uint offset = tile * PROD_BM - begin;
            for (uint at = prod_ceildiv(offset, PROD_ROWS) * PROD_ROWS;
                 at < offset + PROD_BM; at += PROD_ROWS) {
                const uint first = begin + at;
                prod_chunk(e, first, min(first + PROD_ROWS, prod_end(e)));
            }
        }
    }
}

#endif
#endif
