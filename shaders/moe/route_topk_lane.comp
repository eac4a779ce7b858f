// SPDX-License-Identifier: MIT
//
// The experts of a token from its logits; a lane owns a token
//
//   s, idx, w as in route_topk_row
//
//   list: the eight best so far, in order. Eight logits at a time are sorted by a
//   network, merged with the list by another, and of what is left over only the largest
//   is kept. An entry is one word: the upper bits of the order key and, below, the index,
//   so that a comparison is two instructions and ties go to the lower index.
//
// Two of the best, or the last and the first left out, that share those upper bits need
// not stand in the right order: such a token is done again with whole keys.
//
// Shazeer arXiv 1701.06538, Switch 2101.03961, DeepSeek-V3 2412.19437.
//
// Why this one: no barrier, no shared memory, and a token's arithmetic is the same for
// all tokens, so that the vectors of a CPU are full. Scores are computed for those chosen
// only where a softmax allows it. Fastest on CPU drivers, from a few tokens on.
//
//! kernel   route_topk_lane
//! op       route_topk/1
//! tier     T1
//! bind     0 logits in  f32[rows, experts]  when INPUT == INPUT.logits
//! bind     3 bias   in  f32[experts]  when BIAS == BIAS.on
//! bind     6 valid  in  u32[ceildiv(rows,32)]  when MASK == MASK.on
//! bind     8 idx    out i32[rows, topk]  when CHOICE == CHOICE.topk
//! bind     9 w      out f32[rows, topk]
//! push     rows:u32 experts:u32 topk:u32 ngroup:u32 kgroup:u32 scale:f32 eps:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 VEC u32 1 = experts % 4 == 0 ? 4 : 1   // elements a load
//! spec     4 E_PAD u32 32 = max(32,next_pow2(experts))
//! spec     5 SUM u32 1 = SCORE == 0 && ORDER == 0 && (RENORM == 0 || BIAS == 1 || GROUPS == 1 || eps*experts >= 0.5)   // 1: the softmax's sum is needed
//! spec     6 NGROUP u32 1 = GROUPS == 1 ? ngroup : 1
//! spec     17 SCORE u32 0
//! spec     18 ORDER u32 0
//! spec     19 RENORM u32 0
//! spec     20 BIAS u32 0
//! spec     21 GROUPS u32 0
//! spec     23 MASK u32 0
//! when     INPUT == INPUT.logits && CHOICE == CHOICE.topk && SAVE == SAVE.off && experts <= 1024 && topk <= 8 && NGROUP <= 64 : it chooses up to 8 of logits that it reads
//! pass     main  groups min(ceildiv(rows,WG_SIZE),65535)
//! variant  f32  T=f32
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#include "moe/score.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint VEC = 1;
layout(constant_id = 4) const uint E_PAD = 32;
layout(constant_id = 5) const uint SUM = 1;
layout(constant_id = 6) const uint NGROUP = 1;
layout(constant_id = 18) const uint ORDER = 0;
layout(constant_id = 19) const uint RENORM = 0;
layout(constant_id = 20) const uint BIAS = 0;
layout(constant_id = 21) const uint GROUPS = 0;
layout(constant_id = 23) const uint MASK = 0;

