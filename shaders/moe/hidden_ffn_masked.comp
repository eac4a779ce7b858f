// SPDX-License-Identifier: MIT
//
// A feed-forward layer of which each token uses some groups: dense products with a mask
//
//   h = m (wup x), mixed by two block-diagonal matrices with FUSION;  y = wdn act(h)
//
// Mixture of hidden dimensions, arXiv 2412.05644.
//
// Why this one: no lists. Four columns of TILE_ROWS tokens a lane; of a group that none
// of these tokens uses, nothing is computed. With FUSION all groups take part afterwards,
// so nothing better is to be had there.
//
//! kernel   hidden_ffn_masked
//! op       hidden_ffn/1
//! tier     T0
//! bind     0 x   in  T[rows, width]
//! bind     1 m   in  f32[rows, ng]
//! bind     2 wup in  T[ff_width, width]
//! bind     3 wdn in  T[width, ff_width]
//! bind     4 lm  in  T[nb, floordiv(ff_width,nb), floordiv(ff_width,nb)]  when FUSION == FUSION.on
//! bind     5 rm  in  T[floordiv(ff_width,nb), nb, nb]  when FUSION == FUSION.on
//! bind     6 y   out T[rows, width]
//! scratch  7 h   f32[rows, ff_width]
//! scratch  8 u   f32[FUSION==1?rows:1, FUSION==1?ff_width:1]
//! push     rows:u32 width:u32 ff_width:u32 ng:u32 nb:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 TILE_ROWS u32 4 = is_cpu ? 4 : 8   // tokens a lane
//! spec     12 VEC_A u32 1 = width % 4 == 0 ? 4 : 1   // elements a load, along width
//! spec     13 VEC_B u32 1 = ff_width % 4 == 0 ? 4 : 1   // along ff_width
//! spec     16 ACT u32 0
//! spec     17 FUSION u32 0
//! pass     up    groups ceildiv(ff_width,4*WG_SIZE) min(ceildiv(rows,TILE_ROWS),65535)
//! pass     left  groups FUSION==1?ceildiv(ff_width,WG_SIZE):1 min(rows,65535)
//! pass     right groups FUSION==1?ceildiv(ff_width,WG_SIZE):1 min(rows,65535)
//! pass     down  groups ceildiv(width,4*WG_SIZE) min(ceildiv(rows,TILE_ROWS),65535)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/words.glsl"
#include "lib/activation.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_ROWS = 4;
layout(constant_id = 12) const uint VEC_A = 1;
layout(constant_id = 13) const uint VEC_B = 1;
layout(constant_id = 16) const uint ACT = 0;
layout(constant_id = 17) const uint FUSION = 0;

const uint TILE_COLS = 1;

layout(push_constant, std430) uniform Push {
    uint rows, width, ff_width, ng, nb;
} pc;

layout(set = 0, binding = 7, std430) restrict buffer H { float h[]; };
layout(set = 0, binding = 7, std430) restrict buffer H4 { vec4 h4[]; };
layout(set = 0, binding = 8, std430) restrict buffer U { float u[]; };

float act(const float x)
{
    return ACT == 0 ? vkz_silu(x) : ACT == 1 ? vkz_gelu(x) : vkz_relu(x);
}

#if defined(PASS_UP) || defined(PASS_DOWN)

