// SPDX-License-Identifier: MIT
//
// Gradients of the logits of tokens whose logits are in shared memory, see
// route_lanes.glsl
//
//   route_gradient()   route_d[route_at(i)] = gradient of logit i; a barrier has followed
//
// The includer has topk, scale and eps among its push constants pc. The experts of a
// token are different ones.
#include "moe/route_lanes.glsl"

layout(constant_id = 18) const uint ORDER = 0;
layout(constant_id = 19) const uint RENORM = 0;
layout(constant_id = 25) const uint SAVE = 0;

layout(set = 0, binding = 5, std430) restrict readonly buffer Idx { int idx[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Dw { float dw[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer Dscore { float dscore[]; };

shared float route_d[ROUTE_ROWS * E_PAD];

float route_score_(const uint i, const float largest, const float total)
{
    const float l = route_l[route_at(i)];
    return SCORE_SOFT ? vkz_exp_accurate(l - largest) / total : score_of(l);
}

// Sum of what the chosen weigh, before scale, and of that times dw.
vec2 route_chosen_(const uint base, const float most, const float largest,
                   const float total)
{
    vec2 sums = vec2(0.0);
    for (uint t = 0; t < pc.topk; t++) {
        const int i = idx[base + t];
        if (i >= 0) {
            const float l = route_l[route_at(uint(i))];
            const float s = ORDER != 0 ? vkz_exp_accurate(l - most)
                                       : route_score_(uint(i), largest, total);
            sums += s * vec2(1.0, dw[base + t]);
        }
    }
    return sums;
}

void route_gradient()
{
    const uint row = min(route_row, pc.rows - 1u);
    const uint base = row * pc.topk;
    float largest = 0.0;
    float total = 1.0;
    if (SCORE_SOFT) {
        largest = route_largest();
        total = route_total(largest);
    }
    for (uint i = route_lane; i < pc.experts; i += ROUTE_LANES) {
        route_d[route_at(i)] = SAVE != 0 ? dscore[row * pc.experts + i] : 0.0;
    }
    barrier();
    float most = -3.0e38;
    for (uint t = 0; ORDER != 0 && t < pc.topk; t++) {
        const int i = idx[base + t];
        const float l = i < 0 ? most : route_l[route_at(uint(i))];
        most = l > most ? l : most;
    }
    vec2 sums = vec2(1.0, 0.0);
    if (ORDER != 0 || RENORM != 0) {
        sums = route_chosen_(base, most, largest, total);
        if (ORDER == 0 && sums.x < pc.eps) {
            sums = vec2(pc.eps, 0.0);
        }
    }
    const float mean = sums.y / sums.x;
    for (uint t = route_lane; ORDER == 0 && t < pc.topk; t += ROUTE_LANES) {
        const int i = idx[base + t];
        if (i >= 0) {
            route_d[route_at(uint(i))] += pc.scale * ((dw[base + t] - mean) / sums.x);
        }
    }
    barrier();
    float inner = 0.0;
    if (SCORE_SOFT) {
        for (uint i = route_lane; i < pc.experts; i += ROUTE_LANES) {
            inner += route_score_(i, largest, total) * route_d[route_at(i)];
        }
        inner = route_sum(inner);
    }
    for (uint i = route_lane; i < pc.experts; i += ROUTE_LANES) {
        const float l = route_l[route_at(i)];
        const float s = route_score_(i, largest, total);
        float slope = s;
        if (SCORE == SCORE_SIGMOID) {
            slope = s * score_sigmoid(-l);
        } else if (SCORE == SCORE_SQRTSOFTPLUS) {
            slope = score_sigmoid(l) / (2.0 * s);
        }
        route_d[route_at(i)] = slope * (route_d[route_at(i)] - inner);
    }
    barrier();
    if (ORDER != 0) {
        for (uint t = route_lane; t < pc.topk; t += ROUTE_LANES) {
            const int i = idx[base + t];
            if (i >= 0) {
                const float p = vkz_exp_accurate(route_l[route_at(uint(i))] - most);
                route_d[route_at(uint(i))] +=
                    pc.scale * (p / sums.x) * (dw[base + t] - mean);
            }
        }
        barrier();
    }
}
