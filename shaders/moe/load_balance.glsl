// SPDX-License-Identifier: MIT
//
// What load_balance and its gradient share: inputs, a workgroup's tokens, sums over lanes
//
//   balance_rows(out first, out count)   tokens of this workgroup, in shared statistics of
//   balance_stat[r]    sequence: the sum of the token's scores; zloss: log-sum-exp of its
//                      logits; load_cv2: topk-th and (topk+1)-th largest noisy logit
//   balance_sum(x)     sum of the lanes' x in the order of the lanes; has a barrier
#include "lib/activation.glsl"

layout(constant_id = 3) const uint CHUNK = 64;
layout(constant_id = 16) const uint KIND = 0;

const uint KIND_SWITCH = 0;
const uint KIND_IMPORTANCE = 1;
const uint KIND_LOAD = 2;
const uint KIND_Z = 3;
const uint KIND_SEQUENCE = 4;

layout(set = 0, binding = 0, std430) restrict readonly buffer Score { float score[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Logits { float logits[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Noisy { float noisy[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Sd { float sd[]; };

layout(push_constant, std430) uniform Push {
    uint rows, experts, topk, len;
    float alpha;
} pc;

shared vec2 balance_stat[CHUNK];
shared float balance_part[2 * gl_WorkGroupSize.x];

uint balance_half = 0u;
uint balance_row;

uint select_load(const uint i);
#include "lib/select.glsl"

uint select_load(const uint i)
{
    return select_key(noisy[balance_row * pc.experts + i]);
}

float balance_sum(const float mine)
{
    const uint first = balance_half * gl_WorkGroupSize.x;
    balance_half = 1u - balance_half;
    balance_part[first + gl_LocalInvocationID.x] = mine;
    barrier();
    float sum = 0.0;
    for (uint i = 0; i < gl_WorkGroupSize.x; i++) {
        sum += balance_part[first + i];
    }
    return sum;
}

vec2 balance_thresholds()
{
    uvec2 last = uvec2(0xffffffffu);
    vec2 largest = vec2(0.0);
    for (uint t = 0; t <= pc.topk; t++) {
        last = select_next_lane(pc.experts, last);
        largest = vec2(largest.y, select_value(last.x));
    }
    return largest;
}

float balance_lse(const uint base)
{
    float m = -3.0e38;
    for (uint e = 0; e < pc.experts; e++) {
        m = max(m, logits[base + e]);
    }
    float sum = 0.0;
    for (uint e = 0; e < pc.experts; e++) {
        sum += vkz_exp_accurate(logits[base + e] - m);
    }
    return m + VKZ_LN2 * vkz_log2(sum);
}

// Workgroup (x, y): tokens x CHUNK .. of sequence y.
void balance_rows(out uint first, out uint count)
{
    const uint begin = gl_WorkGroupID.x * CHUNK;
    first = gl_WorkGroupID.y * pc.len + begin;
    count = min(CHUNK, pc.len - begin);
    for (uint r = gl_LocalInvocationID.x; r < count; r += gl_WorkGroupSize.x) {
        const uint base = (first + r) * pc.experts;
        balance_row = first + r;
        vec2 stat = vec2(0.0);
        if (KIND == KIND_SEQUENCE) {
            for (uint e = 0; e < pc.experts; e++) {
                stat.x += score[base + e];
            }
        } else if (KIND == KIND_Z) {
            stat.x = balance_lse(base);
        } else if (KIND == KIND_LOAD) {
            stat = balance_thresholds();
        }
        balance_stat[r] = stat;
    }
    barrier();
}

// (logits - threshold) / sd of token r of the workgroup.
float balance_z(const uint r, const uint at)
{
    const vec2 largest = balance_stat[r];
    const float threshold = noisy[at] >= largest.x ? largest.y : largest.x;
    return (logits[at] - threshold) / sd[at];
}

// The normal distribution's integral up to z.
float balance_phi(const float z)
{
    const float x = z * VKZ_SQRT_HALF;
    const float a = abs(x);
    const float tail = 0.5 * vkz_erfc_tail_(a);
    return a >= 1.0 ? (x < 0.0 ? tail : 1.0 - tail) : 0.5 + 0.5 * vkz_erf_core_(x);
}
