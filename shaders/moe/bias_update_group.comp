// SPDX-License-Identifier: MIT
//
// Moves experts' biases towards equal loads, one workgroup
//
//   bias_e += gamma sign(mean(count) - count_e), sign(0) = 0
//
// Loss-free balancing arXiv 2408.15664, DeepSeek-V3 2412.19437.
//
// Why this one: experts are few. Sums of integers in any order; count_e experts is
// compared with the sum in 64 bits, so that the mean needs no rounding.
//
//! kernel   bias_update_group
//! op       bias_update/1
//! tier     T0
//! bind     0 count in    i32[experts]
//! bind     1 bias  inout f32[experts]
//! push     experts:u32 gamma:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 128
//! shared   4*WG_SIZE
//! pass     main  groups 1
//! variant  f32  T=f32
#version 460

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(set = 0, binding = 0, std430) restrict readonly buffer Count { int count[]; };
layout(set = 0, binding = 1, std430) restrict buffer Bias { float bias[]; };

layout(push_constant, std430) uniform Push {
    uint experts;
    float gamma;
} pc;

shared uint sums[gl_WorkGroupSize.x];

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    uint mine = 0u;
    for (uint e = lane; e < pc.experts; e += gl_WorkGroupSize.x) {
        mine += uint(count[e]);
    }
    sums[lane] = mine;
    barrier();
    uint total = 0u;
    for (uint i = 0; i < gl_WorkGroupSize.x; i++) {
        total += sums[i];
    }
    for (uint e = lane; e < pc.experts; e += gl_WorkGroupSize.x) {
        uint high, low;
        umulExtended(uint(count[e]), pc.experts, high, low);
        if (high > 0u || low > total) {
            bias[e] -= pc.gamma;
        } else if (low < total) {
            bias[e] += pc.gamma;
        }
    }
}
