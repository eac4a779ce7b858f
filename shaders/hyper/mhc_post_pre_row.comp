// SPDX-License-Identifier: MIT
//
// From a layer's output to the next layer's input: mhc_post and mhc_pre, a tile of tokens
//
//   z_j = post_j f + sum_i comb[i, j] x_i
//   v = vec(z), r = 1 / sqrt(mean(v^2) + eps_norm),  a = r phi v * scale + base
//   next_pre = sigmoid(a[0..s)) + eps_pre,  next_post = mu sigmoid(a[s..2s)),
//   next_comb = sinkhorn(rest);  h0 = sum_i next_pre_i z_i, or the RMS norm of that
//
// mHC, arXiv 2512.24880.
//
// Why this one: the streams are read and written once where the two ops read them twice. A
// lane reads again only columns it wrote itself, so z needs no barrier, is rounded as
// mhc_post rounds it, and the sums are those of mhc_pre bit for bit.
//
//! kernel   mhc_post_pre_row
//! op       mhc_post_pre/1
//! tier     T0
//! bind     0 x     in  T[rows, streams, width]
//! bind     1 f     in  T[rows, width]
//! bind     2 post  in  f32[rows, streams]
//! bind     3 comb  in  f32[rows, streams, streams]
//! bind     4 phi   in  f32[2 * streams + (COMB == COMB.sinkhorn ? streams * streams : streams == 4 ? 24 : streams == 3 ? 6 : streams), streams * width]
//! bind     5 scale in  f32[3]
//! bind     6 base  in  f32[2 * streams + (COMB == COMB.sinkhorn ? streams * streams : streams == 4 ? 24 : streams == 3 ? 6 : streams)]
//! bind     7 normw in  f32[streams * width] when NORMW == NORMW.on
//! bind     8 gain  in  f32[width] when NORM_OUT == NORM_OUT.on
//! bind     9 z     out T[rows, streams, width]
//! bind     10 h0   out T[rows, width]
//! bind     11 next_pre  out f32[rows, streams]
//! bind     12 next_post out f32[rows, streams]
//! bind     13 next_comb out f32[rows, streams, streams]
//! push     rows:u32 width:u32 iters:u32 eps_norm:f32 eps_pre:f32 eps_sk:f32 mu:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? min(subgroup_size,64) : 64   // 4 to 64, a power of two
//! spec     3 TOKENS u32 4 = is_cpu ? 8 : 4   // tokens a workgroup
//! spec     4 DOTS u32 8   // rows of phi at a time
//! spec     5 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 COMB u32 0
//! spec     17 NORMW u32 0
//! spec     18 NORM_OUT u32 0
//! spec     32 STREAMS u32 4 = streams
//! let      phi_rows 2 * STREAMS + (COMB == 0 ? STREAMS * STREAMS : STREAMS == 4 ? 24 : STREAMS == 3 ? 6 : STREAMS)
//! shared   4 * (ceildiv(phi_rows,DOTS) * (DOTS + 1) * TOKENS + WG_SIZE * (WG_SIZE > 16 ? 17 : 65) + TOKENS * STREAMS * (STREAMS + 2))
//! pass     main groups ceildiv(rows,TOKENS)
//! tuning   tokens2 TOKENS=2
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TOKENS = 4;
layout(constant_id = 4) const uint DOTS = 8;
layout(constant_id = 5) const uint VEC = 1;
layout(constant_id = 16) const uint COMB = 0;
layout(constant_id = 17) const uint NORMW = 0;
layout(constant_id = 18) const uint NORM_OUT = 0;
layout(constant_id = 32) const uint STREAMS = 4;

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
layout(std430, binding = 9) buffer BufferZ { T z[]; };
layout(std430, binding = 9) buffer BufferZ4 { W4 z4_[]; };
layout(std430, binding = 10) restrict writeonly buffer BufferH0 { T h0[]; };
layout(std430, binding = 10) restrict writeonly buffer BufferH04 { W4 h04[]; };
layout(std430, binding = 11) restrict writeonly buffer BufferPre { float next_pre[]; };
layout(std430, binding = 12) restrict writeonly buffer BufferNextPost { float next_post[]; };
layout(std430, binding = 13) restrict writeonly buffer BufferNextComb { float next_comb[]; };

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
    const uint quads = (pc.width + 3u) / 4u;
    const uint steps = row_steps(quads);
    [[dont_unroll]] for (uint t = 0; t < TOKENS && row + t < pc.rows; t++) {
        mhc_post_read(row + t);
        [[dont_unroll]] for (uint r = 0; r < ROW_ROUNDS; r++) {
            const uint first = row_first(r, steps);
            for (uint q = first; q < min(first + 8u * steps, quads); q += 8u) {
                mhc_post_quad(row + t, q);
            }
        }
    }
    mhc_coefficients(row);
    mhc_store(row);
    if (NORM_OUT == 0u) {
        mhc_mix(row);
    } else {
        mhc_mix_norm(row);
    }
}
