// SPDX-License-Identifier: MIT
//
// Gradients of routing logits, a token 32 lanes
//
//   ds[idx] = (scale dw - sum w dw) / sum s[idx], or scale dw; + dscore
//   dl = s (ds - sum s ds) | ds s (1 - s) | ds sigmoid(l) / (2 s)
//
// Switch arXiv 2101.03961, DeepSeek-V3 2412.19437.
//
// Why this one: a token's logits are read once, scores are computed again from them, and
// the two sums of a row stay in the workgroup.
//
//! kernel   route_topk_backward_row
//! op       route_topk_backward/1
//! tier     T0
//! bind     0 logits  in  f32[rows, experts]  when INPUT == INPUT.logits
//! bind     5 idx     in  i32[rows, topk]
//! bind     6 dw      in  f32[rows, topk]
//! bind     7 dscore  in  f32[rows, experts]  when SAVE == SAVE.on
//! bind     8 dlogits out f32[rows, experts]  when INPUT == INPUT.logits
//! push     rows:u32 experts:u32 topk:u32 scale:f32 eps:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 ROUTE_LANES u32 32 = min(WG_SIZE,is_cpu?(experts*WG_SIZE<=1024?1:WG_SIZE):experts>512?64:32)   // lanes a token
//! spec     4 E_PAD u32 32 = max(32,next_pow2(experts))
//! spec     17 SCORE u32 0
//! spec     18 ORDER u32 0
//! spec     19 RENORM u32 0
//! spec     25 SAVE u32 0
//! let      tokens floordiv(WG_SIZE,ROUTE_LANES)
//! when     INPUT == INPUT.logits && experts <= 1024 : it keeps logits that it reads in shared memory
//! shared   4*tokens*2*E_PAD+16*WG_SIZE
//! pass     main  groups min(ceildiv(rows,tokens),65535)
//! variant  f32  T=f32
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint ROUTE_LANES = 32;
layout(constant_id = 4) const uint E_PAD = 32;

layout(set = 0, binding = 0, std430) restrict readonly buffer Logits { float logits[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Dlogits
{
    float dlogits[];
};

layout(push_constant, std430) uniform Push {
    uint rows, experts, topk;
    float scale, eps;
} pc;

#include "moe/route_backward.glsl"

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
        route_gradient();
        for (uint i = route_lane; route_live && i < pc.experts; i += ROUTE_LANES) {
            dlogits[row * pc.experts + i] = route_d[route_at(i)];
        }
        barrier();
    }
}
