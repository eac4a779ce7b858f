// SPDX-License-Identifier: MIT
//
// The recurrent form of lib/chunk.glsl without shared memory: a lane owns whole columns
//
//              four columns of the state, or 4 WIDE, all rows
//   lane 0     S[d][4]    q, k and vector gates of a token: lane l of each HAND lanes reads
//   lane 1     S[d][4]    four rows of every 4 HAND, and the lanes hand them round by
//   ...                   shuffles
//
// Each row of the state is read and written once for TOKENS tokens. What token i sees of
// token j <= i of the same step has nothing to do with the state: with d_m the gates,
//
//   o_i = (q_i d_1..d_i) S + sum_j (q_i . k_j d_(j+1)..d_i) v_j
//   S  <- (d_1..d_n) S + sum_j (k_j d_(j+1)..d_n) v_j
//
// The sums in brackets are one number for all columns: a lane adds up its rows, then they
// are added over lanes. DELTA and PAIR go one token at a time: while they move a row, they
// add up what the next token reads of it.
//
// It takes the same hooks and macros as lib/chunk.glsl; read there what they are. Sums of
// k (CHUNK_SUM) are left out. Loops that touch the state are unrolled: drivers that read
// an array at a variable index do so lane by lane.
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM; HAND: a power of two, at most the subgroup's size, of which the
//               workgroup is a multiple; WIDE, groups of four columns a lane; TOKENS at a
//               time, for ADD
//   functions   those of lib/chunk.glsl
// and calls chunk_begin(), chunk_walk() and chunk_end() in uniform control flow, with the
// lane's number j: its columns begin at 4 WIDE j.
#ifndef VKZ_RECURRENT_LANE_GLSL
#define VKZ_RECURRENT_LANE_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#include "lib/exp.glsl"

#define CHUNK_ADD 0
#define CHUNK_DELTA 1
#define CHUNK_PAIR 2
#ifndef CHUNK_RULE
#define CHUNK_RULE CHUNK_ADD
#endif

const uint CHUNK_GATE_NONE = 0;
const uint CHUNK_GATE_TOKEN = 1;
const uint CHUNK_GATE_KEY = 2;
#ifndef CHUNK_GATE
#define CHUNK_GATE CHUNK_GATE_NONE
#endif

const uint CHUNK_QUADS = (HEAD_DIM + 3u) / 4u;
const uint CHUNK_HANDS = (CHUNK_QUADS + HAND - 1u) / HAND; // turns of HAND quads

// No lane reads past a row's end: no test, which costs some drivers a branch.
const bool RECURRENT_WHOLE = CHUNK_QUADS % HAND == 0u;

const uint RECURRENT_ROWS = 4u * CHUNK_HANDS * HAND;
vec4 chunk_s[WIDE * RECURRENT_ROWS]; // by columns, then rows

#ifndef RECURRENT_UNROLL_
#define RECURRENT_UNROLL_ [[dont_unroll]]
#endif
void chunk_begin(const uint j, const bool load)
{
    RECURRENT_UNROLL_ for (uint row = 0; row < RECURRENT_ROWS; row++) {
        [[unroll]] for (uint p = 0; p < WIDE; p++) {
            chunk_s[p * RECURRENT_ROWS + row] = vec4(0.0);
            if (load && row < HEAD_DIM) {
                chunk_s[p * RECURRENT_ROWS + row] = chunk_load_s(row, j * WIDE + p);
            }
        }
    }
}

void chunk_end(const uint j)
{
    RECURRENT_UNROLL_ for (uint row = 0; row < HEAD_DIM; row++) {
        [[unroll]] for (uint p = 0; p < WIDE; p++) {
            chunk_store_s(row, j * WIDE + p, chunk_s[p * RECURRENT_ROWS + row]);
        }
    }
}

// The gates of a token: `all` unless by key column.
vec4 recurrent_decay_(const uint token, const uint c, const float all)
{
#ifdef CHUNK_HAS_GATE4
    if (CHUNK_GATE == CHUNK_GATE_KEY) {
        const vec4 g = chunk_gate4(token, c) * VKZ_LOG2E;
        return vec4(vkz_exp2_accurate(g.x), vkz_exp2_accurate(g.y),
                    vkz_exp2_accurate(g.z), vkz_exp2_accurate(g.w));
    }
#endif
    return vec4(all);
}

