// SPDX-License-Identifier: MIT
//
// Coefficients of manifold-constrained hyper-connections, some tokens a workgroup
//
//   v = vec(x), r = 1 / sqrt(mean(v^2) + eps_norm),  a = r phi v * scale + base
//   pre = sigmoid(a[0..s)) + eps_pre,  post = mu sigmoid(a[s..2s)),
//   comb = sinkhorn(rest)
//
//   mhc_coefficients(row)   all lanes: those of the tokens row .. row + TOKENS - 1 into
//                           mhc_coef[token * MHC_COEFS + ...]: pre, post, comb
//   mhc_store(row)          those to memory
//   mhc_mix(row)            h0 = sum_i pre_i x_i
//   mhc_mix_norm(row)       the same, RMS norm of it; with MHC_NORM_OUT
//
// mHC, arXiv 2512.24880; mHC-lite's weights over permutation matrices as
// COMB.permutation.
//
// phi is read once for TOKENS tokens: a lane's columns of TOKENS tokens meet those of
// DOTS rows of phi at a time in registers, sums by hyper/row.glsl. With MHC_LANES a lane
// has rows of phi instead, and is handed the columns of a token by the others: for CPU
// drivers, where a load costs as much as a hundred multiplications, and only rows of phi
// times tokens many sums are kept. Then a lane has a token's coefficients to itself.
//
// The includer defines, before it includes this:
//   STREAMS, TOKENS, DOTS, VEC, COMB, NORMW     constants
//   mhc_load(row, stream, q)                    elements 4q .. 4q+3 of a stream: vec4
//   pc.rows, width, iters, eps_norm, eps_pre, eps_sk, mu
//   buffers phi, phi4 (vec4), scale, base, normw, normw4
//   mhc_pre_, mhc_post_, mhc_comb_              names of the buffers that mhc_store fills
//   store_h0(base, q, four)                     what mhc_mix stores
//   load_gain(q)                                with MHC_NORM_OUT: of mhc_mix_norm
#ifndef VKZ_HYPER_MHC_GLSL
#define VKZ_HYPER_MHC_GLSL

#extension GL_EXT_control_flow_attributes : require

const uint COMB_SINKHORN = 0;

// Rows of phi: pre, post, and what comb is made of.
const uint MHC_PERMUTATIONS = STREAMS < 3 ? STREAMS : STREAMS == 3 ? 6 : 24;
const uint MHC_TERMS = COMB == COMB_SINKHORN ? STREAMS * STREAMS : MHC_PERMUTATIONS;
const uint MHC_ROWS = 2 * STREAMS + MHC_TERMS;
const uint MHC_COEFS = 2 * STREAMS + STREAMS * STREAMS;

#ifdef MHC_LANES
const uint DOTS = MHC_ROWS;
#endif
const uint MHC_BLOCKS = (MHC_ROWS + DOTS - 1) / DOTS;

// In a block of sums: the square of v first, then DOTS rows, each for all tokens.
#ifndef MHC_SUMS
#define MHC_SUMS (DOTS + 1)
#endif
const uint ROW_SUMS = MHC_SUMS * TOKENS;
#ifndef MHC_TOTALS
#define MHC_TOTALS MHC_BLOCKS
#endif

shared float row_total[MHC_TOTALS * ROW_SUMS];
shared float mhc_coef[TOKENS * MHC_COEFS];

#ifdef MHC_LANES
#define ROW_ONLY_DOT
#else
shared float row_part[gl_WorkGroupSize.x * (gl_WorkGroupSize.x > 16 ? 17 : 65)];
#endif
#if defined(MHC_NORM_OUT)
shared float mhc_square[gl_WorkGroupSize.x];
#endif
#include "hyper/row.glsl"
#include "hyper/sinkhorn.glsl"
#include "linear/gates.glsl"

vec4 mhc_x[TOKENS];

vec4 mhc_phi(const uint d, const uint i, const uint q)
{
    vec4 w = vec4(0.0);
    if (VEC == 4) {
        const uint quads = pc.width / 4u;
        w = phi4[(d * STREAMS + i) * quads + q];
        if (NORMW != 0u) {
            w *= normw4[i * quads + q];
        }
    } else {
        [[unroll]] for (uint k = 0; k < 4u; k++) {
            if (4u * q + k < pc.width) {
                w[k] = phi[(d * STREAMS + i) * pc.width + 4u * q + k];
                if (NORMW != 0u) {
                    w[k] *= normw[i * pc.width + 4u * q + k];
                }
            }
        }
    }
    return w;
}

// Row d of phi v for token t.
float mhc_product(const uint d, const uint t)
{
    return row_total[d / DOTS * ROW_SUMS + (d % DOTS + 1u) * TOKENS + t];
}

