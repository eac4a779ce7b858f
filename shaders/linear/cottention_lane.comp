// SPDX-License-Identifier: MIT
//
// Cosine linear attention, chunked; a lane owns four columns of the state
//
//   q^, k^ = q / |q|, k / |k|;  v'_s = v_s / n_s^sigma(m_h)
//   causal: n_s = s + 1, o_t = sum_{s<=t} (q^_t k^_s) v'_s;  else n_s = len, O = Q^ (K^^T V')
//
// Cottention, arXiv 2409.18747.
//
// Why this one: linear_attention_lane's walk, one factor a token more. Fastest on CPU
// drivers; its small workgroups leave a GPU idle.
//
//! kernel   cottention_lane
//! op       cottention/1
//! tier     T1
//! bind     0 q   in   T[batch, heads, len, head_dim]
//! bind     1 k   in   T[batch, heads, len, head_dim]
//! bind     2 v   in   T[batch, heads, len, v_dim]
//! bind     3 m   in   f32[heads]
//! bind     4 o   out  T[batch, heads, len, v_dim]
//! scratch  5 qn  f32[batch, heads, len]
//! scratch  6 kn  f32[batch, heads, len]
//! push     batch:u32 heads:u32 len:u32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // one subgroup
//! spec     3 CHUNK u32 8 = max(8,WG_SIZE)   // tokens a chunk, a multiple of WG_SIZE
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 CAUSAL u32 0
//! spec     32 KEY_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! tuning   chunk16  CHUNK=16
//! pass     norm  groups min(ceildiv(batch*heads*len,WG_SIZE),1024) 1 2
//! pass     main  groups ceildiv(v_dim,4*WG_SIZE) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 4, local_size_x_id = 0) in;
layout(constant_id = 3) const uint CHUNK = 8;
const uint SUBGROUP = gl_WorkGroupSize.x;
const uint COLUMN_LANES = gl_WorkGroupSize.x;

#include "linear/cottention.glsl"

#if defined(PASS_NORM)

void main()
{
    norm_main();
}

#else
#include "lib/chunk.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint j = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    chunk_begin(j, false);
    if (CAUSAL == 0) {
        chunk_walk(0u, pc.len, j, CHUNK_ALL);
    } else {
        chunk_walk(0u, pc.len, j, CHUNK_UPDATE);
        chunk_walk(0u, pc.len, j, CHUNK_OUTPUTS);
    }
}

#endif
