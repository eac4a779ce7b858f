// SPDX-License-Identifier: MIT
//
// Softmax attention to lists of tokens, flash form; a tile of heads and tokens in shared
// memory
//
//   o_i = sum_x p_ix v_x,  p_i = softmax_x(tau q_i k_x),  x in the list of i
//
// DeepSeek-V3.2, arXiv 2512.02556; FlashAttention, arXiv 2205.14135.
//
// Why this one: the tokens of a list are gathered once into shared memory and reused by
// all heads of the query, which are the rows of the tile. The baseline for GPUs.
//
//! kernel   gathered_attention_tile
//! op       gathered_attention/1
//! tier     T0
//! bind     0 q     in   T[batch, heads, q_len, head_dim]
//! bind     1 k     in   T[batch, kv_len, head_dim]
//! bind     2 v     in   T[batch, kv_len, v_dim]  when VALUE == VALUE.own
//! bind     3 idx   in   i32[batch, q_len, top]
//! bind     4 o     out  T[batch, heads, q_len, v_dim]
//! bind     5 lse   out  f32[batch, heads, q_len]  when LSE == LSE.on
//! push     heads:u32 q_len:u32 kv_len:u32 top:u32 tau:f32
//! spec     0 WG_SIZE u32 128
//! spec     3 ROWS u32 32 = heads <= 16 ? 16 : 32   // heads of a workgroup, a multiple of WG_SIZE / ACROSS
//! spec     4 KEYS u32 32     // tokens of a tile, a multiple of ACROSS
//! spec     5 EXP u32 5 = is_cpu ? 5 : 0   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ACROSS u32 16   // lanes along tokens and columns
//! spec     8 SLICE u32 32    // elements of queries and keys staged together
//! spec     9 SLAB u32 32 = min(KEYS,prev_pow2(floordiv((ROWS+KEYS)*(SLICE/4+1),ceildiv(v_dim,4))))   // tokens whose values are staged together
//! spec     16 VALUE u32 0
//! spec     17 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   4*((ROWS+KEYS)*(SLICE+4)+ROWS*(KEYS+4)+ROWS*ACROSS+2)
//! pass     main  groups ceildiv(heads,ROWS) q_len batch
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

#include "sparse/gathered_io.glsl"

shared vec4 flash_stage[(ROWS + KEYS) * (SLICE / 4u + 1u)];
shared float flash_w[ROWS * (KEYS + 4u)];
shared float flash_top[ROWS * ACROSS];
shared int seen_places[2];

float flash_finish(const uint row, const bool store, const float m, const float l)
{
    return io_finish(row, store, m, l);
}

#include "lib/flash_tile.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    if (gl_LocalInvocationID.x == 0u) {
        seen_places[0] = int(pc.top);
        seen_places[1] = 0;
    }
    barrier();
    const ivec2 found = io_walk(gl_LocalInvocationID.x, gl_WorkGroupSize.x);
    atomicMin(seen_places[0], found.x);
    atomicMax(seen_places[1], found.y);
    barrier();
    io_full = seen_places[0];
    io_end = seen_places[1];

    const score_map s = attend_map(pc.heads, pc.top, pc.tau);
    flash_tile(s, gl_WorkGroupID.x * ROWS, uint(s.q_len), io_position, io_position);
}
