// SPDX-License-Identifier: MIT
//
// Gradients of the scan of Mamba-2, token by token, rows staged in shared memory
//
//   dv_j = sum_(i>=j) G_ij (b_j c_i) gy_i, db_j and dc_i the same with roles exchanged,
//   dg_t = <st, dst> + sum_(s>=t) (c_s dc_s - b_s db_s),  G_ij = e^(A (step_(j+1) + .. + step_i))
//
// Mamba-2, arXiv 2405.21060; linear attention backwards, GLA 2312.06635, for dg.
//
// Why this one: needs nothing of a device: the same passes as ssd_backward_lane, token by
// token. Slower wherever that one runs and there is more than a chunk of tokens.
//
//! kernel   ssd_backward_recurrent
//! op       ssd_backward/1
//! tier     T0
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
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 TOKENS u32 1 = max(1,min(8,floor(512/max(state,head_dim))))   // tokens staged at a time
//! spec     4 SLICES u32 8 = is_cpu ? 1 : 8   // lanes that share a column
//! spec     5 ROLL u32 0 = is_cpu   // 1: the state may live in memory
//! spec     6 VEC u32 1 = state % 4 == 0 && head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 INIT u32 0
//! spec     17 FINAL u32 0
//! spec     18 GATE u32 0
//! spec     19 CLAMP u32 0
//! spec     32 STATE u32 64 = state
//! spec     33 WIDTH u32 64 = head_dim
//! shared   32 * TOKENS * ceildiv(max(STATE,WIDTH),4) + 16 * WG_SIZE
//! pass     y      groups ceildiv(head_dim,4*WG_SIZE/SLICES) heads batch
//! pass     dx     groups ceildiv(head_dim,4*WG_SIZE/SLICES) heads batch
//! pass     db     groups ceildiv(state,4*WG_SIZE/SLICES) heads batch
//! pass     dc     groups ceildiv(state,4*WG_SIZE/SLICES) heads batch
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

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TOKENS = 1;
layout(constant_id = 4) const uint SLICES = 8;
layout(constant_id = 5) const uint ROLL = 0;
const uint STAGE = 1;
const uint COLUMN_LANES = gl_WorkGroupSize.x / SLICES;

#include "linear/ssd_backward.glsl"

#ifdef SSD_WALK
#define RECURRENT_KINDS 2
shared vec4 recurrent_rows[TOKENS * RECURRENT_KINDS * ((HEAD_DIM + 3) / 4)];
shared vec4 recurrent_parts[gl_WorkGroupSize.x];
#include "lib/recurrent.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint groups = gl_WorkGroupSize.x / SLICES;
    const uint j = gl_WorkGroupID.x * groups + gl_LocalInvocationID.x % groups;
    const uint slice = gl_LocalInvocationID.x / groups;
#ifdef PASS_Y
    const bool wanted = GATE != 0;
#else
    const bool wanted = true;
#endif
    if (wanted) {
        chunk_begin(j, slice, SSD_BEGIN);
        chunk_walk(0u, pc.len, j, slice);
        if (SSD_END) {
            chunk_end(j, slice);
        }
    }
}
#endif
