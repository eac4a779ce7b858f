// SPDX-License-Identifier: MIT
//
// Tokens' rows in the order of the experts: a workgroup copies a row at a time
//
//   xs[p] = x[src[p] / topk], zeros where src is -1
//
// MegaBlocks arXiv 2211.15841.
//
// Why this one: a copy of whole rows by lanes side by side, at the memory's speed.
//
//! kernel   token_permute_row
//! op       token_permute/1
//! tier     T0
//! bind     0 x   in  T[rows, width]
//! bind     1 src in  i32[cap_total]
//! bind     2 xs  out T[cap_total, width]
//! push     topk:u32 width:u32 cap_total:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     12 VEC u32 1 = width % 4 == 0 ? 4 : 1
//! pass     main  groups min(cap_total,is_cpu?1024:65535)
//! tuning   wg128 WG_SIZE=128
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 12) const uint VEC = 1;

#include "linear/row_sums.glsl"

layout(push_constant, std430) uniform Push {
    uint topk, width, cap_total;
} pc;

layout(std430, binding = 0) restrict readonly buffer X { T x[]; };
layout(std430, binding = 0) restrict readonly buffer X4 { W4 x4[]; };
layout(std430, binding = 1) restrict readonly buffer Src { int src[]; };
layout(std430, binding = 2) restrict writeonly buffer Xs { T xs[]; };
layout(std430, binding = 2) restrict writeonly buffer Xs4 { W4 xs4[]; };

ROWS_LOADER(load_x, x, x4, pc.width)
ROWS_STORER(store_xs, xs, xs4, pc.width)

void main()
{
    const uint groups = (pc.width + 3u) / 4u;
    for (uint p = gl_WorkGroupID.x; p < pc.cap_total; p += gl_NumWorkGroups.x) {
        const int entry = src[p];
        const uint from = uint(max(entry, 0)) / pc.topk * pc.width;
        for (uint q = gl_LocalInvocationID.x; q < groups; q += gl_WorkGroupSize.x) {
            const vec4 four = load_x(from, q);
            store_xs(p * pc.width, q, entry < 0 ? vec4(0.0) : four);
        }
    }
}
