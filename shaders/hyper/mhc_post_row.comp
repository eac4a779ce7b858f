// SPDX-License-Identifier: MIT
//
// New residual streams of manifold-constrained hyper-connections, a workgroup a token
//
//   z_j = post_j f + sum_i comb[i, j] x_i
//
// mHC, arXiv 2512.24880.
//
// Why this one: the coefficients of a token stay in registers while its columns go by;
// every element of x and f is read once for all streams.
//
//! kernel   mhc_post_row
//! op       mhc_post/1
//! tier     T0
//! bind     0 x    in  T[rows, streams, width]
//! bind     1 f    in  T[rows, width]
//! bind     2 post in  f32[rows, streams]
//! bind     3 comb in  f32[rows, streams, streams]
//! bind     4 z    out T[rows, streams, width]
//! push     rows:u32 width:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     5 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     32 STREAMS u32 4 = streams
//! pass     main groups min(rows,65535)
//! tuning   wide WG_SIZE=128
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
layout(std430, binding = 4) restrict writeonly buffer BufferZ { T z[]; };
layout(std430, binding = 4) restrict writeonly buffer BufferZ4 { W4 z4_[]; };

ROWS_LOADER(load_x, x, x4, pc.width)
ROWS_LOADER(load_f, f, f4_, pc.width)
ROWS_STORER(store_z, z, z4_, pc.width)

#include "hyper/mhc_post.glsl"

void main()
{
    const uint quads = (pc.width + 3u) / 4u;
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        mhc_post_read(row);
        for (uint q = gl_LocalInvocationID.x; q < quads; q += gl_WorkGroupSize.x) {
            mhc_post_quad(row, q);
        }
    }
}
