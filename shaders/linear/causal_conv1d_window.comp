// SPDX-License-Identifier: MIT
//
// Causal convolution along time, a lane slides a window over its channels
//
//   y_t = act(bias + sum_s W_s x_(t - TAPS + 1 + s))
//
// Mamba, arXiv 2312.00752.
//
// Why this one: every input is loaded once and stays in registers for as long as a window
// sees it; neighbouring lanes own neighbouring groups of four channels. The time is cut in
// stretches for parallel work, at the price of TAPS - 1 inputs read again.
//
//! kernel   causal_conv1d_window
//! op       causal_conv1d/1
//! tier     T0
//! bind     0 x      in  T[batch, len, width]
//! bind     1 weight in  f32[width, taps]
//! bind     2 bias   in  f32[width]
//! bind     3 s0     in  f32[batch, width, max(1, taps - 1)]  when INIT == INIT.on && taps > 1
//! bind     4 y      out T[batch, len, width]
//! bind     5 st     out f32[batch, width, max(1, taps - 1)]  when FINAL == FINAL.on && taps > 1
//! push     len:u32 width:u32 stretch:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 STEPS u32 4   // outputs between two shifts of the window
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1
//! spec     16 ACT u32 0
//! spec     17 INIT u32 0
//! spec     18 FINAL u32 0
//! spec     32 TAPS u32 4 = taps
//! let      across ceildiv(ceildiv(width,4),WG_SIZE)
//! let      stretch max(is_cpu?256:32,ceildiv(len,max(1,(is_cpu?16:4096)/(batch*across))))
//! when     batch <= 65535 && taps <= 64 : one dispatch, the window in registers
//! tuning   steps8 STEPS=8
//! pass     main  groups across ceildiv(len,stretch) batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/words.glsl"
#include "linear/selective_step.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint STEPS = 4;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 16) const uint ACT = 0;
layout(constant_id = 17) const uint INIT = 0;
layout(constant_id = 18) const uint FINAL = 0;
layout(constant_id = 32) const uint TAPS = 4;

layout(set = 0, binding = 0, std430) restrict readonly buffer BufferX { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer BufferX4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer BufferW { float weight[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer BufferBias { float bias[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer BufferS0 { float s0[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer BufferY { T y[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer BufferY4 { W4 y4[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer BufferSt { float st[]; };

layout(push_constant, std430) uniform Push {
    uint len, width, stretch;
} pc;

const uint KEPT = TAPS - 1; // inputs before the first output of a window

uint first; // the lane's first channel
vec4 taps[TAPS];
vec4 window[KEPT + STEPS];
vec4 offset;

// Input t of the lane's channels; negative t is before the first step.
vec4 load_input(const int t)
{
    const uint at = (gl_WorkGroupID.z * pc.len + uint(t)) * pc.width + first;
    if (t >= 0 && VEC == 4) {
        return vkz_load_w4(x4[at / 4]);
    }
    vec4 held = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (first + i < pc.width) {
            if (t >= 0) {
                held[i] = vkz_load(x[at + i]);
            } else if (INIT != 0) {
                const uint row = gl_WorkGroupID.z * pc.width + first + i;
                held[i] = s0[row * KEPT + uint(int(KEPT) + t)];
            }
        }
    }
    return held;
}

void store_output(const uint t, const vec4 value)
{
    const uint at = (gl_WorkGroupID.z * pc.len + t) * pc.width + first;
    if (VEC == 4) {
        y4[at / 4] = vkz_store_w4(value);
        return;
    }
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (first + i < pc.width) {
            y[at + i] = vkz_store(value[i]);
        }
    }
}

vec4 window_sum(const uint step)
{
    vec4 sum = offset;
    [[unroll]] for (uint s = 0; s < TAPS; s++) {
        sum = fma(taps[s], window[step + s], sum);
    }
    if (ACT != 0) {
        [[unroll]] for (uint i = 0; i < 4; i++) {
            sum[i] = selective_silu(sum[i]);
        }
    }
    return sum;
}

void main()
{
    const uint group = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    first = 4 * group;
    if (first >= pc.width) {
        return;
    }
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uint channel = min(first + i, pc.width - 1);
        offset[i] = bias[channel];
        for (uint s = 0; s < TAPS; s++) {
            taps[s][i] = weight[channel * TAPS + s];
        }
    }
    const uint begin = gl_WorkGroupID.y * pc.stretch;
    const uint end = min(begin + pc.stretch, pc.len);
    for (uint s = 0; s < KEPT; s++) {
        window[s] = load_input(int(begin + s) - int(KEPT));
    }
    uint t = begin;
    for (; t + STEPS <= end; t += STEPS) {
        [[unroll]] for (uint i = 0; i < STEPS; i++) {
            window[KEPT + i] = load_input(int(t + i));
        }
        [[unroll]] for (uint i = 0; i < STEPS; i++) {
            store_output(t + i, window_sum(i));
        }
        [[unroll]] for (uint s = 0; s < KEPT; s++) {
            window[s] = window[s + STEPS];
        }
    }
    for (; t < end; t++) {
        window[KEPT] = load_input(int(t));
        store_output(t, window_sum(0));
        for (uint s = 0; s < KEPT; s++) {
            window[s] = window[s + 1];
        }
    }
    // The inputs that the next sequence's windows see stand before the end now.
    if (FINAL != 0 && end == pc.len) {
        for (uint s = 0; s < KEPT; s++) {
            [[unroll]] for (uint i = 0; i < 4; i++) {
                if (first + i < pc.width) {
                    const uint row = gl_WorkGroupID.z * pc.width + first + i;
                    st[row * KEPT + s] = window[s][i];
                }
            }
        }
    }
}
