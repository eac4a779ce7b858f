// SPDX-License-Identifier: MIT
//
// Gradients of mhc_pre: coefficients again, dx of a tile of tokens, then phi's rows
//
//   coef    phi v, the coefficients, their gradients and da, a tile of tokens a workgroup
//   dx      dx_i = pre_i dh0 + r phi^T dm - v r^3 (dm . phi v) / (s c), dm = da * scale
//   dphi    sum over a part of the rows of r dm (x) v, a lane four columns
//   reduce  the parts in order: dphi, dnormw, dscale, dbase
//
// mHC, arXiv 2512.24880.
//
// Why this one: nothing of the forward pass is kept, it is cheaper to do again. What a
// token's gradient needs is a row of 3 (s^2 + 2s) numbers, kept in memory between passes;
// sums over rows go in fixed parts, without atomics.
//
//! kernel   mhc_pre_backward_row
//! op       mhc_pre_backward/1
//! tier     T0
//! bind     0 x     in  T[rows, streams, width]
//! bind     1 phi   in  f32[2 * streams + (COMB == COMB.sinkhorn ? streams * streams : streams == 4 ? 24 : streams == 3 ? 6 : streams), streams * width]
//! bind     2 scale in  f32[3]
//! bind     3 base  in  f32[2 * streams + (COMB == COMB.sinkhorn ? streams * streams : streams == 4 ? 24 : streams == 3 ? 6 : streams)]
//! bind     4 normw in  f32[streams * width] when NORMW == NORMW.on
//! bind     5 dh0   in  T[rows, width]
//! bind     6 dpre  in  f32[rows, streams]
//! bind     7 dpost in  f32[rows, streams]
//! bind     8 dcomb in  f32[rows, streams, streams]
//! bind     9 dx     out T[rows, streams, width]
//! bind     10 dphi  out f32[2 * streams + (COMB == COMB.sinkhorn ? streams * streams : streams == 4 ? 24 : streams == 3 ? 6 : streams), streams * width]
//! bind     11 dscale out f32[3]
//! bind     12 dbase out f32[2 * streams + (COMB == COMB.sinkhorn ? streams * streams : streams == 4 ? 24 : streams == 3 ? 6 : streams)]
//! bind     13 dnormw out f32[streams * width] when NORMW == NORMW.on
//! scratch  14 token f32[rows, 3 * phi_rows + STREAMS + 1]
//! scratch  15 part  f32[parts, phi_rows, STREAMS, 4 * ceildiv(width,4)]
//! scratch  16 sums  f32[parts, 2 * phi_rows]
//! push     rows:u32 width:u32 eps_norm:f32 eps_pre:f32 eps_sk:f32 mu:f32 parts:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? min(subgroup_size,64) : 64   // 4 to 64, a power of two
//! spec     3 TOKENS u32 4   // tokens a workgroup
//! spec     4 DOTS u32 8   // rows of phi at a time
//! spec     5 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 COMB u32 0
//! spec     17 NORMW u32 0
//! spec     32 STREAMS u32 4 = streams
//! spec     33 ITERS u32 20 = iters
//! let      phi_rows 2 * STREAMS + (COMB == 0 ? STREAMS * STREAMS : STREAMS == 4 ? 24 : STREAMS == 3 ? 6 : STREAMS)
//! let      parts min(rows,is_cpu?2:32)
//! shared   4 * ((ceildiv(phi_rows,DOTS) + 1) * max(DOTS + 1,STREAMS) * TOKENS + WG_SIZE * (WG_SIZE > 16 ? 17 : 65) + TOKENS * STREAMS * (STREAMS + 2))
//! pass     coef   groups ceildiv(rows,TOKENS)
//! pass     dx     groups ceildiv(rows,TOKENS)
//! pass     dphi   groups ceildiv(streams*ceildiv(width,4),WG_SIZE) parts
//! pass     reduce groups ceildiv(streams*ceildiv(width,4),WG_SIZE)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TOKENS = 4;
layout(constant_id = 4) const uint DOTS = 8;
layout(constant_id = 5) const uint VEC = 1;
layout(constant_id = 16) const uint COMB = 0;
layout(constant_id = 17) const uint NORMW = 0;
layout(constant_id = 32) const uint STREAMS = 4;
layout(constant_id = 33) const uint ITERS = 20;

#include "linear/row_sums.glsl"

layout(push_constant, std430) uniform Push {
    uint rows, width;
    float eps_norm, eps_pre, eps_sk, mu;
    uint parts;
} pc;

