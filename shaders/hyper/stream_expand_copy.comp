// SPDX-License-Identifier: MIT
//
// Residual streams from one hidden vector: every lane copies its elements to all of them
//
//   x_i = h for i < streams
//
// Hyper-connections, arXiv 2409.19606.
//
// Why this one: h is read once, and every stream of a token is written in order. The
// streams are known to the compiler, and a lane divides once: its place in the row goes on
// by additions.
//
//! kernel   stream_expand_copy
//! op       stream_expand/1
//! tier     T0
//! bind     0 h in  T[rows, width]
//! bind     1 x out T[rows, streams, width]
//! push     rows:u32 width:u32 block:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements an access
//! spec     32 STREAMS u32 1 = streams
//! let      total rows*ceildiv(width,VEC)
//! let      block max(is_cpu?16*WG_SIZE:4*WG_SIZE,ceildiv(total,65535))
//! pass     main  groups ceildiv(total,block)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/num.glsl"
#include "lib/words.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 32) const uint STREAMS = 1;

layout(set = 0, binding = 0, std430) restrict readonly buffer H { T h[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer H4 { W4 h4[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer X { T x[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer X4 { W4 x4[]; };

layout(push_constant, std430) uniform Push {
    uint rows, width, block;
} pc;

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint groups = (pc.width + VEC - 1u) / VEC; // accesses a row
    const uint others = (STREAMS - 1u) * groups;     // those of all streams but one
    const uint first = gl_WorkGroupID.x * pc.block;
    const uint end = min(first + pc.block, pc.rows * groups);
    const uint step_to = lanes + lanes / groups * others;
    const uint step_column = lanes % groups;
    uint i = first + gl_LocalInvocationID.x;
    uint column = i % groups;
    uint to = i / groups * others + i;
    for (; i < end; i += lanes) {
        if (VEC == 4) {
            const W4 four = h4[i];
            [[unroll]] for (uint s = 0; s < STREAMS; s++) {
                x4[to + s * groups] = four;
            }
        } else {
            [[unroll]] for (uint s = 0; s < STREAMS; s++) {
                x[to + s * groups] = h[i];
            }
        }
        const bool next = column + step_column >= groups; // row
        column += step_column - (next ? groups : 0u);
        to += step_to + (next ? others : 0u);
    }
}
