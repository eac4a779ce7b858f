// SPDX-License-Identifier: MIT
//
// Filter a channel along time, a lane four channels of one frame
//
//   y_t = x_t + sum_i a_i * x_(t-i) + sum_i b_i * x_(t+i)
//
// FRCRN, arXiv 2206.07293.
//
// Why this one: the loop of the definition, for filters of any length. Frames are read once
// a tap, from the cache.
//
//! kernel   fsmn_memory_direct
//! op       fsmn_memory/1
//! tier     T0
//! bind     0 x in   T[batch, len, width]
//! bind     1 a in   f32[w, width]
//! bind     2 b in   f32[ahead, width]  when AHEAD == AHEAD.on
//! bind     3 y out  T[batch, len, width]
//! push     batch:u32 len:u32 width:u32 w:u32 ahead:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 AHEAD u32 0
//! spec     17 PAIRS u32 0
//! let      quads ceildiv(width,4)
//! pass     main  groups ceildiv(quads,WG_SIZE) min(len,65535) min(batch,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint VEC = 1;

#include "linear/fsmn.glsl"

void main()
{
    const uint q = gl_GlobalInvocationID.x;
    if (4u * q >= pc.width) {
        return;
    }
    for (uint item = gl_WorkGroupID.z; item < pc.batch; item += gl_NumWorkGroups.z) {
        for (uint t = gl_WorkGroupID.y; t < pc.len; t += gl_NumWorkGroups.y) {
            const uint base = (item * pc.len + t) * pc.width;
            const uint ahead = AHEAD != 0 ? pc.ahead : 0u;
            vec4 sum = load_x(base, q);
            for (uint i = 0; i < pc.w && i <= t; i++) {
                sum = add_tap(load_a(i, q), load_x(base - i * pc.width, q), sum);
            }
            for (uint i = 1; i <= ahead && t + i < pc.len; i++) {
                sum = add_tap(load_b(i - 1u, q), load_x(base + i * pc.width, q), sum);
            }
            store_y(base, q, sum);
        }
    }
}
