// SPDX-License-Identifier: MIT
//
// Gated sum of the residual streams, a few tokens a workgroup
//
//   r = 1 / sqrt(mean(v^2) + eps_norm),  v = vec(x)
//   h = sum_i (sigmoid(scale r (phi_i . v) + base_i) + eps_pre) x_i
//
// mHC, arXiv 2512.24880.
//
// Why this one: the square and DOTS products at a time are one sweep over the tokens, which
// a second one, for the sum, finds in a cache. phi is read once for TOKENS tokens.
//
//! kernel   stream_head_row
//! op       stream_head/1
//! tier     T0
//! bind     0 x     in  T[rows, streams, width]
//! bind     1 phi   in  f32[streams, streams * width]
//! bind     2 scale in  f32[1]
//! bind     3 base  in  f32[streams]
//! bind     4 h     out T[rows, width]
//! push     rows:u32 width:u32 eps_norm:f32 eps_pre:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? min(subgroup_size,16) : 64   // 4 to 64, a power of two
//! spec     3 DOTS u32 4 = min(streams,4)   // products at a time
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     5 TOKENS u32 1 = is_cpu ? min(rows,8) : 1   // tokens a workgroup
//! spec     32 STREAMS u32 1 = streams
//! shared   4 * (TOKENS * (STREAMS + DOTS + 1) + WG_SIZE * (WG_SIZE > 16 ? 17 : 65))
//! pass     main  groups min(ceildiv(rows,TOKENS),65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "linear/gates.glsl"
#include "linear/row_sums.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint DOTS = 4;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 5) const uint TOKENS = 1;
layout(constant_id = 32) const uint STREAMS = 1;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Phi { float phi[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Phi4 { vec4 phi4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Scale { float scale[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Base { float base[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer H { T h[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer H4 { W4 h4[]; };

layout(push_constant, std430) uniform Push {
    uint rows, width;
    float eps_norm, eps_pre;
} pc;

ROWS_LOADER(load_x, x, x4, pc.width)
ROWS_STORER(store_h, h, h4, pc.width)

const uint HEAD_SUMS = DOTS + 1; // a token: products, then the square
const uint ROW_SUMS = TOKENS * HEAD_SUMS;
shared float row_total[ROW_SUMS];
shared float gate[TOKENS * STREAMS];
shared float row_part[gl_WorkGroupSize.x * (gl_WorkGroupSize.x > 16 ? 17 : 65)];

#include "hyper/row.glsl"

vec4 load_phi(const uint base, const uint q)
{
    if (VEC == 4) {
        return phi4[base / 4u + q];
    }
    vec4 four = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (4u * q + i < pc.width) {
            four[i] = phi[base + 4u * q + i];
        }
    }
    return four;
}

// row_total: of tokens first .., products with rows d0 .. d0 + DOTS - 1 of phi, and the
// square of v. Rows past the last are the last one again.
void measure(const uint first, const uint d0)
{
    const uint quads = (pc.width + 3u) / 4u;
    const uint steps = row_steps(quads);
    [[dont_unroll]] for (uint r = 0; r < ROW_ROUNDS; r++) {
        row_clear();
        if (row_holds(r, quads)) {
            const uint begin = row_first(r, steps);
            [[dont_unroll]] for (uint i = 0; i < STREAMS; i++) {
                [[dont_unroll]] for (uint j = 0; j < steps; j++) {
                    const uint q = min(begin + 8u * j, quads - 1u);
                    const bool inside = begin + 8u * j < quads;
                    vec4 w[DOTS];
                    [[unroll]] for (uint d = 0; d < DOTS; d++) {
                        const uint k = min(d0 + d, STREAMS - 1u);
                        w[d] = load_phi((k * STREAMS + i) * pc.width, q);
                    }
                    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                        const uint row = min(first + t, pc.rows - 1u);
                        const uint at = t * HEAD_SUMS;
                        vec4 v = load_x((row * STREAMS + i) * pc.width, q);
                        v = inside ? v : vec4(0.0);
                        row_sum[at + DOTS] = row_dot(v, v, row_sum[at + DOTS]);
                        [[unroll]] for (uint d = 0; d < DOTS; d++) {
                            row_sum[at + d] = row_dot(v, w[d], row_sum[at + d]);
                        }
                    }
                }
            }
        }
        row_join(r);
    }
    row_finish(0, ROW_SUMS);
}

// Gates of streams d0 .. d0 + DOTS - 1 of the tokens, from row_total.
void open_gates(const uint d0)
{
    for (uint n = gl_LocalInvocationID.x; n < TOKENS * DOTS; n += gl_WorkGroupSize.x) {
        const uint at = n / DOTS * HEAD_SUMS;
        const uint d = d0 + n % DOTS;
        const float mean = row_total[at + DOTS] / float(STREAMS * pc.width);
        const float r = 1.0 / sqrt(mean + pc.eps_norm);
        if (d < STREAMS) {
            const float m = row_total[at + n % DOTS];
            gate[n / DOTS * STREAMS + d] =
                gate_sigmoid(fma(scale[0] * r, m, base[d])) + pc.eps_pre;
        }
    }
    barrier();
}

void add_streams(const uint row, const uint t)
{
    const uint quads = (pc.width + 3u) / 4u;
    float weight[STREAMS];
    [[unroll]] for (uint i = 0; i < STREAMS; i++) {
        weight[i] = gate[t * STREAMS + i];
    }
    for (uint q = gl_LocalInvocationID.x; q < quads; q += gl_WorkGroupSize.x) {
        vec4 sum = vec4(0.0);
        [[unroll]] for (uint i = 0; i < STREAMS; i++) {
            sum = fma(vec4(weight[i]), load_x((row * STREAMS + i) * pc.width, q), sum);
        }
        store_h(row * pc.width, q, sum);
    }
}

void main()
{
    for (uint first = gl_WorkGroupID.x * TOKENS; first < pc.rows;
         first += gl_NumWorkGroups.x * TOKENS) {
        for (uint d0 = 0; d0 < STREAMS; d0 += DOTS) {
            measure(first, d0);
            open_gates(d0);
        }
        [[dont_unroll]] for (uint t = 0; t < TOKENS && first + t < pc.rows; t++) {
            add_streams(first + t, t);
        }
        barrier(); // the next tokens' gates
    }
}
