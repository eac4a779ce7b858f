// SPDX-License-Identifier: MIT
//
// Blocks that a query attends to, by its attention to pooled keys; a workgroup a query
//
//   p = softmax_c(tau q_i k_c);  imp[j] = sum over heads and shared stripes of p
//   idx = the top blocks: forced ones first, then by imp, ties to the lower index
//
// Native sparse attention, arXiv 2502.11089.
//
// Why this one: no probability is stored. A lane has whole blocks to itself, so that a
// block's importance is summed by one lane, in one order; the ranks of the blocks come
// from comparing each with all others in shared memory.
//
//! kernel   block_select_shared
//! op       block_select/1
//! tier     T0
//! bind     0 q   in   T[batch, heads, len, head_dim]
//! bind     1 kc  in   T[batch, kv_heads, max(1,(len>=lc?floordiv(len-lc,st)+1:0)), head_dim]
//! bind     2 lse in   f32[batch, heads, len]  when STATS == STATS.given
//! bind     3 idx out  i32[batch, kv_heads, len, top]
//! push     heads:u32 kv_heads:u32 len:u32 lc:u32 st:u32 ls:u32 top:u32 tau:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 HEADS u32 4 = min(heads/kv_heads,8)   // query heads at a time
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 STATS u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 BLOCKS u32 16 = max(16,next_pow2(ceildiv(len,ls)))
//! shared   4*(HEADS*4*ceildiv(HEAD_DIM,4)+2*HEADS*WG_SIZE+2*BLOCKS)
//! pass     main  groups len kv_heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "sparse/block_select_io.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint HEADS = 4;

#include "sparse/block_group.glsl"

void main()
{
    const uint i = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x; // the longest first
    io_begin(i, gl_WorkGroupID.z * pc.kv_heads + gl_WorkGroupID.y);
    block_group(pc.heads / pc.kv_heads, pooled_visible(i), i / pc.ls, pc.top, STATS != 0);
}
