// SPDX-License-Identifier: MIT
//
// Body of route_topk_fused and route_topk_fused_lanes; their front matter, the
// workgroup's size and ROUTE_LANES are the includer's
#include "lib/words.glsl"

layout(constant_id = 4) const uint E_PAD = 32;
layout(constant_id = 5) const uint TOPK_PAD = 8;
layout(constant_id = 6) const uint VEC = 1;

layout(push_constant, std430) uniform Push {
    uint rows, experts, topk, ngroup, kgroup;
    float scale, eps;
    uint width;
    float temp;
} pc;

#include "moe/route.glsl"

#define ROUTE_NOISE 4
#include "moe/route_products.glsl"

void main()
{
    for (uint first = gl_WorkGroupID.x * ROUTE_ROWS; first < pc.rows;
         first += gl_NumWorkGroups.x * ROUTE_ROWS) {
        route_begin(first);
        route_make_logits(first);
        barrier();
        route_finish();
        barrier();
    }
}
