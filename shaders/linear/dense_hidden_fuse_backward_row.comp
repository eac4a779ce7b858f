// SPDX-License-Identifier: MIT
//
// Gradients of dense_hidden_fuse: a workgroup a row, then the columns of dw
//
//   r = 1 / sqrt(mean(s^2) + eps),  g = w * do,  ds = r (g - s r^2 mean(g * s))
//   dy = ds,  dpast_i = ds * silu(gate),  dgate = ds * sum past * silu'(gate)
//   dw = sum over rows of do * s r
//
// DenseMamba, arXiv 2403.00818.
//
// Why this one: both means are one reduction, and nothing but what a lane keeps of s and g
// is needed for the rest of its row. A workgroup adds up dw over its rows in registers;
// the second pass adds the workgroups' parts in order, without atomics. On CPU drivers what
// is kept would be gathered from memory, which is no faster than computing it again (and
// lavapipe 25.0.7 on LLVM 19 cannot compile it for 16-bit types: KEEP is 1 there).
//
//! kernel   dense_hidden_fuse_backward_row
//! op       dense_hidden_fuse_backward/1
//! tier     T0
//! bind     0 y     in   T[rows, width]
//! bind     1 gate  in   T[rows, width]
//! bind     2 past  in   T[m, rows, width]
//! bind     3 w     in   f32[width]
//! bind     4 do    in   T[rows, width]
//! bind     5 dy    out  T[rows, width]
//! bind     6 dgate out  T[rows, width]
//! bind     7 dpast out  T[m, rows, width]
//! bind     8 dw    out  f32[width]
//! scratch  9 part  f32[parts, 4 * ceildiv(width,4)]
//! push     rows:u32 width:u32 m:u32 eps:f32 parts:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     3 KEEP u32 1 = min(ceildiv(width,4*WG_SIZE),is_cpu?1:12)   // groups of four a lane
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! let      parts min(rows,is_cpu?32:1024)
//! shared   16 * WG_SIZE
//! tuning   wide   WG_SIZE=128
//! pass     main    groups parts
//! pass     reduce  groups ceildiv(width,4*WG_SIZE)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint KEEP = 1;
layout(constant_id = 4) const uint VEC = 1;

#define DENSE_BACKWARD
#ifdef PASS_MAIN
shared vec4 rows_part[gl_WorkGroupSize.x];
#define ROWS_SUM
#endif
#include "linear/dense_hidden.glsl"

#ifdef PASS_MAIN

layout(set = 0, binding = 4, std430) restrict readonly buffer Do { T do_[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Do4 { W4 do4[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer Dy { T dy[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer Dy4 { W4 dy4[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Dgate { T dgate[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Dgate4 { W4 dgate4[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer Dpast { T dpast[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer Dpast4 { W4 dpast4[]; };
layout(set = 0, binding = 9, std430) restrict buffer Part { vec4 part[]; };

ROWS_LOADER(load_do, do_, do4, pc.width)
ROWS_STORER(store_dy, dy, dy4, pc.width)
ROWS_STORER(store_dgate, dgate, dgate4, pc.width)
ROWS_STORER(store_dpast, dpast, dpast4, pc.width)

vec4 kept_s[KEEP];
vec4 kept_do[KEEP];
vec4 kept_dw[KEEP];

void store_row(const uint base, const uint q, const vec4 ds)
{
    const vec4 g = load_gate(base, q);
    const vec4 sigma = gate_sigmoid(g);
    store_dy(base, q, ds);
    store_dgate(base, q, ds * past_sum(base, q) * sigma * fma(g, 1.0 - sigma, vec4(1.0)));
    const vec4 d = ds * (g * sigma);
    if (VEC == 4) {
        const W4 words = vkz_store_w4(d);
        for (uint i = 0; i < pc.m; i++) {
            dpast4[(base + i * pc.rows * pc.width) / 4u + q] = words;
        }
    } else {
        for (uint i = 0; i < pc.m; i++) {
            store_dpast(base + i * pc.rows * pc.width, q, d);
        }
    }
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint quads = (pc.width + 3u) / 4u;
    const uint part_base = gl_WorkGroupID.x * quads;
    const float share = 1.0 / float(pc.width);
    [[dont_unroll]] for (uint j = 0; j < KEEP; j++) {
        kept_dw[j] = vec4(0.0);
    }
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += pc.parts) {
        const uint base = row * pc.width;
        vec4 sums = vec4(0.0); // of s^2 and of g s
        [[dont_unroll]] for (uint j = 0; j < KEEP; j++) {
            const uint q = lane + j * lanes;
            kept_s[j] = vec4(0.0);
            kept_do[j] = vec4(0.0);
            if (q < quads) {
                kept_s[j] = fused(base, q);
                kept_do[j] = load_do(base, q);
                sums.x += dot(kept_s[j], kept_s[j]);
                sums.y += dot(kept_s[j], kept_do[j] * load_w(q));
            }
        }
        for (uint q = lane + KEEP * lanes; q < quads; q += lanes) {
            const vec4 s = fused(base, q);
            sums.x += dot(s, s);
            sums.y += dot(s, load_do(base, q) * load_w(q));
        }
        sums = rows_sum(sums);
        const float r = 1.0 / sqrt(sums.x * share + pc.eps);
        const float k = r * r * (sums.y * share);
        [[dont_unroll]] for (uint j = 0; j < KEEP; j++) {
            const uint q = lane + j * lanes;
            if (q < quads) {
                kept_dw[j] = fma(kept_do[j], kept_s[j] * r, kept_dw[j]);
                store_row(base, q, r * (load_w(q) * kept_do[j] - k * kept_s[j]));
            }
        }
        for (uint q = lane + KEEP * lanes; q < quads; q += lanes) {
            const vec4 s = fused(base, q);
            const vec4 g = load_do(base, q);
            const vec4 before = row == gl_WorkGroupID.x ? vec4(0.0) : part[part_base + q];
            part[part_base + q] = fma(g, s * r, before);
            store_row(base, q, r * (load_w(q) * g - k * s));
        }
    }
    [[dont_unroll]] for (uint j = 0; j < KEEP; j++) {
        const uint q = lane + j * lanes;
        if (q < quads) {
            part[part_base + q] = kept_dw[j];
        }
    }
}

#else // PASS_REDUCE

layout(set = 0, binding = 8, std430) restrict writeonly buffer Dw { float dw[]; };
layout(set = 0, binding = 9, std430) restrict readonly buffer Part { vec4 part[]; };

void main()
{
    const uint q = gl_GlobalInvocationID.x;
    const uint quads = (pc.width + 3u) / 4u;
    if (q >= quads) {
        return;
    }
    vec4 sum = vec4(0.0);
    for (uint i = 0; i < pc.parts; i++) {
        sum += part[i * quads + q];
    }
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (4u * q + i < pc.width) {
            dw[4u * q + i] = sum[i];
        }
    }
}

#endif
