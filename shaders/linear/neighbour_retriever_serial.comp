// SPDX-License-Identifier: MIT
//
// Soft choice of the next token that exists, one step to the left a time
//
//   weights   P_ij = (1 - e_(i+1)) P_(i+1)j,  P_(j-1)j = e_j,  P_ii = (1 - e_(i+1)) P_(i+1)(i+1)
//   apply     y_i = e_(i+1) x_(i+1) + (1 - e_(i+1)) y_(i+1)
//
// Continuous recursive networks, arXiv 2106.06038.
//
// Why this one: a lane owns four columns and walks the rows from the last to the first, so
// a row is written by neighbouring lanes and costs one multiplication an element. Products
// of the same factors in another order than the definition's.
//
//! kernel   neighbour_retriever_serial
//! op       neighbour_retriever/1
//! tier     T0
//! bind     0 e in   f32[batch, len]
//! bind     1 x in   T[batch, len, width]  when FORM == FORM.apply
//! bind     2 p out  f32[batch, len, len]  when FORM == FORM.weights
//! bind     3 y out  T[batch, len, width]  when FORM == FORM.apply
//! push     batch:u32 len:u32 width:u32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 32
//! spec     4 VEC u32 1 = (FORM == FORM.apply ? width : len) % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 FORM u32 0
//! let      columns FORM == FORM.apply ? width : len
//! pass     main  groups ceildiv(columns,4*WG_SIZE) min(batch,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 32, local_size_x_id = 0) in;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 16) const uint FORM = 0;

#include "linear/row_sums.glsl"

layout(set = 0, binding = 0, std430) restrict readonly buffer E { float e[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer P { float p[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer P4 { vec4 p4[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Y4 { W4 y4[]; };

layout(push_constant, std430) uniform Push {
    uint batch, len, width;
} pc;

ROWS_LOADER(load_x, x, x4, pc.width)
ROWS_STORER(store_y, y, y4, pc.width)

void store_p(const uint base, const uint q, const vec4 v)
{
    if (VEC == 4) {
        p4[base / 4u + q] = v;
        return;
    }
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (4u * q + i < pc.len) {
            p[base + 4u * q + i] = v[i];
        }
    }
}

void weights(const uint item, const uint q)
{
    const uint base = item * pc.len;
    const uvec4 column = 4u * q + uvec4(0, 1, 2, 3);
    vec4 product = vec4(0.0);
    float next = 0.0; // e of row i + 1
    float none = 1.0; // nothing to the right of row i exists
    for (uint i = pc.len; i-- > 0u;) {
        product *= 1.0 - next;
        none *= 1.0 - next;
        // Row j - 1 is where column j begins.
        product = mix(product, vec4(next), equal(column, uvec4(i + 1u)));
        const vec4 row = mix(product, vec4(none), equal(column, uvec4(i)));
        store_p((base + i) * pc.len, q, row);
        next = e[base + i];
    }
}

void apply(const uint item, const uint q)
{
    const uint base = item * pc.len;
    vec4 sum = vec4(0.0);
    for (uint i = pc.len; i-- > 0u;) {
        const uint row = (base + i) * pc.width;
        store_y(row, q, sum);
        const float exists = e[base + i];
        sum = fma(vec4(exists), load_x(row, q), (1.0 - exists) * sum);
    }
}

void main()
{
    const uint q = gl_GlobalInvocationID.x;
    if (4u * q >= (FORM == 0 ? pc.len : pc.width)) {
        return;
    }
    for (uint item = gl_WorkGroupID.y; item < pc.batch; item += gl_NumWorkGroups.y) {
        if (FORM == 0) {
            weights(item, q);
        } else {
            apply(item, q);
        }
    }
}
