// SPDX-License-Identifier: MIT
//
// Gradients of the queries' adapter, a chain of products on tiles in shared memory
//
//   z       z = X A^T
//   qkv     Q = [X | s z] [Wq | B]^T, K = X Wk^T, V = X Wv^T
//   scores  tau Q K^T and dO V^T
//   rows    P of a row, delta = sum P dO.V, dS = P (dO.V - delta) in the scores' place
//   dq      dQ = tau dS K
//   dz      dZ = s dQ B
//   dab     dA = dZ^T X and dB = s dQ^T z
//
// FlashAttention, arXiv 2205.14135, for dS; arXiv 2406.03136 for the polynomial.
//
// Why this one: only the queries' gradient is wanted, so three of the five products of an
// attention's backward pass do, and none runs along keys. The polynomial's weights come
// from the scores as well: its features would be width^(g+2) numbers a token, more than
// the scores are for all lengths that fit. It writes two len x len matrices: not for long
// sequences.
//
//! kernel   lora_attention_backward_tile
//! op       lora_attention_backward/1
//! tier     T0
//! bind     0 x     in   T[len, width]
//! bind     1 wq    in   T[width, width]
//! bind     2 wk    in   T[width, width]
//! bind     3 wv    in   T[width, width]
//! bind     4 a     in   T[rank, width]
//! bind     5 b     in   T[width, rank]
//! bind     6 do    in   T[len, width]
//! bind     7 da    out  f32[rank, width]
//! bind     8 db    out  f32[width, rank]
//! scratch  9 z     f32[len, 4 * ceildiv(rank,4)]
//! scratch  10 qkv  f32[3, len, 4 * ceildiv(width,4)]
//! scratch  11 p    f32[2, len, 4 * ceildiv(len,4)]
//! scratch  12 dq   f32[len, 4 * ceildiv(width,4)]
//! scratch  13 dz   f32[len, 4 * ceildiv(rank,4)]
//! push     len:u32 width:u32 rank:u32 g:u32 s:f32 tau:f32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     11 ROLLED u32 0 = is_cpu   // loads in a loop
//! spec     12 VEC_C u32 1 = width % 4 == 0 ? 4 : 1
//! spec     13 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     14 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     16 FORM u32 0
//! shared   16 * max(WG_SIZE, TILE_K * (TILE_M / 4 + TILE_N / 4 + 2))
//! pass     z       groups ceildiv(rank,TILE_N) ceildiv(len,TILE_M)
//! pass     qkv     groups ceildiv(12*ceildiv(width,4),TILE_N) ceildiv(len,TILE_M)
//! pass     scores  groups ceildiv(len,TILE_N) ceildiv(len,TILE_M) 2
//! pass     rows    groups min(len,65535)
//! pass     dq      groups ceildiv(width,TILE_N) ceildiv(len,TILE_M)
//! pass     dz      groups ceildiv(rank,TILE_N) ceildiv(len,TILE_M)
//! pass     dab     groups ceildiv(max(width,rank),TILE_N) ceildiv(max(width,rank),TILE_M) 2
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#include "lib/exp.glsl"
#include "lora/blocks.glsl"

layout(constant_id = 12) const uint VEC_C = 1;
layout(constant_id = 13) const uint VEC_R = 1;

