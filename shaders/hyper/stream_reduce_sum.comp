// SPDX-License-Identifier: MIT
//
// Sum or mean of the residual streams of a token: every lane adds up its own elements
//
//   h = factor sum_i x_i,  factor = 1 or 1 / streams
//
// Hyper-connections, arXiv 2409.19606.
//
// Why this one: every stream is read once and in order, and nothing crosses lanes. The
// streams are known to the compiler, and a lane divides once: its place in the row goes on
// by additions.
//
//! kernel   stream_reduce_sum
//! op       stream_reduce/1
//! tier     T0
//! bind     0 x in  T[rows, streams, width]
//! bind     1 h out T[rows, width]
//! push     rows:u32 width:u32 block:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements an access
//! spec     16 KIND u32 0
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
layout(constant_id = 16) const uint KIND = 0;
layout(constant_id = 32) const uint STREAMS = 1;

const uint KIND_MEAN = 1;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer H { T h[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer H4 { W4 h4[]; };

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
    const float factor = KIND == KIND_MEAN ? 1.0 / float(STREAMS) : 1.0;
    const uint step_from = lanes + lanes / groups * others;
    const uint step_column = lanes % groups;
    uint i = first + gl_LocalInvocationID.x;
    uint column = i % groups;
    uint from = i / groups * others + i;
    for (; i < end; i += lanes) {
        if (VEC == 4) {
            vec4 sum = vkz_load_w4(x4[from]);
            [[unroll]] for (uint s = 1; s < STREAMS; s++) {
                sum += vkz_load_w4(x4[from + s * groups]);
            }
            h4[i] = vkz_store_w4(sum * factor);
        } else {
            float sum = vkz_load(x[from]);
            [[unroll]] for (uint s = 1; s < STREAMS; s++) {
                sum += vkz_load(x[from + s * groups]);
            }
            h[i] = vkz_store(sum * factor);
        }
        const bool next = column + step_column >= groups; // row
        column += step_column - (next ? groups : 0u);
        from += step_from + (next ? others : 0u);
    }
}
