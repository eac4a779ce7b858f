// SPDX-License-Identifier: MIT
//
// Low-rank update of weights in place, register tiles
//
//   W <- W + f B A,   f = s or -s
//
//   a lane has four columns of TILE_ROWS rows; it reads its own columns of A, and one row of
//   B in every WG_SIZE, which all lanes hand round
//
// LoRA, arXiv 2106.09685.
//
// Why this one: no shared memory and no barrier, and no address that all lanes share: the
// shape for CPU drivers. W is read and written once; all weights of a tile are read before
// its sums, so that they arrive together, and a workgroup goes on along its rows.
//
//! kernel   lora_merge_lanes
//! op       lora_merge/1
//! tier     T1
//! bind     0 w      inout T[n, k]  when MASTER == MASTER.off
//! bind     1 a      in    T[rank, k]
//! bind     2 b      in    T[n, rank]
//! bind     3 master inout f32[n, k]  when MASTER == MASTER.on
//! bind     4 wt     out   T[n, k]  when MASTER == MASTER.on
//! push     n:u32 k:u32 rank:u32 s:f32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // one subgroup
//! spec     3 TILE_ROWS u32 16 = max(16,WG_SIZE)   // a multiple of WG_SIZE
//! spec     5 SPAN u32 1 = is_cpu ? 16 : 1   // tiles side by side, one after the other
//! spec     11 ROLLED u32 0 = is_cpu   // loads in a loop
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 SIGN u32 0
//! spec     17 MASTER u32 0
//! tuning   span1   SPAN=1
//! tuning   rows32  TILE_ROWS=32
//! pass     main  groups ceildiv(k,4*WG_SIZE*SPAN) ceildiv(n,TILE_ROWS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 4, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_ROWS = 16;
layout(constant_id = 5) const uint SPAN = 1;
layout(constant_id = 16) const uint SIGN = 0;

const uint TILE_COLS = 1;
const uint LANES = gl_WorkGroupSize.x;

layout(push_constant, std430) uniform Push {
    uint n, k, rank;
    float s;
} pc;

#define MERGE_MASTER
#define MERGE_FACTOR (SIGN != 0 ? -pc.s : pc.s)
#include "lora/merge.glsl"

uint merge_tile; // counted along k
vec4 merge_before[TILE_ROWS]; // this lane's weights

uint own_col()
{
    return 4 * (merge_tile * LANES + gl_LocalInvocationID.x);
}

vec4 load_a_panel(const uint q, const uint row)
{
    const uint base = min(gl_WorkGroupID.y * TILE_ROWS + row, pc.n - 1) * pc.rank;
    if (VEC_R == 4) {
        return vkz_load_w4(b4[base / 4 + q]);
    }
    vec4 v = vec4(0.0);
    [[unroll]] for (uint c = 0; c < 4; ++c) {
        if (4 * q + c < pc.rank) {
            v[c] = vkz_load(b[base + 4 * q + c]);
        }
    }
    return v;
}

// Zeros beyond the rank, as in B: whatever is there, it adds nothing.
vec4 load_b_panel(const uint kk, const uint j)
{
    vec4 v = vec4(0.0);
    if (VEC_R == 4 || kk < pc.rank) {
        if (VEC_K == 4) {
            return vkz_load_w4(a4[(kk * pc.k + min(own_col(), pc.k - 4)) / 4]);
        }
        [[unroll]] for (uint c = 0; c < 4; ++c) {
            v[c] = vkz_load(a[kk * pc.k + min(own_col() + c, pc.k - 1)]);
        }
    }
    return v;
}

void store_tile(const uint row, const uint j, const vec4 sum)
{
    merge_add(gl_WorkGroupID.y * TILE_ROWS + row, own_col(), merge_before[row], sum);
}

#include "lib/tile_lanes.glsl"

void main()
{
    const uint first = gl_WorkGroupID.x * SPAN;
    const uint last = min(first + SPAN, (pc.k + 4 * LANES - 1) / (4 * LANES));
    for (merge_tile = first; merge_tile < last; ++merge_tile) {
        [[unroll]] for (uint row = 0; row < TILE_ROWS; ++row) {
            merge_before[row] = merge_load(gl_WorkGroupID.y * TILE_ROWS + row, own_col());
        }
        vkz_tile_lanes(gl_LocalInvocationID.x, 0, (pc.rank + 3) / 4);
    }
}