layout(push_constant, std430) uniform Push {
    uint len, width, rank, g;
    float s, tau;
} pc;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Wq { T wq[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Wq4 { W4 wq4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Wk { T wk[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Wk4 { W4 wk4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Wv { T wv[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Wv4 { W4 wv4[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer A { T a[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer A4 { W4 a4[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer B { T b[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer B4 { W4 b4[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Do { T do_[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Do4 { W4 do4[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer Da { float da[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Db { float db[]; };
layout(set = 0, binding = 9, std430) restrict buffer Z { vec4 z[]; };
layout(set = 0, binding = 10, std430) restrict buffer Qkv { vec4 qkv[]; };
layout(set = 0, binding = 11, std430) restrict buffer P { vec4 p[]; };
layout(set = 0, binding = 12, std430) restrict buffer Dq { vec4 dq[]; };
layout(set = 0, binding = 13, std430) restrict buffer Dz { vec4 dz[]; };

uint quads_c() { return (pc.width + 3) / 4; }
uint quads_r() { return (pc.rank + 3) / 4; }
uint quads_t() { return (pc.len + 3) / 4; }

LORA_MATRIX(block_x, x, x4, VEC_C, pc.len, pc.width)
LORA_MATRIX(block_wq, wq, wq4, VEC_C, pc.width, pc.width)
LORA_MATRIX(block_wk, wk, wk4, VEC_C, pc.width, pc.width)
LORA_MATRIX(block_wv, wv, wv4, VEC_C, pc.width, pc.width)
LORA_MATRIX(block_a, a, a4, VEC_C, pc.rank, pc.width)
LORA_MATRIX(block_b, b, b4, VEC_R, pc.width, pc.rank)
LORA_MATRIX(block_do, do_, do4, VEC_C, pc.len, pc.width)
LORA_SCRATCH(block_z, z, pc.len, quads_r())
LORA_SCRATCH(block_dq, dq, pc.len, quads_c())
LORA_SCRATCH(block_dz, dz, pc.len, quads_r())
LORA_SCRATCH(block_ds, p, pc.len, quads_t())

// Rows of Q, K or V, zeros beyond the last.
void block_of(const uint which, const uint row, const uint col, out vec4 block[4])
{
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        const uint at = (which * pc.len + min(row + i, pc.len - 1)) * quads_c()
                        + min(col / 4, quads_c() - 1);
        const bool inside = row + i < pc.len && col / 4 < quads_c();
        block[i] = mix(vec4(0.0), qkv[at], bvec4(inside));
    }
}

#ifdef PASS_ROWS

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 14) const uint EXP = 5;
layout(constant_id = 16) const uint FORM = 0;
const uint FORM_TAYLOR = 1;

shared vec4 share[gl_WorkGroupSize.x];

float weight(const float score, const float top)
{
    if (FORM != FORM_TAYLOR) {
        return vkz_exp2((score - top) * VKZ_LOG2E, EXP);
    }
    float sum = 1.0;
    for (uint d = pc.g; d > 0; --d) {
        sum = 1.0 + sum * score / float(d);
    }
    return sum;
}

// The four weights of a group of scores; 0 past the end of the row.
vec4 weights(const vec4 scores, const uint q, const float top)
{
    vec4 w;
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        w[i] = 4 * q + i < pc.len ? weight(scores[i], top) : 0.0;
    }
    return w;
}

void main()
{
    const uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
    for (uint row = gl_WorkGroupID.x; row < pc.len; row += gl_NumWorkGroups.x) {
        const uint base = row * quads_t(), other = (pc.len + row) * quads_t();
        float top = -3.0e38;
        for (uint q = lane; q < quads_t(); q += lanes) {
            [[unroll]] for (uint i = 0; i < 4; ++i) {
                top = 4 * q + i < pc.len ? max(top, p[base + q][i]) : top;
            }
        }
        share[lane].x = top;
        barrier();
        for (uint i = 0; i < lanes; ++i) {
            top = max(top, share[i].x);
        }
        barrier();
        vec2 sum = vec2(0.0); // of the weights, and of weights times dO.V
        for (uint q = lane; q < quads_t(); q += lanes) {
            const vec4 w = weights(p[base + q], q, top);
            [[unroll]] for (uint i = 0; i < 4; ++i) {
                const float dp = 4 * q + i < pc.len ? p[other + q][i] : 0.0;
                sum += vec2(w[i], w[i] * dp);
            }
        }
        share[lane].xy = sum;
        barrier();
        sum = vec2(0.0);
        for (uint i = 0; i < lanes; ++i) {
            sum += share[i].xy;
        }
        barrier();
        const float r = 1.0 / sum.x, delta = sum.y * r;
        for (uint q = lane; q < quads_t(); q += lanes) {
            const vec4 w = weights(p[base + q], q, top);
            vec4 ds;
            [[unroll]] for (uint i = 0; i < 4; ++i) {
                ds[i] = 4 * q + i < pc.len ? w[i] * r * (p[other + q][i] - delta) : 0.0;
            }
            p[base + q] = ds;
        }
    }
}

#else

#define STORE_SCRATCH(to, at, cols, quads, value)                                       \
    if (row < pc.len && col < (cols)) {                                                 \
        to[(at) * (quads) + col / 4] = value;                                           \
    }

#if defined(PASS_Z)

void load_block_a(const uint row, const uint q, out vec4 m[4]) { block_x(row, 4 * q, m); }
void load_block_b(const uint q, const uint col, out vec4 m[4])
{
    block_a(col, 4 * q, m);
    lora_transpose(m);
}
void store_c4(const uint row, const uint col, const vec4 sum)
{
    STORE_SCRATCH(z, row, pc.rank, quads_r(), sum)
}
uint groups() { return quads_c(); }

#elif defined(PASS_QKV)

void load_block_a(const uint row, const uint q, out vec4 m[4])
{
    if (q < quads_c()) {
        block_x(row, 4 * q, m);
    } else {
        block_z(row, 4 * (q - quads_c()), m);
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            m[i] *= pc.s;
        }
    }
}
void load_block_b(const uint q, const uint col, out vec4 m[4])
{
    const uint which = col / 4 / quads_c(), o = col % (4 * quads_c());
    if (q >= quads_c()) {
        block_b(which == 0 ? o : pc.width, 4 * (q - quads_c()), m);
    } else if (which == 0) {
        block_wq(o, 4 * q, m);
    } else if (which == 1) {
        block_wk(o, 4 * q, m);
    } else {
        block_wv(o, 4 * q, m);
    }
    lora_transpose(m);
}
void store_c4(const uint row, const uint col, const vec4 sum)
{
    const uint which = col / 4 / quads_c();
    if (row < pc.len && which < 3) {
        qkv[(which * pc.len + row) * quads_c() + col / 4 % quads_c()] = sum;
    }
}
uint groups() { return quads_c() + quads_r(); }

#elif defined(PASS_SCORES)

void load_block_a(const uint row, const uint q, out vec4 m[4])
{
    if (gl_WorkGroupID.z == 0) {
        block_of(0, row, 4 * q, m);
    } else {
        block_do(row, 4 * q, m);
    }
}
void load_block_b(const uint q, const uint col, out vec4 m[4])
{
    block_of(1 + gl_WorkGroupID.z, col, 4 * q, m);
    lora_transpose(m);
}
void store_c4(const uint row, const uint col, const vec4 sum)
{
    const uint at = gl_WorkGroupID.z * pc.len + row;
    STORE_SCRATCH(p, at, pc.len, quads_t(), gl_WorkGroupID.z == 0 ? pc.tau * sum : sum)
}
uint groups() { return quads_c(); }

#elif defined(PASS_DQ)

void load_block_a(const uint row, const uint q, out vec4 m[4])
{
    block_ds(row, 4 * q, m);
}
void load_block_b(const uint q, const uint col, out vec4 m[4])
{
    block_of(1, 4 * q, col, m);
}
void store_c4(const uint row, const uint col, const vec4 sum)
{
    STORE_SCRATCH(dq, row, pc.width, quads_c(), pc.tau * sum)
}
uint groups() { return quads_t(); }

#elif defined(PASS_DZ)

void load_block_a(const uint row, const uint q, out vec4 m[4])
{
    block_dq(row, 4 * q, m);
}
void load_block_b(const uint q, const uint col, out vec4 m[4])
{
    block_b(4 * q, col, m);
}
void store_c4(const uint row, const uint col, const vec4 sum)
{
    STORE_SCRATCH(dz, row, pc.rank, quads_r(), pc.s * sum)
}
uint groups() { return quads_c(); }

#else // PASS_DAB

void load_block_a(const uint row, const uint q, out vec4 m[4])
{
    if (gl_WorkGroupID.z == 0) {
        block_dz(4 * q, row, m);
    } else {
        block_dq(4 * q, row, m);
    }
    lora_transpose(m);
}
void load_block_b(const uint q, const uint col, out vec4 m[4])
{
    if (gl_WorkGroupID.z == 0) {
        block_x(4 * q, col, m);
    } else {
        block_z(4 * q, col, m);
    }
}
void store_c4(const uint row, const uint col, const vec4 sum)
{
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        if (gl_WorkGroupID.z == 0 && row < pc.rank && col + i < pc.width) {
            da[row * pc.width + col + i] = sum[i];
        } else if (gl_WorkGroupID.z == 1 && row < pc.width && col + i < pc.rank) {
            db[row * pc.rank + col + i] = pc.s * sum[i];
        }
    }
}
uint groups() { return quads_t(); }

#endif

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;
#include "lora/tiles.glsl"
#include "lib/tile.glsl"

void main()
{
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, groups());
}

#endif
