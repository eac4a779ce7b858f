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
// Rows of q, k and vector gates of TOKENS tokens are staged in shared memory at a time, or
// with STAGE = 0 read where they are.
// It takes the same hooks and macros as lib/chunk.glsl, with `chunk` in their names; read
// there what they are. Both files may not be included together.
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM, STAGE, TOKENS (staged at a time), SLICES (divides the
//               workgroup's size), ROLL (1: the state lives in memory, loops over it stay loops; for drivers
//               that compile faster so)
//   shared      vec4 recurrent_rows[TOKENS * RECURRENT_KINDS * ceil(HEAD_DIM / 4)]
//               vec4 recurrent_parts[SLICES == 1 ? 1 : workgroup size]
//   macro       RECURRENT_KINDS: 2, one more for CHUNK_HAS_GATE4, two more for CHUNK_PAIR
//   functions   those of lib/chunk.glsl
// and calls chunk_begin(), chunk_walk() and chunk_end(), or for one token chunk_single(),
// in uniform control flow, with the lane's column group and `slice`, its number among the
// lanes of that group.
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
const uint CHUNK_OUTPUTS = 1;
const uint CHUNK_UPDATE = 4;
const uint CHUNK_ALL = 7;
#ifndef CHUNK_SUM
#define CHUNK_SUM false
#endif

const uint CHUNK_QUADS = (HEAD_DIM + 3u) / 4u;
const uint RECURRENT_QUADS = (CHUNK_QUADS + SLICES - 1u) / SLICES; // of a lane

// No lane has rows past the end: no test, which costs some drivers a branch for each.
const bool RECURRENT_WHOLE = HEAD_DIM % (4u * SLICES) == 0u;

vec4 chunk_s[4u * RECURRENT_QUADS];
vec4 chunk_z[RECURRENT_QUADS];

const uint RECURRENT_Q = 0;
const uint RECURRENT_K = 1;
const uint RECURRENT_A = 2;
const uint RECURRENT_B = 3;
const uint RECURRENT_D = RECURRENT_KINDS - 1; // e^g by row

float chunk_exp_(const float x)
{
    return vkz_exp2_accurate(x * VKZ_LOG2E);
}

uint recurrent_at_(const uint t, const uint kind, const uint c)
{
    return (t * RECURRENT_KINDS + kind) * CHUNK_QUADS + c;
}

vec4 recurrent_load_(const uint token, const uint kind, const uint c)
{
    if (kind == RECURRENT_Q) {
        return chunk_q(token, c);
    }
    if (kind == RECURRENT_K) {
        return chunk_k(token, c);
    }
#if CHUNK_RULE == CHUNK_PAIR
    if (kind == RECURRENT_A) {
        return chunk_a(token, c);
    }
    if (kind == RECURRENT_B) {
        return chunk_b(token, c);
    }
#endif
#ifdef CHUNK_HAS_GATE4
    const vec4 x = chunk_gate4(token, c);
    return vec4(chunk_exp_(x.x), chunk_exp_(x.y), chunk_exp_(x.z), chunk_exp_(x.w));
#else
    return vec4(1.0);
#endif
}

// Four elements of a row of token `token`, which is staged as number t.
vec4 recurrent_row_(const uint token, const uint t, const uint kind, const uint c)
{
    if (STAGE != 0) {
        return recurrent_rows[recurrent_at_(t, kind, c)];
    }
    return recurrent_load_(token, kind, c);
}

// Group n of four rows of this lane: the loops over n below are unrolled, or not.
void recurrent_begin_(const uint n, const uint j, const uint slice, const bool load,
                      out vec4 s[4], out vec4 z)
{
    const uint c = n * SLICES + slice;
    z = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        const uint row = 4u * c + i;
        s[i] = vec4(0.0);
        if (load && (RECURRENT_WHOLE || row < HEAD_DIM)) {
            s[i] = chunk_load_s(row, j);
#ifdef CHUNK_HAS_SUM
            if (CHUNK_SUM) {
                z[i] = chunk_load_z(row);
            }
#endif
        }
    }
}

