// SPDX-License-Identifier: MIT
//
// Linear attention with scalar decay, chunked, on shared memory
//
//   in a chunk, S the state that enters: O = tau [(Q e^G) S + tril((Q K^T) Gamma) V]
//   S <- e^G_C S + (K e^(G_C - G))^T V
//
// RetNet arXiv 2307.08621; Lightning attention 2401.04658.
//
// Why this one: needs no subgroup operations, and its workgroups are as large as a GPU
// likes. One workgroup walks a sequence for 4 * WG_SIZE / SLICES columns: it needs heads
// and columns enough to fill the device. Barriers make it slow on CPU drivers.
//
//! kernel   linear_attention_chunk
//! op       linear_attention/1
//! tier     T0
//! bind     0 q   in   T[batch, heads, len, head_dim]
//! bind     1 k   in   T[batch, heads, len, head_dim]
//! bind     2 v   in   T[batch, heads, len, v_dim]
//! bind     3 g   in   f32[DECAY == DECAY.head ? 1 : batch, heads, DECAY == DECAY.head ? 1 : len]  when DECAY != DECAY.none
//! bind     4 s0  in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     5 z0  in   f32[batch, heads, head_dim]  when INIT == INIT.on && NORMALISE == NORMALISE.sum
//! bind     6 o   out  T[batch, heads, len, v_dim]
//! bind     7 st  out  f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! bind     8 zt  out  f32[batch, heads, head_dim]  when FINAL == FINAL.on && NORMALISE == NORMALISE.sum
//! push     heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : min(128,max_invocations)
//! spec     3 CHUNK u32 8 = min(16,prev_pow2(max(1,floor((max_shared_bytes>=32768?2048:1024)/head_dim))))   // tokens a chunk
//! spec     4 SLICES u32 8 = is_cpu ? 1 : 8   // lanes that share a column
//! spec     5 ROLL u32 0 = is_cpu
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROUND u32 1 = min(CHUNK,max_shared_bytes>=32768?4:1)   // tokens whose sums are added at a time
//! spec     16 DECAY u32 0
//! spec     17 FEATURE u32 0
//! spec     18 NORMALISE u32 0
//! spec     19 INIT u32 0
//! spec     20 FINAL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   32 * CHUNK * ceildiv(HEAD_DIM,4) + 16 * CHUNK * (WG_SIZE / SLICES) + 16 * ROUND * WG_SIZE + 4 * CHUNK * CHUNK + 20 * CHUNK + 16
//! when     NORMALISE == NORMALISE.none : keeps no sums
//! tuning   slices4  SLICES=4 WG_SIZE=64
//! pass     main  groups ceildiv(v_dim,4*WG_SIZE/SLICES) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint CHUNK = 8;
layout(constant_id = 4) const uint SLICES = 8;
layout(constant_id = 5) const uint ROLL = 0;
layout(constant_id = 7) const uint ROUND = 1;
const uint COLUMN_LANES = gl_WorkGroupSize.x / SLICES;

#include "linear/linear_attention.glsl"

shared vec4 tile_rows[2 * CHUNK * ((HEAD_DIM + 3) / 4)];
shared vec4 tile_v[CHUNK * COLUMN_LANES];
shared vec4 tile_part[ROUND * gl_WorkGroupSize.x];
shared float tile_a[CHUNK * CHUNK];
shared float tile_t[5 * CHUNK + 4];
#include "lib/chunk_tile.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint groups = gl_WorkGroupSize.x / SLICES;
    const uint j = gl_WorkGroupID.x * groups + gl_LocalInvocationID.x % groups;
    const uint slice = gl_LocalInvocationID.x / groups;
    chunk_begin(j, slice, INIT != 0);
    chunk_walk(0u, pc.len, j, slice);
    if (FINAL != 0) {
        chunk_end(j, slice);
    }
}
