// SPDX-License-Identifier: MIT
//
// triad: memory bandwidth with two reads to a write
//
//   y = a + s b
//
// Why this one: the shape of copy_stream with a second input.
//
//! kernel   triad_stream
//! op       triad/1
//! tier     T0
//! bind     0 a in  f32[n]
//! bind     1 b in  f32[n]
//! bind     2 y out f32[n]
//! push     n:u32 s:f32
//! spec     0 WG_SIZE u32 128      // lanes of a workgroup
//! spec     3 VEC     u32 4        // numbers of an access: 1 or 4
//! spec     4 FLIGHT  u32 2        // accesses in flight a lane and input: 1 to 8
//! spec     5 ROUNDS  u32 1        // times a lane does that
//! let      block WG_SIZE * VEC * FLIGHT * ROUNDS
//! let      rows ceildiv(ceildiv(n, block), 32768)
//! tuning   words      VEC=1 FLIGHT=4
//! tuning   wide       WG_SIZE=256
//! tuning   wide_deep  WG_SIZE=256 FLIGHT=4
//! tuning   loop       WG_SIZE=256 FLIGHT=4 ROUNDS=8
//! tuning   cpu        WG_SIZE=8 VEC=1 FLIGHT=4 ROUNDS=512
//! tuning   cpu4       WG_SIZE=8 VEC=4 FLIGHT=2 ROUNDS=256
//! pass     main groups ceildiv(ceildiv(n,block),rows) rows
//! variant  f32 T=f32
#version 450

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint VEC = 4;
layout(constant_id = 4) const uint FLIGHT = 2;
layout(constant_id = 5) const uint ROUNDS = 1;

// Two views of each buffer: numbers for tails and for VEC = 1, vectors for the rest.
layout(set = 0, binding = 0, std430) restrict readonly buffer A { float a[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer A4 { vec4 a4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer B { float b[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer B4 { vec4 b4[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer Y { float y[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer Y4 { vec4 y4[]; };
layout(push_constant) uniform Push {
    uint n;
    float s;
};

const uint MAX_FLIGHT = 8;

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint block = lanes * VEC * FLIGHT * ROUNDS;
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint first = group * block;
    if (first >= n) {
        return;
    }
    if (n - first < block) {
        for (uint i = first + gl_LocalInvocationIndex; i < n; i += lanes) {
            y[i] = fma(s, b[i], a[i]);
        }
        return;
    }
    uint at = first / VEC + gl_LocalInvocationIndex;
    for (uint round = 0; round < ROUNDS; round++) {
        if (VEC == 4) {
            vec4 held[MAX_FLIGHT];
            for (uint i = 0; i < FLIGHT; i++) {
                held[i] = fma(vec4(s), b4[at + i * lanes], a4[at + i * lanes]);
            }
            for (uint i = 0; i < FLIGHT; i++) {
                y4[at + i * lanes] = held[i];
            }
        } else {
            float held[MAX_FLIGHT];
            for (uint i = 0; i < FLIGHT; i++) {
                held[i] = fma(s, b[at + i * lanes], a[at + i * lanes]);
            }
            for (uint i = 0; i < FLIGHT; i++) {
                y[at + i * lanes] = held[i];
            }
        }
        at += FLIGHT * lanes;
    }
}
