// SPDX-License-Identifier: MIT
//
// Softmax attention, unfused: scores, softmax and values in three passes
//
//   S = tau q k and its modifiers;  P = softmax(S);  o = P v
//
// Why this one: it is what flash attention is measured against. S goes through memory, once
// written and read twice; every other kernel exists to avoid that.
//
//! kernel   attention_naive
//! op       attention/1
//! tier     T0
//! bind     0 q     in   T[batch, heads, q_len, head_dim]
//! bind     1 k     in   T[batch, kv_heads, kv_len, head_dim]
//! bind     2 v     in   T[batch, kv_heads, kv_len, v_dim]
//! bind     3 bias  in   T[batch, heads, q_len, kv_len]  when BIAS == BIAS.tensor
//! bind     4 rpar  in   f32[heads, 2]  when BIAS == BIAS.kerple_log || BIAS == BIAS.kerple_power
//! bind     5 sink  in   f32[heads]  when SINK == SINK.learned
//! bind     6 seg   in   i32[batch, kv_len]  when MASK == MASK.doc
//! bind     7 o     out  T[batch, heads, q_len, v_dim]
//! bind     8 lse   out  f32[batch, heads, q_len]  when LSE == LSE.on
//! scratch  9 p f32[batch, heads, q_len, kv_len]
//! push     heads:u32 kv_heads:u32 q_len:i32 kv_len:i32 wl:i32 wr:i32 np:i32 tau:f32 slope0:f32 cap:f32
//! spec     0 WG_SIZE u32 64   // a power of two
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 MASK u32 0
//! spec     17 BIAS u32 0
//! spec     18 CAP u32 0
//! spec     19 SINK u32 0
//! spec     20 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   4 * WG_SIZE
//! pass     scores   groups ceildiv(kv_len,WG_SIZE) ceildiv(q_len,4) heads*batch
//! pass     softmax  groups q_len heads batch
//! pass     values   groups ceildiv(v_dim,WG_SIZE) ceildiv(q_len,4) heads*batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define ATTENTION_WEIGHT 0 // softmax
#include "attention/io.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

#ifdef PASS_VALUES
layout(set = 0, binding = 9, std430) restrict readonly buffer P { float p[]; };
#else
layout(set = 0, binding = 9, std430) restrict buffer P { float p[]; };
#endif

const uint ROWS = 4;

// The row's segment, for the mask of documents.
int row_segment(const uint row)
{
    return MASK == MASK_DOC
               ? score_segment_load(uint(max(int(row) + pc.kv_len - pc.q_len, 0)))
               : 0;
}

#ifdef PASS_SCORES
// A lane takes one key and the workgroup ROWS queries.
void main()
{
    io_begin(gl_WorkGroupID.z % pc.heads, gl_WorkGroupID.z / pc.heads);
    const score_map s = io_score_map();
    const uint key = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    const uint first = gl_WorkGroupID.y * ROWS;
    if (key >= uint(pc.kv_len)) {
        return;
    }
    float x[ROWS] = float[](0.0, 0.0, 0.0, 0.0);
    for (uint c = 0; c < (HEAD_DIM + 3u) / 4u; c++) {
        const vec4 k = io_k(key, c);
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            x[r] += dot(io_q(min(first + r, uint(pc.q_len) - 1u), c), k);
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = first + r;
        if (row < uint(pc.q_len)) {
            const int at = int(row) + pc.kv_len - pc.q_len;
            const float y = score_modify(s, x[r] * s.scale, at, row, key);
            const bool seen = score_visible(s, at, int(key), row_segment(row));
            p[(io_q_row + row) * uint(pc.kv_len) + key] = seen ? y : SCORE_LOWEST;
        }
    }
}
#endif

#ifdef PASS_SOFTMAX
shared float part[gl_WorkGroupSize.x];

float reduce(const float x, const bool largest)
{
    const uint lane = gl_LocalInvocationID.x;
    barrier();
    part[lane] = x;
    barrier();
    for (uint step = gl_WorkGroupSize.x / 2u; step > 0u; step /= 2u) {
        if (lane < step) {
            const float y = part[lane + step];
            part[lane] = largest ? max(part[lane], y) : part[lane] + y;
        }
        barrier();
    }
    return part[0];
}

// A workgroup takes one row.
void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const score_map s = io_score_map();
    const uint row = gl_WorkGroupID.x;
    const int at = int(row) + pc.kv_len - pc.q_len;
    const int segment = row_segment(row);
    const uint base = (io_q_row + row) * uint(pc.kv_len);
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;

    float m = SCORE_LOWEST;
    for (uint j = lane; j < uint(pc.kv_len); j += lanes) {
        m = max(m, p[base + j]);
    }
    m = reduce(m, true);
    float l = 0.0;
    for (uint j = lane; j < uint(pc.kv_len); j += lanes) {
        const float w = vkz_exp2(p[base + j] - m, EXP);
        l += score_visible(s, at, int(j), segment) ? w : 0.0;
    }
    l = reduce(l, false);
    const float factor = io_finish_row(s, row, lane == 0u, m, l);
    for (uint j = lane; j < uint(pc.kv_len); j += lanes) {
        p[base + j] = vkz_exp2(p[base + j] - m, EXP) * factor;
    }
}
#endif

#ifdef PASS_VALUES
// A lane takes one column and the workgroup ROWS queries.
void main()
{
    io_begin(gl_WorkGroupID.z % pc.heads, gl_WorkGroupID.z / pc.heads);
    const score_map s = io_score_map();
    const uint column = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    const uint first = gl_WorkGroupID.y * ROWS;
    const uint last = min(first + ROWS, uint(pc.q_len)) - 1u;
    if (column >= V_DIM) {
        return;
    }
    const int delta = pc.kv_len - pc.q_len;
    const ivec2 range = score_key_range(s, int(first) + delta, int(last) + delta);
    int segment[ROWS];
    float x[ROWS] = float[](0.0, 0.0, 0.0, 0.0);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        segment[r] = row_segment(min(first + r, last));
    }
    for (int j = range.x; j < range.y; j++) {
        const float y = vkz_load(v[(io_k_row + uint(j)) * V_DIM + column]);
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const uint row = min(first + r, last);
            const float w = p[(io_q_row + row) * uint(pc.kv_len) + uint(j)];
            // Selected, not multiplied by 0: what a row does not see may be NaN.
            x[r] = score_visible(s, int(row) + delta, j, segment[r]) ? fma(w, y, x[r])
                                                                    : x[r];
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        if (first + r <= last) {
            o[(io_q_row + first + r) * V_DIM + column] = vkz_store(x[r]);
        }
    }
}
#endif
