// SPDX-License-Identifier: MIT
//
// Gradients of a layer with a low-rank side path and learned row magnitudes
//
//   u = m / c,   dm_o = sum over rows of dy_o (x V^T)_o / c_o,   q = u * dm / c
//   dx = (u * dy) [W + s B A]
//   dA = s ((u * dy) B)^T x - s B^T diag(q) V,   dB = s (u * dy)^T z - s diag(q) V A^T
//
//   pass value  dy * (x V^T), which dm sums over rows
//   pass sums   dm and q
//   pass gram_m B^T diag(q) B;  pass gram_a A A^T
//   the others  lora/backward.glsl
//
// DoRA, arXiv 2402.09353.
//
// Why this one: what goes through the norms is a longer sum of the two thin products, no
// pass of its own, and V = W + s B A is formed nowhere. m may be 0: dm does not divide by it.
//
//! kernel   dora_linear_backward_tile
//! op       dora_linear_backward/1
//! tier     T0
//! bind     0 x      in   T[rows, k]
//! bind     1 w      in   T[n, k]
//! bind     2 a      in   T[rank, k]
//! bind     3 b      in   T[n, rank]
//! bind     4 m      in   f32[n]
//! bind     5 c0     in   f32[n]  when NORM == NORM.given
//! bind     6 c      in   f32[n]  when NORM != NORM.given
//! bind     7 dy     in   T[rows, n]
//! bind     8 dx     out  T[rows, k]
//! bind     9 da     out  f32[rank, k]
//! bind     10 db    out  f32[n, rank]
//! bind     11 dm    out  f32[n]
//! scratch  12 down  f32[2 * parts, rows, 4 * ceildiv(rank,4)]
//! scratch  13 mid   f32[2, rows, 4 * ceildiv(rank,4)]
//! scratch  14 grads f32[gparts, k + n, 4 * ceildiv(rank,4)]
//! scratch  15 value f32[rows, 4 * ceildiv(n,4)]
//! scratch  16 qn    f32[n]
//! scratch  17 gram  f32[2, rank, 4 * ceildiv(rank,4)]
//! push     rows:u32 k:u32 n:u32 rank:u32 s:f32 parts:u32 gparts:u32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     8 THIN_N u32 16   // columns of a tile of the thin products
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     11 ROLLED u32 0 = is_cpu   // loads in a loop
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 NORM u32 0
//! let      THIN_M WG_SIZE*16/THIN_N
//! let      parts is_cpu?1:max(1,min(16,min(ceildiv(min(k,n),64),ceildiv(256,ceildiv(rows,THIN_M)*ceildiv(rank,THIN_N)))))
//! let      gparts is_cpu?1:max(1,min(16,min(ceildiv(rows,64),ceildiv(256,ceildiv(min(k,n),THIN_M)*ceildiv(rank,THIN_N)))))
//! shared   16 * TILE_K * (max(TILE_M + TILE_N, THIN_M + THIN_N) / 4 + 2)
//! tuning   reg8   TILE_M=64 TILE_N=64 REG_M=8 REG_N=8
//! pass     down_z  groups ceildiv(rank,THIN_N) ceildiv(rows,THIN_M) parts
//! pass     down_h  groups ceildiv(rank,THIN_N) ceildiv(rows,THIN_M) parts
//! pass     factor  groups min(ceildiv(rows*ceildiv(rank,4),WG_SIZE),1024)
//! pass     value   groups ceildiv(n,TILE_N) ceildiv(rows,TILE_M)
//! pass     sums    groups ceildiv(n,WG_SIZE)
//! pass     gram_m  groups (NORM == NORM.given ? 1 : ceildiv(rank,THIN_N)) (NORM == NORM.given ? 1 : ceildiv(rank,THIN_M))
//! pass     gram_a  groups (NORM == NORM.given ? 1 : ceildiv(rank,THIN_N)) (NORM == NORM.given ? 1 : ceildiv(rank,THIN_M))
//! pass     wide    groups ceildiv(k,TILE_N) ceildiv(rows,TILE_M)
//! pass     grad_a  groups ceildiv(rank,THIN_N) ceildiv(k,THIN_M) gparts
//! pass     grad_b  groups ceildiv(rank,THIN_N) ceildiv(n,THIN_M) gparts
//! pass     finish  groups min(ceildiv((k+n)*ceildiv(rank,4),WG_SIZE),1024)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#define LORA_PUSH float s; uint parts, gparts;
#define LORA_SCALE
#define LORA_DY 7
#define LORA_DX 8
#define LORA_DA 9
#define LORA_DB 10
#define LORA_DOWN 12
#define LORA_MID 13
#define LORA_GRADS 14
#define LORA_NORM
#define DORA_M 4
#define DORA_C0 5
#define DORA_C 6
#define DORA_Q 16
#define DORA_GRAM 17
#include "lora/dora.glsl"
#include "lora/backward.glsl"

