// SPDX-License-Identifier: MIT
//
// The scan of Mamba-2 token by token; a lane owns four columns of the state
//
//   S_t = e^(step_t A) S_(t-1) + b_t (step_t x_t),  y_t = c_t S_t + D x_t, times silu(z_t)
//
// Mamba-2, arXiv 2405.21060.
//
// Why this one: reads and writes the state once, in whole words, and nothing is shared:
// the kernel of decoding on CPU drivers, and of a few tokens.
//
//! kernel   ssd_update
//! op       ssd/1
//! tier     T1
//! bind     0 x      in   T[batch, heads, len, head_dim]
//! bind     1 dt     in   f32[batch, heads, len]
//! bind     2 dtb    in   f32[heads]
//! bind     3 alog   in   f32[heads]
//! bind     4 d_skip in   f32[heads]
//! bind     5 b      in   T[batch, groups, len, state]
//! bind     6 c      in   T[batch, groups, len, state]
//! bind     7 z      in   T[batch, heads, len, head_dim]  when GATE == GATE.on
//! bind     8 y      out  T[batch, heads, len, head_dim]
//! bind     9 s0     in   f32[batch, heads, state, head_dim]  when INIT == INIT.on
//! bind     10 st    out  f32[batch, heads, state, head_dim]  when FINAL == FINAL.on
//! push     heads:u32 groups:u32 len:u32 lo:f32 hi:f32
//! spec     0 WG_SIZE u32 16 = is_cpu ? subgroup_size : 16
//! spec     1 HAND u32 4 = min(subgroup_size,8)   // lanes that hand elements round; more compile slowly
//! spec     3 TOKENS u32 1 = is_cpu && len > 1 ? 2 : 1   // tokens for one reading of the state
//! spec     4 WIDE u32 1 = is_cpu && len > 1 && head_dim > 4*WG_SIZE ? 2 : 1   // times four columns a lane
//! spec     6 VEC u32 1 = state % 4 == 0 && head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 INIT u32 0
//! spec     17 FINAL u32 0
//! spec     18 GATE u32 0
//! spec     19 CLAMP u32 0
//! spec     32 HEAD_DIM u32 64 = state
//! spec     33 V_DIM u32 64 = head_dim
//! tuning   tokens1 TOKENS=1
//! pass     main  groups ceildiv(head_dim,4*WG_SIZE*WIDE) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 16, local_size_x_id = 0) in;
layout(constant_id = 1) const uint HAND = 4;
layout(constant_id = 4) const uint WIDE = 1;
layout(constant_id = 3) const uint TOKENS = 1;
const uint COLUMN_LANES = gl_WorkGroupSize.x * WIDE;

#include "linear/ssd.glsl"
#include "lib/recurrent_lane.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint j = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    chunk_begin(j, INIT != 0);
    chunk_walk(0u, pc.len, j);
    if (FINAL != 0) {
        chunk_end(j);
    }
}
