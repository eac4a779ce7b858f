// SPDX-License-Identifier: MIT
//
// Importance and selection of blocks where a workgroup has a query to itself
//
//   pooled keys   dealt out to lanes for the maxima and sums of the heads
//   blocks        dealt out to lanes: a block's importance is summed by one lane, in one
//                 order, from the pooled keys that share a stripe with it
//   ranks         each block against all others, in shared memory
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM BLOCKS EXP, HEADS (query heads at a time)
//   functions   vec4 block_q(uint head, uint c)      of the query, times tau log2 e
//               vec4 block_k(uint key, uint c)       0 past the end
//               vec2 block_stats(uint head)          maximum in base 2, 1 / sum: when given
//               void block_store(uint at, int j)     block j is number `at` of the selected
// and calls block_group() with all lanes together.
#ifndef VKZ_SPARSE_BLOCK_GROUP_GLSL
#define VKZ_SPARSE_BLOCK_GROUP_GLSL

#include "lib/exp.glsl"

const uint BLOCK_D4 = (HEAD_DIM + 3u) / 4u;
const float BLOCK_LOWEST = -3.0e38;

shared vec4 block_shared_q[HEADS * BLOCK_D4];
shared vec2 block_sums[HEADS * gl_WorkGroupSize.x]; // maximum and sum of each lane
shared float block_importance[BLOCKS];
shared uint block_chosen[BLOCKS];

uint block_own;

uint select_load(const uint i)
{
    return pooled_block_key(block_importance[i], i, block_own);
}

#include "lib/select.glsl"

// The scores of a pooled key for the heads in block_shared_q, in base 2.
float block_score[HEADS];

void block_scores_(const uint key)
{
    [[unroll]] for (uint x = 0; x < HEADS; x++) {
        block_score[x] = 0.0;
    }
    for (uint c = 0; c < BLOCK_D4; c++) {
        const vec4 k = block_k(key, c);
        [[unroll]] for (uint x = 0; x < HEADS; x++) {
            block_score[x] += dot(block_shared_q[x * BLOCK_D4 + c], k);
        }
    }
}

// Of `group` heads; the query sees the first `visible` pooled keys and blocks 0 .. own.
void block_group(const uint group, const uint visible, const uint own, const uint top,
                 const bool given)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    block_own = own;
    for (uint j = lane; j <= own; j += lanes) {
        block_importance[j] = 0.0;
    }

    for (uint head = 0; head < group; head += HEADS) {
        barrier();
        for (uint n = lane; n < HEADS * BLOCK_D4; n += lanes) {
            const uint x = min(head + n / BLOCK_D4, group - 1u);
            block_shared_q[n] = block_q(x, n % BLOCK_D4);
        }
        barrier();
        float m[HEADS];
        float l[HEADS];
        [[unroll]] for (uint x = 0; x < HEADS; x++) {
            m[x] = BLOCK_LOWEST;
            l[x] = 0.0;
        }
        if (given) {
            [[unroll]] for (uint x = 0; x < HEADS; x++) {
                const vec2 stats = block_stats(min(head + x, group - 1u));
                m[x] = stats.x;
                l[x] = stats.y;
            }
        } else {
            for (uint c = lane; c < visible; c += lanes) {
                block_scores_(c);
                [[unroll]] for (uint x = 0; x < HEADS; x++) {
                    const float most = max(m[x], block_score[x]);
                    l[x] = l[x] * vkz_exp2(m[x] - most, EXP) +
                           vkz_exp2(block_score[x] - most, EXP);
                    m[x] = most;
                }
            }
            [[unroll]] for (uint x = 0; x < HEADS; x++) {
                block_sums[x * lanes + lane] = vec2(m[x], l[x]);
            }
            barrier();
            [[unroll]] for (uint x = 0; x < HEADS; x++) {
                float most = BLOCK_LOWEST;
                for (uint n = 0; n < lanes; n++) {
                    most = max(most, block_sums[x * lanes + n].x);
                }
                float sum = 0.0;
                for (uint n = 0; n < lanes; n++) {
                    const vec2 y = block_sums[x * lanes + n];
                    sum = fma(y.y, vkz_exp2(y.x - most, EXP), sum);
                }
                m[x] = most;
                l[x] = sum == 0.0 ? 0.0 : 1.0 / sum;
            }
        }
        for (uint j = lane; j <= own; j += lanes) {
            const uvec2 keys = pooled_of_block(j, visible);
            float sum = block_importance[j];
            for (uint c = keys.x; c < keys.y; c++) {
                block_scores_(c);
                float p = 0.0;
                [[unroll]] for (uint x = 0; x < HEADS; x++) {
                    const float y = vkz_exp2(min(block_score[x] - m[x], 126.0), EXP);
                    p += head + x < group ? y * l[x] : 0.0;
                }
                sum = fma(pooled_shares(c, j), p, sum);
            }
            block_importance[j] = sum;
        }
    }
    barrier();

    // A block's rank says whether it is chosen, the chosen before it where it is written.
    const uint blocks = own + 1u;
    for (uint j = lane; j < blocks; j += lanes) {
        block_chosen[j] = select_rank(blocks, j) < top ? 1u : 0u;
    }
    barrier();
    for (uint j = lane; j < blocks; j += lanes) {
        if (block_chosen[j] != 0u) {
            uint at = 0u;
            for (uint n = 0; n < j; n++) {
                at += block_chosen[n];
            }
            block_store(at, int(j));
        }
    }
    for (uint n = min(blocks, top) + lane; n < top; n += lanes) {
        block_store(n, -1);
    }
}

#endif
