// SPDX-License-Identifier: MIT
//
// Gradients of the frame-dependent linear layer from one matrix a frame
//
//   dx     dx_i = dy_i W(ti_i), a grouped product
//   outer  G_t = sum of dy_i^T x_i over the samples of t, a product a frame
//   dm     dM_j = sum_t v[t,j] G_t and dW = sum_t G_t, four j at a time
//   dv     dv[t,j] = sum G_t * M_j, four j at a time
//
// ResFields, arXiv 2309.03160.
//
// Why this one: G_t is what all weight gradients have in common; without it each of the
// residual weights would take a product over all samples. Every sum has one owner and one
// order.
//
//! kernel   resfield_linear_backward_synthesised
//! op       resfield_linear_backward/1
//! tier     T0
//! bind     0 x     in   T[rows, k]
//! bind     1 w     in   T[n, k]
//! bind     2 m     in   T[rk, n, k]
//! bind     3 v     in   f32[nf, rk]
//! bind     4 ti    in   i32[rows]
//! bind     5 dy    in   T[rows, n]
//! bind     6 dx    out  T[rows, k]
//! bind     7 dw    out  f32[n, k]
//! bind     8 dm    out  f32[rk, n, k]
//! bind     9 dv    out  f32[nf, rk]
//! scratch  10 counts u32[nf * PARTS]
//! scratch  11 order u32[rows]
//! scratch  12 tiles u32[2 * most + 1]
//! scratch  13 wt   f32[nf, n, 4 * ceildiv(k,4)]
//! scratch  14 g    f32[nf, n, 4 * ceildiv(k,4)]
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
//! let      most ceildiv(rows,TILE_M)+min(nf,rows)
//! shared   16 * max(WG_SIZE, TILE_K * (TILE_M / 4 + TILE_N / 4 + 2))
//! pass     count    groups ceildiv(PARTS,WG_SIZE)
//! pass     scan     groups 1
//! pass     scatter  groups ceildiv(PARTS,WG_SIZE)
//! pass     tiles    groups ceildiv(nf,WG_SIZE)
//! pass     synth    groups ceildiv(n*ceildiv(k,4),WG_SIZE) min(ceildiv(nf,4),65535)
//! pass     dx       groups ceildiv(k,TILE_N) min(most,65535)
//! pass     outer    groups ceildiv(k,TILE_N) ceildiv(n,TILE_M) min(nf,65535)
//! pass     dm       groups ceildiv(n*ceildiv(k,4),WG_SIZE) ceildiv(rk+1,4)
//! pass     dv       groups min(nf,65535) ceildiv(rk,4)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#define RES_COUNTS 10
#include "lora/resfield.glsl"

layout(set = 0, binding = 14, std430) restrict buffer G { vec4 g[]; };

#if defined(PASS_DX) || defined(PASS_OUTER)

layout(set = 0, binding = 5, std430) restrict readonly buffer Dy { T dy[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Dy4 { W4 dy4[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Dx { T dx[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Dx4 { W4 dx4[]; };

RES_ROW(row_dy, dy, dy4, VEC_N, pc.n)

uvec3 span; // frame, and samples in the sorted order

#ifdef PASS_DX

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        block[i] = row_dy(order[min(span.y + row + i, span.z - 1)], 4 * q);
    }
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        const uint o = min(4 * q + i, pc.n - 1);
        const uint at = (span.x * pc.n + o) * quads_k() + min(col / 4, quads_k() - 1);
        block[i] = 4 * q + i < pc.n ? wt[at] : vec4(0.0);
    }
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (span.y + row < span.z && col < pc.k) {
        const uint base = order[span.y + row] * pc.k;
        LORA_STORE(dx, dx4, VEC_K, base, col, pc.k, sum)
    }
}

const bool A_ALONG_K = true;

#else // PASS_OUTER

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        const uint at = span.y + 4 * q + i;
        block[i] = at < span.z ? row_dy(order[at], row) : vec4(0.0);
    }
    lora_transpose(block);
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        const uint at = span.y + 4 * q + i;
        block[i] = at < span.z ? row_x(order[at], col) : vec4(0.0);
    }
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.n && col < pc.k) {
        g[(span.x * pc.n + row) * quads_k() + col / 4] = sum;
    }
}

const bool A_ALONG_K = false;

#endif

const bool B_ALONG_K = false;
#include "lora/tiles.glsl"
#include "lib/tile.glsl"

void main()
{
    const uint lane = gl_LocalInvocationID.x;
#ifdef PASS_DX
    for (uint i = gl_WorkGroupID.y; i < tiles[0]; i += gl_NumWorkGroups.y) {
        span = tile_span(i);
        vkz_tile(lane, 0, gl_WorkGroupID.x * TILE_N, 0, (pc.n + 3) / 4);
        barrier();
    }
#else
    for (uint frame = gl_WorkGroupID.z; frame < pc.nf; frame += gl_NumWorkGroups.z) {
        span = uvec3(frame, frame_span(frame));
        vkz_tile(lane, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N, 0,
                 (span.z - span.y + 3) / 4);
        barrier();
    }
#endif
}

#elif defined(PASS_DM)

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(set = 0, binding = 7, std430) restrict writeonly buffer Dw { float dw[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Dm { float dm[]; };

// Number rk of the residual weights is W itself.
void main()
{
    const uint i = gl_GlobalInvocationID.x;
    if (i >= pc.n * quads_k()) {
        return;
    }
    const uint first = 4 * gl_WorkGroupID.y;
    vec4 sum[4];
    [[unroll]] for (uint j = 0; j < 4; ++j) {
        sum[j] = vec4(0.0);
    }
    for (uint t = 0; t < pc.nf; ++t) {
        const vec4 own = g[t * pc.n * quads_k() + i];
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            const uint at = t * pc.rk + min(first + j, pc.rk - 1);
            sum[j] += (first + j < pc.rk ? v[at] : 1.0) * own;
        }
    }
    const uint o = i / quads_k(), c = 4 * (i % quads_k());
    [[unroll]] for (uint j = 0; j < 4; ++j) {
        [[unroll]] for (uint e = 0; e < 4; ++e) {
            if (c + e < pc.k) {
                if (first + j < pc.rk) {
                    dm[((first + j) * pc.n + o) * pc.k + c + e] = sum[j][e];
                } else if (first + j == pc.rk) {
                    dw[o * pc.k + c + e] = sum[j][e];
                }
            }
        }
    }
}

#elif defined(PASS_DV)

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(set = 0, binding = 9, std430) restrict writeonly buffer Dv { float dv[]; };

shared vec4 share[gl_WorkGroupSize.x];

void main()
{
    const uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
    const uint first = 4 * gl_WorkGroupID.y;
    for (uint t = gl_WorkGroupID.x; t < pc.nf; t += gl_NumWorkGroups.x) {
        vec4 sum = vec4(0.0);
        for (uint i = lane; i < pc.n * quads_k(); i += lanes) {
            const uint o = i / quads_k(), c = 4 * (i % quads_k());
            const vec4 own = g[t * pc.n * quads_k() + i];
            [[unroll]] for (uint j = 0; j < 4; ++j) {
                sum[j] += dot(own, row_m(min(first + j, pc.rk - 1) * pc.n + o, c));
            }
        }
        share[lane] = sum;
        barrier();
        if (lane < 4 && first + lane < pc.rk) {
            float all = 0.0;
            for (uint i = 0; i < lanes; ++i) {
                all += share[i][lane];
            }
            dv[t * pc.rk + first + lane] = all;
        }
        barrier();
    }
}

#endif
