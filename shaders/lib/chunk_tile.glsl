// SPDX-License-Identifier: MIT
//
// The chunk engine on shared memory, for ADD without vector gates: no subgroup operations
//
//   O = (c Q) S + tril(Q K^T decay) V,  S <- c_C S + (decay K)^T V      see lib/chunk.glsl
//
//             columns 4j..4j+3, j = column group of the lane
//   slice 0   rows 0..3, 4 SLICES ..     S in registers; q, k and v of a chunk are staged
//   slice 1   rows 4..7, ..              in shared memory; Q K^T is dealt to all lanes, a
//   ...                                  pair each; sums over slices pass through `part`
//
// The hooks and macros are those of lib/chunk.glsl (neither CHUNK_SUM nor CHUNK_RULE).
// Lanes and slices are as in lib/recurrent.glsl.
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM, CHUNK (tokens), SLICES (divides the workgroup's size), ROUND
//               (tokens whose sums over slices are added at a time, divides CHUNK), ROLL
//   shared      vec4 tile_rows[2 * CHUNK * ceil(HEAD_DIM / 4)]
//               vec4 tile_v[CHUNK * workgroup size / SLICES]
//               vec4 tile_part[ROUND * workgroup size]
//               float tile_a[CHUNK * CHUNK]
//               float tile_t[5 * CHUNK + 4]
// and calls chunk_begin(), chunk_walk() and chunk_end() in uniform control flow, with the
// lane's column group and slice.
#ifndef VKZ_CHUNK_TILE_GLSL
#define VKZ_CHUNK_TILE_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "lib/exp.glsl"

const uint CHUNK_GATE_NONE = 0;
const uint CHUNK_GATE_TOKEN = 1;
const uint CHUNK_GATE_KEY = 2;
#ifndef CHUNK_GATE
#define CHUNK_GATE CHUNK_GATE_NONE
#endif
const uint CHUNK_OUTPUTS = 1;
const uint CHUNK_UPDATE = 4;
const uint CHUNK_ALL = 7;

const uint CHUNK_QUADS = (HEAD_DIM + 3u) / 4u;
const uint TILE_QUADS = (CHUNK_QUADS + SLICES - 1u) / SLICES; // of a lane
const uint TILE_GROUPS = gl_WorkGroupSize.x / SLICES;         // of columns

const uint TILE_GATE = 0;          // e^g of a token
const uint TILE_Q_SCALE = 1 * CHUNK; // factors of rows
const uint TILE_K_SCALE = 2 * CHUNK;
const uint TILE_REACH = 3 * CHUNK; // c_t times the factor of q_t
const uint TILE_KEEP = 4 * CHUNK;  // what k_t has left of itself at the end
const uint TILE_KEPT = 5 * CHUNK;  // c_C

vec4 chunk_s[4u * TILE_QUADS];

void chunk_begin_(const uint n, const uint j, const uint slice, const bool load)
{
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        const uint row = 4u * (n * SLICES + slice) + i;
        chunk_s[4u * n + i] = vec4(0.0);
        if (load && row < HEAD_DIM) {
            chunk_s[4u * n + i] = chunk_load_s(row, j);
        }
    }
}

void chunk_end_(const uint n, const uint j, const uint slice)
{
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        const uint row = 4u * (n * SLICES + slice) + i;
        if (row < HEAD_DIM) {
            chunk_store_s(row, j, chunk_s[4u * n + i]);
        }
    }
}

#define TILE_FOR_(body)                                                                 \
    if (ROLL != 0) {                                                                    \
        [[dont_unroll]] for (uint n = 0; n < TILE_QUADS; n++) {                         \
            body;                                                                       \
        }                                                                               \
    } else {                                                                            \
        [[unroll]] for (uint n = 0; n < TILE_QUADS; n++) {                              \
            body;                                                                       \
        }                                                                               \
    }

void chunk_begin(const uint j, const uint slice, const bool load)
{
    TILE_FOR_(chunk_begin_(n, j, slice, load))
}

void chunk_end(const uint j, const uint slice)
{
    TILE_FOR_(chunk_end_(n, j, slice))
}

uint tile_at_(const uint kind, const uint t, const uint c)
{
    return (kind * CHUNK + t) * CHUNK_QUADS + c;
}

// q, k, v and the numbers of the chunk's tokens into shared memory; zeros past `end`.
void tile_stage_(const uint first, const uint end, const uint j0)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    for (uint i = lane; i < CHUNK * CHUNK_QUADS; i += lanes) {
        const uint t = i / CHUNK_QUADS;
        const uint c = i % CHUNK_QUADS;
        const uint token = min(first + t, end - 1u);
        const vec4 k = chunk_k(token, c);
        tile_rows[tile_at_(0u, t, c)] = chunk_q(token, c);
        tile_rows[tile_at_(1u, t, c)] = first + t < end ? k : vec4(0.0);
    }
    for (uint i = lane; i < CHUNK * TILE_GROUPS; i += lanes) {
        const uint t = i / TILE_GROUPS;
        const vec4 v = chunk_v(min(first + t, end - 1u), j0 + i % TILE_GROUPS);
        tile_v[i] = first + t < end ? v : vec4(0.0);
    }
    for (uint t = lane; t < CHUNK; t += lanes) {
        const uint token = min(first + t, end - 1u);
        float gate = 1.0;
#ifdef CHUNK_HAS_GATE
        if (CHUNK_GATE == CHUNK_GATE_TOKEN) {
            gate = vkz_exp2_accurate(chunk_gate(token) * VKZ_LOG2E);
        }
#endif
        const float scale = chunk_k_scale(token);
        tile_t[TILE_GATE + t] = first + t < end ? gate : 1.0;
        tile_t[TILE_Q_SCALE + t] = chunk_q_scale(token);
        tile_t[TILE_K_SCALE + t] = first + t < end ? scale : 0.0;
    }
}

