// SPDX-License-Identifier: MIT
//
// empty: a dispatch that moves one word a workgroup
//
//   y = x
//
// Why this one: as little as can still be checked; its time is the price of a dispatch.
//
//! kernel   empty_word
//! op       empty/1
//! tier     T0
//! bind     0 x in  i32[n]
//! bind     1 y out i32[n]
//! push     n:u32
//! spec     0 WG_SIZE u32 1        // lanes of a workgroup; the first one works
//! let      rows ceildiv(n, 32768)
//! tuning   wide  WG_SIZE=128
//! pass     main groups ceildiv(n,rows) rows
//! variant  i32 T=i32
#version 450

layout(local_size_x = 1, local_size_x_id = 0) in;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { uint x[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer Y { uint y[]; };
layout(push_constant) uniform Push { uint n; };

void main()
{
    const uint i = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    if (gl_LocalInvocationIndex == 0 && i < n) {
        y[i] = x[i];
    }
}
