// SPDX-License-Identifier: MIT
//
// Gradients of linear attention with scalar decay: three chunked walks, as the forward one
//
//   dphi(Q) = tau [((dO V^T) Gamma) phi(K) + e^G dO S^T]      a walk over (dO, V, phi(K))
//   dV      = tau ((Q K^T) Gamma)^T dO + ...   backward       a walk over (phi(K), phi(Q), dO)
//   dphi(K) = tau ((dO V^T) Gamma)^T phi(Q) + ...  backward   a walk over (V, dO, phi(Q))
//   dg_t    = sum_{s>=t} (phi(q_s) dphi(q)_s - phi(k_s) dphi(k)_s) + <st, dst>
//
// RetNet arXiv 2307.08621; gated linear attention 2312.06635.
//
// Why this one: each gradient is linear attention again, so the fastest forward form
// serves all three and no state is kept in memory. See linear_attention_lane for where
// that form wins and loses.
//
//! kernel   linear_attention_backward_lane
//! op       linear_attention_backward/1
//! tier     T1
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
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // one subgroup
//! spec     3 CHUNK u32 8 = max(8,WG_SIZE)   // tokens a chunk, a multiple of WG_SIZE
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 DECAY u32 0
//! spec     17 FEATURE u32 0
//! spec     19 INIT u32 0
//! spec     20 FINAL u32 0
//! spec     32 KEY_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   8 * WG_SIZE
//! tuning   chunk16  CHUNK=16
//! pass     dq    groups ceildiv(head_dim,4*WG_SIZE) heads batch
//! pass     dv    groups ceildiv(v_dim,4*WG_SIZE) heads batch
//! pass     dk    groups ceildiv(head_dim,4*WG_SIZE) heads batch
//! pass     gate  groups (DECAY==DECAY.none?0:1) heads (DECAY==DECAY.head?1:batch)
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

#ifdef PASS_GATE
#include "linear/linear_attention_backward_gate.glsl"

void main()
{
    gate_main(DECAY == DECAY_TOKEN ? 1u : pc.batch);
}

#else
#include "linear/linear_attention_backward.glsl"
#include "lib/chunk.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint j = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    chunk_begin(j, IO_LOADS);
    chunk_walk(0u, pc.len, j, CHUNK_ALL);
    if (IO_STORES) {
        chunk_end(j);
        io_end(j, io_overlap);
    }
}

#endif
