// SPDX-License-Identifier: MIT
//
// Filter a channel along time, partial sums of the coming outputs in registers
//
//   y_t = x_t + sum_i a_i * x_(t-i) + sum_i b_i * x_(t+i)
//
//   frame t arrives:   sum[i] = sum[i+1] + tap_i x_t     sum[i] belongs to y_(t+i-ahead)
//   and leaves:        y_(t-ahead) = sum[0]
//
// FRCRN, arXiv 2206.07293.
//
// Why this one: every frame is read once, by a lane that owns four channels of FRAMES
// frames; nothing moves in the window but the sums themselves. Taps and sums are 8
// registers each tap, so long filters go to fsmn_memory_direct.
//
//! kernel   fsmn_memory_window
//! op       fsmn_memory/1
//! tier     T0
//! bind     0 x in   T[batch, len, width]
//! bind     1 a in   f32[w, width]
//! bind     2 b in   f32[ahead, width]  when AHEAD == AHEAD.on
//! bind     3 y out  T[batch, len, width]
//! when     w + (AHEAD == AHEAD.on ? ahead : 0) <= 24 : keeps the taps in registers: at most 24
//! push     batch:u32 len:u32 width:u32 w:u32 ahead:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 FRAMES u32 128   // frames a workgroup
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 AHEAD u32 0
//! spec     17 PAIRS u32 0
//! spec     32 W u32 1 = w
//! spec     33 B_TAPS u32 0 = AHEAD == AHEAD.on ? ahead : 0
//! tuning   short  FRAMES=32
//! tuning   long   FRAMES=512
//! let      quads ceildiv(width,4)
//! pass     main  groups ceildiv(quads,WG_SIZE) ceildiv(len,FRAMES) min(batch,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint FRAMES = 128;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 32) const uint W = 1;
layout(constant_id = 33) const uint B_TAPS = 0;

#include "linear/fsmn.glsl"

const uint TAPS = W + B_TAPS;

void main()
{
    const uint q = gl_GlobalInvocationID.x;
    if (4u * q >= pc.width) {
        return;
    }
    // tap[i] joins y_(t+i-B_TAPS) and x_t: b backwards, then a.
    vec4 tap[TAPS];
    [[unroll]] for (uint i = 0; i < TAPS; i++) {
        tap[i] = i < B_TAPS ? load_b(B_TAPS - 1u - i, q) : load_a(i - B_TAPS, q);
    }
    const uint first = gl_WorkGroupID.y * FRAMES;
    const uint end = min(first + FRAMES, pc.len);
    for (uint item = gl_WorkGroupID.z; item < pc.batch; item += gl_NumWorkGroups.z) {
        vec4 sum[TAPS + 1u];
        [[unroll]] for (uint i = 0; i <= TAPS; i++) {
            sum[i] = vec4(0.0);
        }
        const uint base = item * pc.len * pc.width;
        for (uint t = first - min(first, W - 1u); t < end + B_TAPS; t++) {
            vec4 frame = vec4(0.0);
            if (t < pc.len) {
                frame = load_x(base + t * pc.width, q);
            }
            [[unroll]] for (uint i = 0; i < TAPS; i++) {
                sum[i] = add_tap(tap[i], frame, sum[i + 1u]);
            }
            sum[B_TAPS] += frame;
            if (t >= first + B_TAPS) {
                store_y(base + (t - B_TAPS) * pc.width, q, sum[0]);
            }
        }
    }
}
