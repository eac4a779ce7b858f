// SPDX-License-Identifier: MIT
//
// Gradients of the scan of Mamba-2, chunked; a lane owns four columns of a state
//
//   dv_j = sum_(i>=j) G_ij (b_j c_i) gy_i, db_j and dc_i the same with roles exchanged,
//   dg_t = <st, dst> + sum_(s>=t) (c_s dc_s - b_s db_s),  G_ij = e^(A (step_(j+1) + .. + step_i))
//
// Mamba-2, arXiv 2405.21060; linear attention backwards, GLA 2312.06635, for dg.
//
// Why this one: every gradient is a run of the chunk engine, forwards or backwards, so
// that no state is ever stored. The fastest on CPU drivers.
//
//! kernel   ssd_backward_lane
//! op       ssd_backward/1
//! tier     T1
//! bind     0 x       in   T[batch, heads, len, head_dim]
//! bind     1 dt      in   f32[batch, heads, len]
//! bind     2 dtb     in   f32[heads]
//! bind     3 alog    in   f32[heads]
//! bind     4 d_skip  in   f32[heads]
//! bind     5 b       in   T[batch, groups, len, state]
//! bind     6 c       in   T[batch, groups, len, state]
//! bind     7 z       in   T[batch, heads, len, head_dim]  when GATE == GATE.on
//! bind     8 s0      in   f32[batch, heads, state, head_dim]  when INIT == INIT.on
//! bind     9 dy      in   T[batch, heads, len, head_dim]
//! bind     10 dst    in   f32[batch, heads, state, head_dim]  when FINAL == FINAL.on
//! bind     11 dx     out  T[batch, heads, len, head_dim]
//! bind     12 ddt    out  f32[batch, heads, len]
//! bind     13 ddtb   out  f32[heads]
//! bind     14 dalog  out  f32[heads]
//! bind     15 dd_skip out f32[heads]
//! bind     16 db     out  T[batch, groups, len, state]
//! bind     17 dc     out  T[batch, groups, len, state]
//! bind     18 dz     out  T[batch, heads, len, head_dim]  when GATE == GATE.on
//! bind     19 ds0    out  f32[batch, heads, state, head_dim]  when INIT == INIT.on
//! scratch  20 head_db f32[batch, heads, len, state]
//! scratch  21 head_dc f32[batch, heads, len, state]
//! scratch  22 tok    f32[batch, heads, len, 4]
//! scratch  23 fin    f32[batch, heads, head_dim, ceildiv(state,4)]  when FINAL == FINAL.on
//! scratch  24 part   f32[batch, heads, 4]
//! push     batch:u32 heads:u32 groups:u32 len:u32 lo:f32 hi:f32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // one subgroup
//! spec     3 CHUNK u32 16 = max(16,WG_SIZE)   // tokens a chunk, a multiple of WG_SIZE
//! spec     6 VEC u32 1 = state % 4 == 0 && head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 INIT u32 0
//! spec     17 FINAL u32 0
//! spec     18 GATE u32 0
//! spec     19 CLAMP u32 0
//! spec     32 STATE u32 64 = state
//! spec     33 WIDTH u32 64 = head_dim
//! shared   16 * WG_SIZE
//! tuning   chunk8   CHUNK=8
//! pass     y      groups ceildiv(head_dim,4*WG_SIZE) heads batch
//! pass     dx     groups ceildiv(head_dim,4*WG_SIZE) heads batch
//! pass     db     groups ceildiv(state,4*WG_SIZE) heads batch
//! pass     dc     groups ceildiv(state,4*WG_SIZE) heads batch
//! pass     dots   groups ceildiv(len,WG_SIZE) heads batch
//! pass     sum    groups heads batch
//! pass     heads  groups min(1024,ceildiv(len*ceildiv(state,4),WG_SIZE)) groups batch
//! pass     params groups 1
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 4, local_size_x_id = 0) in;
layout(constant_id = 3) const uint CHUNK = 16;
const uint SUBGROUP = gl_WorkGroupSize.x;
const uint COLUMN_LANES = gl_WorkGroupSize.x;

#include "linear/ssd_backward.glsl"

#ifdef SSD_WALK
#include "lib/chunk.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint j = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
#ifdef PASS_Y
    if (GATE == 0) {
        return;
    }
#endif
    chunk_begin(j, SSD_BEGIN);
    chunk_walk(0u, pc.len, j, CHUNK_ALL);
    if (SSD_END) {
        chunk_end(j);
    }
}
#endif
