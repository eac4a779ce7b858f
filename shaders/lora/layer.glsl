// SPDX-License-Identifier: MIT
//
// What all kernels of adapted layers share: the operands, and what the ops differ in
//
//   u_o (sum_i x_i W_oi + e_o sum_j f_j z_j B_oj) + bias_o,   z = (x * drop) A^T
//
//   block_x(row, i, b)  block_xd(row, i, b)      x, and x with what is dropped of it
//   block_w(o, i, b)    block_a(j, i, b)   block_b(o, j, b)
//
// Tensors x, w, a, b have the bindings 0 to 3 in every op. The includer defines
//
//   LORA_PUSH            push fields after rows, k, n, rank
//   LORA_SCALE           f has the factor pc.s
//   LORA_DIAG            f has the factor diag[j];      the binding's number
//   LORA_COLUMN          e is column[o];                the binding's number
//   LORA_BIAS            bias[o] is added if BIAS != 0; the binding's number
//   LORA_DROP            the mask drop, and pc.p;       the binding's number
//   LORA_QUANT           wq; wscale is the next:        the binding's number
//   LORA_U               the function lora_u(o) gives u, declared before
//
// where its op has such a thing; and macros for the names its contract has for diag and
// column, such as
//
//   #define diag dvec
#ifndef VKZ_LORA_LAYER_GLSL
#define VKZ_LORA_LAYER_GLSL

#include "lora/blocks.glsl"

layout(constant_id = 12) const uint VEC_K = 1; // 4: k is a multiple of four
layout(constant_id = 13) const uint VEC_N = 1;
layout(constant_id = 14) const uint VEC_R = 1;