layout(std430, binding = 0) restrict readonly buffer BufferX { T x[]; };
layout(std430, binding = 0) restrict readonly buffer BufferX4 { W4 x4[]; };
layout(std430, binding = 1) restrict readonly buffer BufferPhi { float phi[]; };
layout(std430, binding = 1) restrict readonly buffer BufferPhi4 { vec4 phi4[]; };
layout(std430, binding = 2) restrict readonly buffer BufferScale { float scale[]; };
layout(std430, binding = 3) restrict readonly buffer BufferBase { float base[]; };
layout(std430, binding = 4) restrict readonly buffer BufferNormw { float normw[]; };
layout(std430, binding = 4) restrict readonly buffer BufferNormw4 { vec4 normw4[]; };
layout(std430, binding = 5) restrict readonly buffer BufferDh0 { T dh0[]; };
layout(std430, binding = 5) restrict readonly buffer BufferDh04 { W4 dh04[]; };
layout(std430, binding = 6) restrict readonly buffer BufferDpre { float dpre[]; };
layout(std430, binding = 7) restrict readonly buffer BufferDpost { float dpost[]; };
layout(std430, binding = 8) restrict readonly buffer BufferDcomb { float dcomb[]; };
layout(std430, binding = 9) restrict writeonly buffer BufferDx { T dx[]; };
layout(std430, binding = 9) restrict writeonly buffer BufferDx4 { W4 dx4[]; };
layout(std430, binding = 10) restrict writeonly buffer BufferDphi { float dphi[]; };
layout(std430, binding = 11) restrict writeonly buffer BufferDscale { float dscale[]; };
layout(std430, binding = 12) restrict writeonly buffer BufferDbase { float dbase[]; };
layout(std430, binding = 13) restrict writeonly buffer BufferDnormw { float dnormw[]; };
// r dm, da, da * m for every row of phi; pre; r^3 (dm . phi v) / (s c)
layout(std430, binding = 14) restrict buffer BufferToken { float token[]; };
layout(std430, binding = 15) restrict buffer BufferPart { vec4 part[]; };
layout(std430, binding = 16) restrict buffer BufferSums { float sums[]; };

ROWS_LOADER(load_x, x, x4, pc.width)
ROWS_LOADER(load_dh0, dh0, dh04, pc.width)
ROWS_STORER(store_dx, dx, dx4, pc.width)

vec4 mhc_load(const uint row, const uint i, const uint q)
{
    return load_x((row * STREAMS + i) * pc.width, q);
}

// The dots x_i . dh0 take the totals after those of phi.
const uint BACK_SUMS = DOTS + 1 > STREAMS ? DOTS + 1 : STREAMS;
#define MHC_SUMS BACK_SUMS
#define MHC_TOTALS (MHC_BLOCKS + 1)
#define MHC_BACKWARD
#define SINKHORN_BACKWARD
#include "hyper/mhc.glsl"

const uint TOKEN_DA = MHC_ROWS;
const uint TOKEN_DAM = 2 * MHC_ROWS;
const uint TOKEN_PRE = 3 * MHC_ROWS;
const uint TOKEN_V = TOKEN_PRE + STREAMS;
const uint TOKEN = TOKEN_V + 1;

#if defined(PASS_COEF)

void input_dots(const uint row)
{
    const uint quads = (pc.width + 3u) / 4u;
    const uint steps = row_steps(quads);
    [[dont_unroll]] for (uint r = 0; r < ROW_ROUNDS; r++) {
        row_clear();
        const uint first = row_first(r, steps);
        for (uint q = first; q < min(first + 8u * steps, quads); q += 8u) {
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                const uint token_row = min(row + t, pc.rows - 1u);
                const vec4 d = load_dh0(token_row * pc.width, q);
                [[unroll]] for (uint i = 0; i < STREAMS; i++) {
                    const uint at = i * TOKENS + t;
                    row_sum[at] = row_dot(mhc_load(token_row, i, q), d, row_sum[at]);
                }
            }
        }
        row_join(r);
    }
    row_finish(MHC_BLOCKS * ROW_SUMS, STREAMS * TOKENS);
}

// Keeps what the other passes need of da; returns dm (phi v).
float emit(const uint row, const uint t, const uint d, const float da, const float norm)
{
    const uint at = (row + t) * TOKEN;
    const float factor = scale[d < STREAMS ? 0u : d < 2u * STREAMS ? 1u : 2u];
    const float product = mhc_product(d, t);
    token[at + d] = norm * (da * factor);
    token[at + TOKEN_DA + d] = da;
    token[at + TOKEN_DAM + d] = da * (product * norm);
    return da * factor * product;
}

