// SPDX-License-Identifier: MIT
//
// Gradients of mhc_post, a workgroup a token
//
//   dx_i = sum_j comb[i, j] dz_j,  df = sum_j post_j dz_j
//   dpost_j = dz_j . f,  dcomb[i, j] = x_i . dz_j
//
// mHC, arXiv 2512.24880.
//
// Why this one: every tensor is read or written once; a lane's columns of x, f and dz
// serve both gradients of the streams and all s + s^2 dots.
//
//! kernel   mhc_post_backward_row
//! op       mhc_post_backward/1
//! tier     T0
//! bind     0 x     in  T[rows, streams, width]
//! bind     1 f     in  T[rows, width]
//! bind     2 post  in  f32[rows, streams]
//! bind     3 comb  in  f32[rows, streams, streams]
//! bind     4 dz    in  T[rows, streams, width]
//! bind     5 dx    out T[rows, streams, width]
//! bind     6 df    out T[rows, width]
//! bind     7 dpost out f32[rows, streams]
//! bind     8 dcomb out f32[rows, streams, streams]
//! push     rows:u32 width:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? min(subgroup_size,64) : 64   // 4 to 64, a power of two
//! spec     5 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     32 STREAMS u32 4 = streams
//! shared   4 * (STREAMS * (STREAMS + 1) + WG_SIZE * (WG_SIZE > 16 ? 17 : 65))
//! pass     main groups min(rows,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 5) const uint VEC = 1;
layout(constant_id = 32) const uint STREAMS = 4;

#include "linear/row_sums.glsl"

layout(push_constant, std430) uniform Push {
    uint rows, width;
} pc;

layout(std430, binding = 0) restrict readonly buffer BufferX { T x[]; };
layout(std430, binding = 0) restrict readonly buffer BufferX4 { W4 x4[]; };
layout(std430, binding = 1) restrict readonly buffer BufferF { T f[]; };
layout(std430, binding = 1) restrict readonly buffer BufferF4 { W4 f4_[]; };
layout(std430, binding = 2) restrict readonly buffer BufferPost { float post[]; };
layout(std430, binding = 3) restrict readonly buffer BufferComb { float comb[]; };
layout(std430, binding = 4) restrict readonly buffer BufferDz { T dz[]; };
layout(std430, binding = 4) restrict readonly buffer BufferDz4 { W4 dz4[]; };
layout(std430, binding = 5) restrict writeonly buffer BufferDx { T dx[]; };
layout(std430, binding = 5) restrict writeonly buffer BufferDx4 { W4 dx4[]; };
layout(std430, binding = 6) restrict writeonly buffer BufferDf { T df[]; };
layout(std430, binding = 6) restrict writeonly buffer BufferDf4 { W4 df4[]; };
layout(std430, binding = 7) restrict writeonly buffer BufferDpost { float dpost[]; };
layout(std430, binding = 8) restrict writeonly buffer BufferDcomb { float dcomb[]; };

ROWS_LOADER(load_x, x, x4, pc.width)
ROWS_LOADER(load_f, f, f4_, pc.width)
ROWS_LOADER(load_dz, dz, dz4, pc.width)
ROWS_STORER(store_dx, dx, dx4, pc.width)
ROWS_STORER(store_df, df, df4, pc.width)

// dpost first, then dcomb.
const uint ROW_SUMS = STREAMS * (STREAMS + 1);
shared float row_total[ROW_SUMS];
shared float row_part[gl_WorkGroupSize.x * (gl_WorkGroupSize.x > 16 ? 17 : 65)];
#include "hyper/row.glsl"

float weight_f[STREAMS];
float weight_x[STREAMS * STREAMS];
vec4 dz_[STREAMS];

void quad(const uint row, const uint q)
{
    const vec4 f4 = load_f(row * pc.width, q);
    vec4 df4_ = vec4(0.0);
    [[unroll]] for (uint j = 0; j < STREAMS; j++) {
        dz_[j] = load_dz((row * STREAMS + j) * pc.width, q);
        df4_ = fma(vec4(weight_f[j]), dz_[j], df4_);
        row_sum[j] = row_dot(dz_[j], f4, row_sum[j]);
    }
    store_df(row * pc.width, q, df4_);
    [[unroll]] for (uint i = 0; i < STREAMS; i++) {
        const uint base = (row * STREAMS + i) * pc.width;
        const vec4 x_ = load_x(base, q);
        vec4 sum = vec4(0.0);
        [[unroll]] for (uint j = 0; j < STREAMS; j++) {
            const uint at = i * STREAMS + j;
            sum = fma(vec4(weight_x[at]), dz_[j], sum);
            row_sum[STREAMS + at] = row_dot(x_, dz_[j], row_sum[STREAMS + at]);
        }
        store_dx(base, q, sum);
    }
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint quads = (pc.width + 3u) / 4u;
    const uint steps = row_steps(quads);
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        [[unroll]] for (uint i = 0; i < STREAMS; i++) {
            weight_f[i] = post[row * STREAMS + i];
            [[unroll]] for (uint j = 0; j < STREAMS; j++) {
                weight_x[i * STREAMS + j] = comb[(row * STREAMS + i) * STREAMS + j];
            }
        }
        [[dont_unroll]] for (uint r = 0; r < ROW_ROUNDS; r++) {
            row_clear();
            if (row_holds(r, quads)) {
                const uint first = row_first(r, steps);
                for (uint q = first; q < min(first + 8u * steps, quads); q += 8u) {
                    quad(row, q);
                }
            }
            row_join(r);
        }
        row_finish(0, ROW_SUMS);
        for (uint i = lane; i < ROW_SUMS; i += lanes) {
            if (i < STREAMS) {
                dpost[row * STREAMS + i] = row_total[i];
            } else {
                dcomb[row * STREAMS * STREAMS + i - STREAMS] = row_total[i];
            }
        }
        barrier(); // the totals are read before the next token's
    }
}
