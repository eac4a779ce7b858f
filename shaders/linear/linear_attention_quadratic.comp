// SPDX-License-Identifier: MIT
//
// Linear attention by pairs of tokens: a workgroup an output row
//
//   A_ts = tau phi(q_t) phi(k_s) e^(G_t - G_s), s <= t;  o_t = sum_s A_ts v_s
//   abs: o_t /= max(1, sum_s |A_ts|);  sum: o_t /= max(|sum_s A_ts|, 1e-6), tau cancels
//
// RetNet arXiv 2307.08621, its parallel form with the row norm.
//
// Why this one: the only form that knows the magnitudes of a row's scores, which
// NORMALISE=abs divides by. Its time grows with the square of the length: loses to all
// others where they can serve.
//
//! kernel   linear_attention_quadratic
//! op       linear_attention/1
//! tier     T0
//! bind     0 q   in   T[batch, heads, len, head_dim]
//! bind     1 k   in   T[batch, heads, len, head_dim]
//! bind     2 v   in   T[batch, heads, len, v_dim]
//! bind     3 g   in   f32[DECAY == DECAY.head ? 1 : batch, heads, DECAY == DECAY.head ? 1 : len]  when DECAY != DECAY.none
//! bind     4 s0  in   f32[batch, heads, head_dim, v_dim]  when INIT == INIT.on
//! bind     5 z0  in   f32[batch, heads, head_dim]  when INIT == INIT.on && NORMALISE == NORMALISE.sum
//! bind     6 o   out  T[batch, heads, len, v_dim]
//! bind     7 st  out  f32[batch, heads, head_dim, v_dim]  when FINAL == FINAL.on
//! bind     8 zt  out  f32[batch, heads, head_dim]  when FINAL == FINAL.on && NORMALISE == NORMALISE.sum
//! push     heads:u32 len:u32 tau:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? 2*subgroup_size : 64
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 DECAY u32 0
//! spec     17 FEATURE u32 0
//! spec     18 NORMALISE u32 0
//! spec     19 INIT u32 0
//! spec     20 FINAL u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   16 * ceildiv(HEAD_DIM,4) + 8 * WG_SIZE
//! when     INIT == INIT.off && FINAL == FINAL.off && (NORMALISE == NORMALISE.abs || len <= 4096) : knows no state, and takes time with the square of the length
//! pass     main  groups len heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
const uint COLUMN_LANES = 1;

#include "linear/linear_attention.glsl"

const uint LANES = gl_WorkGroupSize.x;
const uint QUADS = (HEAD_DIM + 3) / 4;
const uint V_QUADS = (V_DIM + 3) / 4;
const uint KEPT = (V_QUADS + LANES - 1) / LANES; // groups of four columns of a lane

shared vec4 row_q[QUADS];
shared float row_a[LANES]; // scores of one block of tokens
shared float row_g[LANES]; // their log decays

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint lane = gl_LocalInvocationID.x;
    const uint t = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x; // the longest rows first
    for (uint c = lane; c < QUADS; c += LANES) {
        row_q[c] = chunk_q(t, c) * chunk_q_scale(t);
    }
    vec4 o[KEPT];
    [[unroll]] for (uint n = 0; n < KEPT; n++) {
        o[n] = vec4(0.0);
    }
    float sum = 0.0;
    float size = 0.0;
    float after = 0.0; // log decay from the end of this block to t
    // Blocks of tokens from t down; lane 0 has the last of a block.
    for (uint done = 0; done <= t; done += LANES) {
        const uint s = t - min(done + lane, t);
        barrier();
        row_g[lane] = DECAY == 0 ? 0.0 : chunk_gate(s);
        barrier();
        float g = after;
        for (uint i = 0; i < lane; i++) {
            g += row_g[i];
        }
        float a = 0.0;
        for (uint c = 0; c < QUADS; c++) {
            a += dot(row_q[c], chunk_k(s, c));
        }
        if (DECAY != 0) {
            a *= vkz_exp2_accurate(g * VKZ_LOG2E);
        }
        row_a[lane] = a;
        for (uint i = 0; DECAY != 0 && i < LANES; i++) {
            after += row_g[i];
        }
        barrier();
        const uint count = min(LANES, t - done + 1u);
        for (uint i = 0; i < count; i++) {
            const float w = row_a[i];
            sum += w;
            size += abs(w);
            [[unroll]] for (uint n = 0; n < KEPT; n++) {
                const uint j = n * LANES + lane;
                if (j < V_QUADS) {
                    o[n] = fma(vec4(w), chunk_v(t - done - i, j), o[n]);
                }
            }
        }
    }
    const float divisor = NORMALISE == NORMALISE_ABS && !(size < 1.0) ? size : 1.0;
    [[unroll]] for (uint n = 0; n < KEPT; n++) {
        const uint j = n * LANES + lane;
        if (j < V_QUADS) {
            chunk_store(t, j, o[n] / divisor, sum);
        }
    }
}
