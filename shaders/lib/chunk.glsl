// SPDX-License-Identifier: MIT
//
// The chunk engine: every recurrence S_t = gate(S_{t-1}) + update, CHUNK tokens at a time
//
//   rule ADD     S_t = D_t S_{t-1} + k_t (x) v_t                          o_t = q_t S_t
//   rule DELTA   S_t = D_t S_{t-1} + beta_t k_t (x) (v_t - k_t D_t S_{t-1})
//   rule PAIR    S_t = D_t S_{t-1} + b_t (x) (a_t S_{t-1}) + k_t (x) v_t
//   gate         D_t = 1, e^g_t, or diag(e^g_t) with a g for each row of the state
//   exclusive    o_t = q_t (S_{t-1} + diag(u) k_t (x) v_t)
//
// S is the state that enters a chunk; c_t = D_t ... D_1 and k_s^t = D_t ... D_{s+1} k_s
// belong to the chunk. With x_t the rows that the rule adds (v_t; for DELTA and PAIR what
// the triangular system gives, row by row from the first):
//
//   ADD     o_t = (c_t q_t) S + sum_{s<=t} (q_t k_s^t) v_s
//   DELTA   x_t = beta_t (v_t - (c_t k_t) S - sum_{s<t} (k_t k_s^t) x_s)
//           o_t = (c_t q_t) S + sum_{s<=t} (q_t k_s^t) x_s
//   PAIR    x_t = (c_{t-1} a_t) S + sum_{s<t} (a_t k_s^{t-1}) v_s + (a_t b_s^{t-1}) x_s
//           o_t = (c_t q_t) S + sum_{s<=t} (q_t k_s^t) v_s + (q_t b_s^t) x_s
//   state   S <- c_C S + sum_s k_s^C (x) x_s     (PAIR: k with v and b with x)
//
// Decays are running products of e^g <= 1: there is no exponent above 0, nothing
// overflows, and a gate of -1000 is an exact 0 that resets the state.
//
//            columns 4j..4j+3 of the state: all rows in registers (or the stack)
//   lane 0   S[d][4]   k and q of CHUNK tokens: lane l reads those of every SUBGROUPth
//   lane 1   S[d][4]   token, four elements at a time, and the lanes hand them round by
//   lane 2   ...       shuffles; q k^T falls off on the way: lane s keeps its column
//
// One workgroup walks all chunks of a sequence for its columns: one dispatch, the state
// never leaves it, and no workgroup waits for another. lib/recurrent.glsl has the same
// hooks and goes token by token.
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM (rows of the state), CHUNK (tokens, a multiple of SUBGROUP),
//               SUBGROUP (the workgroup's size: one subgroup, a power of two)
//   macros      CHUNK_RULE         CHUNK_ADD (default), CHUNK_DELTA or CHUNK_PAIR
//               CHUNK_GATE         an expression: CHUNK_GATE_NONE (default),
//                                  CHUNK_GATE_TOKEN, CHUNK_GATE_KEY; may be of constants
//               CHUNK_HAS_GATE     chunk_gate() exists; CHUNK_HAS_GATE4: chunk_gate4();
//                                  CHUNK_HAS_SUM: chunk_load_z() and chunk_store_z()
//               CHUNK_EXCLUSIVE    o_t reads S_{t-1} and chunk_u(); ADD, GATE_KEY only
//               CHUNK_SUM          an expression: also give chunk_store() the sum q_t z_t,
//                                  z the same recurrence for v = 1, a row each; ADD only
//               CHUNK_ROLL         an expression: loads and stores of tokens stay loops:
//                                  for hooks of much code, as where VEC = 1 (default: no)
//   functions   (token < end of the walk; c: elements 4c..4c+3 of a row, 0 past its end)
//               vec4 chunk_q(uint token, uint c)
//               vec4 chunk_k(uint token, uint c)
//               float chunk_q_scale(uint token)    factors of a whole row: tau, a norm,
//               float chunk_k_scale(uint token)    a step size
//               vec4 chunk_v(uint token, uint j)   columns 4j..4j+3; anything past the end
//               void chunk_store(uint token, uint j, vec4 o, float sum)   epilogue, store
//               vec4 chunk_load_s(uint row, uint j)        the initial and the final state,
//               void chunk_store_s(uint row, uint j, vec4 s)    columns 4j..4j+3 of a row
//               float chunk_load_z(uint row)               the same of z; CHUNK_HAS_SUM
//               void chunk_store_z(uint row, float z)
//               float chunk_gate(uint token)           log decay <= 0
//               vec4 chunk_gate4(uint token, uint c)   of four rows of the state
//               float chunk_beta(uint token)           DELTA
//               vec4 chunk_a(uint token, uint c)       PAIR
//               vec4 chunk_b(uint token, uint c)
//               vec4 chunk_u(uint c)                   CHUNK_EXCLUSIVE
// Groups 4j past the last column must load something and store nothing. With DELTA and
// PAIR the factors of rows are not used: scale in chunk_q() and chunk_k().
//
// It calls chunk_begin(), chunk_walk() on any number of adjoining ranges, chunk_end().
#ifndef VKZ_CHUNK_GLSL
#define VKZ_CHUNK_GLSL

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
#ifndef CHUNK_SUM
#define CHUNK_SUM false
#endif

