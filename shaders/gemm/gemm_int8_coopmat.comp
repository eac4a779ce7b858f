// SPDX-License-Identifier: MIT
//
// Exact product of 8-bit integer matrices on cooperative matrices
//
//   c[i, j] = sum_k a[i, k] b[j, k]
//
// Why this one: matrix units do 8-bit products at twice the rate of half ones. The sums
// are 32-bit integers, nothing saturates. Slow where a driver only imitates the matrices.
//
//! kernel   gemm_int8_coopmat
//! op       gemm_int8/1
//! tier     T2
//! bind     0 a     in   i8[m, k]
//! bind     1 b     in   i8[n, k]
//! bind     2 c     out  i32[m, n]
//! push     m:u32 n:u32 k:u32
//! spec     32 CM_M u32 16 = CM_M
//! spec     33 CM_N u32 16 = CM_N
//! spec     34 CM_K u32 16 = CM_K
//! spec     3 WARPS_M u32 2    // subgroups, down
//! spec     4 WARPS_N u32 2    // subgroups, across
//! spec     5 SUB_M u32 2      // matrices a subgroup, down
//! spec     6 SUB_N u32 2      // matrices a subgroup, across
//! spec     7 STEPS_K u32 2 = is_cpu ? 1 : 2   // matrices of k staged at a time
//! spec     8 PAD u32 4        // words between rows of shared memory
//! spec     0 WG_SIZE u32 128 = WARPS_M * WARPS_N * subgroup_size
//! spec     12 VEC u32 1 = k % 4 == 0 ? 4 : 1   // rows begin at a word
//! let      TILE_M WARPS_M*SUB_M*CM_M
//! let      TILE_N WARPS_N*SUB_N*CM_N
//! let      TILE_K STEPS_K*CM_K
//! shared   4 * (TILE_M + TILE_N) * (TILE_K / 4 + PAD) + 4 * WARPS_M * WARPS_N * CM_M * CM_N
//! tuning   large     SUB_M=4 SUB_N=4
//! tuning   eight     WARPS_N=4 SUB_M=4 SUB_N=2
//! tuning   deep      STEPS_K=4
//! tuning   small     SUB_M=1 SUB_N=1
//! pass     main  groups ceildiv(n,TILE_N) ceildiv(m,TILE_M)
//! variant  i8  T=i8 coopmat=i8,i8,i32,i32
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require

#include "gemm/int8.glsl"

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint WARPS_M = 2;
layout(constant_id = 4) const uint WARPS_N = 2;
layout(constant_id = 5) const uint SUB_M = 2;
layout(constant_id = 6) const uint SUB_N = 2;
layout(constant_id = 7) const uint STEPS_K = 2;
layout(constant_id = 8) const uint PAD = 4;
layout(constant_id = 32) const uint CM_M = 16;
layout(constant_id = 33) const uint CM_N = 16;
layout(constant_id = 34) const uint CM_K = 16;

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;
const uint TILE_M = WARPS_M * SUB_M * CM_M;
const uint TILE_N = WARPS_N * SUB_N * CM_N;
const uint TILE_K = STEPS_K * CM_K;
const uint STRIDE_A = TILE_K / 4 + PAD;
const uint STRIDE_B = TILE_K / 4 + PAD;

#define CM_GROUP uint
#define CM_SUM4 ivec4

shared uint tile_a[TILE_M * STRIDE_A];
shared uint tile_b[TILE_N * STRIDE_B];
shared CM_TYPE_C tile_c[WARPS_M * WARPS_N * CM_M * CM_N];

uint load_group_a(const uint row, const uint q)
{
    return q < groups_k() ? load_a(row, q) : 0;
}

uint load_group_b(const uint col, const uint q)
{
    return q < groups_k() ? load_b(col, q) : 0;
}

void store_c4(const uint row, const uint col, const ivec4 sum)
{
    [[unroll]] for (uint x = 0; x < 4; ++x) {
        store_c(row, col + x, sum[x]);
    }
}

#include "lib/coopmat.glsl"

void main()
{
    vkz_coopmat_tile(gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N, 0, groups_k());
}