void recurrent_end_(const uint n, const uint j, const uint slice, const vec4 s[4],
                    const vec4 z)
{
    const uint c = n * SLICES + slice;
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        const uint row = 4u * c + i;
        if (RECURRENT_WHOLE || row < HEAD_DIM) {
            chunk_store_s(row, j, s[i]);
#ifdef CHUNK_HAS_SUM
            if (CHUNK_SUM && j == 0u) {
                chunk_store_z(row, z[i]);
            }
#endif
        }
    }
}

void recurrent_get_(const uint n, out vec4 s[4], out vec4 z)
{
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        s[i] = chunk_s[4u * n + i];
    }
    z = chunk_z[n];
}

void recurrent_put_(const uint n, const vec4 s[4], const vec4 z)
{
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        chunk_s[4u * n + i] = s[i];
    }
    chunk_z[n] = z;
}

#define RECURRENT_FOR_(body)                                                            \
    if (ROLL != 0) {                                                                    \
        [[dont_unroll]] for (uint n = 0; n < RECURRENT_QUADS; n++) {                    \
            vec4 s[4];                                                                  \
            vec4 z;                                                                     \
            body;                                                                       \
        }                                                                               \
    } else {                                                                            \
        [[unroll]] for (uint n = 0; n < RECURRENT_QUADS; n++) {                         \
            vec4 s[4];                                                                  \
            vec4 z;                                                                     \
            body;                                                                       \
        }                                                                               \
    }

void chunk_begin(const uint j, const uint slice, const bool load)
{
    RECURRENT_FOR_(recurrent_begin_(n, j, slice, load, s, z); recurrent_put_(n, s, z))
}

void chunk_end(const uint j, const uint slice)
{
    RECURRENT_FOR_(recurrent_get_(n, s, z); recurrent_end_(n, j, slice, s, z))
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
void recurrent_read_(const uint n, const uint token, const uint t, const uint slice,
                     const vec4 s[4], inout vec4 w)
{
    const uint c = n * SLICES + slice;
    if (RECURRENT_WHOLE || c < CHUNK_QUADS) {
        const uint kind = CHUNK_RULE == CHUNK_PAIR ? RECURRENT_A : RECURRENT_K;
        vec4 k = recurrent_row_(token, t, kind, c);
        if (CHUNK_RULE == CHUNK_DELTA && CHUNK_GATE == CHUNK_GATE_KEY) {
            k *= recurrent_row_(token, t, RECURRENT_D, c);
        }
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            w = fma(vec4(k[i]), s[i], w);
        }
    }
}

void recurrent_move_(const uint n, const uint token, const uint t, const uint slice,
                     inout vec4 s[4], inout vec4 z, inout recurrent_token r)
{
    const uint c = n * SLICES + slice;
    if (RECURRENT_WHOLE || c < CHUNK_QUADS) {
        const vec4 q = recurrent_row_(token, t, RECURRENT_Q, c);
        const vec4 k = recurrent_row_(token, t, RECURRENT_K, c);
#if CHUNK_RULE == CHUNK_PAIR
        const vec4 b = recurrent_row_(token, t, RECURRENT_B, c);
#endif
        vec4 d = vec4(r.d);
        if (CHUNK_GATE == CHUNK_GATE_KEY) {
            d = recurrent_row_(token, t, RECURRENT_D, c);
        }
#ifdef CHUNK_EXCLUSIVE
        const vec4 u = chunk_u(c);
#endif
        [[unroll]] for (uint i = 0; i < 4u; i++) {
#ifdef CHUNK_EXCLUSIVE
            r.o = fma(vec4(q[i]), fma(vec4(u[i] * k[i]), r.x, s[i]), r.o);
#endif
            if (CHUNK_GATE != CHUNK_GATE_NONE) {
                s[i] *= d[i];
            }
            s[i] = fma(vec4(k[i]), r.x, s[i]);
#if CHUNK_RULE == CHUNK_PAIR
            s[i] = fma(vec4(b[i]), r.y, s[i]);
#endif
#ifndef CHUNK_EXCLUSIVE
            r.o = fma(vec4(q[i]), s[i], r.o);
#endif
        }
        if (CHUNK_SUM) {
            z = fma(k, vec4(r.scale), z * d);
            r.sum += dot(q, z);
        }
    }
}

