// SPDX-License-Identifier: MIT
//
// Combines attention over disjoint sets of keys, a lane a few columns of a row
//
//   M = max_k m_k,  l = sum_k e^(m_k - M) l_k,  o = sum_k e^(m_k - M) O_k / l,  lse = M + ln l
//   normalised parts have m_k = lse_k, l_k = 1 and O_k = o_k
//
// Flash-decoding; FlashAttention, arXiv 2205.14135.
//
// Why this one: every part is read once by neighbouring lanes; the row's weights are cheap
// enough for each lane to compute its own, so nothing is shared.
//
//! kernel   attention_merge_row
//! op       attention_merge/1
//! tier     T0
//! bind     0 part in   f32[rows, parts, v_dim + 2]  when FORM == FORM.raw
//! bind     1 op_  in   T[parts, rows, v_dim]  when FORM == FORM.normalised
//! bind     2 lsep in   f32[parts, rows]  when FORM == FORM.normalised
//! bind     3 sink in   f32[rows]  when SINK == SINK.learned
//! bind     4 o    out  T[rows, v_dim]
//! bind     5 lse  out  f32[rows]
//! push     rows:u32 parts:u32 v_dim:u32
//! spec     0 WG_SIZE u32 64
//! spec     3 COLUMNS u32 4   // columns of a lane
//! spec     16 FORM u32 0
//! spec     17 SINK u32 0
//! let      lanes rows*ceildiv(v_dim,COLUMNS)
//! let      blocks ceildiv(lanes,WG_SIZE)
//! pass     main  groups min(blocks,65535) ceildiv(blocks,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/num.glsl"
#include "lib/exp.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(constant_id = 3) const uint COLUMNS = 4;
layout(constant_id = 16) const uint FORM = 0; // raw, normalised
layout(constant_id = 17) const uint SINK = 0; // none, zero, learned

layout(set = 0, binding = 0, std430) restrict readonly buffer Part { float part[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Op { T op_[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Lsep { float lsep[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Sink { float sink[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer Lse { float lse[]; };

layout(push_constant, std430) uniform Push {
    uint rows, parts, v_dim;
} pc;

const float LOWEST = -3.0e38;

// Maximum and sum of one part; a sum of 0 marks an empty one.
vec2 part_sums(const uint row, const uint k)
{
    if (FORM == 0) {
        const uint at = (row * pc.parts + k) * (pc.v_dim + 2u) + pc.v_dim;
        return vec2(part[at], part[at + 1u]);
    }
    const float x = lsep[k * pc.rows + row];
    return vec2(x, x < LOWEST ? 0.0 : 1.0);
}

float part_value(const uint row, const uint k, const uint column)
{
    if (FORM == 0) {
        return part[(row * pc.parts + k) * (pc.v_dim + 2u) + column];
    }
    return vkz_load(op_[(k * pc.rows + row) * pc.v_dim + column]);
}

void main()
{
    // A row's columns are dealt out so that neighbouring lanes read neighbours.
    const uint columns = (pc.v_dim + COLUMNS - 1u) / COLUMNS;
    const uint block = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint lane = block * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    const uint row = lane / columns;
    const uint first = lane % columns;
    if (row >= pc.rows) {
        return;
    }

    const float sink_logit = SINK == 2 ? sink[row] : 0.0;
    float top = SINK != 0 ? sink_logit : LOWEST;
    for (uint k = 0; k < pc.parts; k++) {
        const vec2 sums = part_sums(row, k);
        top = sums.y != 0.0 ? max(top, sums.x) : top;
    }
    float total = SINK != 0 ? vkz_exp2_accurate((sink_logit - top) * VKZ_LOG2E) : 0.0;
    float x[COLUMNS];
    [[unroll]] for (uint i = 0; i < COLUMNS; i++) {
        x[i] = 0.0;
    }
    for (uint k = 0; k < pc.parts; k++) {
        const vec2 sums = part_sums(row, k);
        // An empty part counts for nothing, whatever its value holds.
        if (sums.y != 0.0) {
            const float weight = vkz_exp2_accurate((sums.x - top) * VKZ_LOG2E);
            total = fma(weight, sums.y, total);
            [[unroll]] for (uint i = 0; i < COLUMNS; i++) {
                const uint column = first + i * columns;
                if (column < pc.v_dim) {
                    x[i] = fma(weight, part_value(row, k, column), x[i]);
                }
            }
        }
    }

    const float factor = total == 0.0 ? 0.0 : 1.0 / total;
    [[unroll]] for (uint i = 0; i < COLUMNS; i++) {
        const uint column = first + i * columns;
        if (column < pc.v_dim) {
            o[row * pc.v_dim + column] = vkz_store(x[i] * factor);
        }
    }
    if (first == 0u) {
        const float minus_infinity = uintBitsToFloat(0xff800000u);
        lse[row] = total == 0.0 ? minus_infinity : fma(vkz_log2(total), VKZ_LN2, top);
    }
}
