// SPDX-License-Identifier: MIT
//
// fma_f16: the rate of f16 multiply-adds, several chains of packed pairs in each lane
//
//   y_{t+1} = a y_t + b in f16
//
// Why this one: the twin of fma_chain. Two halves make one 32-bit operand, which is the
// form every device with double-rate f16 wants; storage stays 32-bit words.
//
//! kernel   fma_f16_chain
//! op       fma_f16/1
//! tier     T1
//! when     lanes % 2 == 0 : works on pairs of halves
//! bind     0 x in  f16[lanes]
//! bind     1 y out f16[lanes]
//! push     lanes:u32 iters:u32 a:f32 b:f32
//! spec     0 WG_SIZE u32 128      // lanes of a workgroup
//! spec     3 CHAINS  u32 4        // groups of two pairs a lane keeps in flight: 1 to 8
//! spec     4 FUSED   u32 1        // 1: fma(); 0: a * y + b, which a driver may fuse
//! let      block WG_SIZE * CHAINS * 4
//! let      rows ceildiv(ceildiv(lanes, block), 32768)
//! tuning   two        CHAINS=2
//! tuning   eight      CHAINS=8
//! tuning   wide       WG_SIZE=256
//! tuning   wide_mad   WG_SIZE=256 FUSED=0
//! tuning   wide_eight WG_SIZE=256 CHAINS=8
//! tuning   cpu2       WG_SIZE=8 CHAINS=2
//! tuning   cpu3       WG_SIZE=8 CHAINS=3
//! tuning   cpu3_16    WG_SIZE=16 CHAINS=3
//! tuning   cpu_mad    WG_SIZE=8 CHAINS=3 FUSED=0
//! pass     main groups ceildiv(ceildiv(lanes,block),rows) rows
//! variant  f16 T=f16 acc=f16
#version 450
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint CHAINS = 4;
layout(constant_id = 4) const uint FUSED = 1;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { uint x[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer Y { uint y[]; };
layout(push_constant) uniform Push {
    uint lanes;
    uint iters;
    float a;
    float b;
};

const uint MAX_CHAINS = 8;

f16vec4 held[MAX_CHAINS];

void load_all(const uint first)
{
    const uint words = lanes / 2;
    for (uint c = 0; c < CHAINS; c++) {
        const uint i = first + (c * 2) * gl_WorkGroupSize.x;
        const uint j = i + gl_WorkGroupSize.x;
        held[c].xy = unpackFloat2x16(i < words ? x[i] : 0);
        held[c].zw = unpackFloat2x16(j < words ? x[j] : 0);
    }
}

void store_all(const uint first)
{
    const uint words = lanes / 2;
    for (uint c = 0; c < CHAINS; c++) {
        const uint i = first + (c * 2) * gl_WorkGroupSize.x;
        const uint j = i + gl_WorkGroupSize.x;
        if (i < words) {
            y[i] = packFloat2x16(held[c].xy);
        }
        if (j < words) {
            y[j] = packFloat2x16(held[c].zw);
        }
    }
}

void advance(const f16vec4 a4, const f16vec4 b4)
{
    for (uint c = 0; c < CHAINS; c++) {
        held[c] = FUSED != 0 ? fma(held[c], a4, b4) : held[c] * a4 + b4;
    }
}

void main()
{
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint first = group * gl_WorkGroupSize.x * CHAINS * 2 + gl_LocalInvocationIndex;
    const f16vec4 a4 = f16vec4(float16_t(a));
    const f16vec4 b4 = f16vec4(float16_t(b));
    load_all(first);
    // Written out: a loop of the compiler's costs a CPU driver more than the steps in it.
    uint left = iters;
    for (; left >= 16; left -= 16) {
        advance(a4, b4); advance(a4, b4); advance(a4, b4); advance(a4, b4);
        advance(a4, b4); advance(a4, b4); advance(a4, b4); advance(a4, b4);
        advance(a4, b4); advance(a4, b4); advance(a4, b4); advance(a4, b4);
        advance(a4, b4); advance(a4, b4); advance(a4, b4); advance(a4, b4);
    }
    for (; left > 0; left--) {
        advance(a4, b4);
    }
    store_all(first);
}