float recurrent_all_(const uint token)
{
#ifdef CHUNK_HAS_GATE
    if (CHUNK_GATE == CHUNK_GATE_TOKEN) {
        return vkz_exp2_accurate(chunk_gate(token) * VKZ_LOG2E);
    }
#endif
    return 1.0;
}

#if CHUNK_RULE == CHUNK_ADD

vec4 recurrent_q_[TOKENS]; // of one turn: q with the gates between S and its token
vec4 recurrent_k_[TOKENS]; // k with the gates that come after its token
vec4 recurrent_d_;         // all gates
float recurrent_all_d_[TOKENS];
float recurrent_dot_[TOKENS * TOKENS]; // of one lane's rows
vec4 recurrent_x_[WIDE * TOKENS];
vec4 recurrent_o_[WIDE * TOKENS];
#ifdef CHUNK_EXCLUSIVE
vec4 recurrent_u_[CHUNK_HANDS];
#endif

void recurrent_load_(const uint first, const uint count, const uint turn, const uint c)
{
    vec4 d[TOKENS];
    [[unroll]] for (uint i = 0; i < TOKENS; i++) {
        recurrent_q_[i] = vec4(0.0);
        recurrent_k_[i] = vec4(0.0);
        d[i] = vec4(recurrent_all_d_[i]);
        if (RECURRENT_WHOLE || c < CHUNK_QUADS) {
            const uint token = first + min(i, count - 1u);
            recurrent_q_[i] = chunk_q(token, c);
            recurrent_k_[i] = chunk_k(token, c);
            d[i] = recurrent_decay_(token, c, recurrent_all_d_[i]);
        }
        if (i > 0u) { // the step may be a short one
            recurrent_k_[i] = i < count ? recurrent_k_[i] : vec4(0.0);
            d[i] = i < count ? d[i] : vec4(1.0);
        }
    }
    [[unroll]] for (uint j = 0; j < TOKENS; j++) {
#ifdef CHUNK_EXCLUSIVE
        recurrent_dot_[j * TOKENS + j] +=
            dot(recurrent_q_[j], recurrent_u_[turn] * recurrent_k_[j]);
        [[unroll]] for (uint i = j + 1u; i < TOKENS; i++) {
            recurrent_dot_[i * TOKENS + j] += dot(recurrent_q_[i], recurrent_k_[j]);
            recurrent_k_[j] *= d[i];
        }
#else
        recurrent_dot_[j * TOKENS + j] += dot(recurrent_q_[j], recurrent_k_[j]);
        [[unroll]] for (uint i = j + 1u; i < TOKENS; i++) {
            recurrent_k_[j] *= d[i];
            recurrent_dot_[i * TOKENS + j] += dot(recurrent_q_[i], recurrent_k_[j]);
        }
#endif
    }
    recurrent_d_ = vec4(1.0);
    [[unroll]] for (uint i = 0; i < TOKENS; i++) {
#ifdef CHUNK_EXCLUSIVE
        recurrent_q_[i] *= recurrent_d_;
        recurrent_d_ *= d[i];
#else
        recurrent_d_ *= d[i];
        recurrent_q_[i] *= recurrent_d_;
#endif
    }
}

// Columns p of the rows of a turn.
void recurrent_move_(const uint first, const uint p)
{
    [[unroll]] for (uint l = 0; l < HAND; l++) {
        if (first + l < CHUNK_QUADS) {
            vec4 q[TOKENS];
            vec4 k[TOKENS];
            [[unroll]] for (uint i = 0; i < TOKENS; i++) {
                q[i] = subgroupShuffle(recurrent_q_[i], l);
                k[i] = subgroupShuffle(recurrent_k_[i], l);
            }
            vec4 d = recurrent_d_;
            if (CHUNK_GATE == CHUNK_GATE_KEY) {
                d = subgroupShuffle(recurrent_d_, l);
            }
            const uint row = p * RECURRENT_ROWS + 4u * (first + l);
            [[unroll]] for (uint r = 0; r < 4u; r++) {
                vec4 s = chunk_s[row + r];
                [[unroll]] for (uint i = 0; i < TOKENS; i++) {
                    const uint at = p * TOKENS + i;
                    recurrent_o_[at] = fma(vec4(q[i][r]), s, recurrent_o_[at]);
                }
                if (CHUNK_GATE != CHUNK_GATE_NONE) {
                    s *= d[r];
                }
                [[unroll]] for (uint i = 0; i < TOKENS; i++) {
                    s = fma(vec4(k[i][r]), recurrent_x_[p * TOKENS + i], s);
                }
                chunk_s[row + r] = s;
            }
        }
    }
}

