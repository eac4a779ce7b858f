// SPDX-License-Identifier: MIT
//
// Gradient of Sinkhorn's iteration on small matrices, a lane a matrix
//
//   from the last step to the first, y its result, den its divisors:
//   g <- (g - sum over the line of g y) / den;  dlogits = p (g - sum over the row of g p)
//
// mHC, arXiv 2512.24880.
//
// Why this one: keeping the matrix of every step would take 39 of them. The divisors
// alone lead back, y <- y den: a rounding a step, and s numbers a step instead of s^2.
//
//! kernel   mhc_sinkhorn_backward_lane
//! op       mhc_sinkhorn_backward/1
//! tier     T0
//! bind     0 logits  in  f32[rows, streams, streams]
//! bind     1 dcomb   in  f32[rows, streams, streams]
//! bind     2 dlogits out f32[rows, streams, streams]
//! push     rows:u32 eps_sk:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 VEC u32 1 = streams == 2 || streams == 4 ? 4 : 1   // elements a load
//! spec     32 STREAMS u32 4 = streams
//! spec     33 ITERS u32 20 = iters
//! pass     main groups min(ceildiv(rows,WG_SIZE),65535)
//! variant  f32
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint VEC = 1;
layout(constant_id = 32) const uint STREAMS = 4;
layout(constant_id = 33) const uint ITERS = 20;

#define SINKHORN_BACKWARD
#include "hyper/sinkhorn.glsl"

layout(push_constant, std430) uniform Push {
    uint rows;
    float eps_sk;
} pc;

layout(std430, binding = 0) restrict readonly buffer BufferLogits { float logits[]; };
layout(std430, binding = 0) restrict readonly buffer BufferLogits4 { vec4 logits4[]; };
layout(std430, binding = 1) restrict readonly buffer BufferDcomb { float dcomb[]; };
layout(std430, binding = 1) restrict readonly buffer BufferDcomb4 { vec4 dcomb4[]; };
layout(std430, binding = 2) restrict writeonly buffer BufferDlogits { float dlogits[]; };
layout(std430, binding = 2) restrict writeonly buffer BufferDlogits4 { vec4 dlogits4[]; };

const uint SIZE = STREAMS * STREAMS;

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint row = gl_GlobalInvocationID.x; row < pc.rows; row += step) {
        if (VEC == 4) {
            [[unroll]] for (uint i = 0; i < SIZE / 4u; i++) {
                const vec4 four = logits4[row * (SIZE / 4u) + i];
                const vec4 g = dcomb4[row * (SIZE / 4u) + i];
                [[unroll]] for (uint k = 0; k < 4u; k++) {
                    sk[4u * i + k] = four[k];
                    sk_g[4u * i + k] = g[k];
                }
            }
        } else {
            [[dont_unroll]] for (uint i = 0; i < SIZE; i++) {
                sk[i] = logits[row * SIZE + i];
                sk_g[i] = dcomb[row * SIZE + i];
            }
        }
        sinkhorn_backward(pc.eps_sk);
        if (VEC == 4) {
            [[unroll]] for (uint i = 0; i < SIZE / 4u; i++) {
                dlogits4[row * (SIZE / 4u) + i] =
                    vec4(sk_g[4u * i], sk_g[4u * i + 1u], sk_g[4u * i + 2u],
                         sk_g[4u * i + 3u]);
            }
        } else {
            [[dont_unroll]] for (uint i = 0; i < SIZE; i++) {
                dlogits[row * SIZE + i] = sk_g[i];
            }
        }
    }
}
