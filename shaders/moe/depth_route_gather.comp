// SPDX-License-Identifier: MIT
//
// Tokens that go through a layer: scores, radix selection a sequence, their rows
//
//   r_t = w.x_t,  omega = act(r);  kept: what is no target, and the floor(ratio targets)
//   targets of the largest r;  xk = rows of the kept, in order
//
// Mixture of depths arXiv 2404.02258, p-MoD 2412.04449.
//
// Why this one: tokens that are always kept rank above all others, so that one selection
// finds and orders both kinds. Lengths stay on the device.
//
//! kernel   depth_route_gather
//! op       depth_route/1
//! tier     T0
//! bind     0 x      in  T[batch, len, width]
//! bind     1 w      in  T[width]
//! bind     2 target in  u32[batch, ceildiv(len,32)]
//! bind     3 idx    out i32[batch, kmax]
//! bind     4 count  out i32[batch]
//! bind     5 omega  out f32[batch, len]
//! bind     6 xk     out T[batch, kmax, width]
//! scratch  7 raw    f32[batch, len]
//! push     batch:u32 len:u32 width:u32 kmax:u32 ratio:f32 alpha:f32 beta:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 SELECT_COPIES u32 1 = is_cpu ? WG_SIZE : 1   // of the counters
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 ACT u32 0
//! shared   1024*SELECT_COPIES + 16*WG_SIZE + 16
//! pass     score  groups min(len,65535) batch
//! pass     choose groups batch
//! pass     rows   groups min(kmax,65535) batch
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#include "lib/words.glsl"
#include "lib/exp.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint SELECT_COPIES = 1;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 16) const uint ACT = 0;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer W { T w[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Weight4 { W4 w4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Target { uint target[]; };
layout(set = 0, binding = 3, std430) restrict buffer Idx { int idx[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer Count { int count[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer Omega { float omega[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Xk { T xk[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Xk4 { W4 xk4[]; };
layout(set = 0, binding = 7, std430) restrict buffer Raw { float raw[]; };

layout(push_constant, std430) uniform Push {
    uint batch, len, width, kmax;
    float ratio, alpha, beta;
} pc;

const uint LANES = gl_WorkGroupSize.x;

#ifdef PASS_SCORE

shared float sums[2 * LANES];

float act(const float r)
{
    if (ACT == 1) {
        const float t = vkz_exp_accurate(-abs(r));
        return (r >= 0.0 ? 1.0 : t) / (1.0 + t);
    }
    return ACT == 2 ? pc.alpha * vkz_tanh(r) + pc.beta : r;
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    uint half_ = 0u;
    for (uint t = gl_WorkGroupID.x; t < pc.len; t += gl_NumWorkGroups.x) {
        const uint row = gl_WorkGroupID.y * pc.len + t;
        float sum = 0.0;
        if (VEC == 4) {
            for (uint q = lane; q < pc.width / 4u; q += LANES) {
                const vec4 a = vkz_load_w4(x4[row * (pc.width / 4u) + q]);
                sum += dot(a, vkz_load_w4(w4[q]));
            }
        } else {
            for (uint c = lane; c < pc.width; c += LANES) {
                sum += vkz_load(x[row * pc.width + c]) * vkz_load(w[c]);
            }
        }
        sums[half_ + lane] = sum;
        barrier();
        if (lane == 0u) {
            float r = 0.0;
            for (uint i = 0; i < LANES; i++) {
                r += sums[half_ + i];
            }
            raw[row] = r;
            omega[row] = act(r);
        }
        half_ = LANES - half_;
    }
}

#endif
#ifdef PASS_CHOOSE

shared uint select_bins[256 * SELECT_COPIES];
shared uvec2 scan_shared[2 * LANES];
shared uint select_found[4];

uint sequence;

uint select_load(const uint i);
void select_store(const uint at, const uint i);
#define SELECT_GROUP
#include "lib/select.glsl"

bool is_target(const uint t)
{
    const uint word = target[sequence * ((pc.len + 31u) / 32u) + t / 32u];
    return (word >> (t % 32u) & 1u) != 0u;
}

uint select_load(const uint i)
{
    return is_target(i) ? select_key(raw[sequence * pc.len + i]) : 0xffffffffu;
}

void select_store(const uint at, const uint i)
{
    if (at < pc.kmax) {
        idx[sequence * pc.kmax + at] = int(i);
    }
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    sequence = gl_WorkGroupID.x;
    uint mine = 0u;
    for (uint t = lane; t < pc.len; t += LANES) {
        mine += is_target(t) ? 1u : 0u;
    }
    uvec2 total;
    vkz_scan_exclusive(uvec2(mine, 0u), total);
    const uint targets = total.x;
    const uint keep = min(uint(pc.ratio * float(targets)), targets);
    const uint top = pc.len - targets + keep;
    uint kept = 0u;
    if (top > 0u) {
        const select_cut cut = select_cut_group(pc.len, top);
        kept = select_compact_group(pc.len, cut, 4u);
    }
    for (uint i = kept + lane; i < pc.kmax; i += LANES) {
        idx[sequence * pc.kmax + i] = -1;
    }
    if (lane == 0u) {
        count[sequence] = int(kept);
    }
}

#endif
#ifdef PASS_ROWS

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    for (uint i = gl_WorkGroupID.x; i < pc.kmax; i += gl_NumWorkGroups.x) {
        const uint to = gl_WorkGroupID.y * pc.kmax + i;
        const int t = idx[to];
        const uint from = gl_WorkGroupID.y * pc.len + uint(max(t, 0));
        if (VEC == 4) {
            for (uint q = lane; q < pc.width / 4u; q += LANES) {
                xk4[to * (pc.width / 4u) + q] =
                    t < 0 ? W4(0.0) : x4[from * (pc.width / 4u) + q];
            }
        } else {
            for (uint c = lane; c < pc.width; c += LANES) {
                xk[to * pc.width + c] =
                    vkz_store(t < 0 ? 0.0 : vkz_load(x[from * pc.width + c]));
            }
        }
    }
}

#endif
