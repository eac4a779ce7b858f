// SPDX-License-Identifier: MIT
//
// Soft threshold of rank factors and the list of active ranks, one scan
//
//   wr <- sign(wr) max(|wr| - kappa, 0),   idx: where |wr| > kappa, in order
//
//   pass prox    one workgroup: every lane takes PER consecutive ranks, a scan of the counts
//                says where its indices go
//   pass gather  rows of A, columns of B
//
// Dynamic rank-selective LoRA, arXiv 2412.01004.
//
// Why this one: ranks are few; the list is in order whatever the lanes do, without atomics.
//
//! kernel   rank_prox_scan
//! op       rank_prox/1
//! tier     T0
//! bind     0 wr    inout f32[rank]
//! bind     1 a     in    T[rank, k]  when COMPACT == COMPACT.on
//! bind     2 b     in    T[n, rank]  when COMPACT == COMPACT.on
//! bind     3 count out   i32[1]
//! bind     4 idx   out   i32[rank]
//! bind     5 ac    out   T[rank, k]  when COMPACT == COMPACT.on
//! bind     6 bc    out   T[n, rank]  when COMPACT == COMPACT.on
//! push     rank:u32 k:u32 n:u32 kappa:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     16 COMPACT u32 0
//! shared   8 * WG_SIZE
//! pass     prox    groups 1
//! pass     gather  groups COMPACT==COMPACT.on?min(ceildiv(rank*max(k,n),WG_SIZE),is_cpu?64:4096):1
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#include "lib/num.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 16) const uint COMPACT = 0;

layout(push_constant, std430) uniform Push {
    uint rank, k, n;
    float kappa;
} pc;

layout(set = 0, binding = 4, std430) restrict buffer Idx { int idx[]; };

#ifdef PASS_PROX

layout(set = 0, binding = 0, std430) restrict buffer Wr { float wr[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Count { int count[]; };

#define SCAN_T uint
shared uint scan_shared[2 * gl_WorkGroupSize.x];
uint scan_identity() { return 0u; }
uint scan_join(const uint before, const uint after) { return before + after; }
#include "lib/scan.glsl"

void main()
{
    const uint lane = vkz_scan_lane();
    const uint per = (pc.rank + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
    const uint begin = min(lane * per, pc.rank);
    const uint end = min(begin + per, pc.rank);
    uint own = 0;
    for (uint j = begin; j < end; ++j) {
        own += abs(wr[j]) > pc.kappa ? 1 : 0;
    }
    uint total;
    uint at = vkz_scan_exclusive(own, total);
    for (uint j = begin; j < end; ++j) {
        const float left = abs(wr[j]) - pc.kappa;
        const bool active_ = abs(wr[j]) > pc.kappa;
        if (active_) {
            idx[at++] = int(j);
        }
        wr[j] = active_ ? (wr[j] < 0.0 ? -left : left) : 0.0;
    }
    for (uint j = total + lane; j < pc.rank; j += gl_WorkGroupSize.x) {
        idx[j] = -1;
    }
    if (lane == 0) {
        count[0] = int(total);
    }
}

#else // PASS_GATHER

layout(set = 0, binding = 1, std430) restrict readonly buffer A { T a[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer B { T b[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer Ac { T ac[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Bc { T bc[]; };

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    const uint count_a = COMPACT != 0 ? pc.rank * pc.k : 0;
    for (uint i = gl_GlobalInvocationID.x; i < count_a; i += step) {
        const int from = idx[i / pc.k];
        if (from < 0) {
            ac[i] = vkz_store(0.0);
        } else {
            ac[i] = a[uint(from) * pc.k + i % pc.k];
        }
    }
    const uint count_b = COMPACT != 0 ? pc.rank * pc.n : 0;
    for (uint i = gl_GlobalInvocationID.x; i < count_b; i += step) {
        const int from = idx[i % pc.rank];
        if (from < 0) {
            bc[i] = vkz_store(0.0);
        } else {
            bc[i] = b[i / pc.rank * pc.rank + uint(from)];
        }
    }
}

#endif
