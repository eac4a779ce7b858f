// SPDX-License-Identifier: MIT
//
// Gradients of cosine linear attention, token by token
//
//   dq^, dk^, dv': linear attention over (do, v', k^), (v', do, q^) and (k^, q^, do)
//   dv = dv' / n^sigma(m);  dm = -sigma(m)(1 - sigma(m)) sum_s ln n_s (dv'_s v'_s)
//   dx = (dx^ - x^ (x^ dx^)) / |x|
//
// Cottention, arXiv 2409.18747.
//
// Why this one: it asks for no subgroup operations.
//
//! kernel   cottention_backward_recurrent
//! op       cottention_backward/1
//! tier     T0
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
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 TOKENS u32 1 = max(1,min(8,floor(512/max(head_dim,v_dim))))   // staged at a time
//! spec     4 SLICES u32 8 = is_cpu ? 1 : 8   // lanes that share a column
//! spec     5 ROLL u32 0 = is_cpu
//! spec     7 STAGE u32 1   // 1: rows of queries and keys pass through shared memory
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 CAUSAL u32 0
//! spec     32 KEY_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   (STAGE ? 32 * TOKENS * ceildiv(max(KEY_DIM,V_DIM),4) : 16) + 16 * (SLICES == 1 ? 1 : WG_SIZE)
//! pass     norm  groups min(ceildiv(batch*heads*len,WG_SIZE),1024) 1 2
//! pass     dq    groups ceildiv(head_dim,4*WG_SIZE/SLICES) heads batch
//! pass     dv    groups ceildiv(v_dim,4*WG_SIZE/SLICES) heads batch
//! pass     dk    groups ceildiv(head_dim,4*WG_SIZE/SLICES) heads batch
//! pass     finish groups min(ceildiv(batch*heads*len,WG_SIZE),1024) 1 2
//! pass     power groups heads
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
const uint COLUMN_LANES = gl_WorkGroupSize.x / SLICES;

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
#define RECURRENT_KINDS 2
shared vec4 recurrent_rows[STAGE == 0 ? 1 : TOKENS * RECURRENT_KINDS * ((HEAD_DIM + 3) / 4)];
shared vec4 recurrent_parts[SLICES == 1 ? 1 : gl_WorkGroupSize.x];
#include "lib/recurrent.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint groups = gl_WorkGroupSize.x / SLICES;
    const uint j = gl_WorkGroupID.x * groups + gl_LocalInvocationID.x % groups;
    const uint slice = gl_LocalInvocationID.x / groups;
    chunk_begin(j, slice, false);
    if (CAUSAL == 0) {
        chunk_walk(0u, pc.len, j, slice);
    } else {
        chunk_walk_parts(0u, pc.len, j, slice, CHUNK_UPDATE);
        chunk_walk_parts(0u, pc.len, j, slice, CHUNK_OUTPUTS);
    }
}

#endif