// What is read or written in a rolled loop, to be small, while sk is in registers.
float mhc_rolled[STREAMS * STREAMS];

// sk = logits of comb of token t.
void mhc_logits(const uint t, const float norm)
{
    [[dont_unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
        const uint d = 2u * STREAMS + i;
        mhc_rolled[i] = fma(mhc_product(d, t) * norm, scale[2], base[d]);
    }
    [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
        sk[i] = mhc_rolled[i];
    }
}

uint mhc_to[STREAMS];

// mhc_to = permutation number p in lexicographic order: the digits of p in the factorial
// base choose among the columns left.
void mhc_permutation(const uint p)
{
    uint left = (1u << STREAMS) - 1u, rest = p, radix = MHC_TERMS;
    [[unroll]] for (uint i = 0; i < STREAMS; i++) {
        radix /= STREAMS - i;
        uint skip = rest / radix;
        rest %= radix;
        mhc_to[i] = STREAMS;
        [[unroll]] for (uint j = 0; j < STREAMS; j++) {
            const bool free = (left >> j & 1u) != 0u && mhc_to[i] == STREAMS;
            if (free && skip == 0u) {
                mhc_to[i] = j;
                left &= ~(1u << j);
            } else if (free) {
                skip--;
            }
        }
    }
}

// sk = sum over permutations of w_p P_p, in lexicographic order; w is a softmax.
void mhc_permute(const uint t, const float norm)
{
    [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
        sk[i] = 0.0;
    }
    float top = -3.0e38;
    [[dont_unroll]] for (uint p = 0; p < MHC_TERMS; p++) {
        const uint d = 2u * STREAMS + p;
        top = max(top, fma(mhc_product(d, t) * norm, scale[2], base[d]));
    }
    float sum = 0.0;
    [[dont_unroll]] for (uint p = 0; p < MHC_TERMS; p++) {
        const uint d = 2u * STREAMS + p;
        const float e =
            vkz_exp_accurate(fma(mhc_product(d, t) * norm, scale[2], base[d]) - top);
        sum += e;
        mhc_permutation(p);
        [[unroll]] for (uint i = 0; i < STREAMS; i++) {
            [[unroll]] for (uint j = 0; j < STREAMS; j++) {
                sk[i * STREAMS + j] += mhc_to[i] == j ? e : 0.0;
            }
        }
    }
    [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
        sk[i] /= sum;
    }
}

// 1 / (root mean square of token t)
float mhc_norm(const uint t)
{
    return 1.0 / sqrt(row_total[t] / float(STREAMS * pc.width) + pc.eps_norm);
}

#ifdef MHC_LANES

// Groups of rows of phi: lane l has row l of each.
const uint MHC_GROUPS = (MHC_ROWS + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
// The square is added up in 16 strands of groups of four columns, for any number of
// lanes.
const uint MHC_STRANDS = 16 / gl_WorkGroupSize.x;

vec4 mhc_w[gl_WorkGroupSize.x * MHC_GROUPS];
float mhc_acc[MHC_GROUPS];
float mhc_sums[TOKENS * MHC_GROUPS];
float mhc_squares[TOKENS * MHC_STRANDS];

// Groups of columns b * lanes .. of stream i, all rows of phi and all tokens.
void mhc_columns(const uint row, const uint i, const uint b, const uint quads)
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    // Rolled, or its loads take a second to compile.
    [[dont_unroll]] for (uint k = 0; k < lanes; k++) {
        [[unroll]] for (uint g = 0; g < MHC_GROUPS; g++) {
            const uint d = min(g * lanes + lane, MHC_ROWS - 1u);
            mhc_w[k * MHC_GROUPS + g] = mhc_phi(d, i, min(b * lanes + k, quads - 1u));
        }
    }
    const uint q = b * lanes + lane;
    [[dont_unroll]] for (uint t = 0; t < TOKENS; t++) {
        const vec4 any_ = mhc_load(min(row + t, pc.rows - 1u), i, min(q, quads - 1u));
        const vec4 x_ = q < quads ? any_ : vec4(0.0);
        const uint strand = t * MHC_STRANDS + b % MHC_STRANDS;
        mhc_squares[strand] = row_dot(x_, x_, mhc_squares[strand]);
        [[unroll]] for (uint g = 0; g < MHC_GROUPS; g++) {
            mhc_acc[g] = mhc_sums[t * MHC_GROUPS + g];
        }
        [[unroll]] for (uint k = 0; k < lanes; k++) {
            const vec4 one = subgroupShuffle(x_, k);
            [[unroll]] for (uint g = 0; g < MHC_GROUPS; g++) {
                mhc_acc[g] = row_dot(one, mhc_w[k * MHC_GROUPS + g], mhc_acc[g]);
            }
        }
        [[unroll]] for (uint g = 0; g < MHC_GROUPS; g++) {
            mhc_sums[t * MHC_GROUPS + g] = mhc_acc[g];
        }
    }
}

// Sum of v over the lanes' strands: high halves onto low ones.
float mhc_over_strands(const uint t)
{
    float part[MHC_STRANDS];
    [[unroll]] for (uint n = 0; n < MHC_STRANDS; n++) {
        part[n] = mhc_squares[t * MHC_STRANDS + n];
    }
    [[unroll]] for (uint half_ = MHC_STRANDS / 2u; half_ > 0u; half_ /= 2u) {
        [[unroll]] for (uint n = 0; n < half_; n++) {
            part[n] += part[n + half_];
        }
    }
    float sum = part[0];
    [[unroll]] for (uint half_ = gl_WorkGroupSize.x / 2u; half_ > 0u; half_ /= 2u) {
        sum += subgroupShuffleXor(sum, half_);
    }
    return sum;
}

void mhc_products(const uint row)
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint quads = (pc.width + 3u) / 4u;
    [[dont_unroll]] for (uint n = 0; n < TOKENS * MHC_GROUPS; n++) {
        mhc_sums[n] = 0.0;
    }
    [[dont_unroll]] for (uint n = 0; n < TOKENS * MHC_STRANDS; n++) {
        mhc_squares[n] = 0.0;
    }
    [[dont_unroll]] for (uint i = 0; i < STREAMS; i++) {
        [[dont_unroll]] for (uint b = 0; b * lanes < quads; b++) {
            mhc_columns(row, i, b, quads);
        }
    }
    [[dont_unroll]] for (uint t = 0; t < TOKENS; t++) {
        const float square = mhc_over_strands(t);
        if (lane == 0u) {
            row_total[t] = square;
        }
        [[unroll]] for (uint g = 0; g < MHC_GROUPS; g++) {
            const uint d = g * lanes + lane;
            if (d < MHC_ROWS) {
                row_total[(d + 1u) * TOKENS + t] = mhc_sums[t * MHC_GROUPS + g];
            }
        }
    }
    barrier();
}

