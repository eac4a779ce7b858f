// SPDX-License-Identifier: MIT
//
// Gradients of linear attention with scalar decay, token by token
//
//   dphi(q)_t = tau S_t do_t, with the states of the forward walk
//   backward: dS += tau phi(q_t) (x) do_t;  dphi(k)_t = dS v_t;  dv_t = dS^T phi(k_t);
//   dS *= e^g_t;  dg_t = sum_{s>=t} (phi(q_s) dphi(q)_s - phi(k_s) dphi(k)_s) + <st, dst>
//
// RetNet arXiv 2307.08621.
//
// Why this one: it asks for no subgroup operations, and for few tokens nothing is shorter.
// The chunked form reads the state once a chunk instead of once a token.
//
//! kernel   linear_attention_backward_recurrent
//! op       linear_attention_backward/1
//! tier     T0
//! bind     0 q   in   T[batch, heads, len, head_dim]
//! bind     1 k   in   T[batch, heads, len, head_dim]
//! bind     2 v   in   T[batch, heads, len, v_dim]
//! bind     3 g   in   f32[DECAY == DECAY.head ? 1 : batch, heads, DECAY == DECAY.head ? 1 : len]  when DECAY != DECAY.none
//! bind     4 s0  in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     5 do  in   T[batch, heads, len, v_dim]
//! bind     6 dst in   f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! bind     7 dq  out  T[batch, heads, len, head_dim]
//! bind     8 dk  out  T[batch, heads, len, head_dim]
//! bind     9 dv_ out  T[batch, heads, len, v_dim]
//! bind     10 dg  out  f32[DECAY == DECAY.head ? 1 : batch, heads, DECAY == DECAY.head ? 1 : len]  when DECAY != DECAY.none
//! bind     11 ds0 out  f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! scratch  12 part_q f32[batch, heads, len + 1, ceildiv(head_dim,4)]  when DECAY != DECAY.none
//! scratch  13 part_k f32[batch, heads, len, ceildiv(head_dim,4)]  when DECAY != DECAY.none
//! push     batch:u32 heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 TOKENS u32 1 = max(1,min(8,floor(512/max(head_dim,v_dim))))   // staged at a time
//! spec     4 SLICES u32 8 = is_cpu ? 1 : 8   // lanes that share a column
//! spec     5 ROLL u32 0 = is_cpu
//! spec     7 STAGE u32 1   // 1: rows of queries and keys pass through shared memory
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 DECAY u32 0
//! spec     17 FEATURE u32 0
//! spec     19 INIT u32 0
//! spec     20 FINAL u32 0
//! spec     32 KEY_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   (STAGE ? 32 * TOKENS * ceildiv(max(KEY_DIM,V_DIM),4) : 16) + 16 * (SLICES == 1 ? 1 : WG_SIZE)
//! pass     dq    groups ceildiv(head_dim,4*WG_SIZE/SLICES) heads batch
//! pass     dv    groups ceildiv(v_dim,4*WG_SIZE/SLICES) heads batch
//! pass     dk    groups ceildiv(head_dim,4*WG_SIZE/SLICES) heads batch
//! pass     gate  groups (DECAY==DECAY.none?0:1) heads (DECAY==DECAY.head?1:batch)
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

#ifdef PASS_GATE
#include "linear/linear_attention_backward_gate.glsl"

void main()
{
    gate_main(DECAY == DECAY_TOKEN ? 1u : pc.batch);
}

#else
#include "linear/linear_attention_backward.glsl"

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
    chunk_begin(j, slice, IO_LOADS);
    chunk_walk(0u, pc.len, j, slice);
    if (IO_STORES) {
        chunk_end(j, slice);
        const float overlap = recurrent_sum_(vec4(io_overlap), groups).x;
        if (slice == 0u) {
            io_end(j, overlap);
        }
    }
}

#endif
