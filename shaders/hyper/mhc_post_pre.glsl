// SPDX-License-Identifier: MIT
//
// mhc_post_pre: buffers and main, for kernels that differ in hyper/mhc.glsl's MHC_LANES
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "linear/row_sums.glsl"

layout(push_constant, std430) uniform Push {
    uint rows, width, iters;
    float eps_norm, eps_pre, eps_sk, mu;
} pc;

layout(std430, binding = 0) restrict readonly buffer BufferX { T x[]; };
layout(std430, binding = 0) restrict readonly buffer BufferX4 { W4 x4[]; };
layout(std430, binding = 1) restrict readonly buffer BufferF { T f[]; };
layout(std430, binding = 1) restrict readonly buffer BufferF4 { W4 f4_[]; };
layout(std430, binding = 2) restrict readonly buffer BufferPost { float post[]; };
layout(std430, binding = 3) restrict readonly buffer BufferComb { float comb[]; };
layout(std430, binding = 4) restrict readonly buffer BufferPhi { float phi[]; };
layout(std430, binding = 4) restrict readonly buffer BufferPhi4 { vec4 phi4[]; };
layout(std430, binding = 5) restrict readonly buffer BufferScale { float scale[]; };
layout(std430, binding = 6) restrict readonly buffer BufferBase { float base[]; };
layout(std430, binding = 7) restrict readonly buffer BufferNormw { float normw[]; };
layout(std430, binding = 7) restrict readonly buffer BufferNormw4 { vec4 normw4[]; };
layout(std430, binding = 8) restrict readonly buffer BufferGain { float gain[]; };
layout(std430, binding = 8) restrict readonly buffer BufferGain4 { vec4 gain4[]; };
#ifdef MHC_LANES
#define MHC_Z coherent // lanes read what others wrote
#else
#define MHC_Z
#endif
layout(std430, binding = 9) MHC_Z buffer BufferZ { T z[]; };
layout(std430, binding = 9) MHC_Z buffer BufferZ4 { W4 z4_[]; };
layout(std430, binding = 10) restrict writeonly buffer BufferH0 { T h0[]; };
layout(std430, binding = 10) restrict writeonly buffer BufferH04 { W4 h04[]; };
layout(std430, binding = 11) restrict writeonly buffer BufferPre { float next_pre[]; };
layout(std430, binding = 12) restrict writeonly buffer NextPost { float next_post[]; };
layout(std430, binding = 13) restrict writeonly buffer NextComb { float next_comb[]; };

ROWS_LOADER(load_x, x, x4, pc.width)
ROWS_LOADER(load_f, f, f4_, pc.width)
ROWS_LOADER(load_z, z, z4_, pc.width)
ROWS_STORER(store_z, z, z4_, pc.width)
ROWS_STORER(store_h0, h0, h04, pc.width)

vec4 mhc_load(const uint row, const uint i, const uint q)
{
    return load_z((row * STREAMS + i) * pc.width, q);
}

vec4 load_gain(const uint q)
{
    if (VEC == 4) {
        return gain4[q];
    }
    vec4 four = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (4u * q + i < pc.width) {
            four[i] = gain[4u * q + i];
        }
    }
    return four;
}

#define MHC_NORM_OUT
#define mhc_pre_ next_pre
#define mhc_post_ next_post
#define mhc_comb_ next_comb
#include "hyper/mhc.glsl"
#include "hyper/mhc_post.glsl"

void main()
{
    const uint row = gl_WorkGroupID.x * TOKENS;
    [[dont_unroll]] for (uint t = 0; t < TOKENS && row + t < pc.rows; t++) {
        mhc_post_read(row + t);
        MHC_OWN_COLUMNS(q) {
            mhc_post_quad(row + t, q);
        }
    }
#ifdef MHC_LANES
    memoryBarrierBuffer();
    barrier();
#endif
    mhc_coefficients(row);
    mhc_store(row);
    if (NORM_OUT == 0u) {
        mhc_mix(row);
    } else {
        mhc_mix_norm(row);
    }
}
