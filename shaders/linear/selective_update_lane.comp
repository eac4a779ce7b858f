// SPDX-License-Identifier: MIT
//
// One token of the selective scan, a lane updates whole channels
//
//   h = e^(delta A) h + delta x B,  y = h C + D x,  times silu(z)
//
// Mamba, arXiv 2312.00752.
//
// Why this one: the states of a channel are contiguous and are all one lane's, so the step
// size is computed once a channel and no sum crosses lanes. B and C of a sequence stay in
// registers over the channels a lane goes through.
//
//! kernel   selective_update_lane
//! op       selective_update/1
//! tier     T0
//! bind     0 x   in    T[batch, width]
//! bind     1 dt  in    T[batch, width]
//! bind     2 dtb in    f32[width]
//! bind     3 d   in    f32[width]
//! bind     4 a   in    f32[width, state]
//! bind     5 b   in    T[batch, state]
//! bind     6 c   in    T[batch, state]
//! bind     7 z   in    T[batch, width]  when GATE == GATE.on
//! bind     8 h   inout f32[batch, width, state]
//! bind     9 y   out   T[batch, width]
//! push     width:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 CHANNELS u32 1 = is_cpu ? 32 : 2   // that a lane goes through
//! spec     4 VEC u32 1 = state % 4 == 0 ? 4 : 1   // states a load
//! spec     16 GATE u32 0
//! spec     32 STATE u32 16 = state
//! when     batch <= 65535 && state <= 64 : one dispatch, B and C in registers
//! tuning   channels8 CHANNELS=8
//! pass     main  groups ceildiv(width,WG_SIZE*CHANNELS) batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/num.glsl"
#include "linear/selective_step.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint CHANNELS = 1;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 16) const uint GATE = 0;
layout(constant_id = 32) const uint STATE = 16;

layout(set = 0, binding = 0, std430) restrict readonly buffer BufferX { T x[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer BufferDt { T dt[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer BufferDtb { float dtb[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer BufferD { float d[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer BufferA { float a[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer BufferA4 { vec4 a4[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer BufferB { T b[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer BufferC { T c[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer BufferZ { T z[]; };
layout(set = 0, binding = 8, std430) restrict buffer BufferH { float h[]; };
layout(set = 0, binding = 8, std430) restrict buffer BufferH4 { vec4 h4[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer BufferY { T y[]; };

layout(push_constant, std430) uniform Push {
    uint width;
} pc;

float held_b[STATE];
float held_c[STATE];

float next_state(const float before, const float rate, const float delta,
                 const float input_, const uint n)
{
    const float keep = vkz_exp_accurate(delta * rate);
    return fma(keep, before, input_ * held_b[n]);
}

// Returns the channel's h C.
float update(const uint from_a, const uint from_h, const float delta, const float input_)
{
    float sum = 0.0;
    if (VEC == 4) {
        [[unroll]] for (uint q = 0; q < STATE / 4; q++) {
            vec4 state = h4[from_h / 4 + q];
            const vec4 rate = a4[from_a / 4 + q];
            [[unroll]] for (uint i = 0; i < 4; i++) {
                state[i] = next_state(state[i], rate[i], delta, input_, 4 * q + i);
                sum = fma(state[i], held_c[4 * q + i], sum);
            }
            h4[from_h / 4 + q] = state;
        }
    } else {
        for (uint n = 0; n < STATE; n++) {
            const float state = next_state(h[from_h + n], a[from_a + n], delta, input_, n);
            sum = fma(state, held_c[n], sum);
            h[from_h + n] = state;
        }
    }
    return sum;
}

void main()
{
    const uint batch = gl_WorkGroupID.y;
    for (uint n = 0; n < STATE; n++) {
        held_b[n] = vkz_load(b[batch * STATE + n]);
        held_c[n] = vkz_load(c[batch * STATE + n]);
    }
    const uint first = gl_WorkGroupID.x * CHANNELS * gl_WorkGroupSize.x;
    [[dont_unroll]] for (uint j = 0; j < CHANNELS; j++) {
        const uint channel = first + j * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (channel >= pc.width) {
            break;
        }
        const uint at = batch * pc.width + channel;
        const float value = vkz_load(x[at]);
        const float raw = vkz_load(dt[at]) + dtb[channel];
        const float delta = vkz_softplus_accurate(raw);
        float sum = update(channel * STATE, at * STATE, delta, delta * value);
        sum = fma(d[channel], value, sum);
        if (GATE != 0) {
            sum *= selective_silu(vkz_load(z[at]));
        }
        y[at] = vkz_store(sum);
    }
}
