// SPDX-License-Identifier: MIT
//
// The recurrent form of lib/chunk.glsl: token by token, the state in registers
//
//   S <- D_t S;  ADD S += k_t (x) v_t;  DELTA S += beta_t k_t (x) (v_t - k_t S);
//   PAIR S += b_t (x) (a_t S_{t-1}) + k_t (x) v_t;  o_t = q_t S
//
//              columns 4j..4j+3, j = column group of the lane
//   slice 0    rows 0..3, 4 SLICES ..           the rows of a column are dealt to SLICES
//   slice 1    rows 4..7, ..                    lanes; sums over rows are added in shared
//   ...                                         memory, not at all when SLICES = 1
//
// Rows of q, k and vector gates of TOKENS tokens are staged in shared memory at a time.
// It takes the same hooks and macros as lib/chunk.glsl, with `chunk` in their names; read
// there what they are. Both files may not be included together.
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM, TOKENS (staged at a time), SLICES (divides the workgroup's size),
//               ROLL (1: the state lives in memory, loops over it stay loops; for drivers
//               that compile faster so)
//   shared      vec4 recurrent_rows[TOKENS * RECURRENT_KINDS * ceil(HEAD_DIM / 4)]
//               vec4 recurrent_parts[SLICES == 1 ? 1 : workgroup size]
//   macro       RECURRENT_KINDS: 2, one more for CHUNK_HAS_GATE4, two more for CHUNK_PAIR
//   functions   those of lib/chunk.glsl
// and calls chunk_begin(), chunk_walk() and chunk_end() in uniform control flow, with the
// lane's column group and `slice`, its number among the lanes of that group.
#ifndef VKZ_RECURRENT_GLSL
#define VKZ_RECURRENT_GLSL

#extension GL_EXT_control_flow_attributes : require

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

const uint CHUNK_QUADS = (HEAD_DIM + 3u) / 4u;
const uint RECURRENT_QUADS = (CHUNK_QUADS + SLICES - 1u) / SLICES; // of a lane

vec4 chunk_s[4u * RECURRENT_QUADS];
vec4 chunk_z[RECURRENT_QUADS];

const uint RECURRENT_Q = 0;
const uint RECURRENT_K = 1;
const uint RECURRENT_A = 2;
const uint RECURRENT_B = 3;
const uint RECURRENT_D = RECURRENT_KINDS - 1; // e^g by row

float chunk_exp_(const float x)
{
    return vkz_exp2(x * VKZ_LOG2E, EXP_POLY5);
}

uint recurrent_at_(const uint t, const uint kind, const uint c)
{
    return (t * RECURRENT_KINDS + kind) * CHUNK_QUADS + c;
}

// Group n of four rows of this lane: the loops over n below are unrolled, or not.
void recurrent_begin_(const uint n, const uint j, const uint slice, const bool load)
{
    const uint c = n * SLICES + slice;
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        const uint row = 4u * c + i;
        chunk_s[4u * n + i] = vec4(0.0);
        chunk_z[n][i] = 0.0;
        if (load && row < HEAD_DIM) {
            chunk_s[4u * n + i] = chunk_load_s(row, j);
#ifdef CHUNK_HAS_SUM
            if (CHUNK_SUM) {
                chunk_z[n][i] = chunk_load_z(row);
            }
#endif
        }
    }
}

void recurrent_end_(const uint n, const uint j, const uint slice)
{
    const uint c = n * SLICES + slice;
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        const uint row = 4u * c + i;
        if (row < HEAD_DIM) {
            chunk_store_s(row, j, chunk_s[4u * n + i]);
#ifdef CHUNK_HAS_SUM
            if (CHUNK_SUM && j == 0u) {
                chunk_store_z(row, chunk_z[n][i]);
            }
#endif
        }
    }
}

