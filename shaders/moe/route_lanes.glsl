// SPDX-License-Identifier: MIT
//
// ROUTE_ROWS tokens a workgroup, ROUTE_LANES lanes each, their logits in shared memory
//
//   route_begin(row)   call first: which token this lane works for
//   route_l[route_at(i)]   logit of expert i: written by anyone, then a barrier
//   route_largest()    the largest logit of the token; a NaN is none
//   route_total(x)     sum of exp(logit - x)
//   route_sum(x)       sum of the lanes' x, in the order of the lanes
//
// The includer declares the push constants pc (rows, experts), E_PAD >= experts,
// ROUTE_LANES, and the workgroup size; all lanes of the workgroup call the functions.
#ifndef MOE_ROUTE_LANES_GLSL
#define MOE_ROUTE_LANES_GLSL

#include "moe/score.glsl"

const uint ROUTE_ROWS = gl_WorkGroupSize.x / ROUTE_LANES;


shared float route_l[ROUTE_ROWS * E_PAD];
shared uvec2 route_part[2 * gl_WorkGroupSize.x];

uint route_row;  // this lane's token; may be beyond the last
uint route_slot; // its number in the workgroup
uint route_lane; // this lane's number in the token
bool route_live; // the token exists
uint route_half_ = 0u;

void route_begin(const uint first)
{
    route_slot = gl_LocalInvocationID.x / ROUTE_LANES;
    route_lane = gl_LocalInvocationID.x % ROUTE_LANES;
    route_row = first + route_slot;
    route_live = route_row < pc.rows;
}

uint route_at(const uint i)
{
    return route_slot * E_PAD + i;
}

// What the other lanes of the token said begins here.
uint route_share_(const uvec2 mine)
{
    const uint first = route_half_ * gl_WorkGroupSize.x;
    route_half_ = 1u - route_half_;
    route_part[first + gl_LocalInvocationID.x] = mine;
    barrier();
    return first + route_slot * ROUTE_LANES;
}

float route_largest()
{
    float m = -3.0e38;
    for (uint i = route_lane; i < pc.experts; i += ROUTE_LANES) {
        const float l = route_l[route_at(i)];
        m = l > m ? l : m;
    }
    const uint first = route_share_(uvec2(floatBitsToUint(m), 0u));
    for (uint j = 0; j < ROUTE_LANES; j++) {
        const float other = uintBitsToFloat(route_part[first + j].x);
        m = other > m ? other : m;
    }
    return m;
}

float route_sum(const float mine)
{
    const uint first = route_share_(uvec2(floatBitsToUint(mine), 0u));
    float sum = 0.0;
    for (uint j = 0; j < ROUTE_LANES; j++) {
        sum += uintBitsToFloat(route_part[first + j].x);
    }
    return sum;
}

float route_total(const float largest)
{
    float sum = 0.0;
    for (uint i = route_lane; i < pc.experts; i += ROUTE_LANES) {
        sum += vkz_exp_accurate(route_l[route_at(i)] - largest);
    }
    return route_sum(sum);
}

#endif
