// SPDX-License-Identifier: MIT
//
// Softmax attention to pooled blocks, flash form; a tile of rows and keys in shared
// memory
//
//   o_i = sum_c p_ic v_c,  p_i = softmax_c(tau q_i k_c),  blocks c that end at i or before
//
// Native sparse attention, arXiv 2502.11089; FlashAttention, arXiv 2205.14135.
//
// Why this one: it is attention_tile with a staircase for a mask: pooled keys are read
// once a workgroup and reused by ROWS rows from shared memory. The baseline for GPUs.
//
//! kernel   compressed_attention_tile
//! op       compressed_attention/1
//! tier     T0
//! bind     0 q     in   T[batch, heads, len, head_dim]
//! bind     1 k     in   T[batch, kv_heads, len, head_dim]  when PHI == PHI.mean
//! bind     2 v     in   T[batch, kv_heads, len, v_dim]  when PHI == PHI.mean
//! bind     3 kc    in   T[batch, kv_heads, max(1,(len>=lc?floordiv(len-lc,st)+1:0)), head_dim]  when PHI == PHI.given
//! bind     4 vc    in   T[batch, kv_heads, max(1,(len>=lc?floordiv(len-lc,st)+1:0)), v_dim]  when PHI == PHI.given
//! bind     5 o     out  T[batch, heads, len, v_dim]
//! bind     6 lse   out  f32[batch, heads, len]  when LSE == LSE.on
//! scratch  7 mean_k f32[batch, kv_heads, rows, 4*ceildiv(head_dim,4)]  when PHI == PHI.mean
//! scratch  8 mean_v f32[batch, kv_heads, rows, 4*ceildiv(v_dim,4)]  when PHI == PHI.mean
//! push     heads:u32 kv_heads:u32 len:u32 lc:u32 st:u32 tau:f32
//! spec     0 WG_SIZE u32 128
//! spec     3 ROWS u32 32     // query rows of a workgroup, a multiple of WG_SIZE / ACROSS
//! spec     4 KEYS u32 32     // keys of a tile, a multiple of ACROSS
//! spec     5 EXP u32 5 = is_cpu ? 5 : 0   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ACROSS u32 16   // lanes along keys and columns
//! spec     8 SLICE u32 32    // elements of queries and keys staged together
//! spec     9 SLAB u32 32 = min(KEYS,prev_pow2(floordiv((ROWS+KEYS)*(SLICE/4+1),ceildiv(v_dim,4))))   // keys whose values are staged together
//! spec     16 PHI u32 0
//! spec     17 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! let      rows max(1,(len>=lc?floordiv(len-lc,st)+1:0))
//! pass     pool  groups (PHI==PHI.mean?ceildiv(rows*(ceildiv(head_dim,4)+ceildiv(v_dim,4)),WG_SIZE):1) batch*kv_heads
//! shared   4*((ROWS+KEYS)*(SLICE+4)+ROWS*(KEYS+4)+ROWS*ACROSS)
//! pass     main  groups ceildiv(len,ROWS) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(constant_id = 3) const uint ROWS = 32;
layout(constant_id = 4) const uint KEYS = 32;
layout(constant_id = 7) const uint ACROSS = 16;
layout(constant_id = 8) const uint SLICE = 32;
layout(constant_id = 9) const uint SLAB = 32;

#include "sparse/compressed_io.glsl"

#ifdef PASS_POOL

void main()
{
    pool_main();
}

#else

shared vec4 flash_stage[(ROWS + KEYS) * (SLICE / 4u + 1u)];
shared float flash_w[ROWS * (KEYS + 4u)];
shared float flash_top[ROWS * ACROSS];

float flash_finish(const uint row, const bool store, const float m, const float l)
{
    return io_finish(row, store, m, l);
}

#include "lib/flash_tile.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    // The last rows see the most keys: start with them.
    const uint begin = (gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x) * ROWS;
    const uint end = min(begin + ROWS, pc.len);
    const score_map s = attend_map(pc.len, pooled_count(), pc.tau);
    flash_tile(s, begin, end, flash_row_position(begin), flash_row_position(end - 1u));
}

#endif
