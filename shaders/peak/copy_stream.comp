// SPDX-License-Identifier: MIT
//
// copy: memory bandwidth, every workgroup streams one contiguous block
//
//   y = x
//
// Why this one: reads and writes of a workgroup are contiguous, several are in flight a
// lane, and the shape is searched: word or 128-bit accesses, lanes, accesses a lane.
//
//! kernel   copy_stream
//! op       copy/1
//! tier     T0
//! bind     0 x in  i32[n]
//! bind     1 y out i32[n]
//! push     n:u32
//! spec     0 WG_SIZE u32 128      // lanes of a workgroup
//! spec     3 VEC     u32 4        // words of an access: 1 or 4
//! spec     4 FLIGHT  u32 4        // accesses in flight a lane: 1 to 8
//! spec     5 ROUNDS  u32 1        // times a lane does that
//! let      block WG_SIZE * VEC * FLIGHT * ROUNDS
//! let      rows ceildiv(ceildiv(n, block), 32768)
//! tuning   words      VEC=1 FLIGHT=8
//! tuning   wide       WG_SIZE=256 FLIGHT=2
//! tuning   wide_deep  WG_SIZE=256 FLIGHT=8
//! tuning   deep       WG_SIZE=64 FLIGHT=8
//! tuning   loop       WG_SIZE=256 FLIGHT=4 ROUNDS=8
//! tuning   cpu        WG_SIZE=8 VEC=1 FLIGHT=8 ROUNDS=256
//! tuning   cpu4       WG_SIZE=8 VEC=4 FLIGHT=4 ROUNDS=128
//! tuning   cpu16      WG_SIZE=16 VEC=1 FLIGHT=4 ROUNDS=256
//! pass     main groups ceildiv(ceildiv(n,block),rows) rows
//! variant  i32 T=i32
#version 450

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint VEC = 4;
layout(constant_id = 4) const uint FLIGHT = 4;
layout(constant_id = 5) const uint ROUNDS = 1;

// Two views of each buffer: words for tails and VEC = 1, 128-bit accesses for the rest.
layout(set = 0, binding = 0, std430) restrict readonly buffer X { uint x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { uvec4 x4[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer Y { uint y[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer Y4 { uvec4 y4[]; };
layout(push_constant) uniform Push { uint n; };

const uint MAX_FLIGHT = 8;

void copy_words(const uint first, const uint count)
{
    for (uint i = gl_LocalInvocationIndex; i < count; i += gl_WorkGroupSize.x) {
        y[first + i] = x[first + i];
    }
}

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
        copy_words(first, n - first);
        return;
    }
    uint at = first / VEC + gl_LocalInvocationIndex;
    for (uint round = 0; round < ROUNDS; round++) {
        if (VEC == 4) {
            uvec4 held[MAX_FLIGHT];
            for (uint i = 0; i < FLIGHT; i++) {
                held[i] = x4[at + i * lanes];
            }
            for (uint i = 0; i < FLIGHT; i++) {
                y4[at + i * lanes] = held[i];
            }
        } else {
            uint held[MAX_FLIGHT];
            for (uint i = 0; i < FLIGHT; i++) {
                held[i] = x[at + i * lanes];
            }
            for (uint i = 0; i < FLIGHT; i++) {
                y[at + i * lanes] = held[i];
            }
        }
        at += FLIGHT * lanes;
    }
}
