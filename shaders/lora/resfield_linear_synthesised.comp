// SPDX-License-Identifier: MIT
//
// Frame-dependent linear layer: the frames' weights written out, then a grouped product
//
//   W(t) = W + sum_j v[t,j] M_j,   y_i = x_i W(ti_i)^T + bias
//
// ResFields, arXiv 2309.03160.
//
// Why this one: with more samples a frame than residual weights, building W(t) once a
// frame costs less than a product a residual weight. Samples come in any order: they are
// sorted by frame first, and a tile of the product has samples of one frame.
//
//! kernel   resfield_linear_synthesised
//! op       resfield_linear/1
//! tier     T0
//! bind     0 x     in   T[rows, k]
//! bind     1 w     in   T[n, k]
//! bind     2 m     in   T[rk, n, k]
//! bind     3 v     in   f32[nf, rk]
//! bind     4 ti    in   i32[rows]
//! bind     5 bias  in   f32[n]  when BIAS == BIAS.on
//! bind     6 y     out  T[rows, n]
//! scratch  7 counts u32[nf * PARTS]
//! scratch  8 order u32[rows]
//! scratch  9 tiles u32[2 * most + 1]
//! scratch  10 wt   f32[nf, n, 4 * ceildiv(k,4)]
//! push     rows:u32 k:u32 n:u32 rk:u32 nf:u32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // samples a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     9 PARTS u32 16 = min(rows,is_cpu ? 16 : 64)   // of the samples, see lib/invert.glsl
//! spec     10 HEIGHT u32 64 = TILE_M
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     11 ROLLED u32 0 = is_cpu   // loads in a loop
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     16 BIAS u32 0
//! let      most ceildiv(rows,TILE_M)+min(nf,rows)
//! shared   max(4 * WG_SIZE, 16 * TILE_K * (TILE_M / 4 + TILE_N / 4 + 2))
//! pass     count    groups ceildiv(PARTS,WG_SIZE)
//! pass     scan     groups 1
//! pass     scatter  groups ceildiv(PARTS,WG_SIZE)
//! pass     tiles    groups ceildiv(nf,WG_SIZE)
//! pass     synth    groups ceildiv(n*ceildiv(k,4),WG_SIZE) min(ceildiv(nf,4),65535)
//! pass     main     groups ceildiv(n,TILE_N) min(most,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#define RES_COUNTS 7
#include "lora/resfield.glsl"

#ifdef PASS_MAIN

layout(constant_id = 16) const uint BIAS = 0;

layout(set = 0, binding = 5, std430) restrict readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Y4 { W4 y4[]; };

uvec3 span; // frame, and the tile's samples in the sorted order

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        block[i] = row_x(order[min(span.y + row + i, span.z - 1)], 4 * q);
    }
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        const uint o = min(col + i, pc.n - 1);
        const uint at = (span.x * pc.n + o) * quads_k() + min(q, quads_k() - 1);
        block[i] = q < quads_k() ? wt[at] : vec4(0.0);
    }
    lora_transpose(block);
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (span.y + row < span.z && col < pc.n) {
        vec4 r = sum;
        if (BIAS != 0) {
            const uvec4 at = min(col + uvec4(0, 1, 2, 3), uvec4(pc.n - 1));
            r += vec4(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
        }
        const uint base = order[span.y + row] * pc.n;
        LORA_STORE(y, y4, VEC_N, base, col, pc.n, r)
    }
}

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;
#include "lora/tiles.glsl"
#include "lib/tile.glsl"

void main()
{
    for (uint i = gl_WorkGroupID.y; i < tiles[0]; i += gl_NumWorkGroups.y) {
        span = tile_span(i);
        vkz_tile(gl_LocalInvocationID.x, 0, gl_WorkGroupID.x * TILE_N, 0, quads_k());
        barrier();
    }
}

#endif
