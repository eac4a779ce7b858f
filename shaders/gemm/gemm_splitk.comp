// SPDX-License-Identifier: MIT
//
// Matrix product with k split over workgroups, partial sums added in a second pass
//
//   part_s = op(a)[:, k_s] op(b)[k_s, :]
//   c      = epilogue(alpha * (part_0 + part_1 + ...) + beta * c0), in that order
//
// Why this one: a small product of long sums has too few tiles to fill a GPU. Loses as
// soon as the tiles alone do, for it writes and reads SPLIT times the result in float.
//
//! kernel   gemm_splitk
//! op       gemm/1
//! tier     T0
//! bind     0 a     in   T[TRANS == TRANS.tn ? k : m, TRANS == TRANS.tn ? m : k]
//! bind     1 b     in   T[TRANS == TRANS.nt ? n : k, TRANS == TRANS.nt ? k : n]
//! bind     2 c0    in   T[m, n]  when beta != 0 || EPILOGUE == EPILOGUE.residual
//! bind     3 bias  in   f32[n]  when EPILOGUE >= EPILOGUE.bias && EPILOGUE <= EPILOGUE.bias_silu
//! bind     4 scale in   f32[EPILOGUE == EPILOGUE.scale_row ? m : n]  when EPILOGUE == EPILOGUE.scale_row || EPILOGUE == EPILOGUE.scale_col
//! bind     5 c     out  T[m, n]
//! scratch  6 part  f32[SPLIT, m, n]
//! push     m:u32 n:u32 k:u32 alpha:f32 beta:f32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     8 STAGES u32 1     // shared buffers, 1 or 2
//! spec     9 PAD u32 1        // vec4 between rows of shared memory
//! spec     10 SPLIT u32 4 = max(1,min(8,min(ceildiv(k,4*TILE_K),ceildiv(compute_units>1?2*compute_units:128,ceildiv(m,TILE_M)*ceildiv(n,TILE_N)))))
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     12 VEC_A u32 1 = (TRANS == TRANS.tn ? m : k) % 4 == 0 ? 4 : 1
//! spec     13 VEC_B u32 1 = (TRANS == TRANS.nt ? k : n) % 4 == 0 ? 4 : 1
//! spec     14 VEC_C u32 1 = n % 4 == 0 ? 4 : 1
//! spec     16 TRANS u32 0
//! spec     17 EPILOGUE u32 0
//! spec     18 HAS_C0 u32 0 = beta != 0 || EPILOGUE == EPILOGUE.residual
//! shared   16 * STAGES * TILE_K * (TILE_M / 4 + TILE_N / 4 + 2 * PAD)
//! tuning   small     TILE_M=32 TILE_N=32 REG_M=4 REG_N=4
//! tuning   split2    SPLIT=2
//! tuning   split8    SPLIT=8
//! pass     partial  groups ceildiv(n,TILE_N) ceildiv(m,TILE_M) SPLIT
//! pass     reduce   groups ceildiv(n,4*WG_SIZE) min(m,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 10) const uint SPLIT = 4;

#include "gemm/io.glsl"

#ifdef PASS_PARTIAL

layout(constant_id = 3) const uint TILE_M = 64;
layout(constant_id = 4) const uint TILE_N = 64;
layout(constant_id = 5) const uint TILE_K = 16;
layout(constant_id = 6) const uint REG_M = 8;
layout(constant_id = 7) const uint REG_N = 4;
layout(constant_id = 8) const uint STAGES = 1;
layout(constant_id = 9) const uint PAD = 1;

layout(std430, binding = 6) restrict writeonly buffer BufferPart { float part[]; };
layout(std430, binding = 6) restrict writeonly buffer BufferPart4 { vec4 part4[]; };

const bool A_ALONG_K = TRANS != TRANS_TN;
const bool B_ALONG_K = TRANS == TRANS_NT;

shared vec4 tile_a[STAGES * TILE_K * (TILE_M / 4 + PAD)];
shared vec4 tile_b[STAGES * TILE_K * (TILE_N / 4 + PAD)];

// Takes the place of the epilogue: c is not written by this pass.
void store_part(const uint row, const uint col, const vec4 sum)
{
    if (row >= pc.m || col >= pc.n) {
        return;
    }
    const uint i = (gl_WorkGroupID.z * pc.m + row) * pc.n + col;
    if (VEC_C == 4) {
        part4[i / 4] = sum;
    } else {
        [[unroll]] for (uint x = 0; x < 4; ++x) {
            if (col + x < pc.n) {
                part[i + x] = sum[x];
            }
        }
    }
}

#define store_c4 store_part
#include "lib/tile.glsl"

void main()
{
    const uint groups = (pc.k + 3) / 4;
    const uint tiles = (groups + TILE_Q - 1) / TILE_Q;
    const uint span = (tiles + SPLIT - 1) / SPLIT * TILE_Q;
    const uint begin = gl_WorkGroupID.z * span;
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             begin, min(begin + span, groups));
}

#else // PASS_REDUCE

layout(std430, binding = 6) restrict readonly buffer BufferPart { float part[]; };
layout(std430, binding = 6) restrict readonly buffer BufferPart4 { vec4 part4[]; };

vec4 load_part(const uint split, const uint row, const uint col)
{
    const uint i = (split * pc.m + row) * pc.n + col;
    if (VEC_C == 4) {
        return part4[i / 4];
    }
    vec4 v = vec4(0.0);
    [[unroll]] for (uint x = 0; x < 4; ++x) {
        if (col + x < pc.n) {
            v[x] = part[i + x];
        }
    }
    return v;
}

void main()
{
    const uint col = 4 * gl_GlobalInvocationID.x;
    const uint step = gl_NumWorkGroups.y;
    for (uint row = gl_WorkGroupID.y; row < pc.m && col < pc.n; row += step) {
        vec4 sum = load_part(0, row, col);
        for (uint split = 1; split < SPLIT; ++split) {
            sum += load_part(split, row, col);
        }
        store_c4(row, col, sum);
    }
}

#endif
