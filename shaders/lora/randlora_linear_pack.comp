// SPDX-License-Identifier: MIT
//
// RandLoRA with both diagonals folded into the products, on packed panels
//
//   pack  x, W, A and, where k <= n, B in the order of use; zeros beyond the edges
//           px [rows / TILE_ROWS] [k / 4 + columns / 4] [TILE_ROWS] groups of four
//           pw [n / panel] [k + columns, where k > n only k] [TILE_COLS] [LANES]
//           pa [k] [pr / 4], where k <= n: A^T
//   down  P = s lam (x D), D = gam A^T where k <= n, else B: into the place px has for it
//   main  [x | P] [W | U]^T in one walk, U = B where k <= n, else (gam A)^T
//
// RandLoRA, arXiv 2502.00987.
//
// Why this one: of the bases only A and B are copied, A once for all of them; a panel of
// A meets gam on its way to registers, so the scaled basis is neither written nor packed,
// which is what a product with few rows spends most of its time on. For CPU drivers.
//
//! kernel   randlora_linear_pack
//! op       randlora_linear/1
//! tier     T1
//! bind     0 x     in   T[rows, k]
//! bind     1 w     in   T[n, k]
//! bind     2 a     in   T[rank, min(k,n)]  when BASIS == BASIS.dense
//! bind     3 b     in   T[ceildiv(min(k,n),rank), max(k,n), rank]  when BASIS == BASIS.dense
//! bind     4 abits in   u32[ceildiv(rank*min(k,n),16)]  when BASIS == BASIS.ternary
//! bind     5 bbits in   u32[ceildiv(ceildiv(min(k,n),rank)*max(k,n)*rank,16)]  when BASIS == BASIS.ternary
//! bind     6 lam   in   f32[ceildiv(min(k,n),rank), rank]
//! bind     7 gam   in   f32[ceildiv(min(k,n),rank), min(k,n)]
//! bind     8 y     out  T[rows, n]
//! scratch  9 px    f32[ceildiv(rows,TILE_ROWS)*TILE_ROWS, KF]
//! scratch  10 pw   f32[ceildiv(n,COLUMNS)*COLUMNS, k > n ? 4*ceildiv(k,4) : KF]
//! scratch  11 pa   f32[k > n ? 1 : ceildiv(k,4)*4, k > n ? 4 : pr]
//! push     rows:u32 k:u32 n:u32 rank:u32 pr:u32 bases:u32 s:f32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // one subgroup
//! spec     3 TILE_ROWS u32 16 = is_cpu ? max(8,subgroup_size) : 16   // rows a tile, a multiple of WG_SIZE
//! spec     4 TILE_COLS u32 1     // groups of four columns a lane
//! spec     11 ROLLED u32 0 = k > n ? 0 : is_cpu   // loads in a loop; k > n: llvmpipe 26.1.6 crashes on it
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 BASIS u32 0
//! spec     17 WIDE u32 0 = k > n
//! let      pr 4*ceildiv(rank,4)
//! let      bases ceildiv(min(k,n),rank)
//! let      columns bases*pr
//! let      COLUMNS 4*WG_SIZE*TILE_COLS
//! let      KF 4*ceildiv(k,4)+columns
//! let      strips ceildiv(rows,TILE_ROWS)*TILE_ROWS/4+ceildiv(n,COLUMNS)*COLUMNS/4+(k>n?0:pr/4)
//! tuning   rows16  TILE_ROWS=16
//! tuning   rows32  TILE_ROWS=32
//! tuning   rows32x2  TILE_ROWS=32 TILE_COLS=2
//! pass     pack  groups min(strips,is_cpu?128:4096)
//! pass     down  groups ceildiv(rows,TILE_ROWS) ceildiv(columns,COLUMNS)
//! pass     main  groups ceildiv(rows,TILE_ROWS) ceildiv(n,COLUMNS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 4, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_ROWS = 16;
layout(constant_id = 4) const uint TILE_COLS = 1;

#define RAND_A 2
#define RAND_PACKED
#include "lora/randlora_forward.glsl"

