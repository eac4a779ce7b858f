// SPDX-License-Identifier: MIT
//
// Time mixing of RWKV-6 token by token; a lane owns four columns of the state
//
//   o_t = tau q_t (S_(t-1) + (u k_t) v_t),  S_t = diag(e^w_t) S_(t-1) + k_t v_t
//
// RWKV-5/6, arXiv 2404.05892.
//
// Why this one: reads and writes the state once, in whole words, and nothing is shared:
// the kernel of decoding on CPU drivers, and of a few tokens.
//
//! kernel   rwkv6_update
//! op       rwkv6/1
//! tier     T1
//! bind     0 q  in   T[batch, heads, len, head_dim]
//! bind     1 k  in   T[batch, heads, len, head_dim]
//! bind     2 v  in   T[batch, heads, len, v_dim]
//! bind     3 w  in   f32[batch, heads, len, head_dim]
//! bind     4 u  in   f32[heads, head_dim]
//! bind     5 s0 in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     6 o  out  T[batch, heads, len, v_dim]
//! bind     7 st out  f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! push     heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 16 = is_cpu ? subgroup_size : 16
//! spec     1 HAND u32 4 = min(subgroup_size,8)   // lanes that hand elements round; more compile slowly
//! spec     3 TOKENS u32 1 = is_cpu && len > 1 ? 2 : 1   // tokens for one reading of the state
//! spec     4 WIDE u32 1 = is_cpu && len > 1 && v_dim > 4*WG_SIZE ? 2 : 1   // times four columns a lane
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 INIT u32 0
//! spec     17 FINAL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! tuning   tokens1 TOKENS=1
//! pass     main  groups ceildiv(v_dim,4*WG_SIZE*WIDE) heads batch
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

#define RWKV 6
#include "linear/rwkv.glsl"
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
