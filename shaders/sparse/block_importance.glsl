// SPDX-License-Identifier: MIT
//
// Importance of blocks where a lane has a query to itself, ROWS heads at a time
//
//            pooled key c, the same for all lanes
//   lane 0   q[ROWS heads of its token] . k_c -> p summed over heads -> imp[blocks of c]
//   lane 1   ...
//
// Keys are handed round by shuffles as in lib/flash.glsl. Pooled keys come in order, so a
// lane adds to one or two of its blocks at a time, in memory of its own.
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM ROWS KEYS ROLL EXP SUBGROUP BLOCKS
//   shared      float block_importance[BLOCKS * gl_WorkGroupSize.x]
//   functions   vec4 block_q(uint head, uint c)      of this lane's token, times tau log2 e
//               vec2 block_k2(uint key, uint c)      elements 2c, 2c + 1; any past the end
//               vec2 block_stats(uint head)          maximum in base 2, 1 / sum: STATS given
//               void block_store(uint at, int j)     block j is number `at` of the selected
// and calls block_rows(), then block_choose().
#ifndef VKZ_SPARSE_BLOCK_IMPORTANCE_GLSL
#define VKZ_SPARSE_BLOCK_IMPORTANCE_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#include "lib/exp.glsl"

const uint BLOCK_CHUNK = 2u * SUBGROUP;
const uint BLOCK_D = (HEAD_DIM + 3u) / 4u * 4u;
const uint BLOCK_CHUNKS = (HEAD_DIM + BLOCK_CHUNK - 1u) / BLOCK_CHUNK;
const float BLOCK_LOWEST = -3.0e38;

uint block_own; // block of this lane's query

// Of block j at j * WG_SIZE + lane: each lane has its own.
uint block_at_(const uint j)
{
    return j * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

uint select_load(const uint j)
{
    return pooled_block_key(block_importance[block_at_(j)], j, block_own);
}

#include "lib/select.glsl"

float block_q_[ROWS * BLOCK_D];
float block_w_[ROWS * KEYS];

void block_load_q_(const uint head, const uint last, const uint c)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const vec4 q = block_q(min(head + r, last), c);
        [[unroll]] for (uint e = 0; e < 4u; e++) {
            block_q_[r * BLOCK_D + 4u * c + e] = q[e];
        }
    }
}

// block_w_ = scores of keys key0 .. key0 + KEYS - 1, of which those below `keys` exist.
void block_scores_(const uint key0, const uint keys)
{
    const uint lane = gl_SubgroupInvocationID % SUBGROUP;
    [[unroll]] for (uint i = 0; i < ROWS * KEYS; i++) {
        block_w_[i] = 0.0;
    }
    [[unroll]] for (uint c = 0; c < BLOCK_CHUNKS; c++) {
        vec2 k[KEYS];
        [[unroll]] for (uint j = 0; j < KEYS; j++) {
            k[j] = block_k2(min(key0 + j, keys - 1u), c * SUBGROUP + lane);
        }
        [[unroll]] for (uint i = 0; i < BLOCK_CHUNK; i++) {
            const uint e = c * BLOCK_CHUNK + i;
            if (e < HEAD_DIM) {
                [[unroll]] for (uint j = 0; j < KEYS; j++) {
                    const float y = (i & 1u) == 0u ? k[j].x : k[j].y;
                    const float x = subgroupShuffle(y, i >> 1);
                    [[unroll]] for (uint r = 0; r < ROWS; r++) {
                        block_w_[r * KEYS + j] =
                            fma(block_q_[r * BLOCK_D + e], x, block_w_[r * KEYS + j]);
                    }
                }
            }
        }
    }
}

// Of `group` heads. The lane sees the first `visible` keys; the workgroup walks `keys`,
// for the first `blocks` blocks. `given`: block_stats() has the sums, else they are found
// first.
void block_rows(const uint group, const uint visible, const uint keys, const uint blocks,
                const bool given)
{
    const uint stripes = pc.ls / pc.st;
    const uint spans = pc.lc / pc.st;
    for (uint j = 0; j < blocks; j++) {
        block_importance[block_at_(j)] = 0.0;
    }
    for (uint head = 0; head < group; head += ROWS) {
        if (ROLL != 0) {
            [[dont_unroll]] for (uint c = 0; c < BLOCK_D / 4u; c++) {
                block_load_q_(head, group - 1u, c);
            }
        } else {
            [[unroll]] for (uint c = 0; c < BLOCK_D / 4u; c++) {
                block_load_q_(head, group - 1u, c);
            }
        }
        float m[ROWS];
        float l[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            m[r] = BLOCK_LOWEST;
            l[r] = 0.0;
            if (given) {
                const vec2 stats = block_stats(min(head + r, group - 1u));
                m[r] = stats.x;
                l[r] = stats.y;
            }
        }
        // Round 0 finds maxima and sums, round 1 adds up the probabilities.
        [[dont_unroll]] for (uint round = given ? 1u : 0u; round < 2u; round++) {
            [[dont_unroll]] for (uint key0 = 0; key0 < keys; key0 += KEYS) {
                block_scores_(key0, keys);
                if (round == 0u) {
                    [[unroll]] for (uint r = 0; r < ROWS; r++) {
                        float most = m[r];
                        [[unroll]] for (uint j = 0; j < KEYS; j++) {
                            const float w = block_w_[r * KEYS + j];
                            most = max(most, key0 + j < visible ? w : BLOCK_LOWEST);
                        }
                        float sum = l[r] * vkz_exp2(m[r] - most, EXP);
                        [[unroll]] for (uint j = 0; j < KEYS; j++) {
                            const float w = vkz_exp2(block_w_[r * KEYS + j] - most, EXP);
                            sum += key0 + j < visible ? w : 0.0;
                        }
                        m[r] = most;
                        l[r] = sum;
                    }
                } else {
                    [[unroll]] for (uint j = 0; j < KEYS; j++) {
                        float p = 0.0;
                        [[unroll]] for (uint r = 0; r < ROWS; r++) {
                            const float w = min(block_w_[r * KEYS + j] - m[r], 126.0);
                            p += head + r < group ? vkz_exp2(w, EXP) * l[r] : 0.0;
                        }
                        const uint c = key0 + j;
                        p = c < visible ? p : 0.0;
                        if (c < keys) {
                            for (uint b = c / stripes; b * stripes < c + spans; b++) {
                                const uint begin = max(c, b * stripes);
                                const uint end = min(c + spans, (b + 1u) * stripes);
                                if (b < BLOCKS) {
                                    const float share = float(end - begin);
                                    block_importance[block_at_(b)] += share * p;
                                }
                            }
                        }
                    }
                }
            }
            if (round == 0u) {
                [[unroll]] for (uint r = 0; r < ROWS; r++) {
                    l[r] = l[r] == 0.0 ? 0.0 : 1.0 / l[r];
                }
            }
        }
    }
}

// Blocks 0 .. own of this lane's query, `top` of them. A lane without a query stores
// nothing.
void block_choose(const uint own, const uint top, const bool store)
{
    block_own = own;
    const uint blocks = own + 1u;
    const select_cut cut = select_cut_lane(blocks, top);
    uint at = 0u;
    uint equal = 0u;
    if (store) {
        for (uint j = 0; j < blocks; j++) {
            const uint key = select_load(j);
            if (select_takes(cut, key, equal)) {
                block_store(at, int(j));
                at++;
            }
            equal += key == cut.key ? 1u : 0u;
        }
        for (; at < top; at++) {
            block_store(at, -1);
        }
    }
}

#endif