// The sum of x over the lanes that hand round.
float recurrent_sum_(const float x)
{
    float sum = subgroupShuffle(x, 0u);
    [[unroll]] for (uint l = 1; l < HAND; l++) {
        sum += subgroupShuffle(x, l);
    }
    return sum;
}

void chunk_walk(const uint begin, const uint end, const uint j)
{
    const uint lane = gl_SubgroupInvocationID % HAND;
#ifdef CHUNK_EXCLUSIVE
    [[unroll]] for (uint n = 0; n < CHUNK_HANDS; n++) {
        recurrent_u_[n] = vec4(0.0);
        if (RECURRENT_WHOLE || n * HAND + lane < CHUNK_QUADS) {
            recurrent_u_[n] = chunk_u(n * HAND + lane);
        }
    }
#endif
    [[dont_unroll]] for (uint first = begin; first < end; first += TOKENS) {
        const uint count = min(TOKENS, end - first);
        [[unroll]] for (uint i = 0; i < TOKENS; i++) {
            const uint token = first + min(i, count - 1u);
            recurrent_all_d_[i] = recurrent_all_(token);
            const float scale = chunk_k_scale(token);
            [[unroll]] for (uint p = 0; p < WIDE; p++) {
                vec4 x = chunk_v(token, j * WIDE + p) * scale;
                if (i > 0u) {
                    x = i < count ? x : vec4(0.0);
                }
                recurrent_x_[p * TOKENS + i] = x;
                recurrent_o_[p * TOKENS + i] = vec4(0.0);
            }
        }
        [[unroll]] for (uint i = 0; i < TOKENS * TOKENS; i++) {
            recurrent_dot_[i] = 0.0;
        }
        [[unroll]] for (uint n = 0; n < CHUNK_HANDS; n++) {
            recurrent_load_(first, count, n, n * HAND + lane);
            [[unroll]] for (uint p = 0; p < WIDE; p++) {
                recurrent_move_(n * HAND, p);
            }
        }
        [[unroll]] for (uint i = 0; i < TOKENS; i++) {
            [[unroll]] for (uint m = 0; m <= i; m++) {
                const float dot_ = recurrent_sum_(recurrent_dot_[i * TOKENS + m]);
                [[unroll]] for (uint p = 0; p < WIDE; p++) {
                    const uint at = p * TOKENS + i;
                    recurrent_o_[at] =
                        fma(vec4(dot_), recurrent_x_[p * TOKENS + m], recurrent_o_[at]);
                }
            }
        }
        [[unroll]] for (uint i = 0; i < TOKENS; i++) {
            if (i == 0u || i < count) {
                const float scale = chunk_q_scale(first + i);
                [[unroll]] for (uint p = 0; p < WIDE; p++) {
                    chunk_store(first + i, j * WIDE + p,
                                recurrent_o_[p * TOKENS + i] * scale, 0.0);
                }
            }
        }
    }
}

#else // DELTA, PAIR

vec4 recurrent_known_[WIDE]; // what the next token reads of S: DELTA k D S, PAIR a S
vec4 recurrent_x_[WIDE];     // the row that k brings
vec4 recurrent_y_[WIDE];     // the row that b brings
vec4 recurrent_o_[WIDE];

vec4 recurrent_reads_(const uint token, const uint c, const float all)
{
    if (!RECURRENT_WHOLE && c >= CHUNK_QUADS) {
        return vec4(0.0);
    }
#if CHUNK_RULE == CHUNK_PAIR
    return chunk_a(token, c);
#else
    return chunk_k(token, c) * recurrent_decay_(token, c, all);
#endif
}