#else

// The sums of rows d0 .. d0 + DOTS - 1 of phi, in all lanes' row_total.
void mhc_block(const uint row, const uint d0)
{
    const uint quads = (pc.width + 3u) / 4u;
    const uint steps = row_steps(quads);
    [[dont_unroll]] for (uint r = 0; r < ROW_ROUNDS; r++) {
        row_clear();
        if (row_holds(r, quads)) {
            const uint first = row_first(r, steps);
            [[dont_unroll]] for (uint j = 0; j < steps; j++) {
                const uint q = min(first + 8u * j, quads - 1u);
                const bool inside = first + 8u * j < quads;
                [[dont_unroll]] for (uint i = 0; i < STREAMS; i++) {
                    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                        const vec4 x = mhc_load(min(row + t, pc.rows - 1u), i, q);
                        mhc_x[t] = inside ? x : vec4(0.0);
                    }
                    if (d0 == 0u) {
                        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                            row_sum[t] = row_dot(mhc_x[t], mhc_x[t], row_sum[t]);
                        }
                    }
                    [[unroll]] for (uint d = 0; d < DOTS; d++) {
                        const vec4 w = mhc_phi(min(d0 + d, MHC_ROWS - 1u), i, q);
                        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                            const uint at = (d + 1u) * TOKENS + t;
                            row_sum[at] = row_dot(mhc_x[t], w, row_sum[at]);
                        }
                    }
                }
            }
        }
        row_join(r);
    }
    row_finish(d0 / DOTS * ROW_SUMS, ROW_SUMS);
}

void mhc_products(const uint row)
{
    [[dont_unroll]] for (uint d0 = 0; d0 < MHC_ROWS; d0 += DOTS) {
        mhc_block(row, d0);
    }
}

#endif

#ifndef MHC_BACKWARD

