// SPDX-License-Identifier: MIT
//
// The recurrent form of lib/chunk.glsl without shared memory: a lane owns whole columns
//
//              columns 4j..4j+3 of the state, all rows
//   lane 0     S[d][4]    q, k and vector gates of a token: lane l of each HAND lanes reads
//   lane 1     S[d][4]    four rows of every 4 HAND, and the lanes hand them round by
//   ...                   shuffles; no sum crosses lanes
//
// It takes the same hooks and macros as lib/chunk.glsl; read there what they are. Sums of
// k (CHUNK_SUM) are left out. What it moves is the state, once each way, and a token's
// rows: the form for one token, and for a few.
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM; HAND: a power of two, at most the subgroup's size, of which the
//               workgroup is a multiple
//   functions   those of lib/chunk.glsl
// and calls chunk_begin(), chunk_walk() and chunk_end() in uniform control flow.
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

vec4 chunk_s[4u * CHUNK_HANDS * HAND];
vec4 chunk_o_, chunk_x_, chunk_y_; // output, row that is added, row of the pair

void chunk_begin(const uint j, const bool load)
{
    [[dont_unroll]] for (uint row = 0; row < 4u * CHUNK_HANDS * HAND; row++) {
        chunk_s[row] = vec4(0.0);
        if (load && row < HEAD_DIM) {
            chunk_s[row] = chunk_load_s(row, j);
        }
    }
}

void chunk_end(const uint j)
{
    [[dont_unroll]] for (uint row = 0; row < HEAD_DIM; row++) {
        chunk_store_s(row, j, chunk_s[row]);
    }
}

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

#if CHUNK_RULE != CHUNK_ADD
// DELTA: k D S, PAIR: a S, of 4 HAND rows.
void recurrent_read_(const uint token, const uint first, const float all)
{
    const uint c = first + gl_SubgroupInvocationID % HAND;
    vec4 mine = vec4(0.0);
    if (c < CHUNK_QUADS) {
#if CHUNK_RULE == CHUNK_PAIR
        mine = chunk_a(token, c);
#else
        mine = chunk_k(token, c) * recurrent_decay_(token, c, all);
#endif
    }
    [[unroll]] for (uint l = 0; l < HAND; l++) {
        const vec4 x = subgroupShuffle(mine, l);
        const uint row = 4u * (first + l);
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            chunk_y_ = fma(vec4(x[i]), chunk_s[row + i], chunk_y_);
        }
    }
}
#endif

void recurrent_move_(const uint token, const uint first, const float all)
{
    const uint c = first + gl_SubgroupInvocationID % HAND;
    vec4 q = vec4(0.0);
    vec4 k = vec4(0.0);
    vec4 d = vec4(1.0);
    vec4 b = vec4(0.0);
    vec4 uk = vec4(0.0);
    if (c < CHUNK_QUADS) {
        q = chunk_q(token, c);
        k = chunk_k(token, c);
        d = recurrent_decay_(token, c, all);
#if CHUNK_RULE == CHUNK_PAIR
        b = chunk_b(token, c);
#endif
#ifdef CHUNK_EXCLUSIVE
        uk = chunk_u(c) * k;
#endif
    }
    [[unroll]] for (uint l = 0; l < HAND; l++) {
        const vec4 qr = subgroupShuffle(q, l);
        const vec4 kr = subgroupShuffle(k, l);
        vec4 dr = vec4(all);
        if (CHUNK_GATE == CHUNK_GATE_KEY) {
            dr = subgroupShuffle(d, l);
        }
#if CHUNK_RULE == CHUNK_PAIR
        const vec4 br = subgroupShuffle(b, l);
#endif
#ifdef CHUNK_EXCLUSIVE
        const vec4 ur = subgroupShuffle(uk, l);
#endif
        const uint row = 4u * (first + l);
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            vec4 s = chunk_s[row + i];
#ifdef CHUNK_EXCLUSIVE
            chunk_o_ = fma(vec4(qr[i]), fma(vec4(ur[i]), chunk_x_, s), chunk_o_);
#endif
            if (CHUNK_GATE != CHUNK_GATE_NONE) {
                s *= dr[i];
            }
            s = fma(vec4(kr[i]), chunk_x_, s);
#if CHUNK_RULE == CHUNK_PAIR
            s = fma(vec4(br[i]), chunk_y_, s);
#endif
#ifndef CHUNK_EXCLUSIVE
            chunk_o_ = fma(vec4(qr[i]), s, chunk_o_);
#endif
            chunk_s[row + i] = s;
        }
    }
}

void chunk_walk(const uint begin, const uint end, const uint j)
{
    [[dont_unroll]] for (uint token = begin; token < end; token++) {
        float all = 1.0;
#ifdef CHUNK_HAS_GATE
        if (CHUNK_GATE == CHUNK_GATE_TOKEN) {
            all = vkz_exp2_accurate(chunk_gate(token) * VKZ_LOG2E);
        }
#endif
        chunk_o_ = vec4(0.0);
        chunk_y_ = vec4(0.0);
        chunk_x_ = chunk_v(token, j);
#if CHUNK_RULE == CHUNK_ADD
        chunk_x_ *= chunk_k_scale(token);
#else
        [[dont_unroll]] for (uint c = 0; c < CHUNK_HANDS * HAND; c += HAND) {
            recurrent_read_(token, c, all);
        }
#if CHUNK_RULE == CHUNK_DELTA
        chunk_x_ = chunk_beta(token) * (chunk_x_ - chunk_y_);
#endif
#endif
        [[dont_unroll]] for (uint c = 0; c < CHUNK_HANDS * HAND; c += HAND) {
            recurrent_move_(token, c, all);
        }
#if CHUNK_RULE == CHUNK_ADD
        chunk_o_ *= chunk_q_scale(token);
#endif
        chunk_store(token, j, chunk_o_, 0.0);
    }
}

#endif