#ifndef CHUNK_ROLL
#define CHUNK_ROLL false
#endif

#ifdef CHUNK_EXCLUSIVE
const bool CHUNK_EXCLUSIVE_ = true;
#else
const bool CHUNK_EXCLUSIVE_ = false;
#endif

const uint CHUNK_QUADS = (HEAD_DIM + 3u) / 4u; // groups of four rows of the state
const uint CHUNK_TURNS = CHUNK / SUBGROUP;     // tokens a lane

// What the state pass needs, and what the outputs need: chunk_walk's parts.
const uint CHUNK_OUTPUTS = 1; // reads the state that enters
const uint CHUNK_INSIDE = 2;  // tokens of a chunk see each other
const uint CHUNK_UPDATE = 4;  // the state moves on
const uint CHUNK_ALL = 7;

vec4 chunk_s[4u * CHUNK_QUADS]; // the lane's columns of the state, by row
vec4 chunk_z[CHUNK_QUADS];      // CHUNK_SUM: four rows of z, the same in all lanes
vec4 chunk_o_[CHUNK]; // outputs, the lane's columns
vec4 chunk_x_[CHUNK]; // rows that are added: v
float chunk_sum_[CHUNK];
// [t * CHUNK_TURNS + g]: row t, column s = g * SUBGROUP + lane
float chunk_qk_[CHUNK * CHUNK_TURNS]; // q_t k_s^t
float chunk_decay_[CHUNK * CHUNK_TURNS];
#if CHUNK_RULE != CHUNK_ADD
vec4 chunk_w_[CHUNK];                 // the part of x_t that the entering state gives
float chunk_ak_[CHUNK * CHUNK_TURNS]; // DELTA k_t k_s^t, PAIR a_t k_s^{t-1}
vec4 chunk_kept_[CHUNK_QUADS * CHUNK_TURNS]; // k_s^C of the lane's tokens
vec4 chunk_keep_[CHUNK_QUADS];               // c_C by row
#endif
#if CHUNK_RULE == CHUNK_PAIR
vec4 chunk_y_[CHUNK];                 // x_t of the pair; chunk_x_ is v
float chunk_ab_[CHUNK * CHUNK_TURNS]; // a_t b_s^{t-1}
float chunk_qb_[CHUNK * CHUNK_TURNS]; // q_t b_s^t
vec4 chunk_kept_b_[CHUNK_QUADS * CHUNK_TURNS];
#endif

float chunk_exp_(const float x)
{
    return vkz_exp2_accurate(x * VKZ_LOG2E);
}

