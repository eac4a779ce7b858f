// SPDX-License-Identifier: MIT
//
// Gradients of the balancing losses, some tokens a workgroup
//
//   switch: alpha f_e / rows;  sequence: alpha (f_e - sum f p) / (rows sum score)
//   zloss: alpha 2/rows LSE softmax(l)
//   cv2: alpha (2 (f_e - m)/(experts (m^2 + d)) - 2 var m/(experts (m^2 + d)^2)), d = 1e-10
//
// Shazeer arXiv 1701.06538, Switch 2101.03961, ST-MoE 2202.08906.
//
// Why this one: f holds all that tokens share; the rest is element-wise after one number
// a token. A lane finds that for a token of its own.
//
//! kernel   load_balance_backward_row
//! op       load_balance_backward/1
//! tier     T0
//! bind     0 score   in  f32[rows, experts]  when KIND == KIND.sequence
//! bind     1 logits  in  f32[rows, experts]  when KIND == KIND.load_cv2 || KIND == KIND.zloss
//! bind     2 noisy   in  f32[rows, experts]  when KIND == KIND.load_cv2
//! bind     3 sd      in  f32[rows, experts]  when KIND == KIND.load_cv2
//! bind     4 f       in  f32[floordiv(rows,len), experts]  when KIND != KIND.zloss
//! bind     5 dloss   in  f32[1]
//! bind     6 dscore  out f32[rows, experts]  when KIND != KIND.load_cv2 && KIND != KIND.zloss
//! bind     7 dlogits out f32[rows, experts]  when KIND == KIND.load_cv2 || KIND == KIND.zloss
//! bind     8 dsd     out f32[rows, experts]  when KIND == KIND.load_cv2
//! push     rows:u32 experts:u32 topk:u32 len:u32 alpha:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 CHUNK u32 64 = is_cpu ? 32 : 64    // tokens a workgroup
//! spec     16 KIND u32 0
//! when     rows <= 65535*len : a sequence a workgroup in y
//! shared   8*CHUNK + 8*WG_SIZE
//! pass     main   groups ceildiv(len,CHUNK) floordiv(rows,len)
//! variant  f32  T=f32
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64, local_size_x_id = 0) in;

#include "moe/load_balance.glsl"

layout(set = 0, binding = 4, std430) restrict readonly buffer F { float f[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Dloss { float dloss[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Dscore { float dscore[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer Dlogits
{
    float dlogits[];
};
layout(set = 0, binding = 8, std430) restrict writeonly buffer Dsd { float dsd[]; };

// Mean of f and its variance.
vec2 moments()
{
    const uint lane = gl_LocalInvocationID.x;
    float mine = 0.0;
    for (uint e = lane; e < pc.experts; e += gl_WorkGroupSize.x) {
        mine += f[e];
    }
    const float mean = balance_sum(mine) / float(pc.experts);
    mine = 0.0;
    for (uint e = lane; e < pc.experts; e += gl_WorkGroupSize.x) {
        mine += (f[e] - mean) * (f[e] - mean);
    }
    return vec2(mean, balance_sum(mine) / float(pc.experts));
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint f_base = gl_WorkGroupID.y * pc.experts;
    const float up = dloss[0] * pc.alpha;
    uint first, count;
    balance_rows(first, count);
    vec2 m = vec2(0.0);
    if (KIND == KIND_IMPORTANCE || KIND == KIND_LOAD) {
        m = moments();
    }
    const float below = m.x * m.x + 1e-10;
    if (KIND == KIND_SEQUENCE) {
        for (uint r = lane; r < count; r += gl_WorkGroupSize.x) {
            float inner = 0.0;
            for (uint e = 0; e < pc.experts; e++) {
                inner += f[f_base + e] * score[(first + r) * pc.experts + e];
            }
            balance_stat[r].y = inner / balance_stat[r].x;
        }
        barrier();
    }
    for (uint i = lane; i < count * pc.experts; i += gl_WorkGroupSize.x) {
        const uint r = i / pc.experts;
        const uint e = i % pc.experts;
        const uint at = first * pc.experts + i;
        const vec2 stat = balance_stat[r];
        float d;
        if (KIND == KIND_SWITCH) {
            d = f[e] / float(pc.rows);
        } else if (KIND == KIND_SEQUENCE) {
            d = (f[f_base + e] - stat.y) / (stat.x * float(pc.rows));
        } else if (KIND == KIND_Z) {
            d = 2.0 / float(pc.rows) * stat.x * vkz_exp_accurate(logits[at] - stat.x);
        } else {
            d = (2.0 * (f[e] - m.x) - 2.0 * m.y * m.x / below) /
                (float(pc.experts) * below);
        }
        d *= up;
        if (KIND == KIND_LOAD) {
            const float z = balance_z(r, at);
            const float density =
                vkz_exp_accurate(-0.5 * z * z) * 0.3989422804014327 / sd[at];
            dsd[at] = -d * density * z;
            d *= density;
        }
        if (KIND == KIND_LOAD || KIND == KIND_Z) {
            dlogits[at] = d;
        } else {
            dscore[at] = d;
        }
    }
}
