// SPDX-License-Identifier: MIT
//
// The experts of a token from its logits: a token 32 lanes
//
//   s = softmax(l) | sigmoid(l) | sqrt(softplus(l)),  idx = top topk of s + bias, of l
//   where s is a softmax,  w = scale s[idx], renormalised or a softmax of the chosen
//
// Shazeer arXiv 1701.06538, Switch 2101.03961, DeepSeek-V3 2412.19437.
//
// Why this one: logits are read once and stay in shared memory; topk rounds of (largest,
// lowest index) need one barrier each, and no subgroup operation. On CPU drivers
// route_topk_lane is faster where it serves.
//
//! kernel   route_topk_row
//! op       route_topk/1
//! tier     T0
//! bind     0 logits in  f32[rows, experts]  when INPUT == INPUT.logits
//! bind     3 bias   in  f32[experts]  when BIAS == BIAS.on
//! bind     6 valid  in  u32[ceildiv(rows,32)]  when MASK == MASK.on
//! bind     7 given  in  i32[rows, topk]  when CHOICE == CHOICE.given
//! bind     8 idx    out i32[rows, topk]  when CHOICE == CHOICE.topk
//! bind     9 w      out f32[rows, topk]
//! bind     10 score out f32[rows, experts]  when SAVE == SAVE.on
//! push     rows:u32 experts:u32 topk:u32 ngroup:u32 kgroup:u32 scale:f32 eps:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 ROUTE_LANES u32 32 = min(WG_SIZE,is_cpu?(experts*WG_SIZE<=1024?1:WG_SIZE):experts>512?64:32)   // lanes a token
//! spec     4 E_PAD u32 32 = max(32,next_pow2(experts))
//! spec     5 TOPK_PAD u32 8 = max(8,next_pow2(topk))
//! spec     17 SCORE u32 0
//! spec     18 ORDER u32 0
//! spec     19 RENORM u32 0
//! spec     20 BIAS u32 0
//! spec     21 GROUPS u32 0
//! spec     23 MASK u32 0
//! spec     24 CHOICE u32 0
//! spec     25 SAVE u32 0
//! let      tokens floordiv(WG_SIZE,ROUTE_LANES)
//! when     INPUT == INPUT.logits && experts <= 1024 : it keeps logits that it reads in shared memory
//! shared   4*tokens*(2*E_PAD+2*TOPK_PAD)+4*(GROUPS==1?tokens*E_PAD:1)+16*WG_SIZE
//! pass     main  groups min(ceildiv(rows,tokens),65535)
//! variant  f32  T=f32
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint ROUTE_LANES = 32;
layout(constant_id = 4) const uint E_PAD = 32;
layout(constant_id = 5) const uint TOPK_PAD = 8;

layout(set = 0, binding = 0, std430) restrict readonly buffer Logits { float logits[]; };

layout(push_constant, std430) uniform Push {
    uint rows, experts, topk, ngroup, kgroup;
    float scale, eps;
} pc;

#include "moe/route.glsl"

void main()
{
    for (uint first = gl_WorkGroupID.x * ROUTE_ROWS; first < pc.rows;
         first += gl_NumWorkGroups.x * ROUTE_ROWS) {
        route_begin(first);
        const uint row = min(route_row, pc.rows - 1u);
        for (uint i = route_lane; i < pc.experts; i += ROUTE_LANES) {
            route_l[route_at(i)] = logits[row * pc.experts + i];
        }
        barrier();
        route_finish();
        barrier();
    }
}
