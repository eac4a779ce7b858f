// SPDX-License-Identifier: MIT
//
// Time mixing of RWKV-6 token by token, rows staged in shared memory
//
//   o_t = tau q_t (S_(t-1) + (u k_t) v_t),  S_t = diag(e^w_t) S_(t-1) + k_t v_t
//
// RWKV-5/6, arXiv 2404.05892.
//
// Why this one: needs nothing of a device, does no work that the recurrence does not need
// and keeps the state where it is used. Wins for few tokens on GPUs; for many, the chunked
// forms have products of matrices where this has one row after the other.
//
//! kernel   rwkv6_recurrent
//! op       rwkv6/1
//! tier     T0
//! bind     0 q  in   T[batch, heads, len, head_dim]
//! bind     1 k  in   T[batch, heads, len, head_dim]
//! bind     2 v  in   T[batch, heads, len, v_dim]
//! bind     3 w  in   f32[batch, heads, len, head_dim]
//! bind     4 u  in   f32[heads, head_dim]
//! bind     5 s0 in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     6 o  out  T[batch, heads, len, v_dim]
//! bind     7 st out  f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! push     heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 TOKENS u32 1 = max(1,min(8,floor(341/head_dim)))   // tokens staged at a time
//! spec     4 SLICES u32 8 = is_cpu ? 1 : 8   // lanes that share a column
//! spec     5 ROLL u32 0 = is_cpu   // 1: the state may live in memory
//! spec     7 STAGE u32 1   // 1: rows pass through shared memory
//! spec     8 SINGLE u32 0 = len == 1   // one token: the state is not kept
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 INIT u32 0
//! spec     17 FINAL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   (STAGE ? 48 * TOKENS * ceildiv(HEAD_DIM,4) : 16) + 16 * (SLICES == 1 ? 1 : WG_SIZE)
//! pass     main  groups ceildiv(v_dim,4*WG_SIZE/SLICES) heads batch
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
layout(constant_id = 7) const uint STAGE = 1;
layout(constant_id = 8) const uint SINGLE = 0;
const uint COLUMN_LANES = gl_WorkGroupSize.x / SLICES;

#define RWKV 6
#include "linear/rwkv.glsl"

#define RECURRENT_KINDS 3
shared vec4 recurrent_rows[STAGE == 0 ? 1 : TOKENS * RECURRENT_KINDS * ((HEAD_DIM + 3) / 4)];
shared vec4 recurrent_parts[SLICES == 1 ? 1 : gl_WorkGroupSize.x];
#include "lib/recurrent.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint groups = gl_WorkGroupSize.x / SLICES;
    const uint j = gl_WorkGroupID.x * groups + gl_LocalInvocationID.x % groups;
    const uint slice = gl_LocalInvocationID.x / groups;
    if (SINGLE != 0) {
        chunk_single(0u, j, slice, INIT != 0, FINAL != 0);
    } else {
        chunk_begin(j, slice, INIT != 0);
        chunk_walk(0u, pc.len, j, slice);
        if (FINAL != 0) {
            chunk_end(j, slice);
        }
    }
}