// Before the first token.
void recurrent_look_(const uint token, const uint first, const float all)
{
    const vec4 mine = recurrent_reads_(token, first + gl_SubgroupInvocationID % HAND, all);
    [[unroll]] for (uint l = 0; l < HAND; l++) {
        const vec4 x = subgroupShuffle(mine, l);
        [[unroll]] for (uint p = 0; p < WIDE; p++) {
            const uint row = p * RECURRENT_ROWS + 4u * (first + l);
            [[unroll]] for (uint r = 0; r < 4u; r++) {
                recurrent_known_[p] = fma(vec4(x[r]), chunk_s[row + r], recurrent_known_[p]);
            }
        }
    }
}

void recurrent_move_(const uint token, const uint after, const uint first, const float all,
                     const float all_after)
{
    const uint c = first + gl_SubgroupInvocationID % HAND;
    vec4 q = vec4(0.0);
    vec4 k = vec4(0.0);
    vec4 d = vec4(1.0);
    vec4 b = vec4(0.0);
    const vec4 next = recurrent_reads_(after, c, all_after);
    if (RECURRENT_WHOLE || c < CHUNK_QUADS) {
        q = chunk_q(token, c);
        k = chunk_k(token, c);
        d = recurrent_decay_(token, c, all);
#if CHUNK_RULE == CHUNK_PAIR
        b = chunk_b(token, c);
#endif
    }
    [[unroll]] for (uint p = 0; p < WIDE; p++) {
        [[unroll]] for (uint l = 0; l < HAND; l++) {
            if (first + l < CHUNK_QUADS) {
                const vec4 qr = subgroupShuffle(q, l);
                const vec4 kr = subgroupShuffle(k, l);
                const vec4 nr = subgroupShuffle(next, l);
                vec4 dr = vec4(all);
                if (CHUNK_GATE == CHUNK_GATE_KEY) {
                    dr = subgroupShuffle(d, l);
                }
#if CHUNK_RULE == CHUNK_PAIR
                const vec4 br = subgroupShuffle(b, l);
#endif
                const uint row = p * RECURRENT_ROWS + 4u * (first + l);
                [[unroll]] for (uint r = 0; r < 4u; r++) {
                    vec4 s = chunk_s[row + r];
                    if (CHUNK_GATE != CHUNK_GATE_NONE) {
                        s *= dr[r];
                    }
                    s = fma(vec4(kr[r]), recurrent_x_[p], s);
#if CHUNK_RULE == CHUNK_PAIR
                    s = fma(vec4(br[r]), recurrent_y_[p], s);
#endif
                    recurrent_o_[p] = fma(vec4(qr[r]), s, recurrent_o_[p]);
                    recurrent_known_[p] = fma(vec4(nr[r]), s, recurrent_known_[p]);
                    chunk_s[row + r] = s;
                }
            }
        }
    }
}

void chunk_walk(const uint begin, const uint end, const uint j)
{
    float all_after = recurrent_all_(begin);
    [[unroll]] for (uint p = 0; p < WIDE; p++) {
        recurrent_known_[p] = vec4(0.0);
    }
    [[unroll]] for (uint c = 0; c < CHUNK_HANDS * HAND; c += HAND) {
        recurrent_look_(begin, c, all_after);
    }
    [[dont_unroll]] for (uint token = begin; token < end; token++) {
        const uint after = min(token + 1u, end - 1u);
        const float all = all_after;
        all_after = recurrent_all_(after);
        [[unroll]] for (uint p = 0; p < WIDE; p++) {
            recurrent_x_[p] = chunk_v(token, j * WIDE + p);
            recurrent_y_[p] = recurrent_known_[p];
#if CHUNK_RULE == CHUNK_DELTA
            recurrent_x_[p] = chunk_beta(token) * (recurrent_x_[p] - recurrent_known_[p]);
#endif
            recurrent_known_[p] = vec4(0.0);
            recurrent_o_[p] = vec4(0.0);
        }
        [[unroll]] for (uint c = 0; c < CHUNK_HANDS * HAND; c += HAND) {
            recurrent_move_(token, after, c, all, all_after);
        }
        [[unroll]] for (uint p = 0; p < WIDE; p++) {
            chunk_store(token, j * WIDE + p, recurrent_o_[p], 0.0);
        }
    }
}

#endif

#endif
