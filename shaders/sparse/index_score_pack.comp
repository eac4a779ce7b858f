// SPDX-License-Identifier: MIT
//
// Scores of the indexer of sparse attention: the keys are first copied in the order of
// use
//
//   score[t,s] = scale sum_x w[t,x] max(0, qi[t,x] ki[s]),  -inf for s after t
//
//   pk [batch] [kv_len / (4 LANES)] [di] [LANES] groups of four keys, zeros beyond the edges
//
// DeepSeek-V3.2, arXiv 2512.02556.
//
// Why this one: keys are read in whole vectors and a head's query elements are handed
// round by the lanes, as in gemm_pack; the rectified and weighted sums stay in registers.
// Fastest on CPU drivers. The copy takes as much memory as the keys, in float.
//
//! kernel   index_score_pack
//! op       index_score/1
//! tier     T1
//! bind     0 qi    in   T[batch, q_len, hi, di]
//! bind     1 ki    in   T[batch, kv_len, di]
//! bind     2 w     in   f32[batch, q_len, hi]
//! bind     3 score out  f32[batch, q_len, kv_len]
//! scratch  4 pk    f32[batch, ceildiv(kv_len,4*WG_SIZE)*4*WG_SIZE, ceildiv(di,4)*4]
//! push     q_len:u32 kv_len:u32 hi:u32 di:u32 scale:f32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // one subgroup
//! spec     3 TILE_ROWS u32 8 = max(8,WG_SIZE)   // heads at a time, a multiple of WG_SIZE
//! spec     4 QUERIES u32 4   // queries a workgroup
//! spec     12 VEC u32 1 = di % 4 == 0 ? 4 : 1
//! spec     14 VEC_S u32 1 = kv_len % 4 == 0 ? 4 : 1
//! tuning   rows16  TILE_ROWS=16
//! pass     pack  groups ceildiv(kv_len,4*WG_SIZE) 1 batch
//! pass     main  groups ceildiv(kv_len,4*WG_SIZE) ceildiv(q_len,QUERIES) batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "sparse/index_io.glsl"

layout(local_size_x = 4, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_ROWS = 8;
layout(constant_id = 4) const uint QUERIES = 4;

const uint LANES = gl_WorkGroupSize.x;
const uint TILE_COLS = 1;

// vec4 of the panel where the workgroup's keys begin.
uint panel()
{
    const uint panels = (pc.kv_len + 4u * LANES - 1u) / (4u * LANES);
    const uint rows = (pc.di + 3u) / 4u * 4u;
    return (gl_WorkGroupID.z * panels + gl_WorkGroupID.x) * rows * LANES;
}

#ifdef PASS_PACK

layout(set = 0, binding = 4, std430) restrict writeonly buffer Pk { vec4 pk[]; };

void main()
{
    const uint first = 4u * (gl_WorkGroupID.x * LANES + gl_LocalInvocationID.x);
    const uint base = gl_WorkGroupID.z * pc.kv_len;
    const uint to = panel() + gl_LocalInvocationID.x;
    for (uint q = 0; 4u * q < pc.di; q++) {
        vec4 k[4];
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            k[i] = vec4(0.0);
            if (first + i < pc.kv_len) {
                k[i] = index_k(base + first + i, q);
            }
        }
        [[unroll]] for (uint x = 0; x < 4u; x++) {
            pk[to + (4u * q + x) * LANES] = vec4(k[0][x], k[1][x], k[2][x], k[3][x]);
        }
    }
}

#else // PASS_MAIN

layout(set = 0, binding = 4, std430) restrict readonly buffer Pk { vec4 pk[]; };

uint row;   // batch * q_len + query
uint head0; // first head of the tile
vec4 total;

vec4 load_a_panel(const uint q, const uint r)
{
    return index_q(row * pc.hi + min(head0 + r, pc.hi - 1u), q);
}

vec4 load_b_panel(const uint kk, const uint j)
{
    return pk[panel() + kk * LANES + gl_LocalInvocationID.x];
}

void store_tile(const uint r, const uint j, const vec4 sum)
{
    if (head0 + r < pc.hi) {
        total += index_term(w[row * pc.hi + head0 + r], sum);
    }
}

#include "lib/tile_lanes.glsl"

void main()
{
    const uint s = 4u * (gl_WorkGroupID.x * LANES + gl_LocalInvocationID.x);
    const uint begin = gl_WorkGroupID.y * QUERIES;
    const uint end = min(begin + QUERIES, pc.q_len);
    for (uint query = begin; query < end; query++) {
        row = gl_WorkGroupID.z * pc.q_len + query;
        total = vec4(0.0);
        const int position = int(query) + int(pc.kv_len) - int(pc.q_len);
        if (int(4u * LANES * gl_WorkGroupID.x) <= position) {
            for (head0 = 0u; head0 < pc.hi; head0 += TILE_ROWS) {
                vkz_tile_lanes(gl_LocalInvocationID.x, 0u, (pc.di + 3u) / 4u);
            }
        }
        index_store(row, s, total);
    }
}

#endif
