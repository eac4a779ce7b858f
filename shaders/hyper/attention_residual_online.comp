// SPDX-License-Identifier: MIT
//
// Attention over the depth of the network: a workgroup a token, an online softmax
//
//   p = softmax_i(scale q . (w * v_i) / sqrt(mean(v_i^2) + eps)),  o = sum_i p_i v_i
//
// Attention residuals, arXiv 2603.15031.
//
// Why this one: every layer's hidden state is read from memory once; score and sum of a
// layer follow each other, while it is in registers (KEEP groups of four a lane) or in a
// cache. Sums of what does not fit the registers are kept in memory, a lane its own.
//
//! kernel   attention_residual_online
//! op       attention_residual/1
//! tier     T0
//! bind     0 v     in  T[l, rows, width]
//! bind     1 q     in  f32[width]
//! bind     2 w     in  f32[width]
//! bind     3 o     out T[rows, width]
//! bind     4 p     out f32[rows, l]  when SAVE == SAVE.on
//! scratch  5 sum   f32[parts, 4 * ceildiv(width,4)]
//! scratch  6 score f32[parts, l]
//! push     rows:u32 width:u32 l:u32 scale:f32 eps:f32 parts:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     3 KEEP u32 1 = min(ceildiv(width,4*WG_SIZE),is_cpu?64:16)   // groups of four a lane
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 NORM_OUT u32 0
//! spec     17 SAVE u32 0
//! let      parts min(rows,is_cpu?64:4096)
//! shared   16 * WG_SIZE
//! tuning   wide   WG_SIZE=128
//! pass     main   groups parts
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint KEEP = 1;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 16) const uint NORM_OUT = 0;
layout(constant_id = 17) const uint SAVE = 0;

shared vec4 rows_part[gl_WorkGroupSize.x];
#define ROWS_SUM
#include "hyper/depth_attention.glsl"

layout(set = 0, binding = 3, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer O4 { W4 o4[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer P { float p[]; };
layout(set = 0, binding = 5, std430) restrict buffer Sum { vec4 sum[]; };
layout(set = 0, binding = 6, std430) restrict buffer Score { float score[]; };

ROWS_STORER(store_o, o, o4, pc.width)

vec4 kept[KEEP]; // of this layer
vec4 acc[KEEP];  // sum over the layers so far, times e^-top

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint quads = (pc.width + 3u) / 4u;
    const uint sum_base = gl_WorkGroupID.x * quads;
    const uint score_base = gl_WorkGroupID.x * pc.l;
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += pc.parts) {
        float top = -3.0e38;
        float total = 0.0;
        [[dont_unroll]] for (uint layer = 0; layer < pc.l; layer++) {
            const uint base = depth_base(layer, row);
            vec4 sums = vec4(0.0);
            [[dont_unroll]] for (uint j = 0; j < KEEP; j++) {
                const uint g = lane + j * lanes;
                if (g < quads) {
                    kept[j] = load_v(base, g);
                    sums.x += dot(kept[j], kept[j]);
                    sums.y += dot(kept[j], depth_wq(g));
                }
            }
            for (uint g = lane + KEEP * lanes; g < quads; g += lanes) {
                const vec4 x = load_v(base, g);
                sums.x += dot(x, x);
                sums.y += dot(x, depth_wq(g));
            }
            const float s = depth_score(rows_sum(sums));
            if (SAVE != 0u && layer % lanes == lane) {
                score[score_base + layer] = s; // read by this lane again
            }
            // Written so that a NaN stays: max() may drop it.
            const float next = s <= top ? top : s;
            const float keep = layer == 0u ? 0.0 : depth_exp(top - next);
            const float e = depth_exp(s - next);
            top = next;
            total = fma(total, keep, e);
            [[dont_unroll]] for (uint j = 0; j < KEEP; j++) {
                const vec4 before = layer == 0u ? vec4(0.0) : acc[j];
                acc[j] = fma(kept[j], vec4(e), before * keep);
            }
            for (uint g = lane + KEEP * lanes; g < quads; g += lanes) {
                const vec4 before = layer == 0u ? vec4(0.0) : sum[sum_base + g];
                sum[sum_base + g] = fma(load_v(base, g), vec4(e), before * keep);
            }
        }
        float factor = 1.0 / total;
        if (SAVE != 0u) {
            for (uint layer = lane; layer < pc.l; layer += lanes) {
                p[row * pc.l + layer] = depth_exp(score[score_base + layer] - top) * factor;
            }
        }
        if (NORM_OUT != 0u) {
            vec4 squares = vec4(0.0);
            [[dont_unroll]] for (uint j = 0; j < KEEP; j++) {
                if (lane + j * lanes < quads) {
                    const vec4 x = acc[j] * factor;
                    squares.x += dot(x, x);
                }
            }
            for (uint g = lane + KEEP * lanes; g < quads; g += lanes) {
                const vec4 x = sum[sum_base + g] * factor;
                squares.x += dot(x, x);
            }
            factor *= depth_norm(rows_sum(squares).x);
        }
        [[dont_unroll]] for (uint j = 0; j < KEEP; j++) {
            const uint g = lane + j * lanes;
            if (g < quads) {
                store_o(row * pc.width, g, acc[j] * factor);
            }
        }
        for (uint g = lane + KEEP * lanes; g < quads; g += lanes) {
            store_o(row * pc.width, g, sum[sum_base + g] * factor);
        }
    }
}
