// SPDX-License-Identifier: MIT
//
// Outputs of a token's experts, weighted and added up, a token a workgroup
//
//   y_t = sum over i of w[t, i] ys[pos[t, i]], plus the shared expert, plus the residual
//
// Sparsely-gated mixture of experts arXiv 1701.06538.
//
// Why this one: every row is read once by lanes side by side; a gather in the order of the
// entries needs no atomics and gives the same bits every time.
//
//! kernel   moe_combine_row
//! op       moe_combine/1
//! tier     T0
//! bind     0 ys      in  T[cap_total, width]
//! bind     1 w       in  f32[rows, topk]
//! bind     2 pos     in  i32[rows, topk]
//! bind     3 shared_ in  T[rows, width]  when SHARED == SHARED.on
//! bind     4 res     in  T[rows, width]  when RESIDUAL == RESIDUAL.on
//! bind     5 y       out T[rows, width]
//! push     rows:u32 topk:u32 width:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     12 VEC u32 1 = width % 4 == 0 ? 4 : 1
//! spec     16 SHARED u32 0
//! spec     17 RESIDUAL u32 0
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
layout(constant_id = 16) const uint SHARED = 0;
layout(constant_id = 17) const uint RESIDUAL = 0;

#include "linear/row_sums.glsl"

layout(push_constant, std430) uniform Push {
    uint rows, topk, width;
} pc;

layout(std430, binding = 0) restrict readonly buffer Ys { T ys[]; };
layout(std430, binding = 0) restrict readonly buffer Ys4 { W4 ys4[]; };
layout(std430, binding = 1) restrict readonly buffer Weight { float w[]; };
layout(std430, binding = 2) restrict readonly buffer Pos { int pos[]; };
layout(std430, binding = 3) restrict readonly buffer Shared { T shared_[]; };
layout(std430, binding = 3) restrict readonly buffer Shared4 { W4 shared4[]; };
layout(std430, binding = 4) restrict readonly buffer Res { T res[]; };
layout(std430, binding = 4) restrict readonly buffer Res4 { W4 res4[]; };
layout(std430, binding = 5) restrict writeonly buffer Y { T y[]; };
layout(std430, binding = 5) restrict writeonly buffer Y4 { W4 y4[]; };

ROWS_LOADER(load_ys, ys, ys4, pc.width)
ROWS_LOADER(load_shared, shared_, shared4, pc.width)
ROWS_LOADER(load_res, res, res4, pc.width)
ROWS_STORER(store_y, y, y4, pc.width)

vec4 gather_load(const uint p, const uint q)
{
    return load_ys(p * pc.width, q);
}

int gather_pos(const uint entry)
{
    return pos[entry];
}

float gather_weight(const uint entry)
{
    return w[entry];
}

void gather_store(const uint t, const uint q, const vec4 sum)
{
    vec4 v = sum;
    if (SHARED != 0) {
        v += load_shared(t * pc.width, q);
    }
    if (RESIDUAL != 0) {
        v += load_res(t * pc.width, q);
    }
    store_y(t * pc.width, q, v);
}

#define GATHER_ROWS pc.rows
#define GATHER_TOPK pc.topk
#define GATHER_WIDTH pc.width
#include "moe/gather_rows.glsl"

void main()
{
    gather_rows();
}