layout(push_constant, std430) uniform Push {
    uint rows, k, n, rank;
    LORA_PUSH
} pc;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer W { T w[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Wx4 { W4 w4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer A { T a[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer A4 { W4 a4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer B { T b[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer B4 { W4 b4[]; };

uint quads_k() { return (pc.k + 3) / 4; }
uint quads_n() { return (pc.n + 3) / 4; }
uint quads_r() { return (pc.rank + 3) / 4; }
uint quads_rows() { return (pc.rows + 3) / 4; }

LORA_MATRIX(block_x, x, x4, VEC_K, pc.rows, pc.k)
LORA_MATRIX(block_a, a, a4, VEC_K, pc.rank, pc.k)
LORA_MATRIX(block_b, b, b4, VEC_R, pc.n, pc.rank)

// --- factors --------------------------------------------------------------------------

// Four values of a vector of float; what is beyond the end is that of the last element.
#define LORA_VECTOR(name, v, size)                                                      \
    vec4 name(const uint i)                                                             \
    {                                                                                   \
        const uint last = (size) - 1;                                                   \
        return vec4(v[min(i, last)], v[min(i + 1, last)], v[min(i + 2, last)],          \
                    v[min(i + 3, last)]);                                               \
    }

#ifdef LORA_DIAG
layout(set = 0, binding = LORA_DIAG, std430) restrict readonly buffer Diag { float diag[]; };
LORA_VECTOR(lora_diag4, diag, pc.rank)
#endif

vec4 lora_f4(const uint j)
{
    vec4 f = vec4(1.0);
#ifdef LORA_SCALE
    f *= pc.s;
#endif
#ifdef LORA_DIAG
    f *= lora_diag4(j);
#endif
    return f;
}

#ifdef LORA_COLUMN
layout(set = 0, binding = LORA_COLUMN, std430) restrict readonly buffer Column {
    float column[];
};
LORA_VECTOR(lora_e4, column, pc.n)
#else
vec4 lora_e4(const uint o) { return vec4(1.0); }
#endif

#ifndef LORA_U
float lora_u(const uint o) { return 1.0; }
#endif
vec4 lora_u4(const uint o)
{
    const uint last = pc.n - 1;
    return vec4(lora_u(min(o, last)), lora_u(min(o + 1, last)), lora_u(min(o + 2, last)),
                lora_u(min(o + 3, last)));
}

#ifdef LORA_BIAS
layout(constant_id = 17) const uint BIAS = 0;
layout(set = 0, binding = LORA_BIAS, std430) restrict readonly buffer Bias { float bias[]; };
LORA_VECTOR(lora_bias4_, bias, pc.n)
vec4 lora_bias4(const uint o) { return BIAS != 0 ? lora_bias4_(o) : vec4(0.0); }
#else
vec4 lora_bias4(const uint o) { return vec4(0.0); }
#endif

// --- quantised weights ----------------------------------------------------------------

#ifdef LORA_QUANT
layout(constant_id = 16) const uint WTYPE = 0;
const uint WTYPE_I8_BLOCK = 2;
const uint LORA_BLOCK = 32; // elements a scale
layout(set = 0, binding = LORA_QUANT, std430) restrict readonly buffer Wq { uint wq[]; };
layout(set = 0, binding = LORA_QUANT + 1, std430) restrict readonly buffer Ws {
    float wscale[];
};

LORA_MATRIX(block_w_t, w, w4, VEC_K, pc.n, pc.k)

vec4 block_wq_row_(const uint row, const uint col)
{
    const bvec4 inside = lessThan(col + uvec4(0, 1, 2, 3), uvec4(pc.k));
    const uint blocks = WTYPE == WTYPE_I8_BLOCK ? (pc.k + LORA_BLOCK - 1) / LORA_BLOCK : 1;
    const uint own = WTYPE == WTYPE_I8_BLOCK ? min(col, pc.k - 1) / LORA_BLOCK : 0;
    const uint o = min(row, pc.n - 1);
    vec4 v;
    if (VEC_K == 4) {
        v = vec4(vkz_i8x4(wq[(o * pc.k + min(col, pc.k - 4)) / 4]));
    } else {
        const uvec4 at = o * pc.k + min(col + uvec4(0, 1, 2, 3), uvec4(pc.k - 1));
        const uvec4 words = uvec4(wq[at.x / 4], wq[at.y / 4], wq[at.z / 4], wq[at.w / 4]);
        v = vec4(ivec4(words << (24 - 8 * (at % 4))) >> 24);
    }
    return mix(vec4(0.0), wscale[o * blocks + own] * v, row < pc.n ? inside : bvec4(false));
}

void block_w(const uint row, const uint col, out vec4 block[4])
{
    if (WTYPE == 0) {
        block_w_t(row, col, block);
    } else {
        LORA_ROWS(block, block_wq_row_(row + i, col))
    }
}
#else
LORA_MATRIX(block_w, w, w4, VEC_K, pc.n, pc.k)
#endif

// --- dropped elements -----------------------------------------------------------------

#ifdef LORA_DROP
layout(constant_id = 18) const uint DROPMASK = 0;
layout(set = 0, binding = LORA_DROP, std430) restrict readonly buffer Drop { uint drop[]; };

// Factors of x[row, i .. i + 3]; elements beyond the end of the row get one too.
vec4 lora_drop4(const uint row, const uint i)
{
    if (DROPMASK == 0) {
        return vec4(1.0);
    }
    const uint first = min(row, pc.rows - 1) * pc.k + min(i, pc.k - 1);
    const uint last = pc.rows * pc.k - 1;
    const float keep = 1.0 / (1.0 - pc.p);
    vec4 v;
    [[unroll]] for (uint c = 0; c < 4; ++c) {
        const uint e = min(first + c, last);
        v[c] = (drop[e / 32] >> (e % 32) & 1u) != 0u ? keep : 0.0;
    }
    return v;
}

void block_xd(const uint row, const uint i0, out vec4 block[4])
{
    if (DROPMASK == 0) {
        block_x(row, i0, block);
    } else {
        LORA_ROWS(block, block_x_row_(row + i, i0) * lora_drop4(row + i, i0))
    }
}
#else
#define block_xd block_x
#endif

#endif
