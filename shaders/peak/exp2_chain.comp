// SPDX-License-Identifier: MIT
//
// exp2: the rate of powers of two, several running sums in each lane's registers
//
//   y = Σ_t 2^(x - t step)
//
// Why this one: sums are independent of each other, and so are the powers of one sum:
// only the additions form a chain. The exponent is one multiply-add, as in a softmax.
//
//! kernel   exp2_chain
//! op       exp2/1
//! tier     T0
//! bind     0 x in  f32[lanes]
//! bind     1 y out f32[lanes]
//! push     lanes:u32 iters:u32 step:f32
//! spec     0 WG_SIZE u32 128      // lanes of a workgroup
//! spec     3 CHAINS  u32 2        // vec4 of sums a lane keeps: 1 to 4
//! let      block WG_SIZE * CHAINS * 4
//! let      rows ceildiv(ceildiv(lanes, block), 32768)
//! tuning   one        CHAINS=1
//! tuning   four       CHAINS=4
//! tuning   wide       WG_SIZE=256
//! tuning   wide_one   WG_SIZE=256 CHAINS=1
//! tuning   cpu1       WG_SIZE=8 CHAINS=1
//! tuning   cpu2       WG_SIZE=8 CHAINS=2
//! pass     main groups ceildiv(ceildiv(lanes,block),rows) rows
//! variant  f32 T=f32
#version 450

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint CHAINS = 2;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push {
    uint lanes;
    uint iters;
    float step;
};

const uint MAX_CHAINS = 4;

vec4 top[MAX_CHAINS];
vec4 sum[MAX_CHAINS];

void add(const uint t)
{
    const float back = -step * float(t);
    for (uint c = 0; c < CHAINS; c++) {
        sum[c] += exp2(top[c] + back);
    }
}

void main()
{
    const uint stride = gl_WorkGroupSize.x;
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint first = group * stride * CHAINS * 4 + gl_LocalInvocationIndex;
    for (uint c = 0; c < CHAINS; c++) {
        for (uint l = 0; l < 4; l++) {
            const uint i = first + (c * 4 + l) * stride;
            top[c][l] = i < lanes ? x[i] : 0.0;
            sum[c][l] = 0.0;
        }
    }
    // Written out: a loop of the compiler's is dear on a CPU driver.
    uint t = 0;
    for (; t + 4 <= iters; t += 4) {
        add(t);
        add(t + 1);
        add(t + 2);
        add(t + 3);
    }
    for (; t < iters; t++) {
        add(t);
    }
    for (uint c = 0; c < CHAINS; c++) {
        for (uint l = 0; l < 4; l++) {
            const uint i = first + (c * 4 + l) * stride;
            if (i < lanes) {
                y[i] = sum[c][l];
            }
        }
    }
}
