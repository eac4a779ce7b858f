// SPDX-License-Identifier: MIT
//
// Gradients of moe_combine, a token a workgroup
//
//   dys[pos[t, i]] = w[t, i] dy_t,  dw[t, i] = ys[pos[t, i]] . dy_t,  padding 0
//
// Why this one: dy_t is read once for four entries, whose sums over the lanes are taken
// together; an entry has a position to itself, so nothing is added in memory.
//
//! kernel   moe_combine_backward_row
//! op       moe_combine_backward/1
//! tier     T0
//! bind     0 ys  in  T[cap_total, width]
//! bind     1 w   in  f32[rows, topk]
//! bind     2 pos in  i32[rows, topk]
//! bind     3 src in  i32[cap_total]
//! bind     4 dy  in  T[rows, width]
//! bind     5 dys out T[cap_total, width]
//! bind     6 dw  out f32[rows, topk]
//! push     rows:u32 topk:u32 width:u32 cap_total:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     12 VEC u32 1 = width % 4 == 0 ? 4 : 1
//! shared   16*WG_SIZE
//! pass     main  groups min(rows,is_cpu?1024:65535)
//! tuning   wg128 WG_SIZE=128
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 12) const uint VEC = 1;

shared vec4 rows_part[gl_WorkGroupSize.x];
#define ROWS_SUM
#include "linear/row_sums.glsl"

layout(push_constant, std430) uniform Push {
    uint rows, topk, width, cap_total;
} pc;

layout(std430, binding = 0) restrict readonly buffer Ys { T ys[]; };
layout(std430, binding = 0) restrict readonly buffer Ys4 { W4 ys4[]; };
layout(std430, binding = 1) restrict readonly buffer Weight { float w[]; };
layout(std430, binding = 2) restrict readonly buffer Pos { int pos[]; };
layout(std430, binding = 3) restrict readonly buffer Src { int src[]; };
layout(std430, binding = 4) restrict readonly buffer Dy { T dy[]; };
layout(std430, binding = 4) restrict readonly buffer Dy4 { W4 dy4[]; };
layout(std430, binding = 5) restrict writeonly buffer Dys { T dys[]; };
layout(std430, binding = 5) restrict writeonly buffer Dys4 { W4 dys4[]; };
layout(std430, binding = 6) restrict writeonly buffer Dw { float dw[]; };

ROWS_LOADER(load_ys, ys, ys4, pc.width)
ROWS_LOADER(load_dy, dy, dy4, pc.width)
ROWS_STORER(store_dys, dys, dys4, pc.width)

// Entries i .. i + 3 of token t.
void four_entries(const uint t, const uint i)
{
    const uint groups = (pc.width + 3u) / 4u;
    const uint lane = gl_LocalInvocationID.x;
    ivec4 at = ivec4(-1);
    vec4 weight = vec4(0.0);
    [[unroll]] for (uint x = 0; x < 4u; x++) {
        if (i + x < pc.topk) {
            at[x] = pos[t * pc.topk + i + x];
            weight[x] = w[t * pc.topk + i + x];
        }
    }
    vec4 sums = vec4(0.0);
    for (uint q = lane; q < groups; q += gl_WorkGroupSize.x) {
        const vec4 g = load_dy(t * pc.width, q);
        [[unroll]] for (uint x = 0; x < 4u; x++) {
            if (at[x] >= 0) {
                sums[x] += dot(load_ys(uint(at[x]) * pc.width, q), g);
                store_dys(uint(at[x]) * pc.width, q, weight[x] * g);
            }
        }
    }
    sums = rows_sum(sums);
    [[unroll]] for (uint x = 0; x < 4u; x++) {
        if (lane == x % gl_WorkGroupSize.x && i + x < pc.topk) {
            dw[t * pc.topk + i + x] = sums[x];
        }
    }
}

void main()
{
    const uint groups = (pc.width + 3u) / 4u;
    for (uint t = gl_WorkGroupID.x; t < pc.rows; t += gl_NumWorkGroups.x) {
        for (uint i = 0; i < pc.topk; i += 4u) {
            four_entries(t, i);
        }
    }
    for (uint p = gl_WorkGroupID.x; p < pc.cap_total; p += gl_NumWorkGroups.x) {
        if (src[p] < 0) {
            for (uint q = gl_LocalInvocationID.x; q < groups; q += gl_WorkGroupSize.x) {
                store_dys(p * pc.width, q, vec4(0.0));
            }
        }
    }
}
