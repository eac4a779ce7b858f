// SPDX-License-Identifier: MIT
//
// idot: the rate of 8-bit dot products, several chains of ivec4 in each lane's registers
//
//   y_{t+1} = Σ_c byte_c(y_t) byte_c(w) + w
//
// Why this one: the twin of fma_chain for the dot-product instruction with its own
// accumulation. A device that only emulates the instruction shows it here.
//
//! kernel   idot_chain
//! op       idot/1
//! tier     T1
//! bind     0 x in  i32[lanes]
//! bind     1 w in  i32[4]
//! bind     2 y out i32[lanes]
//! push     lanes:u32 iters:u32
//! spec     0 WG_SIZE u32 128      // lanes of a workgroup
//! spec     3 CHAINS  u32 4        // ivec4 a lane keeps in flight: 1 to 8
//! let      block WG_SIZE * CHAINS * 4
//! let      rows ceildiv(ceildiv(lanes, block), 32768)
//! tuning   two        CHAINS=2
//! tuning   eight      CHAINS=8
//! tuning   wide       WG_SIZE=256
//! tuning   wide_two   WG_SIZE=256 CHAINS=2
//! tuning   cpu1       WG_SIZE=8 CHAINS=1
//! tuning   cpu2       WG_SIZE=8 CHAINS=2
//! tuning   cpu3       WG_SIZE=8 CHAINS=3
//! pass     main groups ceildiv(ceildiv(lanes,block),rows) rows
//! variant  i32 T=i32
#version 450
#extension GL_EXT_integer_dot_product : require

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint CHAINS = 4;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { int x[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer W { int w[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer Y { int y[]; };
layout(push_constant) uniform Push {
    uint lanes;
    uint iters;
};

const uint MAX_CHAINS = 8;

ivec4 held[MAX_CHAINS];

// Four neighbours share an access, so that component l has weight l.
void load_all(const uint first)
{
    for (uint c = 0; c < CHAINS; c++) {
        for (uint l = 0; l < 4; l++) {
            const uint i = first + c * 4 * gl_WorkGroupSize.x + l;
            held[c][l] = i < lanes ? x[i] : 0;
        }
    }
}

void store_all(const uint first)
{
    for (uint c = 0; c < CHAINS; c++) {
        for (uint l = 0; l < 4; l++) {
            const uint i = first + c * 4 * gl_WorkGroupSize.x + l;
            if (i < lanes) {
                y[i] = held[c][l];
            }
        }
    }
}

void advance(const ivec4 w4)
{
    for (uint c = 0; c < CHAINS; c++) {
        for (uint l = 0; l < 4; l++) {
            held[c][l] = dotPacked4x8EXT(held[c][l], w4[l]) + w4[l];
        }
    }
}

void main()
{
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint first =
        group * gl_WorkGroupSize.x * CHAINS * 4 + gl_LocalInvocationIndex * 4;
    const ivec4 w4 = ivec4(w[0], w[1], w[2], w[3]);
    load_all(first);
    uint left = iters;
    for (; left >= 8; left -= 8) {
        advance(w4); advance(w4); advance(w4); advance(w4);
        advance(w4); advance(w4); advance(w4); advance(w4);
    }
    for (; left > 0; left--) {
        advance(w4);
    }
    store_all(first);
}
