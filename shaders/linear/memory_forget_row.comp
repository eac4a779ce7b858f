// SPDX-License-Identifier: MIT
//
// Memory slots with their bias, brought back to length 1, a workgroup a slot
//
//   o = (m + bias) / max(|m + bias|, 1e-6)
//
// Memformer, arXiv 2010.06891.
//
// Why this one: a lane keeps its share of the slot (KEEP groups of four) between the sum of
// squares and the division, so that both inputs are read once; slots longer than that are
// read again.
//
//! kernel   memory_forget_row
//! op       memory_forget/1
//! tier     T0
//! bind     0 m    in   T[rows, width]
//! bind     1 bias in   T[rows, width]
//! bind     2 o    out  T[rows, width]
//! push     rows:u32 width:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     3 KEEP u32 1 = is_cpu ? 1 : min(ceildiv(width,4*WG_SIZE),24)   // groups of four a lane
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! shared   16 * WG_SIZE
//! pass     main  groups min(rows,is_cpu?256:65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint KEEP = 1;
layout(constant_id = 4) const uint VEC = 1;

shared vec4 rows_part[gl_WorkGroupSize.x];

#define ROWS_SUM
#include "linear/row_sums.glsl"

layout(set = 0, binding = 0, std430) restrict readonly buffer M { T m[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer M4 { W4 m4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Bias { T bias[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Bias4 { W4 bias4[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer O4 { W4 o4[]; };

layout(push_constant, std430) uniform Push {
    uint rows, width;
} pc;

ROWS_LOADER(load_m, m, m4, pc.width)
ROWS_LOADER(load_bias, bias, bias4, pc.width)
ROWS_STORER(store_o, o, o4, pc.width)

vec4 kept[KEEP];

vec4 drifted(const uint base, const uint q)
{
    return load_m(base, q) + load_bias(base, q);
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint quads = (pc.width + 3u) / 4u;
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        const uint base = row * pc.width;
        float square = 0.0;
        for (uint j = 0; j < KEEP; j++) {
            const uint q = lane + j * lanes;
            kept[j] = q < quads ? drifted(base, q) : vec4(0.0);
            square += dot(kept[j], kept[j]);
        }
        for (uint q = lane + KEEP * lanes; q < quads; q += lanes) {
            const vec4 x = drifted(base, q);
            square += dot(x, x);
        }
        const float length_ = sqrt(rows_sum(vec4(square)).x);
        const float factor = 1.0 / (length_ < 1.0e-6 ? 1.0e-6 : length_);
        for (uint j = 0; j < KEEP; j++) {
            const uint q = lane + j * lanes;
            if (q < quads) {
                store_o(base, q, kept[j] * factor);
            }
        }
        for (uint q = lane + KEEP * lanes; q < quads; q += lanes) {
            store_o(base, q, drifted(base, q) * factor);
        }
    }
}
