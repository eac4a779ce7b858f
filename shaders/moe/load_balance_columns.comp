// SPDX-License-Identifier: MIT
//
// Losses that keep experts equally busy: column sums of some tokens, then of all
//
//   switch, sequence: alpha sum f_e mean_t p_te;  cv2: alpha var/(mean^2 + 1e-10) of the
//   column sums;  zloss: alpha mean_t LSE(l_t)^2
//
// Shazeer arXiv 1701.06538, Switch 2101.03961, ST-MoE 2202.08906, DeepSeek-V3 2412.19437.
//
// Why this one: two passes in a fixed order, no float atomics, so the bits are the same
// every time. Counts are integers: their order does not matter.
//
//! kernel   load_balance_columns
//! op       load_balance/1
//! tier     T0
//! bind     0 score  in  f32[rows, experts]  when KIND != KIND.load_cv2 && KIND != KIND.zloss
//! bind     1 logits in  f32[rows, experts]  when KIND == KIND.load_cv2 || KIND == KIND.zloss
//! bind     2 noisy  in  f32[rows, experts]  when KIND == KIND.load_cv2
//! bind     3 sd     in  f32[rows, experts]  when KIND == KIND.load_cv2
//! bind     4 idx    in  i32[rows, topk]  when KIND == KIND.switch || KIND == KIND.sequence
//! bind     5 loss   out f32[1]
//! bind     6 f      out f32[floordiv(rows,len), experts]  when KIND != KIND.zloss
//! scratch  7 part   f32[floordiv(rows,len)*parts, experts]
//! scratch  8 tally  u32[floordiv(rows,len)*parts, experts]
//! scratch  9 col    f32[experts]
//! push     rows:u32 experts:u32 topk:u32 len:u32 alpha:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 128
//! spec     3 CHUNK u32 64    // tokens a workgroup
//! spec     4 E_PAD u32 32 = max(32,next_pow2(experts))
//! spec     16 KIND u32 0
//! let      parts ceildiv(len,CHUNK)
//! when     experts <= 2048 && rows <= 65535*len : its counts are in shared memory
//! shared   8*CHUNK + 8*WG_SIZE + 4*E_PAD
//! pass     part   groups parts floordiv(rows,len)
//! pass     finish groups 1
//! variant  f32  T=f32
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint E_PAD = 32;

#include "moe/load_balance.glsl"

layout(set = 0, binding = 7, std430) restrict buffer Part { float part[]; };
layout(set = 0, binding = 8, std430) restrict buffer Tally { uint tally[]; };

const bool COUNTS = KIND == KIND_SWITCH || KIND == KIND_SEQUENCE;

#ifdef PASS_PART

layout(set = 0, binding = 4, std430) restrict readonly buffer Idx { int idx[]; };

shared uint counts[E_PAD];

void count_entries(const uint first, const uint count)
{
    for (uint i = gl_LocalInvocationID.x; i < count * pc.topk; i += gl_WorkGroupSize.x) {
        const int e = idx[first * pc.topk + i];
        if (e >= 0) {
            atomicAdd(counts[min(uint(e), pc.experts - 1u)], 1u);
        }
    }
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint base = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) *
                      pc.experts;
    uint first, count;
    for (uint e = lane; COUNTS && e < pc.experts; e += gl_WorkGroupSize.x) {
        counts[e] = 0u;
    }
    balance_rows(first, count);
    if (KIND == KIND_Z) {
        float sum = 0.0;
        for (uint r = 0; lane == 0u && r < count; r++) {
            sum += balance_stat[r].x * balance_stat[r].x;
        }
        if (lane == 0u) {
            part[base] = sum;
        }
        return; // the whole workgroup: KIND is a constant
    }
    if (COUNTS) {
        count_entries(first, count);
        barrier();
    }
    for (uint e = lane; e < pc.experts; e += gl_WorkGroupSize.x) {
        float sum = 0.0;
        for (uint r = 0; r < count; r++) {
            const uint at = (first + r) * pc.experts + e;
            sum += KIND == KIND_LOAD       ? balance_phi(balance_z(r, at))
                   : KIND == KIND_SEQUENCE ? score[at] / balance_stat[r].x
                                           : score[at];
        }
        part[base + e] = sum;
        if (COUNTS) {
            tally[base + e] = counts[e];
        }
    }
}

#else // PASS_FINISH

layout(set = 0, binding = 5, std430) restrict writeonly buffer Loss { float loss[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer F { float f[]; };
layout(set = 0, binding = 9, std430) restrict buffer Col { float col[]; };

// Over the parts of a sequence; of the first number of each where there is but one.
float column(const uint base, const uint parts)
{
    float sum = 0.0;
    for (uint p = 0; p < parts; p++) {
        sum += part[base + p * pc.experts];
    }
    return sum;
}

void finish_fractions(const uint parts)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint sequences = pc.rows / pc.len;
    float mine = 0.0;
    for (uint i = lane; i < sequences * pc.experts; i += gl_WorkGroupSize.x) {
        const uint base = i / pc.experts * parts * pc.experts + i % pc.experts;
        uint count = 0u;
        for (uint p = 0; p < parts; p++) {
            count += tally[base + p * pc.experts];
        }
        const float fraction =
            float(count) * (float(pc.experts) / (float(pc.len) * float(pc.topk)));
        f[i] = fraction;
        mine += fraction * (column(base, parts) / float(pc.len));
    }
    const float total = balance_sum(mine);
    if (lane == 0u) {
        loss[0] = pc.alpha * (total / float(sequences));
    }
}

void finish_variation(const uint parts)
{
    const uint lane = gl_LocalInvocationID.x;
    float mine = 0.0;
    for (uint e = lane; e < pc.experts; e += gl_WorkGroupSize.x) {
        const float v = column(e, parts);
        col[e] = v;
        f[e] = v;
        mine += v;
    }
    const float mean = balance_sum(mine) / float(pc.experts);
    mine = 0.0;
    for (uint e = lane; e < pc.experts; e += gl_WorkGroupSize.x) {
        const float d = col[e] - mean;
        mine += d * d;
    }
    const float var = balance_sum(mine) / float(pc.experts);
    if (lane == 0u) {
        loss[0] = pc.alpha * (var / (mean * mean + 1e-10));
    }
}

void main()
{
    const uint parts = (pc.len + CHUNK - 1u) / CHUNK;
    if (COUNTS) {
        finish_fractions(parts);
    } else if (KIND == KIND_Z) {
        float mine = 0.0;
        for (uint p = gl_LocalInvocationID.x; p < parts; p += gl_WorkGroupSize.x) {
            mine += part[p * pc.experts];
        }
        const float total = balance_sum(mine);
        if (gl_LocalInvocationID.x == 0u) {
            loss[0] = pc.alpha * (total / float(pc.rows));
        }
    } else {
        finish_variation(parts);
    }
}

#endif
