// SPDX-License-Identifier: MIT
//
// read: memory bandwidth of reading alone; a workgroup adds up the words of its slices
//
//   y_p = Σ over r < repeat of the sum of slice (p + r ceildiv(parts, repeat)) mod parts
//
// Why this one: the additions are integer, so their order is free and the result exact;
// one word a workgroup is written.
//
//! kernel   read_stream
//! op       read/1
//! tier     T0
//! bind     0 x in  i32[n]
//! bind     1 y out i32[parts]
//! push     n:u32 parts:u32 repeat:u32
//! spec     0 WG_SIZE u32 128      // lanes of a workgroup
//! spec     3 VEC     u32 4        // words of an access: 1 or 4
//! spec     4 FLIGHT  u32 4        // accesses in flight a lane: 1 to 8
//! let      rows ceildiv(parts, 32768)
//! shared   4 * WG_SIZE
//! tuning   words      VEC=1 FLIGHT=8
//! tuning   wide       WG_SIZE=256 FLIGHT=2
//! tuning   wide_deep  WG_SIZE=256 FLIGHT=8
//! tuning   deep       WG_SIZE=64 FLIGHT=8
//! tuning   cpu        WG_SIZE=8 VEC=1 FLIGHT=8
//! tuning   cpu4       WG_SIZE=8 VEC=4 FLIGHT=4
//! tuning   cpu4_2     WG_SIZE=8 VEC=4 FLIGHT=2
//! tuning   cpu16      WG_SIZE=16 VEC=1 FLIGHT=8
//! pass     main groups ceildiv(parts,rows) rows
//! variant  i32 T=i32
#version 450

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint VEC = 4;
layout(constant_id = 4) const uint FLIGHT = 4;

// Two views: words for tails and for VEC = 1, 128-bit accesses for the rest.
layout(set = 0, binding = 0, std430) restrict readonly buffer X { uint x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { uvec4 x4[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer Y { uint y[]; };
layout(push_constant) uniform Push {
    uint n;
    uint parts;
    uint repeat;
};

const uint MAX_FLIGHT = 8;

shared uint lane_sums[gl_WorkGroupSize.x];

// One lane's share of the words [first, first + count); first is a multiple of 4.
uint sum_slice(const uint first, const uint count)
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationIndex;
    const uint accesses = count / VEC;
    const uint whole = accesses / (lanes * FLIGHT) * (lanes * FLIGHT);
    const uint base = first / VEC;
    uint sum = 0;
    if (VEC == 4) {
        uvec4 sums[MAX_FLIGHT];
        for (uint i = 0; i < FLIGHT; i++) {
            sums[i] = uvec4(0);
        }
        for (uint at = lane; at < whole; at += lanes * FLIGHT) {
            for (uint i = 0; i < FLIGHT; i++) {
                sums[i] += x4[base + at + i * lanes];
            }
        }
        for (uint at = whole + lane; at < accesses; at += lanes) {
            sums[0] += x4[base + at];
        }
        for (uint i = 0; i < FLIGHT; i++) {
            sum += sums[i].x + sums[i].y + sums[i].z + sums[i].w;
        }
    } else {
        uint sums[MAX_FLIGHT];
        for (uint i = 0; i < FLIGHT; i++) {
            sums[i] = 0;
        }
        for (uint at = lane; at < whole; at += lanes * FLIGHT) {
            for (uint i = 0; i < FLIGHT; i++) {
                sums[i] += x[base + at + i * lanes];
            }
        }
        for (uint at = whole + lane; at < accesses; at += lanes) {
            sums[0] += x[base + at];
        }
        for (uint i = 0; i < FLIGHT; i++) {
            sum += sums[i];
        }
    }
    for (uint i = accesses * VEC + lane; i < count; i += lanes) {
        sum += x[first + i];
    }
    return sum;
}

void main()
{
    const uint part = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint span = (n + 4 * parts - 1) / (4 * parts) * 4;
    const uint stride = (parts + repeat - 1) / repeat;
    uint sum = 0;
    if (part < parts) {
        uint slice = part;
        for (uint r = 0; r < repeat; r++) {
            const uint first = slice * span;
            if (first < n) {
                sum += sum_slice(first, min(span, n - first));
            }
            slice += stride;
            slice = slice >= parts ? slice - parts : slice;
        }
    }
    lane_sums[gl_LocalInvocationIndex] = sum;
    barrier();
    if (gl_LocalInvocationIndex == 0 && part < parts) {
        uint total = 0;
        for (uint i = 0; i < gl_WorkGroupSize.x; i++) {
            total += lane_sums[i];
        }
        y[part] = total;
    }
}
