// SPDX-License-Identifier: MIT
//
// The choice for tokens whose logits are in shared memory, see route_lanes.glsl
//
//   route_finish()     chooses and writes; all lanes of the workgroup call it
//
// The includer declares TOPK_PAD >= topk and has topk, ngroup, kgroup, scale and eps
// among its push constants pc.
//
// A round finds the best of what is left: each lane the best of its own experts, then all
// lanes of the token read each other's. What a round reads, the next but one overwrites:
// one barrier a round is enough.
#include "moe/route_lanes.glsl"

layout(constant_id = 18) const uint ORDER = 0;
layout(constant_id = 19) const uint RENORM = 0;
layout(constant_id = 20) const uint BIAS = 0;
layout(constant_id = 21) const uint GROUPS = 0;
layout(constant_id = 23) const uint MASK = 0;
layout(constant_id = 24) const uint CHOICE = 0;
layout(constant_id = 25) const uint SAVE = 0;

layout(set = 0, binding = 3, std430) restrict readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Valid { uint valid[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer Given { int given[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Idx { int idx[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer Weight { float w[]; };
layout(set = 0, binding = 10, std430) restrict writeonly buffer Score { float score[]; };

shared uint route_key[ROUTE_ROWS * E_PAD];
shared float route_group[GROUPS != 0 ? ROUTE_ROWS * E_PAD : 1];
shared int route_chosen[ROUTE_ROWS * TOPK_PAD];
shared float route_weight[ROUTE_ROWS * TOPK_PAD];
uint select_load(const uint i)
{
    return route_key[route_at(i)];
}

#include "lib/select.glsl"

// Order key of a value; a NaN's is that of -inf. 0 stays free for what cannot be chosen.
uint route_key_(const float x)
{
    const bool number = (floatBitsToUint(x) & 0x7fffffffu) <= 0x7f800000u;
    return number ? select_key(x) : SELECT_NEVER;
}

float route_number_(const float x)
{
    const bool number = (floatBitsToUint(x) & 0x7fffffffu) <= 0x7f800000u;
    return number ? x : uintBitsToFloat(0xff800000u);
}

float route_choice_(const uint i)
{
    const float l = route_l[route_at(i)];
    if (BIAS == 0) {
        return l;
    }
    return bias[i] + (SCORE_SOFT ? l : score_of(l));
}

// Sums of the groups' two best, then what is in groups not kept cannot be chosen.
void route_limit_groups_(const float largest)
{
    const uint size = pc.experts / pc.ngroup;
    for (uint g = route_lane; g < pc.ngroup; g += ROUTE_LANES) {
        float first = uintBitsToFloat(0xff800000u);
        float second = first;
        for (uint i = g * size; i < (g + 1u) * size; i++) {
            float v = route_choice_(i);
            if (BIAS == 0) {
                v = SCORE_SOFT ? vkz_exp_accurate(v - largest) : score_of(v);
            }
            v = route_number_(v);
            second = v > first ? first : v > second ? v : second;
            first = v > first ? v : first;
        }
        route_group[route_at(g)] = size > 1u ? first + second : first;
    }
    barrier();
    for (uint g = route_lane; g < pc.ngroup; g += ROUTE_LANES) {
        const float mine = route_group[route_at(g)];
        uint better = 0u;
        for (uint other = 0; other < pc.ngroup; other++) {
            const float x = route_group[route_at(other)];
            better += x > mine || (x == mine && other < g) ? 1u : 0u;
        }
        for (uint i = g * size; better >= pc.kgroup && i < (g + 1u) * size; i++) {
            route_key[route_at(i)] = 0u;
        }
    }
    barrier();
}

void route_choose_(const float largest)
{
    for (uint i = route_lane; i < pc.experts; i += ROUTE_LANES) {
        route_key[route_at(i)] = route_key_(route_choice_(i));
    }
    if (GROUPS != 0) {
        barrier();
        route_limit_groups_(largest);
    }
    for (uint t = 0; t < pc.topk; t++) {
        uvec2 best = uvec2(0u, 0xffffffffu);
        for (uint i = route_lane; i < pc.experts; i += ROUTE_LANES) {
            const uint key = select_load(i);
            best = key > best.x ? uvec2(key, i) : best;
        }
        const uint first = route_share_(best);
        for (uint j = 0; j < ROUTE_LANES; j++) {
            const uvec2 x = route_part[first + j];
            best = x.x > best.x || (x.x == best.x && x.y < best.y) ? x : best;
        }
        if (best.y % ROUTE_LANES == route_lane && best.y < pc.experts) {
            route_key[route_at(best.y)] = 0u;
            route_chosen[route_slot * TOPK_PAD + t] = int(best.y);
        }
    }
}

void route_weigh_(const float largest, const float total)
{
    const uint at = route_slot * TOPK_PAD;
    float most = -3.0e38;
    if (ORDER != 0) {
        for (uint t = 0; t < pc.topk; t++) {
            const int i = route_chosen[at + t];
            const float l = i < 0 ? most : route_l[route_at(uint(max(i, 0)))];
            most = l > most ? l : most;
        }
    }
    for (uint t = route_lane; t < pc.topk; t += ROUTE_LANES) {
        const int i = route_chosen[at + t];
        const float l = route_l[route_at(uint(max(i, 0)))];
        float weight = ORDER != 0   ? vkz_exp_accurate(l - most)
                       : SCORE_SOFT ? vkz_exp_accurate(l - largest) / total
                                    : score_of(l);
        route_weight[at + t] = i < 0 ? 0.0 : weight;
    }
    barrier();
    float factor = pc.scale;
    if (RENORM != 0 || ORDER != 0) {
        float sum = 0.0;
        for (uint t = 0; t < pc.topk; t++) {
            sum += route_weight[at + t];
        }
        factor /= RENORM != 0 && sum < pc.eps ? pc.eps : sum;
    }
    for (uint t = route_lane; route_live && t < pc.topk; t += ROUTE_LANES) {
        const int i = route_chosen[at + t];
        w[route_row * pc.topk + t] = i < 0 ? 0.0 : route_weight[at + t] * factor;
        if (CHOICE == 0) {
            idx[route_row * pc.topk + t] = i;
        }
    }
}

void route_finish()
{
    const uint at = route_slot * TOPK_PAD;
    float largest = 0.0;
    float total = 1.0;
    if (SCORE_SOFT) {
        largest = route_largest();
        total = route_total(largest);
    }
    if (CHOICE == 0) {
        route_choose_(largest);
    } else {
        for (uint t = route_lane; t < pc.topk; t += ROUTE_LANES) {
            route_chosen[at + t] = route_live ? given[route_row * pc.topk + t] : -1;
        }
    }
    barrier();
    if (MASK != 0) {
        const bool on =
            route_live && (valid[route_row / 32u] >> (route_row % 32u) & 1u) != 0u;
        for (uint t = route_lane; !on && t < pc.topk; t += ROUTE_LANES) {
            route_chosen[at + t] = -1;
        }
        barrier();
    }
    route_weigh_(largest, total);
    for (uint i = route_lane; SAVE != 0 && route_live && i < pc.experts;
         i += ROUTE_LANES) {
        const float l = route_l[route_at(i)];
        score[route_row * pc.experts + i] =
            SCORE_SOFT ? vkz_exp_accurate(l - largest) / total : score_of(l);
    }
}
