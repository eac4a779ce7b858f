// SPDX-License-Identifier: MIT
//
// Sinkhorn's iteration on small matrices, a lane a matrix
//
//   x = softmax of every row + eps;  x <- x / (column sums + eps)
//   iters - 1 times:  x <- x / (row sums + eps),  x <- x / (column sums + eps)
//
// mHC, arXiv 2512.24880.
//
// Why this one: a matrix of 4 x 4 is 16 registers, and lanes that do not talk to each
// other need no barrier in 39 steps. Division by a sum is one reciprocal a line.
//
//! kernel   mhc_sinkhorn_lane
//! op       mhc_sinkhorn/1
//! tier     T0
//! bind     0 logits in  f32[rows, streams, streams]
//! bind     1 comb   out f32[rows, streams, streams]
//! push     rows:u32 iters:u32 eps_sk:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 VEC u32 1 = streams == 2 || streams == 4 ? 4 : 1   // elements a load
//! spec     32 STREAMS u32 4 = streams
//! pass     main groups min(ceildiv(rows,WG_SIZE),65535)
//! variant  f32
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint VEC = 1;
layout(constant_id = 32) const uint STREAMS = 4;

#include "hyper/sinkhorn.glsl"

layout(push_constant, std430) uniform Push {
    uint rows, iters;
    float eps_sk;
} pc;

layout(std430, binding = 0) restrict readonly buffer BufferLogits { float logits[]; };
layout(std430, binding = 0) restrict readonly buffer BufferLogits4 { vec4 logits4[]; };
layout(std430, binding = 1) restrict writeonly buffer BufferComb { float comb[]; };
layout(std430, binding = 1) restrict writeonly buffer BufferComb4 { vec4 comb4[]; };

const uint SIZE = STREAMS * STREAMS;

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint row = gl_GlobalInvocationID.x; row < pc.rows; row += step) {
        if (VEC == 4) {
            [[unroll]] for (uint i = 0; i < SIZE / 4u; i++) {
                const vec4 four = logits4[row * (SIZE / 4u) + i];
                [[unroll]] for (uint k = 0; k < 4u; k++) {
                    sk[4u * i + k] = four[k];
                }
            }
        } else {
            [[dont_unroll]] for (uint i = 0; i < SIZE; i++) {
                sk[i] = logits[row * SIZE + i];
            }
        }
        sinkhorn(pc.iters, pc.eps_sk);
        if (VEC == 4) {
            [[unroll]] for (uint i = 0; i < SIZE / 4u; i++) {
                comb4[row * (SIZE / 4u) + i] =
                    vec4(sk[4u * i], sk[4u * i + 1u], sk[4u * i + 2u], sk[4u * i + 3u]);
            }
        } else {
            [[dont_unroll]] for (uint i = 0; i < SIZE; i++) {
                comb[row * SIZE + i] = sk[i];
            }
        }
    }
}