// The coefficients of token t from the sums, by one lane: mhc_coef, and sk = comb.
void mhc_token(const uint t)
{
    const uint at = t * MHC_COEFS;
    const float norm = mhc_norm(t);
    [[dont_unroll]] for (uint d = 0; d < 2u * STREAMS; d++) {
        const bool is_pre = d < STREAMS;
        const float a = fma(mhc_product(d, t) * norm, scale[is_pre ? 0u : 1u], base[d]);
        mhc_coef[at + d] =
            is_pre ? gate_sigmoid(a) + pc.eps_pre : pc.mu * gate_sigmoid(a);
    }
    if (COMB == COMB_SINKHORN) {
        mhc_logits(t, norm);
        sinkhorn(pc.iters, pc.eps_sk);
    } else {
        mhc_permute(t, norm);
    }
    [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
        mhc_rolled[i] = sk[i];
    }
    [[dont_unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
        mhc_coef[at + 2u * STREAMS + i] = mhc_rolled[i];
    }
}

void mhc_coefficients(const uint row)
{
    mhc_products(row);
    for (uint t = gl_LocalInvocationID.x; t < TOKENS; t += gl_WorkGroupSize.x) {
        if (row + t < pc.rows) {
            mhc_token(t);
        }
    }
    barrier();
}

// Coefficients of the tokens row .. to memory: pre, post, comb.
void mhc_store(const uint row)
{
    const uint tokens = min(TOKENS, pc.rows - row);
    const uint lanes = gl_WorkGroupSize.x;
    for (uint n = gl_LocalInvocationID.x; n < tokens * MHC_COEFS; n += lanes) {
        const uint t = row + n / MHC_COEFS;
        const uint at = n % MHC_COEFS;
        if (at < STREAMS) {
            mhc_pre_[t * STREAMS + at] = mhc_coef[n];
        } else if (at < 2u * STREAMS) {
            mhc_post_[t * STREAMS + at - STREAMS] = mhc_coef[n];
        } else {
            mhc_comb_[t * STREAMS * STREAMS + at - 2u * STREAMS] = mhc_coef[n];
        }
    }
}

// for (q ...): the groups of four columns whose sums are this lane's.
#ifdef MHC_LANES
#define MHC_OWN_COLUMNS(q)                                                              \
    for (uint q = gl_LocalInvocationID.x; 4u * q < pc.width; q += gl_WorkGroupSize.x)
#else
#define MHC_OWN_COLUMNS(q)                                                              \
    [[dont_unroll]] for (uint r_ = 0; r_ < ROW_ROUNDS; r_++)                            \
        for (uint first_ = row_first(r_, row_steps((pc.width + 3u) / 4u)), q = first_;  \
             q < first_ + 8u * row_steps((pc.width + 3u) / 4u) && 4u * q < pc.width;    \
             q += 8u)
#endif

float mhc_weight[STREAMS];

// Columns of group q of the mix of a token: sum_i pre_i x_i.
vec4 mhc_mixed(const uint row, const uint q)
{
    vec4 h = mhc_weight[0] * mhc_load(row, 0, q);
    [[unroll]] for (uint i = 1; i < STREAMS; i++) {
        h = fma(vec4(mhc_weight[i]), mhc_load(row, i, q), h);
    }
    return h;
}

void mhc_weights(const uint t)
{
    [[unroll]] for (uint i = 0; i < STREAMS; i++) {
        mhc_weight[i] = mhc_coef[t * MHC_COEFS + i];
    }
}

// h0 = sum_i pre_i x_i of the tokens row ..; a lane takes the columns it took before.
void mhc_mix(const uint row)
{
    [[dont_unroll]] for (uint t = 0; t < TOKENS && row + t < pc.rows; t++) {
        mhc_weights(t);
        MHC_OWN_COLUMNS(q) {
            store_h0((row + t) * pc.width, q, mhc_mixed(row + t, q));
        }
    }
}

#ifdef MHC_NORM_OUT
// The same over its root mean square, times gain.
void mhc_mix_norm(const uint row)
{
    [[dont_unroll]] for (uint t = 0; t < TOKENS && row + t < pc.rows; t++) {
        mhc_weights(t);
        float square = 0.0;
        MHC_OWN_COLUMNS(q) {
            const vec4 h = mhc_mixed(row + t, q);
            square = row_dot(h, h, square);
        }
        mhc_square[gl_LocalInvocationID.x] = square;
        for (uint half_ = gl_WorkGroupSize.x / 2u; half_ > 0u; half_ /= 2u) {
            barrier();
            if (gl_LocalInvocationID.x < half_) {
                mhc_square[gl_LocalInvocationID.x] +=
                    mhc_square[gl_LocalInvocationID.x + half_];
            }
        }
        barrier();
        const float norm = 1.0 / sqrt(mhc_square[0] / float(pc.width) + pc.eps_norm);
        MHC_OWN_COLUMNS(q) {
            store_h0((row + t) * pc.width, q,
                     mhc_mixed(row + t, q) * norm * load_gain(q));
        }
        barrier(); // the sum is read before the next token's
    }
}
#endif

#endif // MHC_BACKWARD

#endif