#ifdef PASS_MAIN
layout(set = 0, binding = 9, std430) restrict readonly buffer Px { vec4 px[]; };
#else
layout(set = 0, binding = 9, std430) restrict buffer Px { vec4 px[]; };
#endif
#ifdef PASS_PACK
layout(set = 0, binding = 10, std430) restrict writeonly buffer Pw { vec4 pw[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer Pa { vec4 pa[]; };
#else
layout(set = 0, binding = 10, std430) restrict readonly buffer Pw { vec4 pw[]; };
layout(set = 0, binding = 11, std430) restrict readonly buffer Pa { vec4 pa[]; };
#endif

uint all_groups() { return base_groups() + rand_columns() / 4; }
uint packed_groups() { return WIDE != 0 ? base_groups() : all_groups(); }

#ifdef PASS_PACK

// A workgroup takes four rows of a matrix and runs along them.
void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint width = lanes * TILE_COLS;
    const uint strips_x = (pc.rows + TILE_ROWS - 1) / TILE_ROWS * (TILE_ROWS / 4);
    const uint strips_w = (pc.n + 4 * width - 1) / (4 * width) * width;
    const uint strips_a = WIDE != 0 ? 0 : pc.pr / 4;
    for (uint u = gl_WorkGroupID.x; u < strips_x + strips_w + strips_a;
         u += gl_NumWorkGroups.x) {
        vec4 m[4];
        if (u < strips_x) {
            const uint row = 4 * u;
            const uint to = row / TILE_ROWS * all_groups() * TILE_ROWS + row % TILE_ROWS;
            for (uint q = lane; q < base_groups(); q += lanes) {
                block_x(row, 4 * q, m);
                [[unroll]] for (uint i = 0; i < 4; ++i) {
                    px[to + q * TILE_ROWS + i] = m[i];
                }
            }
        } else if (u < strips_x + strips_w) {
            const uint strip = u - strips_x;
            const uint to = strip / width * 4 * packed_groups() * width + strip % width;
            for (uint q = lane; q < base_groups(); q += lanes) {
                base_block(q, 4 * strip, m);
                [[unroll]] for (uint i = 0; i < 4; ++i) {
                    pw[to + (4 * q + i) * width] = m[i];
                }
            }
            for (uint q = base_groups() + lane; q < packed_groups(); q += lanes) {
                block_b(4 * (q - base_groups()), 4 * strip, m);
                lora_transpose(m);
                [[unroll]] for (uint i = 0; i < 4; ++i) {
                    pw[to + (4 * q + i) * width] = m[i];
                }
            }
        } else {
            const uint strip = u - strips_x - strips_w;
            for (uint q = lane; q < base_groups(); q += lanes) {
                plain_a(4 * strip, 4 * q, m);
                lora_transpose(m);
                [[unroll]] for (uint i = 0; i < 4; ++i) {
                    pa[(4 * q + i) * (pc.pr / 4) + strip] = m[i];
                }
            }
        }
    }
}

#else

const uint LANES = gl_WorkGroupSize.x;

uint group_of(const uint j)
{
    return (gl_WorkGroupID.y * TILE_COLS + j) * LANES + gl_LocalInvocationID.x;
}

vec4 load_a_panel(const uint q, const uint row)
{
    return px[(gl_WorkGroupID.x * all_groups() + q) * TILE_ROWS + row];
}

#ifdef PASS_DOWN

vec4 load_b_panel(const uint kk, const uint j)
{
    const uint group = min(group_of(j), rand_columns() / 4 - 1);
    if (WIDE != 0) {
        vec4 m[4];
        block_b(4 * group, kk, m);
        return m[0];
    }
    const uint basis = group / (pc.pr / 4);
    const float g = gam[basis * pc.k + min(kk, pc.k - 1)];
    return g * pa[kk * (pc.pr / 4) + group - basis * (pc.pr / 4)];
}

void store_tile(const uint row, const uint j, const vec4 sum)
{
    const uint group = group_of(j);
    if (group < rand_columns() / 4) {
        px[(gl_WorkGroupID.x * all_groups() + base_groups() + group) * TILE_ROWS + row]
            = side_scale() * lam4(4 * group) * sum;
    }
}

#else // PASS_MAIN

vec4 load_b_panel(const uint kk, const uint j)
{
    if (WIDE != 0 && kk >= 4 * base_groups()) {
        return row_a(kk - 4 * base_groups(), 4 * group_of(j));
    }
    const uint group = (gl_WorkGroupID.y * 4 * packed_groups() + kk) * TILE_COLS + j;
    return pw[group * LANES + gl_LocalInvocationID.x];
}

void store_tile(const uint row, const uint j, const vec4 sum)
{
    store_y(gl_WorkGroupID.x * TILE_ROWS + row, 4 * group_of(j), sum);
}

#endif

#include "lib/tile_lanes.glsl"

void main()
{
#ifdef PASS_DOWN
    vkz_tile_lanes(gl_LocalInvocationID.x, 0, base_groups());
#else
    vkz_tile_lanes(gl_LocalInvocationID.x, 0, all_groups());
#endif
}

#endif
