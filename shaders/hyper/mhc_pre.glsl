// SPDX-License-Identifier: MIT
//
// mhc_pre: buffers and main, for kernels that differ in hyper/mhc.glsl's MHC_LANES
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "linear/row_sums.glsl"

layout(push_constant, std430) uniform Push {
    uint rows, width, iters;
    float eps_norm, eps_pre, eps_sk, mu;
} pc;

layout(std430, binding = 0) restrict readonly buffer BufferX { T x[]; };
layout(std430, binding = 0) restrict readonly buffer BufferX4 { W4 x4[]; };
layout(std430, binding = 1) restrict readonly buffer BufferPhi { float phi[]; };
layout(std430, binding = 1) restrict readonly buffer BufferPhi4 { vec4 phi4[]; };
layout(std430, binding = 2) restrict readonly buffer BufferScale { float scale[]; };
layout(std430, binding = 3) restrict readonly buffer BufferBase { float base[]; };
layout(std430, binding = 4) restrict readonly buffer BufferNormw { float normw[]; };
layout(std430, binding = 4) restrict readonly buffer BufferNormw4 { vec4 normw4[]; };
layout(std430, binding = 5) restrict writeonly buffer BufferH0 { T h0[]; };
layout(std430, binding = 5) restrict writeonly buffer BufferH04 { W4 h04[]; };
layout(std430, binding = 6) restrict writeonly buffer BufferPre { float pre[]; };
layout(std430, binding = 7) restrict writeonly buffer BufferPost { float post[]; };
layout(std430, binding = 8) restrict writeonly buffer BufferComb { float comb[]; };

ROWS_LOADER(load_x, x, x4, pc.width)
ROWS_STORER(store_h0, h0, h04, pc.width)

vec4 mhc_load(const uint row, const uint i, const uint q)
{
    return load_x((row * STREAMS + i) * pc.width, q);
}

#define mhc_pre_ pre
#define mhc_post_ post
#define mhc_comb_ comb
#include "hyper/mhc.glsl"

void main()
{
    const uint row = gl_WorkGroupID.x * TOKENS;
    mhc_coefficients(row);
    mhc_store(row);
    mhc_mix(row);
}
