// SPDX-License-Identifier: MIT
//
// Influence of every layer on the hidden states: a workgroup follows a token through them
//
//   bi_i = mean over tokens of 1 - x_i . x_(i+1) / (|x_i| |x_(i+1)|)
//
// ShortGPT, arXiv 2403.03853.
//
// Why this one: every hidden state is read once. A lane keeps its share (KEEP groups of
// four) of the one before, and its square is known from the step before; what does not fit
// is read again. The second pass adds up 1 - cosine over the tokens with a second float
// for what rounding leaves (Neumaier's sum), since few digits of a cosine near 1 are its
// distance to 1.
//
//! kernel   block_influence_row
//! op       block_influence/1
//! tier     T0
//! bind     0 x      in  T[l + 1, rows, width]
//! bind     1 bi     out f32[l]
//! bind     2 cosine out f32[l, rows]  when SAVE == SAVE.on
//! scratch  3 far    f32[l, rows]
//! push     l:u32 rows:u32 width:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     3 KEEP u32 1 = min(ceildiv(width,4*WG_SIZE),is_cpu?1:24)   // groups of four a lane
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 SAVE u32 0
//! shared   16 * WG_SIZE
//! tuning   wide   WG_SIZE=128
//! pass     main    groups min(rows,65535)
//! pass     mean    groups min(l,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint KEEP = 1;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 16) const uint SAVE = 0;

shared vec4 rows_part[gl_WorkGroupSize.x];

#define ROWS_SUM
#include "linear/row_sums.glsl"

layout(push_constant, std430) uniform Push {
    uint l, rows, width;
} pc;

#ifdef PASS_MAIN

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer Cosine { float cosine[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Far { float far[]; };

ROWS_LOADER(load_x, x, x4, pc.width)

vec4 before[KEEP];

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint quads = (pc.width + 3u) / 4u;
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        float square = 0.0; // of the state before
        [[dont_unroll]] for (uint j = 0; j < KEEP; j++) {
            before[j] = vec4(0.0);
        }
        [[dont_unroll]] for (uint layer = 0; layer <= pc.l; layer++) {
            const uint base = (layer * pc.rows + row) * pc.width;
            const uint last = (max(layer, 1u) - 1u) * pc.rows * pc.width + row * pc.width;
            vec4 sums = vec4(0.0); // of the square, and of the product with the one before
            [[dont_unroll]] for (uint j = 0; j < KEEP; j++) {
                const uint q = lane + j * lanes;
                if (q < quads) {
                    const vec4 v = load_x(base, q);
                    sums.x += dot(v, v);
                    sums.y += dot(v, before[j]);
                    before[j] = v;
                }
            }
            for (uint q = lane + KEEP * lanes; q < quads; q += lanes) {
                const vec4 v = load_x(base, q);
                sums.x += dot(v, v);
                sums.y += dot(v, load_x(last, q));
            }
            sums = rows_sum(sums);
            // Each norm for itself: the product of the squares may leave float's range.
            const float norm = sqrt(square) * sqrt(sums.x);
            const float c = norm == 0.0 ? 0.0 : sums.y / norm;
            if (lane == 0u && layer > 0u) {
                far[(layer - 1u) * pc.rows + row] = 1.0 - c;
                if (SAVE != 0u) {
                    cosine[(layer - 1u) * pc.rows + row] = c;
                }
            }
            square = sums.x;
        }
    }
}

#else // PASS_MEAN

layout(set = 0, binding = 1, std430) restrict writeonly buffer Bi { float bi[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Far { float far[]; };

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    for (uint layer = gl_WorkGroupID.x; layer < pc.l; layer += gl_NumWorkGroups.x) {
        precise float sum = 0.0;
        precise float rest = 0.0;
        for (uint row = lane; row < pc.rows; row += lanes) {
            const float v = far[layer * pc.rows + row];
            precise const float next = sum + v;
            rest += abs(sum) >= abs(v) ? (sum - next) + v : (v - next) + sum;
            sum = next;
        }
        const vec4 both = rows_sum(vec4(sum, rest, 0.0, 0.0));
        if (lane == 0u) {
            bi[layer] = (both.x + both.y) / float(pc.rows);
        }
    }
}

#endif