layout(set = 0, binding = 0, std430) restrict readonly buffer Logits { float logits[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Logits4 { vec4 logits4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Valid { uint valid[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Idx { int idx[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer Weight { float w[]; };

layout(push_constant, std430) uniform Push {
    uint rows, experts, topk, ngroup, kgroup;
    float scale, eps;
} pc;

const uint LIST = 8;
const uint INDEX = E_PAD - 1u; // bits of an entry that hold INDEX - expert

uint row;
bool nan_seen;
uint keys[GROUPS != 0 ? E_PAD : 1]; // of the token's experts, where they are needed twice
float group_score[NGROUP];
float largest; // logit

uint select_load(const uint i);
#include "lib/select.glsl"

bool is_number(const float x)
{
    return (floatBitsToUint(x) & 0x7fffffffu) <= 0x7f800000u;
}

// Order key of a value; a NaN's is that of -inf.
uint key_of(const float x)
{
    return is_number(x) ? select_key(x) : SELECT_NEVER;
}

// Logits 4q .. 4q+3; what is beyond the end is not to be used.
vec4 load4(const uint q)
{
    if (VEC == 4) {
        const uint quads = pc.experts / 4u;
        return logits4[row * quads + min(q, quads - 1u)];
    }
    vec4 l;
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        l[i] = logits[row * pc.experts + min(4u * q + i, pc.experts - 1u)];
    }
    return l;
}

// Biases 4q .. 4q+3: every fourth lane reads one of them, then they go round. A load at
// one address for all lanes would be slower on CPU drivers.
vec4 bias4(const uint q)
{
    const uint mine = 4u * q + gl_SubgroupInvocationID % 4u;
    const float b = bias[min(mine, pc.experts - 1u)];
    return vec4(subgroupShuffle(b, 0u), subgroupShuffle(b, 1u), subgroupShuffle(b, 2u),
                subgroupShuffle(b, 3u));
}

float choice(const float l, const float b)
{
    return BIAS == 0 ? l : b + (SCORE_SOFT ? l : score_of(l));
}

// What groups add up.
float group_part(const float l, const float c)
{
    const float v = BIAS != 0    ? c
                    : SCORE_SOFT ? vkz_exp_accurate(l - largest)
                                 : score_of(l);
    return is_number(v) ? v : uintBitsToFloat(0xff800000u);
}

void find_largest()
{
    largest = -3.0e38;
    [[dont_unroll]] for (uint q = 0; q < (pc.experts + 3u) / 4u; q++) {
        const vec4 l = load4(q);
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            largest = l[i] > largest ? l[i] : largest;
        }
    }
}

// All keys of the token, those of groups that are not kept 0.
void limit_groups()
{
    const uint size = pc.experts / pc.ngroup;
    float first = uintBitsToFloat(0xff800000u);
    float second = first;
    uint group = 0u;
    uint left = size;
    [[dont_unroll]] for (uint q = 0; q < (pc.experts + 3u) / 4u; q++) {
        const vec4 l = load4(q);
        const vec4 b = BIAS != 0 ? bias4(q) : vec4(0.0);
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            const float c = choice(l[i], b[i]);
            const float v = group_part(l[i], c);
            keys[min(4u * q + i, E_PAD - 1u)] = key_of(c);
            second = v > first ? first : v > second ? v : second;
            first = v > first ? v : first;
            left--;
            if (left == 0u) {
                if (group < pc.ngroup) {
                    group_score[group] = size > 1u ? first + second : first;
                }
                group++;
                left = size;
                first = uintBitsToFloat(0xff800000u);
                second = first;
            }
        }
    }
    [[dont_unroll]] for (uint g = 0; g < NGROUP; g++) {
        const float mine = group_score[g];
        uint better = 0u;
        [[dont_unroll]] for (uint other = 0; other < NGROUP; other++) {
            const float x = group_score[other];
            better += x > mine || (x == mine && other < g) ? 1u : 0u;
        }
        const uint keep = better < pc.kgroup ? 0xffffffffu : 0u;
        [[dont_unroll]] for (uint i = 0; i < size; i++) {
            keys[g * size + i] &= keep;
        }
    }
}

uvec4 keys4(const uint q)
{
    uvec4 k;
    if (GROUPS != 0) {
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            k[i] = keys[min(4u * q + i, E_PAD - 1u)];
        }
        return k;
    }
    const vec4 l = load4(q);
    const vec4 b = BIAS != 0 ? bias4(q) : vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        nan_seen = nan_seen || !is_number(l[i]);
        k[i] = key_of(choice(l[i], b[i]));
    }
    return k;
}

uvec4 entries4(const uint q)
{
    const uvec4 place = uvec4(4u * q) + uvec4(0u, 1u, 2u, 3u);
    const uvec4 entry = (keys4(q) & ~INDEX) | (INDEX - min(place, INDEX));
    return mix(uvec4(0u), entry, lessThan(place, uvec4(pc.experts)));
}

#define SORT2(a, b) { const uint high_ = max(a, b); b = min(a, b); a = high_; }
#define LARGER(a, b) { left_over = max(left_over, min(a, b)); a = max(a, b); }

uint best[LIST]; // entries, descending
uint left_over;  // the largest entry that is in no list any more

void merge8(const uvec4 lower, const uvec4 upper)
{
    uint a = lower.x, b = lower.y, c = lower.z, d = lower.w;
    uint e = upper.x, f = upper.y, g = upper.z, h = upper.w;
    SORT2(a, b) SORT2(c, d) SORT2(e, f) SORT2(g, h)
    SORT2(a, c) SORT2(b, d) SORT2(e, g) SORT2(f, h)
    SORT2(b, c) SORT2(f, g) SORT2(a, e) SORT2(d, h)
    SORT2(b, f) SORT2(c, g)
    SORT2(b, e) SORT2(d, g)
    SORT2(c, e) SORT2(d, f)
    SORT2(d, e)
    LARGER(best[0], h) LARGER(best[1], g) LARGER(best[2], f) LARGER(best[3], e)
    LARGER(best[4], d) LARGER(best[5], c) LARGER(best[6], b) LARGER(best[7], a)
    SORT2(best[0], best[4]) SORT2(best[1], best[5])
    SORT2(best[2], best[6]) SORT2(best[3], best[7])
    SORT2(best[0], best[2]) SORT2(best[1], best[3])
    SORT2(best[4], best[6]) SORT2(best[5], best[7])
    SORT2(best[0], best[1]) SORT2(best[2], best[3])
    SORT2(best[4], best[5]) SORT2(best[6], best[7])
}

// Whole key of one expert.
uint select_load(const uint i)
{
    if (GROUPS != 0) {
        return keys[i];
    }
    return key_of(choice(logits[row * pc.experts + i], BIAS != 0 ? bias[i] : 0.0));
}

// Bits of an entry above the index.
uint upper(const uint entry)
{
    return entry & ~INDEX;
}

bool in_doubt()
{
    bool doubt = false;
    [[unroll]] for (uint t = 0; t < LIST; t++) {
        const uint next = t + 1u < LIST ? best[min(t + 1u, LIST - 1u)] : left_over;
        doubt = doubt || (t < pc.topk && next != 0u && upper(best[t]) == upper(next));
    }
    return doubt;
}

// One after the other by whole keys.
void choose_again()
{
    uvec2 last = uvec2(0xffffffffu, 0xffffffffu);
    [[dont_unroll]] for (uint t = 0; t < pc.topk; t++) {
        uvec2 found = uvec2(0u, 0u);
        [[dont_unroll]] for (uint i = 0; i < pc.experts; i++) {
            const uint key = select_load(i);
            const bool later = key < last.x || (key == last.x && i > last.y);
            found = later && key > found.x ? uvec2(key, i) : found;
        }
        last = found;
        [[unroll]] for (uint j = 0; j < LIST; j++) {
            best[j] = j == t ? INDEX - found.y : best[j];
        }
    }
}

float total()
{
    if (GROUPS == 0 || BIAS != 0) {
        find_largest();
    }
    float sum = 0.0;
    [[dont_unroll]] for (uint q = 0; q < (pc.experts + 3u) / 4u; q++) {
        const vec4 l = load4(q);
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            const float p = vkz_exp_accurate(l[i] - largest);
            sum += 4u * q + i < pc.experts ? p : 0.0;
        }
    }
    return sum;
}

void weigh(const bool live, const bool on)
{
    const bool by_chosen = ORDER != 0 || (SCORE_SOFT && SUM == 0);
    float l[LIST];
    float most = -3.0e38;
    [[unroll]] for (uint t = 0; t < LIST; t++) {
        const uint expert = min(INDEX - (best[t] & INDEX), pc.experts - 1u);
        l[t] = t < pc.topk ? logits[row * pc.experts + expert] : 0.0;
        most = t < pc.topk && l[t] > most ? l[t] : most;
    }
    float under = 1.0;
    if (SUM != 0) {
        under = total();
        most = largest;
    }
    float sum = 0.0;
    [[unroll]] for (uint t = 0; t < LIST; t++) {
        l[t] = SCORE_SOFT ? vkz_exp_accurate(l[t] - most) / under : score_of(l[t]);
        sum += t < pc.topk ? l[t] : 0.0;
    }
    float factor = pc.scale;
    if (by_chosen) {
        factor /= sum;
        // A softmax of all experts with a NaN among them is no number.
        factor = ORDER == 0 && nan_seen ? uintBitsToFloat(0x7fc00000u) : factor;
    } else if (RENORM != 0) {
        factor /= sum < pc.eps ? pc.eps : sum;
    }
    [[unroll]] for (uint t = 0; t < LIST; t++) {
        if (live && t < pc.topk) {
            idx[row * pc.topk + t] = on ? int(INDEX - (best[t] & INDEX)) : -1;
            w[row * pc.topk + t] = on ? l[t] * factor : 0.0;
        }
    }
}

void main()
{
    for (uint first = gl_WorkGroupID.x * gl_WorkGroupSize.x; first < pc.rows;
         first += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
        // Lanes beyond the last token do it again and write nothing.
        const uint mine = first + gl_LocalInvocationID.x;
        row = min(mine, pc.rows - 1u);
        nan_seen = false;
        left_over = 0u;
        [[unroll]] for (uint t = 0; t < LIST; t++) {
            best[t] = 0u;
        }
        if (GROUPS != 0) {
            if (SCORE_SOFT && BIAS == 0) {
                find_largest();
            }
            limit_groups();
        }
        // From both halves of the logits, so that two lines of memory are asked for at once.
        const uint half_ = (pc.experts + 7u) / 8u;
        [[dont_unroll]] for (uint q = 0; q < half_; q++) {
            merge8(entries4(q), entries4(q + half_));
        }
        if (in_doubt()) {
            choose_again();
        }
        bool on = true;
        if (MASK != 0) {
            on = (valid[row / 32u] >> (row % 32u) & 1u) != 0u;
        }
        weigh(mine < pc.rows, on);
    }
}