#ifdef PASS_UP

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer M { float m[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Wup { T wup[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Wup4 { W4 wup4[]; };

#define weight wup
#define weight4 wup4
#define VEC_K VEC_A

uint depth() { return pc.width; }
uint columns() { return pc.ff_width; }

float load_a(const uint row, const uint kk)
{
    return vkz_load(x[min(row, pc.rows - 1u) * pc.width + kk]);
}

vec4 load_a4(const uint row, const uint q)
{
    if (VEC_K == 4) {
        return vkz_load_w4(x4[min(row, pc.rows - 1u) * (pc.width / 4u) + q]);
    }
    return vec4(load_a(row, 4u * q), load_a(row, 4u * q + 1u), load_a(row, 4u * q + 2u),
                load_a(row, 4u * q + 3u));
}

float multiplier(const uint row, const uint col)
{
    return m[row * pc.ng + col / (pc.ff_width / pc.ng)];
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    for (uint i = 0; i < 4u; i++) {
        if (row < pc.rows && col + i < pc.ff_width) {
            const float factor = multiplier(row, col + i);
            const float v = factor == 0.0 ? 0.0 : factor * sum[i];
            h[row * pc.ff_width + col + i] = FUSION != 0 ? v : act(v);
        }
    }
}

#else

layout(set = 0, binding = 3, std430) restrict readonly buffer Wdn { T wdn[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Wdn4 { W4 wdn4[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Y { T y[]; };

#define weight wdn
#define weight4 wdn4
#define VEC_K VEC_B

uint depth() { return pc.ff_width; }
uint columns() { return pc.width; }

float load_a(const uint row, const uint kk)
{
    return h[min(row, pc.rows - 1u) * pc.ff_width + kk];
}

vec4 load_a4(const uint row, const uint q)
{
    if (VEC_K == 4) {
        return h4[min(row, pc.rows - 1u) * (pc.ff_width / 4u) + q];
    }
    return vec4(load_a(row, 4u * q), load_a(row, 4u * q + 1u), load_a(row, 4u * q + 2u),
                load_a(row, 4u * q + 3u));
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    for (uint i = 0; i < 4u; i++) {
        if (row < pc.rows && col + i < pc.width) {
            y[row * pc.width + col + i] = vkz_store(sum[i]);
        }
    }
}

#endif

float load_b(const uint kk, const uint col)
{
    return vkz_load(weight[min(col, columns() - 1u) * depth() + kk]);
}

vec4 load_b4(const uint kk, const uint col)
{
    return vec4(load_b(kk, col), load_b(kk, col + 1u), load_b(kk, col + 2u),
                load_b(kk, col + 3u));
}

void load_b4x4(const uint q, const uint col, out vec4 block[4])
{
    if (VEC_K == 4) {
        vec4 by_col[4];
        [[unroll]] for (uint j = 0; j < 4u; j++) {
            const uint c = min(col + j, columns() - 1u);
            by_col[j] = vkz_load_w4(weight4[c * (depth() / 4u) + q]);
        }
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            block[i] = vec4(by_col[0][i], by_col[1][i], by_col[2][i], by_col[3][i]);
        }
    } else {
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            block[i] = load_b4(4u * q + i, col);
        }
    }
}

#include "lib/tile_direct.glsl"

// Whether any of the tile's tokens uses a group of the lane's columns.
bool in_use(const uint row, const uint col)
{
#ifdef PASS_UP
    bool any_ = false;
    for (uint i = row; i < min(row + TILE_ROWS, pc.rows); i++) {
        for (uint j = 0; j < 4u; j++) {
            any_ = any_ || multiplier(i, min(col + j, pc.ff_width - 1u)) != 0.0;
        }
    }
    return any_;
#else
    return true;
#endif
}

void main()
{
    const uint col = 4u * gl_GlobalInvocationID.x;
    if (col >= columns()) {
        return;
    }
    for (uint row = gl_WorkGroupID.y * TILE_ROWS; row < pc.rows;
         row += gl_NumWorkGroups.y * TILE_ROWS) {
        if (in_use(row, col)) {
            vkz_tile_direct(row, col, 1u, 0u, depth());
        } else {
            for (uint i = 0; i < TILE_ROWS; i++) {
                store_c4(row + i, col, vec4(0.0));
            }
        }
    }
}

#endif
#ifdef PASS_LEFT

layout(set = 0, binding = 4, std430) restrict readonly buffer Lm { T lm[]; };

// u[o, b] = sum over i of L[b, o, i] h[b, i]
void main()
{
    const uint at = gl_GlobalInvocationID.x;
    if (FUSION == 0 || at >= pc.ff_width) {
        return;
    }
    const uint size = pc.ff_width / pc.nb;
    const uint o = at / pc.nb;
    const uint b = at % pc.nb;
    for (uint row = gl_WorkGroupID.y; row < pc.rows; row += gl_NumWorkGroups.y) {
        float sum = 0.0;
        for (uint i = 0; i < size; i++) {
            sum += vkz_load(lm[(b * size + o) * size + i]) *
                   h[row * pc.ff_width + b * size + i];
        }
        u[row * pc.ff_width + at] = sum;
    }
}

#endif
#ifdef PASS_RIGHT

layout(set = 0, binding = 5, std430) restrict readonly buffer Rm { T rm[]; };

// h[j, o] = act(sum over i of R[j, o, i] u[j, i])
void main()
{
    const uint at = gl_GlobalInvocationID.x;
    if (FUSION == 0 || at >= pc.ff_width) {
        return;
    }
    const uint j = at / pc.nb;
    for (uint row = gl_WorkGroupID.y; row < pc.rows; row += gl_NumWorkGroups.y) {
        float sum = 0.0;
        for (uint i = 0; i < pc.nb; i++) {
            sum += vkz_load(rm[at * pc.nb + i]) * u[row * pc.ff_width + j * pc.nb + i];
        }
        h[row * pc.ff_width + at] = act(sum);
    }
}

#endif
