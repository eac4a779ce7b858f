// SPDX-License-Identifier: MIT
//
// Filters that hold a share of an image's score: ranks by counting, then a running sum
//
//   idx = filters by descending score, count = the fewest whose sum reaches ratio sum h
//
// Dynamic filter pruning, arXiv 2110.08232.
//
// Why this one: an image's scores fit into shared memory, where every lane counts what is
// larger than its own: no barrier, and stable. Sorting networks win for thousands of
// filters only.
//
//! kernel   filter_gather_rank
//! op       filter_gather/1
//! tier     T0
//! bind     0 h     in  f32[batch, n]
//! bind     1 count out i32[batch]
//! bind     2 idx   out i32[batch, n]
//! scratch  3 order u32[batch, n]
//! scratch  4 value f32[batch, n]
//! push     batch:u32 n:u32 ratio:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 128
//! spec     3 N_PAD u32 64 = max(64,next_pow2(n))
//! when     n <= 2048 : an image's scores must fit into shared memory
//! shared   4*N_PAD + 8*WG_SIZE
//! pass     main  groups min(batch,65535)
//! variant  f32  T=f32
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint N_PAD = 64;

layout(set = 0, binding = 0, std430) restrict readonly buffer H { float h[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer Count { int count[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer Idx { int idx[]; };
layout(set = 0, binding = 3, std430) restrict buffer Order { uint order[]; };
layout(set = 0, binding = 4, std430) restrict buffer Value { float value[]; };

layout(push_constant, std430) uniform Push {
    uint batch, n;
    float ratio;
} pc;

const uint LANES = gl_WorkGroupSize.x;

shared uint keys[N_PAD];
shared float sums[LANES];
shared uint reached[LANES];

uint select_load(const uint i)
{
    return keys[i];
}

#include "lib/select.glsl"

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint per = (pc.n + LANES - 1u) / LANES;
    const uint begin = min(lane * per, pc.n);
    const uint end = min(begin + per, pc.n);
    for (uint image = gl_WorkGroupID.x; image < pc.batch; image += gl_NumWorkGroups.x) {
        const uint base = image * pc.n;
        for (uint i = lane; i < pc.n; i += LANES) {
            keys[i] = select_key(h[base + i]);
        }
        barrier();
        for (uint i = lane; i < pc.n; i += LANES) {
            const uint rank = select_rank(pc.n, i);
            order[base + rank] = i;
            value[base + rank] = h[base + i];
        }
        memoryBarrierBuffer();
        barrier();
        float mine = 0.0;
        for (uint i = begin; i < end; i++) {
            mine += value[base + i];
        }
        sums[lane] = mine;
        barrier();
        float before = 0.0;
        float total = 0.0;
        for (uint i = 0; i < LANES; i++) {
            before += i < lane ? sums[i] : 0.0;
            total += sums[i];
        }
        // How many it takes as far as this lane sees.
        uint enough = pc.n;
        for (uint i = begin; i < end; i++) {
            before += value[base + i];
            enough = before >= pc.ratio * total ? min(enough, i + 1u) : enough;
        }
        reached[lane] = enough;
        barrier();
        for (uint i = 0; i < LANES; i++) {
            enough = min(enough, reached[i]);
        }
        if (lane == 0u) {
            count[image] = int(enough);
        }
        for (uint i = lane; i < pc.n; i += LANES) {
            idx[base + i] = i < enough ? int(order[base + i]) : -1;
        }
        barrier();
    }
}