// The state before the first token: zero, or what the hooks load.
void chunk_begin(const uint j, const bool load)
{
    [[dont_unroll]] for (uint row = 0; row < 4u * CHUNK_QUADS; row++) {
        chunk_s[row] = vec4(0.0);
        if (load && (HEAD_DIM % 4u == 0u || row < HEAD_DIM)) {
            chunk_s[row] = chunk_load_s(row, j);
        }
    }
    [[dont_unroll]] for (uint c = 0; c < CHUNK_QUADS; c++) {
        chunk_z[c] = vec4(0.0);
#ifdef CHUNK_HAS_SUM
        if (CHUNK_SUM && load) {
            [[unroll]] for (uint i = 0; i < 4u; i++) {
                if (4u * c + i < HEAD_DIM) {
                    chunk_z[c][i] = chunk_load_z(4u * c + i);
                }
            }
        }
#endif
    }
}

// Hands the state to the hooks.
void chunk_end(const uint j)
{
    [[dont_unroll]] for (uint row = 0; row < HEAD_DIM; row++) {
        chunk_store_s(row, j, chunk_s[row]);
    }
#ifdef CHUNK_HAS_SUM
    if (CHUNK_SUM && j == 0u) {
        [[dont_unroll]] for (uint row = 0; row < HEAD_DIM; row++) {
            chunk_store_z(row, chunk_z[row / 4u][row % 4u]);
        }
    }
#endif
}

vec4 chunk_rows_(const vec4 x, const vec4 s0, const vec4 s1, const vec4 s2, const vec4 s3,
                 const vec4 sum)
{
    vec4 r = fma(vec4(x.x), s0, sum);
    r = fma(vec4(x.y), s1, r);
    r = fma(vec4(x.z), s2, r);
    return fma(vec4(x.w), s3, r);
}

float chunk_dot_(const vec4 a, const vec4 b, const float sum)
{
    return fma(a.x, b.x, fma(a.y, b.y, fma(a.z, b.z, fma(a.w, b.w, sum))));
}

void chunk_load_x_(const uint t, const uint first, const uint end, const uint j)
{
    const vec4 v = chunk_v(min(first + t, end - 1u), j);
    chunk_x_[t] = first + t < end ? v : vec4(0.0);
}

void chunk_store_o_(const uint t, const uint first, const uint end, const uint j)
{
    if (first + t < end) {
        chunk_store(first + t, j, chunk_o_[t], chunk_sum_[t]);
    }
}

