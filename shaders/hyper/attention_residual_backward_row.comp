// SPDX-License-Identifier: MIT
//
// Gradients of attention_residual: a workgroup takes tokens, two sweeps over the layers
//
//   dp_i = v_i . do,  ds_i = scale p_i (dp_i - sum_j p_j dp_j),  g_i = ds_i w * q
//   dv_i = p_i do + r_i (g_i - v_i r_i^2 mean(g_i * v_i))
//   dq = w * G,  dw = q * G,  G = sum ds_i r_i v_i over layers and tokens
//
// Attention residuals, arXiv 2603.15031.
//
// Why this one: three sums a layer are all that a token needs before its gradients, and
// mean(g * v) is one of them; the second sweep finds the layers in a cache where they fit.
// A workgroup adds G up over its tokens in memory of its own; the second pass adds the
// workgroups' parts in order, without atomics.
//
//! kernel   attention_residual_backward_row
//! op       attention_residual_backward/1
//! tier     T0
//! bind     0 v    in  T[l, rows, width]
//! bind     1 q    in  f32[width]
//! bind     2 w    in  f32[width]
//! bind     3 do   in  T[rows, width]
//! bind     4 dv   out T[l, rows, width]
//! bind     5 dq   out f32[width]
//! bind     6 dw   out f32[width]
//! scratch  7 part f32[parts, 4 * ceildiv(width,4)]
//! scratch  8 stat f32[parts, 4 * l]
//! push     rows:u32 width:u32 l:u32 scale:f32 eps:f32 parts:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! let      parts min(rows,is_cpu?32:1024)
//! shared   16 * WG_SIZE
//! tuning   wide   WG_SIZE=128
//! pass     main    groups parts
//! pass     reduce  groups ceildiv(width,4*WG_SIZE)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint VEC = 1;

#ifdef PASS_MAIN
shared vec4 rows_part[gl_WorkGroupSize.x];
#define ROWS_SUM
#endif
#include "hyper/depth_attention.glsl"

#ifdef PASS_MAIN

const uint CHUNK = 4; // layers whose numbers a lane has at hand

layout(set = 0, binding = 3, std430) restrict readonly buffer Do { T do_[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Do4 { W4 do4[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer Dv { T dv[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer Dv4 { W4 dv4[]; };
layout(set = 0, binding = 7, std430) restrict buffer Part { vec4 part[]; };
layout(set = 0, binding = 8, std430) restrict coherent buffer Stat { vec4 stat[]; };

ROWS_LOADER(load_do, do_, do4, pc.width)
ROWS_STORER(store_dv, dv, dv4, pc.width)

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint quads = (pc.width + 3u) / 4u;
    const uint part_base = gl_WorkGroupID.x * quads;
    const uint stat_base = gl_WorkGroupID.x * pc.l;
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += pc.parts) {
        float top = -3.0e38;
        float total = 0.0;
        float mean = 0.0; // of dp, times total
        [[dont_unroll]] for (uint layer = 0; layer < pc.l; layer++) {
            const uint base = depth_base(layer, row);
            vec4 sums = vec4(0.0);
            for (uint g = lane; g < quads; g += lanes) {
                const vec4 x = load_v(base, g);
                sums.x += dot(x, x);
                sums.y += dot(x, depth_wq(g));
                sums.z += dot(x, load_do(row * pc.width, g));
            }
            sums = rows_sum(sums);
            const float s = depth_score(sums);
            if (lane == 0u) {
                stat[stat_base + layer] = vec4(s, sums.xyz);
            }
            // Written so that a NaN stays: max() may drop it.
            const float next = s <= top ? top : s;
            const float keep = layer == 0u ? 0.0 : depth_exp(top - next);
            const float e = depth_exp(s - next);
            top = next;
            total = fma(total, keep, e);
            mean = fma(mean, keep, e * sums.z);
        }
        mean /= total;
        memoryBarrierBuffer();
        barrier();
        for (uint first = 0; first < pc.l; first += CHUNK) {
            // p; ds r; that times r^2 mean(w q v), of each layer
            vec3 c[CHUNK];
            [[unroll]] for (uint i = 0; i < CHUNK; i++) {
                const vec4 x = stat[stat_base + min(first + i, pc.l - 1u)];
                const float r = depth_norm(x.y);
                const float p = depth_exp(x.x - top) / total;
                const float ds = pc.scale * p * (x.w - mean);
                c[i] = vec3(p, ds * r, ds * r * r * r * (x.z / float(pc.width)));
            }
            for (uint g = lane; g < quads; g += lanes) {
                const vec4 d = load_do(row * pc.width, g);
                const vec4 wq = depth_wq(g);
                const bool fresh = first == 0u && row == gl_WorkGroupID.x;
                vec4 sum = fresh ? vec4(0.0) : part[part_base + g];
                [[unroll]] for (uint i = 0; i < CHUNK; i++) {
                    if (first + i < pc.l) {
                        const uint base = depth_base(first + i, row);
                        const vec4 x = load_v(base, g);
                        store_dv(base, g, c[i].x * d + (c[i].y * wq - c[i].z * x));
                        sum = fma(x, vec4(c[i].y), sum);
                    }
                }
                part[part_base + g] = sum;
            }
        }
        barrier(); // the next token's numbers
    }
}

#else // PASS_REDUCE

layout(set = 0, binding = 5, std430) restrict writeonly buffer Dq { float dq[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Dw { float dw[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer Part { vec4 part[]; };

void main()
{
    const uint g = gl_GlobalInvocationID.x;
    const uint quads = (pc.width + 3u) / 4u;
    if (g >= quads) {
        return;
    }
    vec4 sum = vec4(0.0);
    for (uint i = 0; i < pc.parts; i++) {
        sum += part[i * quads + g];
    }
    const vec4 by_w = sum * load_w(g);
    const vec4 by_q = sum * load_q(g);
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (4u * g + i < pc.width) {
            dq[4u * g + i] = by_w[i];
            dw[4u * g + i] = by_q[i];
        }
    }
}

#endif