// The gradient of the permutations' logits, emitted; returns the sum of dm (phi v).
float permute_backward(const uint row, const uint t, const float norm)
{
    const uint first = (row + t) * STREAMS * STREAMS;
    float top = -3.0e38;
    [[dont_unroll]] for (uint p = 0; p < MHC_TERMS; p++) {
        const uint d = 2u * STREAMS + p;
        top = max(top, fma(mhc_product(d, t) * norm, scale[2], base[d]));
    }
    // Twice over the permutations: the mean of the gradient, then each one's own.
    float sum = 0.0, mean = 0.0, result = 0.0;
    [[dont_unroll]] for (uint n = 0; n < 2u * MHC_TERMS; n++) {
        const uint p = n % MHC_TERMS;
        const uint d = 2u * STREAMS + p;
        mhc_permutation(p);
        float g = 0.0;
        [[unroll]] for (uint i = 0; i < STREAMS; i++) {
            g += dcomb[first + i * STREAMS + mhc_to[i]];
        }
        const float e =
            vkz_exp_accurate(fma(mhc_product(d, t) * norm, scale[2], base[d]) - top);
        if (n < MHC_TERMS) {
            sum += e;
            mean = fma(e, g, mean);
        } else {
            result += emit(row, t, d, e / sum * (g - mean / sum), norm);
        }
    }
    return result;
}

void token_gradient(const uint row, const uint t)
{
    const uint at = (row + t) * TOKEN;
    const float norm = mhc_norm(t);
    float product = 0.0; // dm . (phi v)
    [[dont_unroll]] for (uint d = 0; d < 2u * STREAMS; d++) {
        const bool is_pre = d < STREAMS;
        const float a = gate_sigmoid(
            fma(mhc_product(d, t) * norm, scale[is_pre ? 0u : 1u], base[d]));
        float g;
        if (is_pre) {
            token[at + TOKEN_PRE + d] = a + pc.eps_pre;
            g = dpre[(row + t) * STREAMS + d] +
                row_total[MHC_BLOCKS * ROW_SUMS + d * TOKENS + t];
        } else {
            g = dpost[(row + t) * STREAMS + d - STREAMS] * pc.mu;
        }
        product += emit(row, t, d, g * (a * (1.0 - a)), norm);
    }
    if (COMB == COMB_SINKHORN) {
        mhc_logits(t, norm);
        [[dont_unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
            mhc_rolled[i] = dcomb[(row + t) * STREAMS * STREAMS + i];
        }
        [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
            sk_g[i] = mhc_rolled[i];
        }
        sinkhorn_backward(pc.eps_sk);
        [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
            mhc_rolled[i] = sk_g[i];
        }
        [[dont_unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
            product += emit(row, t, 2u * STREAMS + i, mhc_rolled[i], norm);
        }
    } else {
        product += permute_backward(row, t, norm);
    }
    token[at + TOKEN_V] = norm * norm * norm * product / float(STREAMS * pc.width);
}

void main()
{
    const uint row = gl_WorkGroupID.x * TOKENS;
    mhc_products(row);
    input_dots(row);
    for (uint t = gl_LocalInvocationID.x; t < TOKENS; t += gl_WorkGroupSize.x) {
        if (row + t < pc.rows) {
            token_gradient(row, t);
        }
    }
}

#elif defined(PASS_DX)

void main()
{
    const uint row = gl_WorkGroupID.x * TOKENS;
    const uint quads = (pc.width + 3u) / 4u;
    for (uint q = gl_LocalInvocationID.x; q < quads; q += gl_WorkGroupSize.x) {
        [[dont_unroll]] for (uint i = 0; i < STREAMS; i++) {
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                const uint r = min(row + t, pc.rows - 1u);
                mhc_x[t] = token[r * TOKEN + TOKEN_PRE + i] * load_dh0(r * pc.width, q) -
                           token[r * TOKEN + TOKEN_V] * mhc_load(r, i, q);
            }
            [[dont_unroll]] for (uint d = 0; d < MHC_ROWS; d++) {
                const vec4 w = mhc_phi(d, i, q);
                [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                    const uint r = min(row + t, pc.rows - 1u);
                    mhc_x[t] = fma(vec4(token[r * TOKEN + d]), w, mhc_x[t]);
                }
            }
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                if (row + t < pc.rows) {
                    store_dx(((row + t) * STREAMS + i) * pc.width, q, mhc_x[t]);
                }
            }
        }
    }
}

