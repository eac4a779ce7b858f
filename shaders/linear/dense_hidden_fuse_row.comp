// SPDX-License-Identifier: MIT
//
// Gated sum of earlier layers' hidden states and its RMS norm, a workgroup a row
//
//   s = y + silu(gate) * sum_i past_i,   o = w * s / sqrt(mean(s^2) + eps)
//
// DenseMamba, arXiv 2403.00818.
//
// Why this one: everything is read once. A lane keeps its share of s (KEEP groups of four)
// between the sum of squares and the norm; of rows longer than that, the rest is computed
// again.
//
//! kernel   dense_hidden_fuse_row
//! op       dense_hidden_fuse/1
//! tier     T0
//! bind     0 y    in   T[rows, width]
//! bind     1 gate in   T[rows, width]
//! bind     2 past in   T[m, rows, width]
//! bind     3 w    in   f32[width]
//! bind     4 o    out  T[rows, width]
//! push     rows:u32 width:u32 m:u32 eps:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     3 KEEP u32 1 = min(ceildiv(width,4*WG_SIZE),is_cpu?96:24)   // groups of four a lane
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! shared   16 * WG_SIZE
//! tuning   wide   WG_SIZE=128
//! pass     main  groups min(rows,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint KEEP = 1;
layout(constant_id = 4) const uint VEC = 1;

shared vec4 rows_part[gl_WorkGroupSize.x];

#define ROWS_SUM
#include "linear/dense_hidden.glsl"

layout(set = 0, binding = 4, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer O4 { W4 o4[]; };
ROWS_STORER(store_o, o, o4, pc.width)

vec4 kept[KEEP];

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint quads = (pc.width + 3u) / 4u;
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        const uint base = row * pc.width;
        float square = 0.0;
        for (uint j = 0; j < KEEP; j++) {
            const uint q = lane + j * lanes;
            kept[j] = q < quads ? fused(base, q) : vec4(0.0);
            square += dot(kept[j], kept[j]);
        }
        for (uint q = lane + KEEP * lanes; q < quads; q += lanes) {
            const vec4 s = fused(base, q);
            square += dot(s, s);
        }
        const float mean = rows_sum(vec4(square)).x / float(pc.width);
        const float r = 1.0 / sqrt(mean + pc.eps);
        for (uint j = 0; j < KEEP; j++) {
            const uint q = lane + j * lanes;
            if (q < quads) {
                store_o(base, q, load_w(q) * (r * kept[j]));
            }
        }
        for (uint q = lane + KEEP * lanes; q < quads; q += lanes) {
            store_o(base, q, load_w(q) * (r * fused(base, q)));
        }
    }
}
