// SPDX-License-Identifier: MIT
//
// The attention matrices of a selective scan, a lane goes down four columns
//
//   alpha_ij = sum_n C_in e^(A_n (delta_(j+1) + ... + delta_i)) delta_j B_jn
//
// Ali, Zimerman and Wolf, arXiv 2403.01590; arXiv 2405.16504.
//
// Why this one: the time between input and output is summed from the input on, so it does
// not cancel as a difference of two prefix sums would; rows are stored whole, neighbouring
// lanes neighbouring columns. Pass output multiplies by the input, a lane a row.
//
//! kernel   implicit_attention_prefix
//! op       implicit_attention/1
//! tier     T0
//! bind     0 x     in  T[batch, len, width]
//! bind     1 dt    in  T[batch, len, width]
//! bind     2 dtb   in  f32[width]
//! bind     3 d     in  f32[width]
//! bind     4 a     in  f32[width, state]
//! bind     5 b     in  T[batch, len, state]
//! bind     6 c     in  T[batch, len, state]
//! bind     7 alpha out f32[batch, width, len, len]
//! bind     8 y     out f32[batch, width, len]
//! scratch  9 delta f32[batch, width, len]
//! push     batch:u32 len:u32 width:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 ROWS u32 64   // rows a workgroup goes down
//! spec     4 VEC u32 1 = len % 4 == 0 ? 4 : 1
//! spec     32 STATE u32 16 = state
//! when     batch <= 65535 && width <= 65535 && state <= 64 : one dispatch, B in registers
//! tuning   rows16 ROWS=16
//! let      steps ceildiv(batch*len*width,WG_SIZE)
//! let      across ceildiv(len,4*WG_SIZE)
//! pass     steps  groups min(steps,is_cpu?16:65535)
//! pass     main   groups across*ceildiv(len,ROWS) width batch
//! pass     output groups ceildiv(len,WG_SIZE) width batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/num.glsl"
#include "linear/selective_step.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint ROWS = 64;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 32) const uint STATE = 16;

layout(set = 0, binding = 0, std430) restrict readonly buffer BufferX { T x[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer BufferDt { T dt[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer BufferDtb { float dtb[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer BufferD { float d[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer BufferA { float a[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer BufferB { T b[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer BufferC { T c[]; };
layout(set = 0, binding = 7, std430) restrict buffer BufferAlpha { float alpha[]; };
layout(set = 0, binding = 7, std430) restrict buffer BufferAlpha4 { vec4 alpha4[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer BufferY { float y[]; };
layout(set = 0, binding = 9, std430) restrict buffer BufferDelta { float delta[]; };

layout(push_constant, std430) uniform Push {
    uint batch, len, width;
} pc;

#if defined(PASS_STEPS)

void main()
{
    const uint count = pc.batch * pc.len * pc.width;
    const uint lanes = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint e = gl_GlobalInvocationID.x; e < count; e += lanes) {
        const uint channel = e % pc.width;
        const uint token = e / pc.width % pc.len;
        const uint batch = e / pc.width / pc.len;
        const float raw = vkz_load(dt[e]) + dtb[channel];
        delta[(batch * pc.width + channel) * pc.len + token] = vkz_softplus_accurate(raw);
    }
}

#elif defined(PASS_MAIN)

float rate[STATE];
float held_b[4 * STATE]; // of the lane's columns, times their steps
vec4 elapsed;

void main()
{
    const uint across = (pc.len + 4 * gl_WorkGroupSize.x - 1) / (4 * gl_WorkGroupSize.x);
    const uint channel = gl_WorkGroupID.y;
    const uint matrix = gl_WorkGroupID.z * pc.width + channel;
    const uint column =
        4 * (gl_WorkGroupID.x % across * gl_WorkGroupSize.x + gl_LocalInvocationID.x);
    const uint begin = gl_WorkGroupID.x / across * ROWS;
    const uint end = min(begin + ROWS, pc.len);
    if (column >= pc.len) {
        return;
    }
    for (uint n = 0; n < STATE; n++) {
        rate[n] = a[channel * STATE + n] * VKZ_LOG2E;
    }
    [[unroll]] for (uint k = 0; k < 4; k++) {
        const uint j = min(column + k, pc.len - 1);
        const float step_j = delta[matrix * pc.len + j];
        elapsed[k] = 0.0;
        for (uint s = j + 1; s < begin; s++) {
            elapsed[k] += delta[matrix * pc.len + s];
        }
        for (uint n = 0; n < STATE; n++) {
            const uint from = (gl_WorkGroupID.z * pc.len + j) * STATE + n;
            held_b[k * STATE + n] = step_j * vkz_load(b[from]);
        }
    }
    for (uint i = begin; i < end; i++) {
        const float step_i = delta[matrix * pc.len + i];
        vec4 sum = vec4(0.0);
        const bvec4 later = greaterThan(uvec4(i), column + uvec4(0, 1, 2, 3));
        elapsed += mix(vec4(0.0), vec4(step_i), later);
        if (i >= column) {
            for (uint n = 0; n < STATE; n++) {
                const float weight = vkz_load(c[(gl_WorkGroupID.z * pc.len + i) * STATE + n]);
                [[unroll]] for (uint k = 0; k < 4; k++) {
                    const float left = vkz_exp2_decay(elapsed[k] * rate[n]);
                    sum[k] = fma(weight * left, held_b[k * STATE + n], sum[k]);
                }
            }
        }
        const uint to = (matrix * pc.len + i) * pc.len + column;
        [[unroll]] for (uint k = 0; k < 4; k++) {
            sum[k] = i >= column + k ? sum[k] : 0.0;
        }
        if (VEC == 4) {
            alpha4[to / 4] = sum;
        } else {
            [[unroll]] for (uint k = 0; k < 4; k++) {
                if (column + k < pc.len) {
                    alpha[to + k] = sum[k];
                }
            }
        }
    }
}

#else // PASS_OUTPUT

void main()
{
    const uint channel = gl_WorkGroupID.y;
    const uint matrix = gl_WorkGroupID.z * pc.width + channel;
    const uint i = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= pc.len) {
        return;
    }
    const uint first = gl_WorkGroupID.z * pc.len;
    float sum = d[channel] * vkz_load(x[(first + i) * pc.width + channel]);
    for (uint j = 0; j <= i; j++) {
        const float value = vkz_load(x[(first + j) * pc.width + channel]);
        sum = fma(alpha[(matrix * pc.len + i) * pc.len + j], value, sum);
    }
    y[matrix * pc.len + i] = sum;
}

#endif
