// SPDX-License-Identifier: MIT
//
// Every expert takes its best tokens: scores transposed, then a selection a column
//
//   S = softmax over experts;  idx_e = the cap largest S_te, descending
//
// Expert choice, arXiv 2202.09368.
//
// Why this one: after the transposition an expert's scores lie together and a workgroup
// selects among them by radix. What is selected is ranked by counting: it is short.
//
//! kernel   route_expert_choice_column
//! op       route_expert_choice/1
//! tier     T0
//! bind     0 logits in  f32[rows, experts]
//! bind     1 idx    out i32[experts, cap]
//! bind     2 w      out f32[experts, cap]
//! scratch  3 col    f32[experts, rows]
//! scratch  4 list   u32[experts, cap]
//! push     rows:u32 experts:u32 cap:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 SELECT_COPIES u32 1 = is_cpu ? WG_SIZE : 1   // of the counters
//! shared   1024*SELECT_COPIES + 16*WG_SIZE + 16
//! pass     score  groups min(ceildiv(rows,WG_SIZE),65535)
//! pass     choose groups min(experts,65535)
//! variant  f32  T=f32
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint SELECT_COPIES = 1;

layout(set = 0, binding = 3, std430) restrict buffer Col { float col[]; };

layout(push_constant, std430) uniform Push {
    uint rows, experts, cap;
} pc;

#ifdef PASS_SCORE

#include "lib/exp.glsl"

layout(set = 0, binding = 0, std430) restrict readonly buffer Logits { float logits[]; };

void main()
{
    for (uint row = gl_GlobalInvocationID.x; row < pc.rows;
         row += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
        const uint base = row * pc.experts;
        float m = -3.0e38;
        for (uint e = 0; e < pc.experts; e++) {
            m = max(m, logits[base + e]);
        }
        float sum = 0.0;
        for (uint e = 0; e < pc.experts; e++) {
            sum += vkz_exp_accurate(logits[base + e] - m);
        }
        for (uint e = 0; e < pc.experts; e++) {
            col[e * pc.rows + row] = vkz_exp_accurate(logits[base + e] - m) / sum;
        }
    }
}

#else // PASS_CHOOSE

layout(set = 0, binding = 1, std430) restrict writeonly buffer Idx { int idx[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer Weight { float w[]; };
layout(set = 0, binding = 4, std430) restrict buffer List { uint list[]; };

shared uint select_bins[256 * SELECT_COPIES];
shared uvec2 scan_shared[2 * gl_WorkGroupSize.x];
shared uint select_found[4];

uint expert;

uint select_load(const uint i);
void select_store(const uint at, const uint i);
#define SELECT_GROUP
#include "lib/select.glsl"

uint select_load(const uint i)
{
    return select_key(col[expert * pc.rows + i]);
}

void select_store(const uint at, const uint i)
{
    list[expert * pc.cap + at] = i;
}

void main()
{
    for (expert = gl_WorkGroupID.x; expert < pc.experts; expert += gl_NumWorkGroups.x) {
        const select_cut cut = select_cut_group(pc.rows, pc.cap);
        select_compact_group(pc.rows, cut, 4u);
        memoryBarrierBuffer();
        barrier();
        // The list is in the order of the tokens, so equal ones before come first.
        for (uint at = gl_LocalInvocationID.x; at < pc.cap; at += gl_WorkGroupSize.x) {
            const uint token = list[expert * pc.cap + at];
            const float mine = col[expert * pc.rows + token];
            uint before = 0u;
            for (uint j = 0; j < pc.cap; j++) {
                const float other = col[expert * pc.rows + list[expert * pc.cap + j]];
                before += other > mine || (other == mine && j < at) ? 1u : 0u;
            }
            idx[expert * pc.cap + before] = int(token);
            w[expert * pc.cap + before] = mine;
        }
        barrier();
    }
}

#endif