#elif defined(PASS_DPHI)

void main()
{
    const uint quads = (pc.width + 3u) / 4u;
    const uint column = gl_GlobalInvocationID.x;
    const uint rows = (pc.rows + pc.parts - 1u) / pc.parts;
    const uint begin = min(gl_WorkGroupID.y * rows, pc.rows);
    const uint end = min(begin + rows, pc.rows);
    if (column < STREAMS * quads) {
        const uint i = column / quads;
        const uint q = column % quads;
        [[dont_unroll]] for (uint d0 = 0; d0 < MHC_ROWS; d0 += DOTS) {
            vec4 acc[DOTS];
            [[unroll]] for (uint d = 0; d < DOTS; d++) {
                acc[d] = vec4(0.0);
            }
            for (uint row = begin; row < end; row++) {
                const vec4 v = mhc_load(row, i, q);
                [[unroll]] for (uint d = 0; d < DOTS; d++) {
                    const uint at = row * TOKEN + min(d0 + d, MHC_ROWS - 1u);
                    acc[d] = fma(vec4(token[at]), v, acc[d]);
                }
            }
            [[unroll]] for (uint d = 0; d < DOTS; d++) {
                if (d0 + d < MHC_ROWS) {
                    const uint line = gl_WorkGroupID.y * MHC_ROWS + d0 + d;
                    part[line * STREAMS * quads + column] = acc[d];
                }
            }
        }
    }
    if (gl_WorkGroupID.x == 0u) {
        const uint lanes = gl_WorkGroupSize.x;
        for (uint d = gl_LocalInvocationID.x; d < 2u * MHC_ROWS; d += lanes) {
            float sum = 0.0;
            for (uint row = begin; row < end; row++) {
                sum += token[row * TOKEN + TOKEN_DA + d];
            }
            sums[gl_WorkGroupID.y * 2u * MHC_ROWS + d] = sum;
        }
    }
}

#else // PASS_REDUCE

void put(const uint at, const uint q, const vec4 four, const bool norm)
{
    [[unroll]] for (uint k = 0; k < 4u; k++) {
        if (4u * q + k < pc.width) {
            if (norm) {
                dnormw[at + 4u * q + k] = four[k];
            } else {
                dphi[at + 4u * q + k] = four[k];
            }
        }
    }
}

float over_parts(const uint d)
{
    float sum = 0.0;
    for (uint p = 0; p < pc.parts; p++) {
        sum += sums[p * 2u * MHC_ROWS + d];
    }
    return sum;
}

void main()
{
    const uint quads = (pc.width + 3u) / 4u;
    const uint column = gl_GlobalInvocationID.x;
    if (column < STREAMS * quads) {
        const uint i = column / quads;
        const uint q = column % quads;
        vec4 weight = vec4(1.0), dweight = vec4(0.0);
        if (NORMW != 0u) {
            [[unroll]] for (uint k = 0; k < 4u; k++) {
                const uint c = 4u * q + k;
                weight[k] = c < pc.width ? normw[i * pc.width + c] : 0.0;
            }
        }
        [[dont_unroll]] for (uint d = 0; d < MHC_ROWS; d++) {
            vec4 sum = vec4(0.0);
            for (uint p = 0; p < pc.parts; p++) {
                sum += part[(p * MHC_ROWS + d) * STREAMS * quads + column];
            }
            put((d * STREAMS + i) * pc.width, q, sum * weight, false);
            if (NORMW != 0u) {
                [[unroll]] for (uint k = 0; k < 4u; k++) {
                    if (4u * q + k < pc.width) {
                        const uint at = (d * STREAMS + i) * pc.width + 4u * q + k;
                        dweight[k] = fma(phi[at], sum[k], dweight[k]);
                    }
                }
            }
        }
        if (NORMW != 0u) {
            put(i * pc.width, q, dweight, true);
        }
    }
    if (gl_WorkGroupID.x == 0u) {
        const uint lane = gl_LocalInvocationID.x;
        for (uint d = lane; d < MHC_ROWS; d += gl_WorkGroupSize.x) {
            dbase[d] = over_parts(d);
        }
        if (lane < 3u) {
            const uint begin = lane * STREAMS;
            const uint end = lane < 2u ? begin + STREAMS : MHC_ROWS;
            float sum = 0.0;
            for (uint d = begin; d < end; d++) {
                sum += over_parts(MHC_ROWS + d);
            }
            dscale[lane] = sum;
        }
    }
}

#endif
