// SPDX-License-Identifier: MIT
//
// A layer's results for the kept tokens back among all tokens, a token a workgroup
//
//   mod: kept y = x + omega f, others x;  symmetric: kept targets y = res + omega f,
//   skipped targets omega x, kept others res + f
//
// Mixture of depths arXiv 2404.02258, p-MoD 2412.04449.
//
// Why this one: every token is written once, nothing is scattered. The kept are in order,
// so a token finds its place among them by bisection.
//
//! kernel   depth_merge_row
//! op       depth_merge/1
//! tier     T0
//! bind     0 x      in  T[batch, len, width]
//! bind     1 res    in  T[batch, kmax, width]  when KIND == KIND.symmetric
//! bind     2 f      in  T[batch, kmax, width]
//! bind     3 idx    in  i32[batch, kmax]
//! bind     4 omega  in  f32[batch, len]
//! bind     5 target in  u32[batch, ceildiv(len,32)]  when KIND == KIND.symmetric
//! bind     6 y      out T[batch, len, width]
//! push     len:u32 width:u32 kmax:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 KIND u32 0
//! pass     main  groups min(len,65535) batch
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#include "lib/words.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 16) const uint KIND = 0;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Res { T res[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Res4 { W4 res4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer F { T f[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer F4 { W4 f4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Idx { int idx[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Omega { float omega[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Target { uint target[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Y4 { W4 y4[]; };

layout(push_constant, std430) uniform Push {
    uint len, width, kmax;
} pc;

// The row of the kept tokens that is token t's, or -1.
int find(const uint sequence, const uint t)
{
    const uint base = sequence * pc.kmax;
    uint low = 0u;
    uint high = pc.kmax;
    while (low < high) {
        const uint middle = (low + high) / 2u;
        // -1 is at the end: as unsigned it is the largest.
        if (uint(idx[base + middle]) < t) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low < pc.kmax && idx[base + low] == int(t) ? int(base + low) : -1;
}

void main()
{
    const uint sequence = gl_WorkGroupID.y;
    const uint lanes = gl_WorkGroupSize.x;
    for (uint t = gl_WorkGroupID.x; t < pc.len; t += gl_NumWorkGroups.x) {
        const uint row = sequence * pc.len + t;
        const int place = find(sequence, t);
        const uint from = uint(max(place, 0));
        const uint words = (pc.len + 31u) / 32u;
        const bool weighted =
            KIND == 0 ||
            (target[sequence * words + t / 32u] >> (t % 32u) & 1u) != 0u;
        const float weight = weighted ? omega[row] : 1.0;
        const float of_x = KIND == 0 ? 1.0 : place < 0 ? weight : 0.0;
        const float of_res = KIND != 0 && place >= 0 ? 1.0 : 0.0;
        const float of_f = place >= 0 ? weight : 0.0;
        // What has no part is not read: it may be no number.
        if (VEC == 4) {
            const uint quads = pc.width / 4u;
            for (uint q = gl_LocalInvocationID.x; q < quads; q += lanes) {
                vec4 sum = vec4(0.0);
                if (of_x != 0.0 || (KIND != 0 && place < 0)) {
                    sum = of_x * vkz_load_w4(x4[row * quads + q]);
                }
                if (of_res != 0.0) {
                    sum += vkz_load_w4(res4[from * quads + q]);
                }
                if (place >= 0) {
                    sum = fma(vec4(of_f), vkz_load_w4(f4[from * quads + q]), sum);
                }
                y4[row * quads + q] = vkz_store_w4(sum);
            }
        } else {
            for (uint c = gl_LocalInvocationID.x; c < pc.width; c += lanes) {
                float sum = 0.0;
                if (of_x != 0.0 || (KIND != 0 && place < 0)) {
                    sum = of_x * vkz_load(x[row * pc.width + c]);
                }
                if (of_res != 0.0) {
                    sum += vkz_load(res[from * pc.width + c]);
                }
                if (place >= 0) {
                    sum = fma(of_f, vkz_load(f[from * pc.width + c]), sum);
                }
                y[row * pc.width + c] = vkz_store(sum);
            }
        }
    }
}
