// SPDX-License-Identifier: MIT
//
// Shortcut with bottlenecks: two chained products, register tiles from global memory
//
//   z = msa + x + sum_i wup_i gelu(wdn_i x)
//
// PanGu-pi, arXiv 2312.17276.
//
// Why this one: all bottlenecks are one product into [rows, m br] and one out of it; the
// activation ends the first, both residuals the second. Rows of the bottlenecks are padded
// to whole groups of four, so that no group has elements of two.
//
//! kernel   augmented_shortcut_direct
//! op       augmented_shortcut/1
//! tier     T0
//! bind     0 x   in  T[rows, width]
//! bind     1 msa in  T[rows, width]  when PART == PART.shortcut
//! bind     2 wdn in  T[m, br, width]  when PART == PART.shortcut
//! bind     3 wup in  T[m, width, br]  when PART == PART.shortcut
//! bind     6 z   out T[rows, width]
//! scratch  7 hidden f32[rows, m * brp]
//! push     rows:u32 width:u32 m:u32 br:u32
//! when     PART == PART.shortcut : computes the shortcut, not the activation
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // lanes side by side
//! spec     3 TILE_ROWS u32 8 = is_cpu ? 4 : 8   // rows a workgroup
//! spec     12 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load along the width
//! spec     13 VEC_BR u32 1 = br % 4 == 0 ? 4 : 1   // and along a bottleneck
//! let      brp 4*ceildiv(br,4)
//! tuning   rows16 TILE_ROWS=16
//! pass     down  groups ceildiv(m*brp,4*WG_SIZE) ceildiv(rows,TILE_ROWS)
//! pass     up    groups ceildiv(width,4*WG_SIZE) ceildiv(rows,TILE_ROWS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/activation.glsl"
#include "lib/num.glsl"
#include "lib/words.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_ROWS = 8;
layout(constant_id = 12) const uint VEC = 1;
layout(constant_id = 13) const uint VEC_BR = 1;

const uint TILE_COLS = 1;

layout(push_constant, std430) uniform Push {
    uint rows, width, m, br;
} pc;

// Group q of row `row` of a matrix with rows of `size`, zeros past its end.
#define SHORTCUT_ROW(name, vec, b, b4, size)                                            \
    vec4 name(const uint row, const uint q)                                             \
    {                                                                                   \
        if (vec == 4) {                                                                 \
            return vkz_load_w4(b4[row * ((size) / 4u) + q]);                            \
        }                                                                               \
        vec4 four = vec4(0.0);                                                          \
        [[unroll]] for (uint i = 0; i < 4u; i++) {                                      \
            if (4u * q + i < (size)) {                                                  \
                four[i] = vkz_load(b[row * (size) + 4u * q + i]);                       \
            }                                                                           \
        }                                                                               \
        return four;                                                                    \
    }

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
SHORTCUT_ROW(row_x, VEC, x, x4, pc.width)

uint groups_br()
{
    return (pc.br + 3u) / 4u;
}

// The tail of k, which is taken in whole groups here: never asked for.
float load_a(const uint row, const uint kk)
{
    return 0.0;
}

vec4 load_b4(const uint kk, const uint col)
{
    return vec4(0.0);
}

vec4 weights(const uint col, const uint q);

void load_b4x4(const uint q, const uint col, out vec4 block[4])
{
    vec4 by_col[4];
    [[unroll]] for (uint c = 0; c < 4; c++) {
        by_col[c] = weights(col + c, q);
    }
    [[unroll]] for (uint i = 0; i < 4; i++) {
        block[i] = vec4(by_col[0][i], by_col[1][i], by_col[2][i], by_col[3][i]);
    }
}

#ifdef PASS_DOWN

layout(set = 0, binding = 2, std430) restrict readonly buffer Wdn { T wdn[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Wdn4 { W4 wdn4[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer Hidden { vec4 hidden[]; };
SHORTCUT_ROW(row_down, VEC, wdn, wdn4, pc.width)

vec4 load_a4(const uint row, const uint q)
{
    return row_x(min(row, pc.rows - 1u), q);
}

// Columns are padded bottlenecks; what is in the padding meets zeros of wup.
vec4 weights(const uint col, const uint q)
{
    const uint i = min(col / (4u * groups_br()), pc.m - 1u);
    return row_down(i * pc.br + min(col % (4u * groups_br()), pc.br - 1u), q);
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.rows && col < 4u * groups_br() * pc.m) {
        const uint inside = pc.br - min(pc.br, col % (4u * groups_br()));
        vec4 h = vec4(vkz_gelu(sum.x), vkz_gelu(sum.y), vkz_gelu(sum.z), vkz_gelu(sum.w));
        h = mix(vec4(0.0), h, lessThan(uvec4(0, 1, 2, 3), uvec4(inside)));
        hidden[row * groups_br() * pc.m + col / 4u] = h;
    }
}

#else // PASS_UP

layout(set = 0, binding = 1, std430) restrict readonly buffer Msa { T msa[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Msa4 { W4 msa4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Wup { T wup[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Wup4 { W4 wup4[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Z { T z[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Z4 { W4 z4[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer Hidden { vec4 hidden[]; };
SHORTCUT_ROW(row_msa, VEC, msa, msa4, pc.width)
SHORTCUT_ROW(row_up, VEC_BR, wup, wup4, pc.br)

vec4 load_a4(const uint row, const uint q)
{
    return hidden[min(row, pc.rows - 1u) * groups_br() * pc.m + q];
}

vec4 weights(const uint col, const uint q)
{
    return row_up(q / groups_br() * pc.width + min(col, pc.width - 1u), q % groups_br());
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.rows && col < pc.width) {
        const vec4 v = sum + (row_msa(row, col / 4u) + row_x(row, col / 4u));
        if (VEC == 4) {
            z4[(row * pc.width + col) / 4u] = vkz_store_w4(v);
        } else {
            [[unroll]] for (uint i = 0; i < 4u; i++) {
                if (col + i < pc.width) {
                    z[row * pc.width + col + i] = vkz_store(v[i]);
                }
            }
        }
    }
}

#endif

#include "lib/tile_direct.glsl"

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint col = 4u * (gl_WorkGroupID.x * lanes + gl_LocalInvocationID.x);
#ifdef PASS_DOWN
    const uint k = 4u * ((pc.width + 3u) / 4u);
#else
    const uint k = 4u * groups_br() * pc.m;
#endif
    vkz_tile_direct(gl_WorkGroupID.y * TILE_ROWS, col, lanes, 0, k);
}
