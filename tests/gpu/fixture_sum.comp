// SPDX-License-Identifier: MIT
//
// fixture_sum: a kernel of three passes that no suite names, for the tests of host/gpu
//
//   y = alpha * (x[0] + ... + x[n-1]) + (SHIFT == bias ? bias : 0)
//
// Why this one: one small kernel with everything a plan can hold: an axis, an optional
// buffer, scratch, shared memory, a value expression, group counts made on the device.
//
//! kernel   fixture_sum
//! op       fixture/1
//! tier     T0
//! bind     0 x      in  T[n]
//! bind     1 bias   in  f32[1]       when SHIFT == SHIFT.bias
//! scratch  2 counts u32[3]
//! scratch  3 part   f32[parts]
//! bind     4 y      out f32[1]
//! push     n:u32 parts:u32 alpha:f32
//! spec     0 WG_SIZE u32 64
//! spec     3 BLOCK   u32 64 = WG_SIZE * 2   // elements a group adds up
//! spec     16 SHIFT  u32 0
//! let      parts max(ceildiv(n, BLOCK), 1)
//! when     n >= 1 && BLOCK >= WG_SIZE : adds up at least one element, a block a group
//! shared   4 * WG_SIZE
//! tuning   small  WG_SIZE=16
//! pass     count  groups 1
//! pass     partial  indirect counts
//! pass     final  groups 1
//! variant  f32  T=f32
//! variant  f16  T=f16
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/num.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint BLOCK = 64;
layout(constant_id = 16) const uint SHIFT = 0;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 2, std430) restrict buffer Counts { uint counts[]; };
layout(set = 0, binding = 3, std430) restrict buffer Part { float part[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint n; uint parts; float alpha; } p;

#ifdef PASS_COUNT
void main()
{
    if (gl_LocalInvocationID.x < 3) {
        counts[gl_LocalInvocationID.x] = gl_LocalInvocationID.x == 0 ? p.parts : 1;
    }
}
#endif

#ifdef PASS_PARTIAL
shared float lane[gl_WorkGroupSize.x];

void main()
{
    const uint first = gl_WorkGroupID.x * BLOCK;
    float sum = 0;
    for (uint i = gl_LocalInvocationID.x; i < BLOCK; i += gl_WorkGroupSize.x) {
        sum += first + i < p.n ? vkz_load(x[first + i]) : 0;
    }
    lane[gl_LocalInvocationID.x] = sum;
    barrier();
    if (gl_LocalInvocationID.x == 0) {
        float total = 0;
        for (uint i = 0; i < gl_WorkGroupSize.x; i++) {
            total += lane[i];
        }
        part[gl_WorkGroupID.x] = total;
    }
}
#endif

#ifdef PASS_FINAL
void main()
{
    if (gl_LocalInvocationID.x == 0) {
        float total = 0;
        for (uint i = 0; i < p.parts; i++) {
            total += part[i];
        }
        y[0] = p.alpha * total + (SHIFT == 1 ? bias[0] : 0);
    }
}
#endif
