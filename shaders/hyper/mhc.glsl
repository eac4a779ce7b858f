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
// has rows of phi instead, QUADS groups of four of their columns in registers, past which
// the tokens go: for CPU drivers, where what lanes load one by one costs as much as many
// multiplications. All lanes want the same columns of a token: they load them together,
// which some drivers do once for all lanes, or with HAND each loads some and hands them
// on. Sums stay in shared memory, a lane's own, and in the end a lane has a token's
// coefficients to itself.
//
// The includer defines, before it includes this:
//   STREAMS, TOKENS, DOTS, VEC, COMB, NORMW     constants
//   QUADS, ROLLED, HAND                         and with MHC_LANES
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
// Groups of rows of phi: lane l has row l of each. A lane's sums of a token: its rows, and
// the square.
const uint MHC_GROUPS = (MHC_ROWS + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
const uint MHC_TOKEN_SUMS = (MHC_GROUPS + 1) * gl_WorkGroupSize.x;

shared float row_total[TOKENS * MHC_TOKEN_SUMS];
#else
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
#endif
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

// Where a token's product with row d is, and a lane's copy of its square.
#ifdef MHC_LANES
uint mhc_at(const uint t, const uint d)
{
    return t * MHC_TOKEN_SUMS + d;
}

uint mhc_square_at(const uint t, const uint lane)
{
    return t * MHC_TOKEN_SUMS + MHC_GROUPS * gl_WorkGroupSize.x + lane;
}
#else
uint mhc_at(const uint t, const uint d)
{
    return d / DOTS * ROW_SUMS + (d % DOTS + 1u) * TOKENS + t;
}

uint mhc_square_at(const uint t, const uint lane)
{
    return t;
}
#endif

// Row d of phi v for token t.
float mhc_product(const uint d, const uint t)
{
    return row_total[mhc_at(t, d)];
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
    const float square = row_total[mhc_square_at(t, 0)];
    return 1.0 / sqrt(square / float(STREAMS * pc.width) + pc.eps_norm);
}

#ifdef MHC_LANES

vec4 mhc_w[QUADS * MHC_GROUPS];
vec4 mhc_acc[MHC_GROUPS];
vec4 mhc_squares;

#define MHC_ROWS_OF_(n)                                                                 \
    [[unroll]] for (uint g = 0; g < MHC_GROUPS; g++)                                    \
    {                                                                                   \
        const uint d = min(g * lanes + lane, MHC_ROWS - 1u);                            \
        mhc_w[(n) * MHC_GROUPS + g] = mhc_phi(d, i, min(q0 + (n), quads - 1u));         \
    }

// Columns of the lanes' rows: QUADS groups of four of stream i. ROLLED takes less time to
// compile, and more to run: registers cannot be indexed.
void mhc_rows(const uint i, const uint q0, const uint quads)
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    if (ROLLED != 0u) {
        [[dont_unroll]] for (uint n = 0; n < QUADS; n++) {
            MHC_ROWS_OF_(n)
        }
    } else {
        [[unroll]] for (uint n = 0; n < QUADS; n++) {
            MHC_ROWS_OF_(n)
        }
    }
}

// A token times these: mhc_begin, mhc_add of all groups of columns in order, mhc_end.
void mhc_begin()
{
    mhc_squares = vec4(0.0);
    [[unroll]] for (uint g = 0; g < MHC_GROUPS; g++) {
        mhc_acc[g] = vec4(0.0);
    }
}

void mhc_add(const vec4 x, const uint n)
{
    mhc_squares = fma(x, x, mhc_squares);
    [[unroll]] for (uint g = 0; g < MHC_GROUPS; g++) {
        mhc_acc[g] = fma(x, mhc_w[n * MHC_GROUPS + g], mhc_acc[g]);
    }
}

float mhc_across(const vec4 v)
{
    return (v.x + v.y) + (v.z + v.w);
}

void mhc_end(const uint t)
{
    const uint lane = gl_LocalInvocationID.x;
    [[unroll]] for (uint g = 0; g < MHC_GROUPS; g++) {
        row_total[mhc_at(t, g * gl_WorkGroupSize.x + lane)] += mhc_across(mhc_acc[g]);
    }
    row_total[mhc_square_at(t, lane)] += mhc_across(mhc_squares);
}

// x of lane k < 8, a constant. lavapipe 26.1.6 takes longer over a shuffle.
vec4 mhc_hand(const vec4 x, const uint k)
{
    return k == 0u   ? subgroupBroadcast(x, 0)
           : k == 1u ? subgroupBroadcast(x, 1)
           : k == 2u ? subgroupBroadcast(x, 2)
           : k == 3u ? subgroupBroadcast(x, 3)
           : k == 4u ? subgroupBroadcast(x, 4)
           : k == 5u ? subgroupBroadcast(x, 5)
           : k == 6u ? subgroupBroadcast(x, 6)
                     : subgroupBroadcast(x, 7);
}

vec4 mhc_inside(const uint row, const uint i, const uint q, const uint quads)
{
    const vec4 x = mhc_load(row, i, min(q, quads - 1u));
    return q < quads ? x : vec4(0.0);
}

void mhc_times(const uint row, const uint t, const uint i, const uint q0, const uint quads)
{
    const uint lanes = gl_WorkGroupSize.x;
    mhc_begin();
    [[unroll]] for (uint n = 0; n < QUADS; n += HAND != 0 ? lanes : 1u) {
        if (HAND != 0u) {
            const uint q = q0 + n + gl_LocalInvocationID.x;
            const vec4 x = mhc_inside(row, i, q, quads);
            [[unroll]] for (uint k = 0; k < lanes; k++) {
                mhc_add(mhc_hand(x, k), n + k);
            }
        } else {
            mhc_add(mhc_inside(row, i, q0 + n, quads), n);
        }
    }
    mhc_end(t);
}

void mhc_clear()
{
    [[dont_unroll]] for (uint n = gl_LocalInvocationID.x; n < TOKENS * MHC_TOKEN_SUMS;
                         n += gl_WorkGroupSize.x) {
        row_total[n] = 0.0;
    }
    barrier();
}

void mhc_products(const uint row)
{
    const uint quads = (pc.width + 3u) / 4u;
    mhc_clear();
    [[dont_unroll]] for (uint i = 0; i < STREAMS; i++) {
        [[dont_unroll]] for (uint q0 = 0; q0 < quads; q0 += QUADS) {
            mhc_rows(i, q0, quads);
            [[dont_unroll]] for (uint t = 0; t < TOKENS; t++) {
                mhc_times(min(row + t, pc.rows - 1u), t, i, q0, quads);
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
