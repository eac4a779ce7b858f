// SPDX-License-Identifier: MIT
//
// fma: the rate of f32 multiply-adds, several chains of vec4 in each lane's registers
//
//   y_{t+1} = a y_t + b
//
// Why this one: a step waits for the step before it, so a lane advances CHAINS vec4 in
// turn. How many it takes to fill the units differs by device; one chain alone reads half
// the rate on some, and too many spill.
//
//! kernel   fma_chain
//! op       fma/1
//! tier     T0
//! bind     0 x in  f32[lanes]
//! bind     1 y out f32[lanes]
//! push     lanes:u32 iters:u32 a:f32 b:f32
//! spec     0 WG_SIZE u32 128      // lanes of a workgroup
//! spec     3 CHAINS  u32 4        // vec4 a lane keeps in flight: 1 to 8
//! spec     4 FUSED   u32 1        // 1: fma(); 0: a * y + b, which a driver may fuse
//! let      block WG_SIZE * CHAINS * 4
//! let      rows ceildiv(ceildiv(lanes, block), 32768)
//! tuning   two        CHAINS=2
//! tuning   eight      CHAINS=8
//! tuning   wide_two   WG_SIZE=256 CHAINS=2
//! tuning   wide       WG_SIZE=256
//! tuning   one        WG_SIZE=256 CHAINS=1
//! tuning   cpu2       WG_SIZE=8 CHAINS=2
//! tuning   cpu3       WG_SIZE=8 CHAINS=3
//! tuning   cpu3_16    WG_SIZE=16 CHAINS=3
//! tuning   cpu3_4     WG_SIZE=4 CHAINS=3
//! tuning   cpu_mad    WG_SIZE=8 CHAINS=2 FUSED=0
//! tuning   cpu_mad4   WG_SIZE=4 CHAINS=3 FUSED=0
//! pass     main groups ceildiv(ceildiv(lanes,block),rows) rows
//! variant  f32 T=f32
#version 450

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint CHAINS = 4;
layout(constant_id = 4) const uint FUSED = 1;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push {
    uint lanes;
    uint iters;
    float a;
    float b;
};

const uint MAX_CHAINS = 8;

vec4 held[MAX_CHAINS];

void load_all(const uint first)
{
    for (uint c = 0; c < CHAINS; c++) {
        for (uint l = 0; l < 4; l++) {
            const uint i = first + (c * 4 + l) * gl_WorkGroupSize.x;
            held[c][l] = i < lanes ? x[i] : 0.0;
        }
    }
}

void store_all(const uint first)
{
    for (uint c = 0; c < CHAINS; c++) {
        for (uint l = 0; l < 4; l++) {
            const uint i = first + (c * 4 + l) * gl_WorkGroupSize.x;
            if (i < lanes) {
                y[i] = held[c][l];
            }
        }
    }
}

void advance()
{
    for (uint c = 0; c < CHAINS; c++) {
        held[c] = FUSED != 0 ? fma(held[c], vec4(a), vec4(b)) : held[c] * a + b;
    }
}

void main()
{
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint first = group * gl_WorkGroupSize.x * CHAINS * 4 + gl_LocalInvocationIndex;
    load_all(first);
    // Written out: a loop of the compiler's costs a CPU driver more than the steps in it.
    uint left = iters;
    for (; left >= 16; left -= 16) {
        advance(); advance(); advance(); advance();
        advance(); advance(); advance(); advance();
        advance(); advance(); advance(); advance();
        advance(); advance(); advance(); advance();
    }
    for (; left > 0; left--) {
        advance();
    }
    store_all(first);
}
