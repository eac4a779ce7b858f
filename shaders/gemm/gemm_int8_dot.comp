// SPDX-License-Identifier: MIT
//
// Exact product of 8-bit integer matrices, four products an instruction
//
//   c[i, j] = sum_k a[i, k] b[j, k]
//
//   tile_a: [TILE_Q][TILE_M + PAD] words of four k     A lane (lm, ln) owns the rows
//   tile_b: [TILE_Q][TILE_N + PAD]                     lm + i LANES_M and the columns
//                                                      ln + j LANES_N.
//
// Why this one: the integer dot product that most devices have, on tiles in shared
// memory. Never the saturating form: k may be long.
//
//! kernel   gemm_int8_dot
//! op       gemm_int8/1
//! tier     T1
//! bind     0 a     in   i8[m, k]
//! bind     1 b     in   i8[n, k]
//! bind     2 c     out  i32[m, n]
//! push     m:u32 n:u32 k:u32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_Q u32 8     // groups of four k staged at a time
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8      // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     8 PAD u32 1        // words between rows of shared memory
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     12 VEC u32 1 = k % 4 == 0 ? 4 : 1   // rows begin at a word
//! shared   4 * TILE_Q * (TILE_M + TILE_N + 2 * PAD)
//! tuning   reg8   REG_M=8 REG_N=8
//! tuning   large  TILE_M=128 TILE_N=128 REG_M=8 REG_N=8
//! tuning   small  TILE_M=32 TILE_N=32 REG_M=4 REG_N=4
//! pass     main  groups ceildiv(n,TILE_N) ceildiv(m,TILE_M)
//! variant  i8  T=i8
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_integer_dot_product : require

#include "gemm/int8.glsl"

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_M = 64;
layout(constant_id = 4) const uint TILE_N = 64;
layout(constant_id = 5) const uint TILE_Q = 8;
layout(constant_id = 6) const uint REG_M = 8;
layout(constant_id = 7) const uint REG_N = 4;
layout(constant_id = 8) const uint PAD = 1;

const uint LANES_M = TILE_M / REG_M;
const uint LANES_N = TILE_N / REG_N;
const uint LANES = LANES_M * LANES_N;
const uint STRIDE_A = TILE_M + PAD;
const uint STRIDE_B = TILE_N + PAD;

shared uint tile_a[TILE_Q * STRIDE_A];
shared uint tile_b[TILE_Q * STRIDE_B];

void stage(const uint lane, const uint row, const uint col, const uint q)
{
    for (uint t = lane; t < TILE_M * TILE_Q; t += LANES) {
        const uint g = t % TILE_Q, i = t / TILE_Q;
        tile_a[g * STRIDE_A + i] = q + g < groups_k() ? load_a(row + i, q + g) : 0;
    }
    for (uint t = lane; t < TILE_N * TILE_Q; t += LANES) {
        const uint g = t % TILE_Q, j = t / TILE_Q;
        tile_b[g * STRIDE_B + j] = q + g < groups_k() ? load_b(col + j, q + g) : 0;
    }
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lm = lane / LANES_N, ln = lane % LANES_N;
    const uint row = gl_WorkGroupID.y * TILE_M, col = gl_WorkGroupID.x * TILE_N;
    int acc[REG_M * REG_N];
    [[unroll]] for (uint i = 0; i < REG_M * REG_N; ++i) {
        acc[i] = 0;
    }
    for (uint q = 0; q < groups_k(); q += TILE_Q) {
        barrier();
        stage(lane, row, col, q);
        barrier();
        [[unroll]] for (uint g = 0; g < TILE_Q; ++g) {
            int as[REG_M], bs[REG_N];
            [[unroll]] for (uint i = 0; i < REG_M; ++i) {
                as[i] = int(tile_a[g * STRIDE_A + lm + i * LANES_M]);
            }
            [[unroll]] for (uint j = 0; j < REG_N; ++j) {
                bs[j] = int(tile_b[g * STRIDE_B + ln + j * LANES_N]);
            }
            [[unroll]] for (uint i = 0; i < REG_M; ++i) {
                [[unroll]] for (uint j = 0; j < REG_N; ++j) {
                    acc[i * REG_N + j] += dotPacked4x8EXT(as[i], bs[j]);
                }
            }
        }
    }
    [[unroll]] for (uint i = 0; i < REG_M; ++i) {
        [[unroll]] for (uint j = 0; j < REG_N; ++j) {
            store_c(row + lm + i * LANES_M, col + ln + j * LANES_N, acc[i * REG_N + j]);
        }
    }
}
