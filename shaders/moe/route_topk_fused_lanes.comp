// SPDX-License-Identifier: MIT
//
// The experts of a token from the token itself: a token a lane, handed round by shuffles
//
//   l = x wg^T (+ eps_n (softplus(x wn^T) + 0.01)), or cosines of x and wg over temp
//   s, idx, w of l as in route_topk_row
//
// Shazeer arXiv 1701.06538, DeepSeek-V3 2412.19437.
//
// Why this one: route_topk_fused for CPU drivers. A lane reads its own token and all
// lanes get it from there; every expert's weights are read once for as many tokens as
// there are lanes, and a lane chooses for its token alone.
//
//! kernel   route_topk_fused_lanes
//! op       route_topk/1
//! tier     T1
//! bind     1 x      in  T[rows, width]  when INPUT == INPUT.x
//! bind     2 wg     in  T[experts, width]  when INPUT == INPUT.x
//! bind     3 bias   in  f32[experts]  when BIAS == BIAS.on
//! bind     4 eps_n  in  f32[rows, experts]  when NOISE == NOISE.on
//! bind     5 wn     in  T[experts, width]  when NOISE == NOISE.on
//! bind     6 valid  in  u32[ceildiv(rows,32)]  when MASK == MASK.on
//! bind     7 given  in  i32[rows, topk]  when CHOICE == CHOICE.given
//! bind     8 idx    out i32[rows, topk]  when CHOICE == CHOICE.topk
//! bind     9 w      out f32[rows, topk]
//! bind     10 score out f32[rows, experts]  when SAVE == SAVE.on
//! push     rows:u32 experts:u32 topk:u32 ngroup:u32 kgroup:u32 scale:f32 eps:f32 width:u32 temp:f32
//! spec     0 WG_SIZE u32 4 = min(subgroup_size,8)   // in one subgroup; tokens a workgroup
//! spec     3 ROUTE_LANES u32 1   // lanes a token chooses with
//! spec     4 E_PAD u32 32 = max(32,next_pow2(experts))
//! spec     5 TOPK_PAD u32 8 = max(8,next_pow2(topk))
//! spec     6 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     17 SCORE u32 0
//! spec     18 ORDER u32 0
//! spec     19 RENORM u32 0
//! spec     20 BIAS u32 0
//! spec     21 GROUPS u32 0
//! spec     22 NOISE u32 0
//! spec     23 MASK u32 0
//! spec     24 CHOICE u32 0
//! spec     25 SAVE u32 0
//! let      tokens floordiv(WG_SIZE,ROUTE_LANES)
//! when     INPUT == INPUT.x && experts*WG_SIZE <= 2048 : it makes logits of x and keeps them in shared memory
//! shared   4*tokens*(2*E_PAD+2*TOPK_PAD)+4*(GROUPS==1?tokens*E_PAD:1)+16*WG_SIZE
//! pass     main  groups min(ceildiv(rows,tokens),65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(local_size_x = 4, local_size_x_id = 0) in;
layout(constant_id = 3) const uint ROUTE_LANES = 1;

#define ROUTE_SHUFFLE
#include "moe/route_fused.glsl"
