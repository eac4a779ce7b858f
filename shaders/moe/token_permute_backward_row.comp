// SPDX-License-Identifier: MIT
//
// Gradient of token_permute: each token gathers the rows of its entries
//
//   dx[t] = sum over i of dxs[pos[t, i]]
//
// Why this one: a scatter-add turned round needs no atomics and has one order.
//
//! kernel   token_permute_backward_row
//! op       token_permute_backward/1
//! tier     T0
//! bind     0 pos in  i32[rows, topk]
//! bind     1 dxs in  T[cap_total, width]
//! bind     2 dx  out T[rows, width]
//! push     rows:u32 topk:u32 width:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     12 VEC u32 1 = width % 4 == 0 ? 4 : 1
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

#include "linear/row_sums.glsl"

layout(push_constant, std430) uniform Push {
    uint rows, topk, width;
} pc;

layout(std430, binding = 0) restrict readonly buffer Pos { int pos[]; };
layout(std430, binding = 1) restrict readonly buffer Dxs { T dxs[]; };
layout(std430, binding = 1) restrict readonly buffer Dxs4 { W4 dxs4[]; };
layout(std430, binding = 2) restrict writeonly buffer Dx { T dx[]; };
layout(std430, binding = 2) restrict writeonly buffer Dx4 { W4 dx4[]; };

ROWS_LOADER(load_dxs, dxs, dxs4, pc.width)
ROWS_STORER(store_dx, dx, dx4, pc.width)

vec4 gather_load(const uint p, const uint q)
{
    return load_dxs(p * pc.width, q);
}

int gather_pos(const uint entry)
{
    return pos[entry];
}

float gather_weight(const uint entry)
{
    return 1.0;
}

void gather_store(const uint t, const uint q, const vec4 sum)
{
    store_dx(t * pc.width, q, sum);
}

#define GATHER_ROWS pc.rows
#define GATHER_TOPK pc.topk
#define GATHER_WIDTH pc.width
#include "moe/gather_rows.glsl"

void main()
{
    gather_rows();
}