// The products of the chunk's tokens and their decays.
void tile_inside_()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    for (uint i = lane; i < CHUNK * CHUNK; i += lanes) {
        const uint t = i / CHUNK;
        const uint s = i % CHUNK;
        float a = 0.0;
        if (s <= t) {
            for (uint c = 0; c < CHUNK_QUADS; c++) {
                a += dot(tile_rows[tile_at_(0u, t, c)], tile_rows[tile_at_(1u, s, c)]);
            }
            a *= tile_t[TILE_Q_SCALE + t] * tile_t[TILE_K_SCALE + s];
            for (uint u = s + 1u; CHUNK_GATE == CHUNK_GATE_TOKEN && u <= t; u++) {
                a *= tile_t[TILE_GATE + u];
            }
        }
        tile_a[i] = a;
    }
    for (uint t = lane; t < CHUNK; t += lanes) {
        float before = 1.0;
        float after = 1.0;
        for (uint u = 0; u < CHUNK; u++) {
            const float gate = tile_t[TILE_GATE + u];
            before *= u <= t ? gate : 1.0;
            after *= u > t ? gate : 1.0;
        }
        tile_t[TILE_REACH + t] = before * tile_t[TILE_Q_SCALE + t];
        tile_t[TILE_KEEP + t] = after * tile_t[TILE_K_SCALE + t];
        if (t == CHUNK - 1u) {
            tile_t[TILE_KEPT] = before;
        }
    }
}

void tile_read_(const uint n, const uint t, const uint slice, inout vec4 o)
{
    const uint c = n * SLICES + slice;
    if (c < CHUNK_QUADS) {
        const vec4 q = tile_rows[tile_at_(0u, t, c)];
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            o = fma(vec4(q[i]), chunk_s[4u * n + i], o);
        }
    }
}

void tile_scale_(const uint n, const float kept)
{
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        chunk_s[4u * n + i] *= kept;
    }
}

void tile_add_(const uint n, const uint t, const uint slice, const float keep, const vec4 v)
{
    const uint c = n * SLICES + slice;
    if (c < CHUNK_QUADS) {
        const vec4 k = tile_rows[tile_at_(1u, t, c)] * keep;
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            chunk_s[4u * n + i] = fma(vec4(k[i]), v, chunk_s[4u * n + i]);
        }
    }
}

// The outputs of tokens r .. r + ROUND - 1 of the chunk.
void tile_outputs_(const uint r, const uint first, const uint end, const uint j0,
                   const uint slice, const bool inside)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    barrier();
    [[dont_unroll]] for (uint i = 0; i < ROUND; i++) {
        vec4 o = vec4(0.0);
        TILE_FOR_(tile_read_(n, r + i, slice, o))
        tile_part[i * lanes + lane] = o;
    }
    barrier();
    for (uint i = lane; i < ROUND * TILE_GROUPS; i += lanes) {
        const uint t = r + i / TILE_GROUPS;
        const uint group = i % TILE_GROUPS;
        vec4 o = vec4(0.0);
        for (uint x = 0; x < SLICES; x++) {
            o += tile_part[(t - r) * lanes + x * TILE_GROUPS + group];
        }
        o *= tile_t[TILE_REACH + t];
        for (uint s = 0; inside && s <= t; s++) {
            o = fma(vec4(tile_a[t * CHUNK + s]), tile_v[s * TILE_GROUPS + group], o);
        }
        if (first + t < end) {
            chunk_store(first + t, j0 + group, o, 0.0);
        }
    }
}

// Tokens [first, end), with those `parts` of the work that the caller wants: constants.
void chunk_walk_parts(const uint first, const uint end, const uint j, const uint slice,
                      const uint parts)
{
    const uint j0 = j - gl_LocalInvocationID.x % TILE_GROUPS;
    const bool all = parts == CHUNK_ALL;
    [[dont_unroll]] for (uint t0 = first; t0 < end; t0 += CHUNK) {
        barrier();
        tile_stage_(t0, end, j0);
        barrier();
        tile_inside_();
        if ((parts & CHUNK_OUTPUTS) != 0u) {
            [[dont_unroll]] for (uint r = 0; r < CHUNK; r += ROUND) {
                tile_outputs_(r, t0, end, j0, slice, all);
            }
        } else {
            barrier();
        }
        if ((parts & CHUNK_UPDATE) != 0u) {
            if (CHUNK_GATE == CHUNK_GATE_TOKEN) {
                const float kept = tile_t[TILE_KEPT];
                TILE_FOR_(tile_scale_(n, kept))
            }
            [[dont_unroll]] for (uint t = 0; t < CHUNK; t++) {
                const float keep = tile_t[TILE_KEEP + t];
                const vec4 v = tile_v[t * TILE_GROUPS + (j - j0)];
                TILE_FOR_(tile_add_(n, t, slice, keep, v))
            }
        }
    }
}

void chunk_walk(const uint first, const uint end, const uint j, const uint slice)
{
    chunk_walk_parts(first, end, j, slice, CHUNK_ALL);
}

#endif