// One range of at most CHUNK tokens. Loops over a triangle have constant bounds and a test
// inside: with the other loop's counter as its bound a driver unrolls neither.
void chunk_step_(const uint first, const uint end, const uint j, const uint parts)
{
    const bool outputs = (parts & CHUNK_OUTPUTS) != 0u;
    const bool inside = (parts & CHUNK_INSIDE) != 0u;
    const bool update = (parts & CHUNK_UPDATE) != 0u;
    const uint lane = gl_SubgroupInvocationID % SUBGROUP;

    // --- tokens of the lane, their gates and factors ----------------------------------
    uint token[CHUNK_TURNS];
    bool valid[CHUNK_TURNS];
    float q_scale[CHUNK_TURNS];
    float k_scale[CHUNK_TURNS];
    float gate[CHUNK_TURNS];
    float decay[CHUNK_TURNS]; // D_C ... D_{s+1} of token s
    [[unroll]] for (uint g = 0; g < CHUNK_TURNS; g++) {
        token[g] = min(first + g * SUBGROUP + lane, end - 1u);
        valid[g] = first + g * SUBGROUP + lane < end;
        q_scale[g] = 1.0;
        k_scale[g] = 1.0;
        if (CHUNK_RULE == CHUNK_ADD) {
            q_scale[g] = chunk_q_scale(token[g]);
            k_scale[g] = valid[g] ? chunk_k_scale(token[g]) : 0.0;
        }
        gate[g] = 1.0;
        decay[g] = 1.0;
#ifdef CHUNK_HAS_GATE
        if (CHUNK_GATE == CHUNK_GATE_TOKEN) {
            gate[g] = valid[g] ? chunk_exp_(chunk_gate(token[g])) : 1.0;
        }
#endif
    }
    float kept = 1.0; // c_C
    float reach[CHUNK]; // c_t, times the factor of q_t
    [[unroll]] for (uint t = 0; t < CHUNK; t++) {
        const uint turn = t / SUBGROUP;
        if (CHUNK_GATE == CHUNK_GATE_TOKEN) {
            const float d = subgroupShuffle(gate[turn], t % SUBGROUP);
            kept *= d;
            [[unroll]] for (uint g = 0; g < CHUNK_TURNS; g++) {
                const bool later = t > g * SUBGROUP + lane;
                decay[g] = later ? decay[g] * d : 1.0;
                chunk_decay_[t * CHUNK_TURNS + g] = decay[g];
            }
        }
        reach[t] = kept;
        if (CHUNK_RULE == CHUNK_ADD) {
            reach[t] *= subgroupShuffle(q_scale[turn], t % SUBGROUP);
        }
    }

    // --- columns of the lane ----------------------------------------------------------
    if (inside || update) {
        if (CHUNK_ROLL) {
            [[dont_unroll]] for (uint t = 0; t < CHUNK; t++) {
                chunk_load_x_(t, first, end, j);
            }
        } else {
            [[unroll]] for (uint t = 0; t < CHUNK; t++) {
                chunk_load_x_(t, first, end, j);
            }
        }
    }
    [[unroll]] for (uint t = 0; t < CHUNK; t++) {
        chunk_o_[t] = vec4(0.0);
        chunk_sum_[t] = 0.0;
#if CHUNK_RULE != CHUNK_ADD
        chunk_w_[t] = vec4(0.0);
#endif
    }
    [[unroll]] for (uint i = 0; i < CHUNK * CHUNK_TURNS; i++) {
        chunk_qk_[i] = 0.0;
#if CHUNK_RULE != CHUNK_ADD
        chunk_ak_[i] = 0.0;
#endif
#if CHUNK_RULE == CHUNK_PAIR
        chunk_ab_[i] = 0.0;
        chunk_qb_[i] = 0.0;
#endif
    }

    // --- four rows of the state at a time ---------------------------------------------
    [[dont_unroll]] for (uint c = 0; c < CHUNK_QUADS; c++) {
        vec4 s0 = chunk_s[4u * c];
        vec4 s1 = chunk_s[4u * c + 1u];
        vec4 s2 = chunk_s[4u * c + 2u];
        vec4 s3 = chunk_s[4u * c + 3u];
        vec4 q[CHUNK_TURNS];
        vec4 k[CHUNK_TURNS];
        vec4 kd[CHUNK_TURNS]; // k_s^t as t goes on
        vec4 d[CHUNK_TURNS];
#if CHUNK_RULE == CHUNK_PAIR
        vec4 a[CHUNK_TURNS];
        vec4 b[CHUNK_TURNS];
        vec4 bd[CHUNK_TURNS];
#endif
        [[unroll]] for (uint g = 0; g < CHUNK_TURNS; g++) {
            q[g] = vec4(0.0);
            if (outputs) {
                q[g] = chunk_q(token[g], c);
            }
            k[g] = vec4(0.0);
            if (inside || update) {
                const vec4 x = chunk_k(token[g], c);
                k[g] = valid[g] ? x : vec4(0.0);
            }
            kd[g] = vec4(0.0);
            d[g] = vec4(1.0);
#ifdef CHUNK_HAS_GATE4
            if (CHUNK_GATE == CHUNK_GATE_KEY) {
                const vec4 x = chunk_gate4(token[g], c);
                const vec4 y = vec4(chunk_exp_(x.x), chunk_exp_(x.y), chunk_exp_(x.z),
                                    chunk_exp_(x.w));
                d[g] = valid[g] ? y : vec4(1.0);
            }
#endif
#if CHUNK_RULE == CHUNK_PAIR
            a[g] = chunk_a(token[g], c);
            const vec4 y = chunk_b(token[g], c);
            b[g] = valid[g] ? y : vec4(0.0);
            bd[g] = vec4(0.0);
#endif
        }
        vec4 z = chunk_z[c];
        vec4 u = vec4(0.0);
#ifdef CHUNK_EXCLUSIVE
        u = chunk_u(c);
#endif
        vec4 passed = vec4(1.0); // c_t of these rows
        [[unroll]] for (uint t = 0; t < CHUNK; t++) {
            const uint turn = t / SUBGROUP;
            const vec4 qt = subgroupShuffle(q[turn], t % SUBGROUP);
            const vec4 dt = subgroupShuffle(d[turn], t % SUBGROUP);
#if CHUNK_RULE == CHUNK_PAIR
            // Before token t's own gate.
            const vec4 at = subgroupShuffle(a[turn], t % SUBGROUP);
            const vec4 aw = CHUNK_GATE == CHUNK_GATE_KEY ? at * passed : at;
            chunk_w_[t] = chunk_rows_(aw, s0, s1, s2, s3, chunk_w_[t]);
            [[unroll]] for (uint g = 0; g < CHUNK_TURNS; g++) {
                if (g <= turn) {
                    const uint i = t * CHUNK_TURNS + g;
                    const bool before = t > g * SUBGROUP + lane;
                    const bool key = CHUNK_GATE == CHUNK_GATE_KEY;
                    chunk_ak_[i] = chunk_dot_(at, key ? kd[g] : k[g], chunk_ak_[i]);
                    chunk_ab_[i] = chunk_dot_(at, key ? bd[g] : b[g], chunk_ab_[i]);
                }
            }
#endif
            vec4 qs = qt;
            if (CHUNK_GATE == CHUNK_GATE_KEY) {
                if (CHUNK_EXCLUSIVE_) {
                    qs = qt * passed;
                    passed *= dt;
                } else {
                    passed *= dt;
                    qs = qt * passed;
                }
            }
            if (outputs) {
                chunk_o_[t] = chunk_rows_(qs, s0, s1, s2, s3, chunk_o_[t]);
                if (CHUNK_SUM) {
                    chunk_sum_[t] = chunk_dot_(qs, z, chunk_sum_[t]);
                }
            }
#if CHUNK_RULE == CHUNK_DELTA
            const vec4 kt = subgroupShuffle(k[turn], t % SUBGROUP);
            const vec4 ks = CHUNK_GATE == CHUNK_GATE_KEY ? kt * passed : kt;
            chunk_w_[t] = chunk_rows_(ks, s0, s1, s2, s3, chunk_w_[t]);
#endif
            if (inside || (update && CHUNK_GATE == CHUNK_GATE_KEY)) {
                [[unroll]] for (uint g = 0; g < CHUNK_TURNS; g++) {
                    if (g <= turn) {
                        const uint i = t * CHUNK_TURNS + g;
                        vec4 seen = k[g];
                        if (CHUNK_GATE == CHUNK_GATE_KEY) {
                            vec4 now = kd[g];
#if CHUNK_RULE == CHUNK_PAIR
                            bd[g] *= dt;
                            if (g == turn) {
                                bd[g] = lane == t % SUBGROUP ? b[g] : bd[g];
                            }
#endif
                            if (g == turn) {
                                now = lane == t % SUBGROUP ? u * k[g] : now;
                            }
                            kd[g] *= dt;
                            if (g == turn) {
                                kd[g] = lane == t % SUBGROUP ? k[g] : kd[g];
                            }
                            seen = CHUNK_EXCLUSIVE_ ? now : kd[g];
                        }
                        if (inside) {
                            chunk_qk_[i] = chunk_dot_(qt, seen, chunk_qk_[i]);
#if CHUNK_RULE == CHUNK_DELTA
                            chunk_ak_[i] = chunk_dot_(kt, seen, chunk_ak_[i]);
#endif
#if CHUNK_RULE == CHUNK_PAIR
                            const bool key = CHUNK_GATE == CHUNK_GATE_KEY;
                            chunk_qb_[i] =
                                chunk_dot_(qt, key ? bd[g] : b[g], chunk_qb_[i]);
#endif
                        }
                    }
                }
            }
        }
        if (CHUNK_GATE == CHUNK_GATE_NONE || CHUNK_GATE == CHUNK_GATE_TOKEN) {
            passed = vec4(kept);
            [[unroll]] for (uint g = 0; g < CHUNK_TURNS; g++) {
                kd[g] = k[g] * decay[g];
#if CHUNK_RULE == CHUNK_PAIR
                bd[g] = b[g] * decay[g];
#endif
            }
        }
#if CHUNK_RULE == CHUNK_ADD
        if (update) {
            if (CHUNK_GATE != CHUNK_GATE_NONE) {
                s0 *= passed.x;
                s1 *= passed.y;
                s2 *= passed.z;
                s3 *= passed.w;
                z *= passed;
            }
            [[unroll]] for (uint g = 0; g < CHUNK_TURNS; g++) {
                kd[g] *= k_scale[g];
            }
            [[unroll]] for (uint t = 0; t < CHUNK; t++) {
                const vec4 x = subgroupShuffle(kd[t / SUBGROUP], t % SUBGROUP);
                const vec4 v = chunk_x_[t];
                s0 = fma(vec4(x.x), v, s0);
                s1 = fma(vec4(x.y), v, s1);
                s2 = fma(vec4(x.z), v, s2);
                s3 = fma(vec4(x.w), v, s3);
                if (CHUNK_SUM) {
                    z += x;
                }
            }
            chunk_s[4u * c] = s0;
            chunk_s[4u * c + 1u] = s1;
            chunk_s[4u * c + 2u] = s2;
            chunk_s[4u * c + 3u] = s3;
            chunk_z[c] = z;
        }
#else
        chunk_keep_[c] = passed;
        [[unroll]] for (uint g = 0; g < CHUNK_TURNS; g++) {
            chunk_kept_[c * CHUNK_TURNS + g] = kd[g];
#if CHUNK_RULE == CHUNK_PAIR
            chunk_kept_b_[c * CHUNK_TURNS + g] = bd[g];
#endif
        }
#endif
    }

    // --- decay and factors of the products inside the chunk ---------------------------
    if (inside) {
        [[unroll]] for (uint t = 0; t < CHUNK; t++) {
            const uint turn = t / SUBGROUP;
            float factor = 1.0;
            if (CHUNK_RULE == CHUNK_ADD) {
                factor = subgroupShuffle(q_scale[turn], t % SUBGROUP);
            }
            [[unroll]] for (uint g = 0; g < CHUNK_TURNS; g++) {
                if (g <= turn) {
                    const uint i = t * CHUNK_TURNS + g;
                    float x = factor * k_scale[g];
                    if (CHUNK_GATE == CHUNK_GATE_TOKEN) {
                        x *= chunk_decay_[i];
                    }
                    chunk_qk_[i] *= x;
#if CHUNK_RULE == CHUNK_DELTA
                    chunk_ak_[i] *= x;
#endif
#if CHUNK_RULE == CHUNK_PAIR
                    chunk_qb_[i] *= x;
                    if (CHUNK_GATE == CHUNK_GATE_TOKEN && t > 0u) {
                        const float y = chunk_decay_[i - CHUNK_TURNS];
                        chunk_ak_[i] *= y;
                        chunk_ab_[i] *= y;
                    }
#endif
                }
            }
        }
    }

    // --- the triangular system, row by row --------------------------------------------
#if CHUNK_RULE != CHUNK_ADD
    float beta[CHUNK_TURNS];
    [[unroll]] for (uint g = 0; g < CHUNK_TURNS; g++) {
        beta[g] = 0.0;
#if CHUNK_RULE == CHUNK_DELTA
        const float x = chunk_beta(token[g]);
        beta[g] = valid[g] ? x : 0.0;
#endif
    }
    [[unroll]] for (uint t = 0; t < CHUNK; t++) {
#if CHUNK_RULE == CHUNK_DELTA
        vec4 x = fma(vec4(-reach[t]), chunk_w_[t], chunk_x_[t]);
        [[unroll]] for (uint s = 0; s < CHUNK; s++) {
            if (s < t) {
                const float w = subgroupShuffle(chunk_ak_[t * CHUNK_TURNS + s / SUBGROUP],
                                                s % SUBGROUP);
                x = fma(vec4(-w), chunk_x_[s], x);
            }
        }
        const float factor = subgroupShuffle(beta[t / SUBGROUP], t % SUBGROUP);
        chunk_x_[t] = first + t < end ? factor * x : vec4(0.0);
#else
        vec4 x = chunk_w_[t] * (t > 0u ? reach[max(t, 1u) - 1u] : 1.0);
        [[unroll]] for (uint s = 0; s < CHUNK; s++) {
            if (s < t) {
                const uint i = t * CHUNK_TURNS + s / SUBGROUP;
                const float w = subgroupShuffle(chunk_ak_[i], s % SUBGROUP);
                const float y = subgroupShuffle(chunk_ab_[i], s % SUBGROUP);
                x = fma(vec4(w), chunk_x_[s], x);
                x = fma(vec4(y), chunk_y_[s], x);
            }
        }
        chunk_y_[t] = first + t < end ? x : vec4(0.0);
#endif
    }
#endif

    // --- outputs ----------------------------------------------------------------------
    if (outputs) {
        [[unroll]] for (uint t = 0; t < CHUNK; t++) {
            vec4 o = chunk_o_[t] * reach[t];
            float sum = chunk_sum_[t] * reach[t];
            if (inside) {
                [[unroll]] for (uint s = 0; s < CHUNK; s++) {
                    if (s <= t) {
                        const uint i = t * CHUNK_TURNS + s / SUBGROUP;
                        const float w = subgroupShuffle(chunk_qk_[i], s % SUBGROUP);
                        o = fma(vec4(w), chunk_x_[s], o);
                        if (CHUNK_SUM) {
                            sum += w;
                        }
#if CHUNK_RULE == CHUNK_PAIR
                        const float y = subgroupShuffle(chunk_qb_[i], s % SUBGROUP);
                        o = fma(vec4(y), chunk_y_[s], o);
#endif
                    }
                }
            }
            chunk_o_[t] = o;
            chunk_sum_[t] = sum;
        }
        if (CHUNK_ROLL) {
            [[dont_unroll]] for (uint t = 0; t < CHUNK; t++) {
                chunk_store_o_(t, first, end, j);
            }
        } else {
            [[unroll]] for (uint t = 0; t < CHUNK; t++) {
                chunk_store_o_(t, first, end, j);
            }
        }
    }

    // --- the state moves on -----------------------------------------------------------
#if CHUNK_RULE != CHUNK_ADD
    [[dont_unroll]] for (uint c = 0; c < CHUNK_QUADS; c++) {
        const vec4 keep = chunk_keep_[c];
        vec4 s0 = chunk_s[4u * c] * keep.x;
        vec4 s1 = chunk_s[4u * c + 1u] * keep.y;
        vec4 s2 = chunk_s[4u * c + 2u] * keep.z;
        vec4 s3 = chunk_s[4u * c + 3u] * keep.w;
        [[unroll]] for (uint t = 0; t < CHUNK; t++) {
            const vec4 k = subgroupShuffle(chunk_kept_[c * CHUNK_TURNS + t / SUBGROUP],
                                           t % SUBGROUP);
            const vec4 x = chunk_x_[t];
            s0 = fma(vec4(k.x), x, s0);
            s1 = fma(vec4(k.y), x, s1);
            s2 = fma(vec4(k.z), x, s2);
            s3 = fma(vec4(k.w), x, s3);
#if CHUNK_RULE == CHUNK_PAIR
            const vec4 b = subgroupShuffle(chunk_kept_b_[c * CHUNK_TURNS + t / SUBGROUP],
                                           t % SUBGROUP);
            const vec4 y = chunk_y_[t];
            s0 = fma(vec4(b.x), y, s0);
            s1 = fma(vec4(b.y), y, s1);
            s2 = fma(vec4(b.z), y, s2);
            s3 = fma(vec4(b.w), y, s3);
#endif
        }
        chunk_s[4u * c] = s0;
        chunk_s[4u * c + 1u] = s1;
        chunk_s[4u * c + 2u] = s2;
        chunk_s[4u * c + 3u] = s3;
    }
#endif
}

// Tokens [first, end), with those `parts` of the work that the caller wants: constants.
void chunk_walk(const uint first, const uint end, const uint j, const uint parts)
{
    [[dont_unroll]] for (uint t = first; t < end; t += CHUNK) {
        chunk_step_(t, end, j, parts);
    }
}

#endif
