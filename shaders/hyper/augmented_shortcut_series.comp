// SPDX-License-Identifier: MIT
//
// Series of activations: every lane has elements of its own
//
//   z = sum_i gelu(a_i * x + b_i)
//
// PanGu-pi, arXiv 2312.17276.
//
// Why this one: the token is read and written once; nothing crosses lanes.
//
//! kernel   augmented_shortcut_series
//! op       augmented_shortcut/1
//! tier     T0
//! bind     0 x in  T[rows, width]
//! bind     4 a in  f32[n, width]  when PART == PART.series
//! bind     5 b in  f32[n, width]  when PART == PART.series
//! bind     6 z out T[rows, width]
//! push     rows:u32 width:u32 n:u32
//! when     PART == PART.series : computes the activation, not the shortcut
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! pass     main  groups min(rows,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/activation.glsl"
#include "lib/num.glsl"
#include "lib/words.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint VEC = 1;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer A { float a[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer A4 { vec4 a4[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer B { float b[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer B4 { vec4 b4[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Z { T z[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Z4 { W4 z4[]; };

layout(push_constant, std430) uniform Push {
    uint rows, width, n;
} pc;

void main()
{
    const uint count = pc.width / VEC;
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        for (uint q = gl_LocalInvocationID.x; q < count; q += gl_WorkGroupSize.x) {
            const uint at = row * count + q;
            if (VEC == 4) {
                const vec4 v = vkz_load_w4(x4[at]);
                vec4 sum = vec4(0.0);
                for (uint i = 0; i < pc.n; i++) {
                    const vec4 t = fma(a4[i * count + q], v, b4[i * count + q]);
                    sum += vec4(vkz_gelu(t.x), vkz_gelu(t.y), vkz_gelu(t.z), vkz_gelu(t.w));
                }
                z4[at] = vkz_store_w4(sum);
            } else {
                const float v = vkz_load(x[at]);
                float sum = 0.0;
                for (uint i = 0; i < pc.n; i++) {
                    sum += vkz_gelu(fma(a[i * count + q], v, b[i * count + q]));
                }
                z[at] = vkz_store(sum);
            }
        }
    }
}