void chunk_begin(const uint j, const uint slice, const bool load)
{
    if (ROLL != 0) {
        [[dont_unroll]] for (uint n = 0; n < RECURRENT_QUADS; n++) {
            recurrent_begin_(n, j, slice, load);
        }
    } else {
        [[unroll]] for (uint n = 0; n < RECURRENT_QUADS; n++) {
            recurrent_begin_(n, j, slice, load);
        }
    }
}

void chunk_end(const uint j, const uint slice)
{
    if (ROLL != 0) {
        [[dont_unroll]] for (uint n = 0; n < RECURRENT_QUADS; n++) {
            recurrent_end_(n, j, slice);
        }
    } else {
        [[unroll]] for (uint n = 0; n < RECURRENT_QUADS; n++) {
            recurrent_end_(n, j, slice);
        }
    }
}

// Sums of the lanes that share a column group. Lanes of one group lie `groups` apart.
vec4 recurrent_sum_(const vec4 x, const uint groups)
{
    if (SLICES == 1) {
        return x;
    }
    const uint me = gl_LocalInvocationID.x;
    barrier();
    recurrent_parts[me] = x;
    barrier();
    vec4 sum = vec4(0.0);
    for (uint i = 0; i < SLICES; i++) {
        sum += recurrent_parts[me % groups + i * groups];
    }
    return sum;
}

struct recurrent_token {
    float d;   // scalar gate
    vec4 x;    // the row that k (DELTA: beta k) brings
    vec4 y;    // the row that b brings
    float scale; // ADD: the factor of k
    vec4 o;
    float sum;
};

// The state's part of DELTA's and PAIR's correction.
void recurrent_read_(const uint n, const uint t, const uint slice, inout vec4 w)
{
    const uint c = n * SLICES + slice;
    if (c < CHUNK_QUADS) {
        vec4 k = recurrent_rows[recurrent_at_(t, CHUNK_RULE == CHUNK_PAIR ? RECURRENT_A
                                                                         : RECURRENT_K, c)];
        if (CHUNK_RULE == CHUNK_DELTA && CHUNK_GATE == CHUNK_GATE_KEY) {
            k *= recurrent_rows[recurrent_at_(t, RECURRENT_D, c)];
        }
        w = fma(vec4(k.x), chunk_s[4u * n], w);
        w = fma(vec4(k.y), chunk_s[4u * n + 1u], w);
        w = fma(vec4(k.z), chunk_s[4u * n + 2u], w);
        w = fma(vec4(k.w), chunk_s[4u * n + 3u], w);
    }
}

void recurrent_move_(const uint n, const uint t, const uint slice, inout recurrent_token r)
{
    const uint c = n * SLICES + slice;
    if (c < CHUNK_QUADS) {
        const vec4 q = recurrent_rows[recurrent_at_(t, RECURRENT_Q, c)];
        const vec4 k = recurrent_rows[recurrent_at_(t, RECURRENT_K, c)];
#if CHUNK_RULE == CHUNK_PAIR
        const vec4 b = recurrent_rows[recurrent_at_(t, RECURRENT_B, c)];
#endif
        vec4 d = vec4(r.d);
        if (CHUNK_GATE == CHUNK_GATE_KEY) {
            d = recurrent_rows[recurrent_at_(t, RECURRENT_D, c)];
        }
#ifdef CHUNK_EXCLUSIVE
        const vec4 u = chunk_u(c);
#endif
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            vec4 s = chunk_s[4u * n + i];
#ifdef CHUNK_EXCLUSIVE
            r.o = fma(vec4(q[i]), fma(vec4(u[i] * k[i]), r.x, s), r.o);
#endif
            if (CHUNK_GATE != CHUNK_GATE_NONE) {
                s *= d[i];
            }
            s = fma(vec4(k[i]), r.x, s);
#if CHUNK_RULE == CHUNK_PAIR
            s = fma(vec4(b[i]), r.y, s);
#endif
#ifndef CHUNK_EXCLUSIVE
            r.o = fma(vec4(q[i]), s, r.o);
#endif
            chunk_s[4u * n + i] = s;
        }
        if (CHUNK_SUM) {
            const vec4 z = fma(k, vec4(r.scale), chunk_z[n] * d);
            r.sum += dot(q, z);
            chunk_z[n] = z;
        }
    }
}

