// SPDX-License-Identifier: MIT
//
// Matrix times one to eight vectors, rows of W spread over the lanes
//
//   y[i, j] = epilogue(sum_k x[i, k] w[j, k])
//
//   lanes     0    1    2  ...        Neighbouring lanes read neighbouring groups of four
//   w row j   |----|----|----|        k of W_ROWS rows, and the same groups of every x,
//   w row j+1 |----|----|----|        which serve all those rows. One reduction through
//   x         |----|----|----|        shared memory at the end, in a fixed order.
//
// Why this one: W is read once, whole lines at a time: it runs at the memory's speed. For
// more than eight vectors gemm reuses W instead.
//
//! kernel   gemv_row
//! op       gemv/1
//! tier     T0
//! bind     0 x     in   T[m, k]
//! bind     1 w     in   T[n, k]
//! bind     2 bias  in   f32[n]  when EPILOGUE != EPILOGUE.none
//! bind     3 y     out  T[m, n]
//! push     n:u32 k:u32
//! when     m <= 8 : serves one to eight vectors
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     3 W_ROWS u32 4 = is_cpu ? 8 : (m <= 4 ? 4 : 2)   // rows of W a workgroup
//! spec     12 VEC u32 1 = k % 4 == 0 ? 4 : 1   // elements a load
//! spec     17 EPILOGUE u32 0
//! spec     32 M u32 1 = m
//! shared   4 * WG_SIZE * W_ROWS * M
//! pass     main  groups min(ceildiv(n,W_ROWS),65535)
//! tuning   rows1   W_ROWS=1
//! tuning   rows2   W_ROWS=2
//! tuning   rows4   W_ROWS=4
//! tuning   rows16  W_ROWS=16
//! tuning   wg128   WG_SIZE=128 W_ROWS=2
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
layout(constant_id = 3) const uint W_ROWS = 4;
layout(constant_id = 12) const uint VEC = 1;
layout(constant_id = 17) const uint EPILOGUE = 0;
layout(constant_id = 32) const uint M = 1;

const uint EPILOGUE_NONE = 0;
const uint EPILOGUE_BIAS_RELU = 2;
const uint EPILOGUE_BIAS_GELU = 3;
const uint EPILOGUE_BIAS_SILU = 4;

layout(push_constant, std430) uniform Push {
    uint n, k;
} pc;

layout(std430, binding = 0) restrict readonly buffer BufferX { T x[]; };
layout(std430, binding = 0) restrict readonly buffer BufferX4 { W4 x4[]; };
layout(std430, binding = 1) restrict readonly buffer BufferW { T w[]; };
layout(std430, binding = 1) restrict readonly buffer BufferW4 { W4 w4[]; };
layout(std430, binding = 2) restrict readonly buffer BufferBias { float bias[]; };
layout(std430, binding = 3) restrict writeonly buffer BufferY { T y[]; };

const uint LANES = gl_WorkGroupSize.x;
const uint SUMS = W_ROWS * M;

shared float part[LANES * SUMS];

float finish(const uint col, const float sum)
{
    if (EPILOGUE == EPILOGUE_NONE) {
        return sum;
    }
    const float v = sum + bias[col];
    return EPILOGUE == EPILOGUE_BIAS_RELU   ? vkz_relu(v)
           : EPILOGUE == EPILOGUE_BIAS_GELU ? vkz_gelu(v)
           : EPILOGUE == EPILOGUE_BIAS_SILU ? vkz_silu(v)
                                            : v;
}

// This lane's share of the sums of rows [row, row + W_ROWS); rows beyond the last are the
// last one again, and are not stored.
void accumulate(const uint row, const uint lane)
{
    float acc[SUMS];
    [[unroll]] for (uint s = 0; s < SUMS; ++s) {
        acc[s] = 0.0;
    }
    const uint last = pc.n - 1;
    if (VEC == 4) {
        const uint groups = pc.k / 4;
        for (uint q = lane; q < groups; q += LANES) {
            vec4 xs[M];
            [[unroll]] for (uint i = 0; i < M; ++i) {
                xs[i] = vkz_load_w4(x4[i * groups + q]);
            }
            [[unroll]] for (uint j = 0; j < W_ROWS; ++j) {
                const vec4 ws = vkz_load_w4(w4[min(row + j, last) * groups + q]);
                [[unroll]] for (uint i = 0; i < M; ++i) {
                    acc[j * M + i] += dot(ws, xs[i]);
                }
            }
        }
    } else {
        for (uint kk = lane; kk < pc.k; kk += LANES) {
            float xs[M];
            [[unroll]] for (uint i = 0; i < M; ++i) {
                xs[i] = vkz_load(x[i * pc.k + kk]);
            }
            [[unroll]] for (uint j = 0; j < W_ROWS; ++j) {
                const float ws = vkz_load(w[min(row + j, last) * pc.k + kk]);
                [[unroll]] for (uint i = 0; i < M; ++i) {
                    acc[j * M + i] += ws * xs[i];
                }
            }
        }
    }
    [[unroll]] for (uint s = 0; s < SUMS; ++s) {
        part[s * LANES + lane] = acc[s];
    }
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint step = gl_NumWorkGroups.x * W_ROWS;
    for (uint row = gl_WorkGroupID.x * W_ROWS; row < pc.n; row += step) {
        accumulate(row, lane);
        for (uint half_ = LANES / 2; half_ > 0; half_ /= 2) {
            barrier();
            for (uint t = lane; t < SUMS * half_; t += LANES) {
                const uint at = t / half_ * LANES + t % half_;
                part[at] += part[at + half_];
            }
        }
        barrier();
        for (uint s = lane; s < SUMS; s += LANES) {
            const uint col = row + s / M;
            if (col < pc.n) {
                y[s % M * pc.n + col] = vkz_store(finish(col, part[s * LANES]));
            }
        }
        barrier();
    }
}
