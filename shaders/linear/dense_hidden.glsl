// SPDX-License-Identifier: MIT
//
// What dense_hidden_fuse and its gradient share: the inputs, and four elements of the sum
#include "linear/gates.glsl"
#include "linear/row_sums.glsl"

layout(set = 0, binding = 0, std430) restrict readonly buffer Y { T y[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Y4 { W4 y4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Gate { T gate[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Gate4 { W4 gate4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Past { T past[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Past4 { W4 past4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Weight { float w[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Weight4 { vec4 w4[]; };

layout(push_constant, std430) uniform Push {
    uint rows, width, m;
    float eps;
#ifdef DENSE_BACKWARD
    uint parts;
#endif
} pc;

ROWS_LOADER(load_y, y, y4, pc.width)
ROWS_LOADER(load_gate, gate, gate4, pc.width)
ROWS_LOADER(load_past, past, past4, pc.width)

vec4 load_w(const uint q)
{
    if (VEC == 4) {
        return w4[q];
    }
    vec4 v = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (4u * q + i < pc.width) {
            v[i] = w[4u * q + i];
        }
    }
    return v;
}

vec4 past_sum(const uint base, const uint q)
{
    vec4 sum = load_past(base, q);
    for (uint i = 1; i < pc.m; i++) {
        sum += load_past(base + i * pc.rows * pc.width, q);
    }
    return sum;
}

// Elements 4q .. 4q+3 of s in the row that begins at `base`.
vec4 fused(const uint base, const uint q)
{
    const vec4 g = load_gate(base, q);
    return fma(g * gate_sigmoid(g), past_sum(base, q), load_y(base, q));
}
