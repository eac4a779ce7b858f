// SPDX-License-Identifier: MIT
//
// Softmax attention, flash form; scores and outputs on cooperative matrices
//
//   o_i = sum_j p_ij v_j,  p = softmax_j(tau q_i k_j and its modifiers)
//
// FlashAttention, arXiv 2205.14135 and 2307.08691.
//
// Why this one: both products run on matrix units, which multiply several times faster than
// any other part of a GPU. The shape is a constant that the host takes from the device's
// list. Where a driver only imitates them (every CPU driver) this is slow.
//
//! kernel   attention_coopmat
//! op       attention/1
//! tier     T2
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
//! spec     3 WARPS u32 4 = is_cpu ? 2 : max(head_dim,v_dim) <= 128 ? 4 : 2   // subgroups, CM_M query rows each
//! spec     0 WG_SIZE u32 128 = WARPS*subgroup_size
//! spec     4 KEYS u32 32    // keys of a tile, a multiple of CM_N and CM_K
//! spec     5 EXP u32 5 = is_cpu ? 5 : 0   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: outputs in shared memory, loops stay loops
//! spec     16 MASK u32 0
//! spec     17 BIAS u32 0
//! spec     18 CAP u32 0
//! spec     19 SINK u32 0
//! spec     20 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! spec     34 CM_M u32 16 = CM_M
//! spec     35 CM_N u32 16 = CM_N
//! spec     36 CM_K u32 16 = CM_K
//! let      q_pitch ceildiv(ceildiv(HEAD_DIM,CM_K)*CM_K,4)+2
//! let      pitch max(q_pitch,ceildiv(ceildiv(V_DIM,CM_N)*CM_N,4)+2)
//! let      tile_rows WARPS*CM_M
//! shared   8*(tile_rows*q_pitch+KEYS*pitch)+tile_rows*(4*(max(KEYS,CM_N)+4)+2*(KEYS+8)+12)+12+4*(ROLL!=0?tile_rows*ceildiv(V_DIM,CM_N)*CM_N:1)
//! tuning   wide   KEYS=64
//! tuning   narrow WARPS=2
//! pass     main  groups ceildiv(q_len,WARPS*CM_M) heads batch
//! variant  f16  T=f16 coopmat=f16,f16,f32,f32
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require

#define ATTENTION_WEIGHT 0 // softmax
#include "attention/coopmat.glsl"
