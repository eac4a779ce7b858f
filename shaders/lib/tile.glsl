// SPDX-License-Identifier: MIT
//
// A workgroup's tile of a matrix product, staged through shared memory
//
//            TILE_N            shared A: [STAGES] [TILE_K] [TILE_M / 4 + PAD] vec4
//         +-----------+        shared B: [STAGES] [TILE_K] [TILE_N / 4 + PAD] vec4
//         | B  TILE_K |
//         +-----------+     A lane owns REG_M / 4 x REG_N / 4 blocks of 4 x 4 sums,
//   +---+ +-----------+     blocks of neighbouring lanes side by side: lane (lm, ln) of
//   | A | |   sums    |     LANES_M x LANES_N has the rows 4 (lm + i LANES_M) + 0..3 and
//   |   | |  TILE_M   |     the columns 4 (ln + j LANES_N) + 0..3, so that every read is
//   +---+ +-----------+     a vec4 and neighbours read neighbours.
//
// The includer defines, before it includes this:
//   TILE_M, TILE_N, TILE_K      constants: multiples of REG_M, REG_N, 4
//   REG_M, REG_N                constants: multiples of 4
//   STAGES                      constant: 1, or 2 buffers, which halves the barriers
//   PAD                         constant: vec4 between rows, against bank conflicts
//   A_ALONG_K, B_ALONG_K        constant bools: neighbours in memory are neighbours in k
//   tile_a, tile_b              shared vec4 arrays: STAGES * TILE_K * (TILE_M / 4 + PAD),
//                               STAGES * TILE_K * (TILE_N / 4 + PAD)
//   load_block_a(row, q, out a) a[i] = A[row+i, 4q .. 4q+3], zeros beyond the end of k
//   load_block_b(q, col, out b) b[x] = B[4q+x, col .. col+3], the same
//   store_c4(row, col, sum)     four sums
// and may define
//   TILE_V4                     what is staged and multiplied: vec4, or f16vec4 for
//                               packed half arithmetic; blocks and shared arrays too
//   TILE_SLAB_SUMS              only sums of one TILE_K are kept in TILE_V4; those are
//                               added in float, whatever ACC4 is
// The workgroup has TILE_M / REG_M * (TILE_N / REG_N) invocations. Rows and columns
// beyond the edge are asked for too; anything may be returned there.
#ifndef VKZ_TILE_GLSL
#define VKZ_TILE_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "lib/num.glsl"

#ifndef TILE_V4
#define TILE_V4 vec4
#endif
#ifdef TILE_SLAB_SUMS
#define TILE_SUM4 vec4
#else
#define TILE_SUM4 ACC4
#endif

const uint TILE_LANES_M = TILE_M / REG_M;
const uint TILE_LANES_N = TILE_N / REG_N;
const uint TILE_LANES = TILE_LANES_M * TILE_LANES_N;
const uint TILE_Q = TILE_K / 4;
const uint TILE_STRIDE_A = TILE_M / 4 + PAD;
const uint TILE_STRIDE_B = TILE_N / 4 + PAD;
const uint TILE_BLOCKS_A = TILE_M / 4 * TILE_Q;
const uint TILE_BLOCKS_B = TILE_N / 4 * TILE_Q;
// Blocks of 4 x 4 that a lane moves, A's and B's in one sequence.
const uint TILE_MOVES = (TILE_BLOCKS_A + TILE_BLOCKS_B + TILE_LANES - 1) / TILE_LANES;

// The place of block `t`: which group of four rows (columns), which group of four k.
uvec2 vkz_tile_place_(const uint t, const uint groups, const bool along_k)
{
    return along_k ? uvec2(t / TILE_Q, t % TILE_Q) : uvec2(t % groups, t / groups);
}

// Block t of the tile at `row`, `col` and group `q`, as memory has it.
void vkz_tile_fetch_(const uint t, const uint row, const uint col, const uint q,
                     out TILE_V4 block[4])
{
    if (t < TILE_BLOCKS_A) {
        const uvec2 at = vkz_tile_place_(t, TILE_M / 4, A_ALONG_K);
        load_block_a(row + 4 * at.x, q + at.y, block);
    } else if (t < TILE_BLOCKS_A + TILE_BLOCKS_B) {
        const uvec2 at = vkz_tile_place_(t - TILE_BLOCKS_A, TILE_N / 4, B_ALONG_K);
        load_block_b(q + at.y, col + 4 * at.x, block);
    }
}

