// SPDX-License-Identifier: MIT
//
// Softmax attention, flash form; a lane owns whole query rows
//
//   o_i = sum_j p_ij v_j,  p = softmax_j(tau q_i k_j and its modifiers)
//
// FlashAttention, arXiv 2205.14135 and 2307.08691.
//
// Why this one: a lane owns whole query rows, so no row is reduced across lanes and there is
// no barrier; the lanes of a subgroup read each key once, together. The fastest on CPU
// drivers. Loses where few query rows leave lanes idle, and where 2 * head_dim * ROWS
// registers a lane are too many.
//
//! kernel   attention_lane
//! op       attention/1
//! tier     T1
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
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64   // lanes, each owns ROWS rows
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = is_cpu ? (head_dim + v_dim <= 160 ? 4 : head_dim + v_dim <= 320 ? 2 : 1) : 1   // query rows a lane
//! spec     4 KEYS u32 4 = ROWS >= 4 ? 2 : 4   // keys a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     16 MASK u32 0
//! spec     17 BIAS u32 0
//! spec     18 CAP u32 0
//! spec     19 SINK u32 0
//! spec     20 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! pass     main  groups ceildiv(q_len,WG_SIZE*ROWS) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define ATTENTION_WEIGHT 0 // softmax
#include "attention/lane.glsl"
