// SPDX-License-Identifier: MIT
//
// Exact product of 8-bit integer matrices, bytes taken out of words
//
//   c[i, j] = sum_k a[i, k] b[j, k]
//
// Why this one: needs no 8-bit storage and no 8-bit arithmetic. A workgroup shares the
// words of TILE_ROWS rows of a, each lane has TILE_COLS rows of b (columns of c); no
// barrier. Slower than gemm_int8_dot wherever a device has that instruction.
//
//! kernel   gemm_int8_extract
//! op       gemm_int8/1
//! tier     T0
//! bind     0 a     in   i8[m, k]
//! bind     1 b     in   i8[n, k]
//! bind     2 c     out  i32[m, n]
//! push     m:u32 n:u32 k:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 TILE_ROWS u32 8     // rows a workgroup
//! spec     4 TILE_COLS u32 2     // columns a lane
//! spec     12 VEC u32 1 = k % 4 == 0 ? 4 : 1   // rows begin at a word
//! tuning   rows16  TILE_ROWS=16
//! tuning   cols4   TILE_COLS=4
//! tuning   square  TILE_ROWS=16 TILE_COLS=4
//! tuning   tall    TILE_ROWS=32 TILE_COLS=4
//! pass     main  groups ceildiv(n,WG_SIZE*TILE_COLS) ceildiv(m,TILE_ROWS)
//! variant  i8  T=i8
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "gemm/int8.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_ROWS = 8;
layout(constant_id = 4) const uint TILE_COLS = 2;

void main()
{
    const uint row = gl_WorkGroupID.y * TILE_ROWS;
    const uint col = gl_WorkGroupID.x * gl_WorkGroupSize.x * TILE_COLS
                     + gl_LocalInvocationID.x;
    int acc[TILE_ROWS * TILE_COLS];
    [[unroll]] for (uint i = 0; i < TILE_ROWS * TILE_COLS; ++i) {
        acc[i] = 0;
    }
    for (uint q = 0; q < groups_k(); ++q) {
        ivec4 bs[TILE_COLS];
        [[unroll]] for (uint j = 0; j < TILE_COLS; ++j) {
            bs[j] = vkz_i8x4(load_b(col + j * gl_WorkGroupSize.x, q));
        }
        [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
            const ivec4 as = vkz_i8x4(load_a(row + i, q));
            [[unroll]] for (uint j = 0; j < TILE_COLS; ++j) {
                const ivec4 p = as * bs[j];
                acc[i * TILE_COLS + j] += p.x + p.y + p.z + p.w;
            }
        }
    }
    [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
        [[unroll]] for (uint j = 0; j < TILE_COLS; ++j) {
            store_c(row + i, col + j * gl_WorkGroupSize.x, acc[i * TILE_COLS + j]);
        }
    }
}