// What of a token does not depend on the state.
recurrent_token recurrent_first_(const uint token, const uint j)
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
#endif
    return r;
}

void recurrent_correct_(const uint token, const vec4 w, const uint groups,
                        inout recurrent_token r)
{
    const vec4 x = recurrent_sum_(w, groups);
#if CHUNK_RULE == CHUNK_DELTA
    r.x = chunk_beta(token) * (r.x - r.d * x);
#else
    r.y = x;
#endif
}

void recurrent_last_(const uint token, const uint j, const uint slice, const uint groups,
                     const recurrent_token r)
{
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

// Token `token`, staged as number t.
void recurrent_step_(const uint token, const uint t, const uint j, const uint slice,
                     const uint groups, const uint parts)
{
    recurrent_token r = recurrent_first_(token, j);
    if ((parts & CHUNK_UPDATE) == 0u) {
        r.x = vec4(0.0);
        r.scale = 0.0;
    }
#if CHUNK_RULE != CHUNK_ADD
    vec4 w = vec4(0.0);
    RECURRENT_FOR_(recurrent_get_(n, s, z); recurrent_read_(n, token, t, slice, s, w))
    recurrent_correct_(token, w, groups, r);
#endif
    RECURRENT_FOR_(recurrent_get_(n, s, z); recurrent_move_(n, token, t, slice, s, z, r);
                   recurrent_put_(n, s, z))
    if ((parts & CHUNK_OUTPUTS) != 0u) {
        recurrent_last_(token, j, slice, groups, r);
    }
}

void recurrent_stage_(const uint first, const uint count)
{
    if (STAGE == 0) {
        return;
    }
    barrier();
    for (uint i = gl_LocalInvocationID.x; i < count * CHUNK_QUADS;
         i += gl_WorkGroupSize.x) {
        const uint t = i / CHUNK_QUADS;
        const uint c = i % CHUNK_QUADS;
        [[unroll]] for (uint kind = 0; kind < RECURRENT_KINDS; kind++) {
            recurrent_rows[recurrent_at_(t, kind, c)] =
                recurrent_load_(first + t, kind, c);
        }
    }
    barrier();
}

// Tokens [first, end), with those `parts` of the work that the caller wants: constants.
// For ADD without gates only, but for CHUNK_ALL.
void chunk_walk_parts(const uint first, const uint end, const uint j, const uint slice,
                      const uint parts)
{
    const uint groups = gl_WorkGroupSize.x / SLICES;
    [[dont_unroll]] for (uint t0 = first; t0 < end; t0 += TOKENS) {
        const uint count = min(TOKENS, end - t0);
        recurrent_stage_(t0, count);
        [[dont_unroll]] for (uint t = 0; t < count; t++) {
            recurrent_step_(t0 + t, t, j, slice, groups, parts);
        }
    }
}

void chunk_walk(const uint first, const uint end, const uint j, const uint slice)
{
    chunk_walk_parts(first, end, j, slice, CHUNK_ALL);
}

// Begin, one token and end: each row of the state is read, moved on and written at once.
void chunk_single(const uint token, const uint j, const uint slice, const bool load,
                  const bool store)
{
    const uint groups = gl_WorkGroupSize.x / SLICES;
    recurrent_stage_(token, 1u);
    recurrent_token r = recurrent_first_(token, j);
#if CHUNK_RULE != CHUNK_ADD
    vec4 w = vec4(0.0);
    RECURRENT_FOR_(recurrent_begin_(n, j, slice, load, s, z); recurrent_put_(n, s, z);
                   recurrent_read_(n, token, 0u, slice, s, w))
    recurrent_correct_(token, w, groups, r);
    RECURRENT_FOR_(recurrent_get_(n, s, z);
                   recurrent_move_(n, token, 0u, slice, s, z, r);
                   if (store) { recurrent_end_(n, j, slice, s, z); })
#else
    RECURRENT_FOR_(recurrent_begin_(n, j, slice, load, s, z);
                   recurrent_move_(n, token, 0u, slice, s, z, r);
                   if (store) { recurrent_end_(n, j, slice, s, z); })
#endif
    recurrent_last_(token, j, slice, groups, r);
}

#endif