void vkz_tile_put_(const uint t, const uint stage, const TILE_V4 block[4])
{
    if (t < TILE_BLOCKS_A) {
        const uvec2 at = vkz_tile_place_(t, TILE_M / 4, A_ALONG_K);
        const uint to = (stage * TILE_K + 4 * at.y) * TILE_STRIDE_A + at.x;
        [[unroll]] for (uint x = 0; x < 4; ++x) {
            tile_a[to + x * TILE_STRIDE_A]
                = TILE_V4(block[0][x], block[1][x], block[2][x], block[3][x]);
        }
    } else if (t < TILE_BLOCKS_A + TILE_BLOCKS_B) {
        const uvec2 at = vkz_tile_place_(t - TILE_BLOCKS_A, TILE_N / 4, B_ALONG_K);
        const uint to = (stage * TILE_K + 4 * at.y) * TILE_STRIDE_B + at.x;
        [[unroll]] for (uint x = 0; x < 4; ++x) {
            tile_b[to + x * TILE_STRIDE_B] = block[x];
        }
    }
}

// Sums over the groups of four k in [q_begin, q_end), where q_end is the end of k or
// whole TILE_K from q_begin. Every invocation of the workgroup calls this.
void vkz_tile(const uint lane, const uint row, const uint col, const uint q_begin,
              const uint q_end)
{
    const uint lm = lane / TILE_LANES_N, ln = lane % TILE_LANES_N;
    TILE_SUM4 acc[REG_M * (REG_N / 4)];
    [[unroll]] for (uint i = 0; i < REG_M * (REG_N / 4); ++i) {
        acc[i] = TILE_SUM4(0.0);
    }
    TILE_V4 next[TILE_MOVES][4];
    [[unroll]] for (uint i = 0; i < TILE_MOVES; ++i) {
        vkz_tile_fetch_(lane + i * TILE_LANES, row, col, q_begin, next[i]);
    }
    uint stage = 0;
    for (uint q = q_begin; q < q_end; q += TILE_Q) {
        if (STAGES == 1) {
            barrier();
        }
        [[unroll]] for (uint i = 0; i < TILE_MOVES; ++i) {
            vkz_tile_put_(lane + i * TILE_LANES, stage, next[i]);
        }
        barrier();
        if (q + TILE_Q < q_end) {
            [[unroll]] for (uint i = 0; i < TILE_MOVES; ++i) {
                vkz_tile_fetch_(lane + i * TILE_LANES, row, col, q + TILE_Q, next[i]);
            }
        }
#ifdef TILE_SLAB_SUMS
        TILE_V4 part[REG_M * (REG_N / 4)];
        [[unroll]] for (uint i = 0; i < REG_M * (REG_N / 4); ++i) {
            part[i] = TILE_V4(0.0);
        }
#else
#define part acc
#endif
        [[dont_unroll]] for (uint g = 0; g < TILE_Q; ++g) {
            [[unroll]] for (uint x = 0; x < 4; ++x) {
                const uint kk = stage * TILE_K + 4 * g + x;
                TILE_V4 a[REG_M / 4], b[REG_N / 4];
                [[unroll]] for (uint i = 0; i < REG_M / 4; ++i) {
                    a[i] = tile_a[kk * TILE_STRIDE_A + lm + i * TILE_LANES_M];
                }
                [[unroll]] for (uint j = 0; j < REG_N / 4; ++j) {
                    b[j] = tile_b[kk * TILE_STRIDE_B + ln + j * TILE_LANES_N];
                }
                [[unroll]] for (uint i = 0; i < REG_M; ++i) {
                    [[unroll]] for (uint j = 0; j < REG_N / 4; ++j) {
                        part[i * (REG_N / 4) + j] += a[i / 4][i % 4] * b[j];
                    }
                }
            }
        }
#ifdef TILE_SLAB_SUMS
        [[unroll]] for (uint i = 0; i < REG_M * (REG_N / 4); ++i) {
            acc[i] += TILE_SUM4(part[i]);
        }
#else
#undef part
#endif
        stage = STAGES == 1 ? 0 : 1 - stage;
    }
    [[unroll]] for (uint i = 0; i < REG_M; ++i) {
        [[unroll]] for (uint j = 0; j < REG_N / 4; ++j) {
            store_c4(row + 4 * (lm + i / 4 * TILE_LANES_M) + i % 4,
                     col + 4 * (ln + j * TILE_LANES_N), vec4(acc[i * (REG_N / 4) + j]));
        }
    }
}

#endif