// Token `token`, staged as row t.
void recurrent_step_(const uint token, const uint t, const uint j, const uint slice,
                     const uint groups)
{
    recurrent_token r;
    r.d = 1.0;
    r.o = vec4(0.0);
    r.y = vec4(0.0);
    r.scale = 1.0;
    r.sum = 0.0;
#ifdef CHUNK_HAS_GATE
    if (CHUNK_GATE == CHUNK_GATE_TOKEN) {
        r.d = chunk_exp_(chunk_gate(token));
    }
#endif
    r.x = chunk_v(token, j);
#if CHUNK_RULE == CHUNK_ADD
    r.scale = chunk_k_scale(token);
    r.x *= r.scale;
#else
    vec4 w = vec4(0.0);
    if (ROLL != 0) {
        [[dont_unroll]] for (uint n = 0; n < RECURRENT_QUADS; n++) {
            recurrent_read_(n, t, slice, w);
        }
    } else {
        [[unroll]] for (uint n = 0; n < RECURRENT_QUADS; n++) {
            recurrent_read_(n, t, slice, w);
        }
    }
    w = recurrent_sum_(w, groups);
#if CHUNK_RULE == CHUNK_DELTA
    r.x = chunk_beta(token) * (r.x - r.d * w);
#else
    r.y = w;
#endif
#endif
    if (ROLL != 0) {
        [[dont_unroll]] for (uint n = 0; n < RECURRENT_QUADS; n++) {
            recurrent_move_(n, t, slice, r);
        }
    } else {
        [[unroll]] for (uint n = 0; n < RECURRENT_QUADS; n++) {
            recurrent_move_(n, t, slice, r);
        }
    }
    vec4 o = recurrent_sum_(r.o, groups);
    float sum = 0.0;
    if (CHUNK_SUM) {
        sum = recurrent_sum_(vec4(r.sum), groups).x;
    }
#if CHUNK_RULE == CHUNK_ADD
    const float q_scale = chunk_q_scale(token);
    o *= q_scale;
    sum *= q_scale;
#endif
    if (slice == 0u) {
        chunk_store(token, j, o, sum);
    }
}

void chunk_walk(const uint first, const uint end, const uint j, const uint slice)
{
    const uint groups = gl_WorkGroupSize.x / SLICES;
    [[dont_unroll]] for (uint t0 = first; t0 < end; t0 += TOKENS) {
        const uint count = min(TOKENS, end - t0);
        barrier();
        for (uint i = gl_LocalInvocationID.x; i < count * CHUNK_QUADS;
             i += gl_WorkGroupSize.x) {
            const uint t = i / CHUNK_QUADS;
            const uint c = i % CHUNK_QUADS;
            recurrent_rows[recurrent_at_(t, RECURRENT_Q, c)] = chunk_q(t0 + t, c);
            recurrent_rows[recurrent_at_(t, RECURRENT_K, c)] = chunk_k(t0 + t, c);
#if CHUNK_RULE == CHUNK_PAIR
            recurrent_rows[recurrent_at_(t, RECURRENT_A, c)] = chunk_a(t0 + t, c);
            recurrent_rows[recurrent_at_(t, RECURRENT_B, c)] = chunk_b(t0 + t, c);
#endif
#ifdef CHUNK_HAS_GATE4
            if (CHUNK_GATE == CHUNK_GATE_KEY) {
                const vec4 x = chunk_gate4(t0 + t, c);
                recurrent_rows[recurrent_at_(t, RECURRENT_D, c)] =
                    vec4(chunk_exp_(x.x), chunk_exp_(x.y), chunk_exp_(x.z),
                         chunk_exp_(x.w));
            }
#endif
        }
        barrier();
        [[dont_unroll]] for (uint t = 0; t < count; t++) {
            recurrent_step_(t0 + t, t, j, slice, groups);
        }
    }
}

#endif
