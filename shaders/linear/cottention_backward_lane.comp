// SPDX-License-Identifier: MIT
//
// Gradients of cosine linear attention: three chunked walks
//
//   dq^, dk^, dv': linear attention over (do, v', k^), (v', do, q^) and (k^, q^, do)
//   dv = dv' / n^sigma(m);  dm = -sigma(m)(1 - sigma(m)) sum_s ln n_s (dv'_s v'_s)
//   dx = (dx^ - x^ (x^ dx^)) / |x|
//
// Cottention, arXiv 2409.18747.
//
// Why this one: each gradient is linear attention again, so its fastest form on CPU drivers
// serves all three. dq^ and dk^ are kept in float until a row is whole.
//
//! kernel   cottention_backward_lane
//! op       cottention_backward/1
//! tier     T1
//! bind     0 q   in   T[batch, heads, len, head_dim]
//! bind     1 k   in   T[batch, heads, len, head_dim]
//! bind     2 v   in   T[batch, heads, len, v_dim]
//! bind     3 m   in   f32[heads]
//! bind     4 do  in   T[batch, heads, len, v_dim]
//! bind     5 dq  out  T[batch, heads, len, head_dim]
//! bind     6 dk  out  T[batch, heads, len, head_dim]
//! bind     7 dv_ out  T[batch, heads, len, v_dim]
//! bind     8 dm  out  f32[heads]
//! scratch  9 qn  f32[batch, heads, len]
//! scratch  10 kn  f32[batch, heads, len]
//! scratch  11 gq4 f32[batch, heads, len, ceildiv(head_dim,4)*4]
//! scratch  12 gk4 f32[batch, heads, len, ceildiv(head_dim,4)*4]
//! scratch  13 part f32[batch, heads, len, ceildiv(v_dim,4)]
//! push     batch:u32 heads:u32 len:u32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // one subgroup
//! spec     3 CHUNK u32 8 = max(8,WG_SIZE)   // tokens a chunk, a multiple of WG_SIZE
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 CAUSAL u32 0
//! spec     32 KEY_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   8 * WG_SIZE
//! tuning   chunk16  CHUNK=16
//! pass     norm  groups min(ceildiv(batch*heads*len,WG_SIZE),1024) 1 2
//! pass     dq    groups ceildiv(head_dim,4*WG_SIZE) heads batch
//! pass     dv    groups ceildiv(v_dim,4*WG_SIZE) heads batch
//! pass     dk    groups ceildiv(head_dim,4*WG_SIZE) heads batch
//! pass     finish groups min(ceildiv(batch*heads*len,WG_SIZE),1024) 1 2
//! pass     power groups heads
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

#define COTTENTION_BACKWARD
#include "linear/cottention.glsl"

#if defined(PASS_NORM)

void main()
{
    norm_main();
}

#elif defined(PASS_FINISH)

void main()
{
    finish_main();
}

#elif defined(PASS_POWER)

void main()
{
    power_main();
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
