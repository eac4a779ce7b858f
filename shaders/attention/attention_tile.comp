// SPDX-License-Identifier: MIT
//
// Softmax attention, flash form; a tile of rows and keys through shared memory
//
//   o_i = sum_j p_ij v_j,  p = softmax_j(tau q_i k_j and its modifiers)
//
// FlashAttention, arXiv 2205.14135 and 2307.08691.
//
// Why this one: keys and values are read once a workgroup into shared memory and reused by
// ROWS rows from there. The baseline for GPUs; barriers make it slow on CPU drivers.
//
//! kernel   attention_tile
//! op       attention/1
//! tier     T0
//! bind     0 q     in   T[batch, heads, q_len, head_dim]
//! bind     1 k     in   T[batch, kv_heads, kv_len, head_dim]
//! bind     2 v     in   T[batch, kv_heads, kv_len, v_dim]
//! bind     3 bias  in   T[batch, heads, q_len, kv_len]  when BIAS == BIAS.tensor
//! bind     4 rpar  in   f32[heads, 2]  when BIAS == BIAS.kerple_log || BIAS == BIAS.kerple_power
//! bind     5 sink  in   f32[heads]  when SINK == SINK.learned
//! bind     6 seg   in   i32[batch, kv_len]  when MASK == MASK.doc
//! bind     7 o     out  T[batch, heads, q_len, v_dim]
//! bind     8 lse   out  f32[batch, heads, q_len]  when LSE == LSE.on
//! push     heads:u32 kv_heads:u32 q_len:i32 kv_len:i32 wl:i32 wr:i32 np:i32 tau:f32 slope0:f32 cap:f32
//! spec     0 WG_SIZE u32 128
//! spec     3 ROWS u32 32     // query rows of a workgroup, a multiple of WG_SIZE / ACROSS
//! spec     4 KEYS u32 32     // keys of a tile, a multiple of ACROSS
//! spec     5 EXP u32 5 = is_cpu ? 5 : 0   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ACROSS u32 16   // lanes along keys and columns
//! spec     8 SLICE u32 32    // elements of queries and keys staged together
//! spec     9 SLAB u32 32 = min(KEYS,prev_pow2(floordiv((ROWS+KEYS)*(SLICE/4+1),ceildiv(v_dim,4))))   // keys whose values are staged together
//! spec     16 MASK u32 0
//! spec     17 BIAS u32 0
//! spec     18 CAP u32 0
//! spec     19 SINK u32 0
//! spec     20 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   4*((ROWS+KEYS)*(SLICE+4)+ROWS*(KEYS+4)+ROWS*ACROSS)
//! tuning   wide   WG_SIZE=256 ROWS=64 KEYS=64
//! tuning   tall   WG_SIZE=128 ROWS=64 KEYS=32
//! tuning   small  WG_SIZE=64 ROWS=16 KEYS=32
//! pass     main  groups ceildiv(q_len,ROWS) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define ATTENTION_WEIGHT 0 // softmax
#include "attention/tile.glsl"