#if defined(PASS_VALUE)

#include "lora/tiles.glsl"

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;

layout(set = 0, binding = 13, std430) restrict readonly buffer Mid { vec4 mid[]; };
layout(set = 0, binding = 15, std430) restrict writeonly buffer Value { vec4 value[]; };
LORA_SCRATCH(block_fz, mid, pc.rows, quads_r())

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    if (q < quads_k()) {
        block_x(row, 4 * q, block);
    } else {
        block_fz(row, 4 * (q - quads_k()), block);
    }
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    if (q < quads_k()) {
        block_w(col, 4 * q, block);
    } else {
        block_b(col, 4 * (q - quads_k()), block);
    }
    lora_transpose(block);
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.rows && col < pc.n) {
        vec4 d[4];
        block_dy(row, col, d);
        value[row * quads_n() + col / 4] = d[0] * sum;
    }
}

#include "lib/tile.glsl"

void main()
{
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, quads_k() + quads_r());
}

#elif defined(PASS_SUMS)

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(set = 0, binding = 11, std430) restrict writeonly buffer Dm { float dm[]; };
layout(set = 0, binding = 15, std430) restrict readonly buffer Value { float value[]; };
layout(set = 0, binding = 16, std430) restrict writeonly buffer Qn { float qn[]; };

void main()
{
    const uint o = gl_GlobalInvocationID.x;
    if (o < pc.n) {
        float sum = 0.0;
        for (uint row = 0; row < pc.rows; ++row) {
            sum += value[row * 4 * quads_n() + o];
        }
        const float norm = dora_c(o);
        dm[o] = sum / norm;
        qn[o] = lora_u(o) * (sum / norm) / norm;
    }
}

#elif defined(PASS_GRAM_M) || defined(PASS_GRAM_A)

#define LORA_THIN
#include "lora/tiles.glsl"

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;

layout(set = 0, binding = 16, std430) restrict readonly buffer Qn { float qn[]; };
layout(set = 0, binding = 17, std430) restrict writeonly buffer Gram { vec4 gram[]; };

#ifdef PASS_GRAM_A
const bool SECOND = true;  // A A^T
#else
const bool SECOND = false; // B^T diag(q) B
#endif

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    if (SECOND) {
        block_a(row, 4 * q, block);
    } else {
        block_b(4 * q, row, block);
        lora_transpose(block);
    }
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    if (SECOND) {
        block_a(col, 4 * q, block);
        lora_transpose(block);
    } else {
        block_b(4 * q, col, block);
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            block[i] *= qn[min(4 * q + i, pc.n - 1)];
        }
    }
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.rank && col / 4 < quads_r()) {
        gram[((SECOND ? pc.rank : 0) + row) * quads_r() + col / 4] = sum;
    }
}

#include "lib/tile.glsl"

void main()
{
    if (NORM == NORM_GIVEN) {
        return; // every workgroup
    }
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, SECOND ? quads_k() : quads_n());
}

#endif
