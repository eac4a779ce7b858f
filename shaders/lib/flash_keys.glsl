// SPDX-License-Identifier: MIT
//
// The flash attention tile where keys are dealt out to lanes, for a few rows
//
//   LANES lanes share a key: each has its own elements of it.  WG_SIZE / LANES groups of
//   lanes walk the keys side by side, every group with its own maximum, sum and outputs:
//
//     lane      0   1 | 2   3 | 4   5 | 6   7         (LANES = 2)
//     group       0   |   1   |   2   |   3
//     keys      0,4.. | 1,5.. | 2,6.. | 3,7..
//
//   At the end the groups' results are merged through shared memory.
//
// With LANES = 1 a lane keeps whole keys to itself: nothing crosses lanes but that last
// step, and each element read serves every row. That is the shape for CPU drivers. With
// more lanes, neighbours read neighbouring elements: the shape for GPUs.
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM V_DIM ROWS KEYS (a group's keys a step) LANES ROLL and those of
//               lib/score.glsl
//   shared      float flash_share[gl_WorkGroupSize.x * ROWS * max(KEYS, 2)], and
//               float flash_out[gl_WorkGroupSize.x / LANES * V_DIM]
//   functions   vec4 flash_q(uint row, uint c)     elements 4c..4c+3; 0 past the row's end
//               vec4 flash_k(uint key, uint c)     the same, anything past the row's end
//               vec4 flash_v(uint key, uint c)
//               void flash_store(uint row, uint column, float o)
//               void flash_store_sums(uint row, float m, float l)
// fills flash_map[r] and flash_position[r] for its rows and calls flash_keys().
#ifndef VKZ_FLASH_KEYS_GLSL
#define VKZ_FLASH_KEYS_GLSL

#include "lib/flash_span.glsl"

const uint FLASH_D4 = (HEAD_DIM + 3u) / 4u;
const uint FLASH_V4 = (V_DIM + 3u) / 4u;
const uint FLASH_D_STEPS = (FLASH_D4 + LANES - 1u) / LANES; // quads of a lane
const uint FLASH_V_STEPS = (FLASH_V4 + LANES - 1u) / LANES;

const uint FLASH_GROUPS = gl_WorkGroupSize.x / LANES;

float flash_q_[ROWS * FLASH_D_STEPS * 4u];
float flash_o_[ROWS * FLASH_V_STEPS * 4u];

// Arrays sized by constants are not passed as parameters: a compiler was seen to lose
// what a function wrote to them (glslang 15.2).
score_map flash_map[ROWS];  // score map of each row
int flash_position[ROWS];   // its position among the keys
uint flash_row_[ROWS];
float flash_w_[ROWS * KEYS];

// Sums of flash_w_ over the LANES lanes of a group, in every one of them.
void flash_sum_lanes_()
{
#ifdef FLASH_SHUFFLE
    [[unroll]] for (uint i = 0; i < ROWS * KEYS; i++) {
        for (uint step = 1u; step < LANES; step *= 2u) {
            flash_w_[i] += subgroupShuffleXor(flash_w_[i], step);
        }
    }
#else
    if (LANES > 1u) {
        const uint lane = gl_LocalInvocationID.x;
        barrier(); // the last sums have been read
        [[unroll]] for (uint i = 0; i < ROWS * KEYS; i++) {
            flash_share[i * gl_WorkGroupSize.x + lane] = flash_w_[i];
        }
        barrier();
        [[unroll]] for (uint i = 0; i < ROWS * KEYS; i++) {
            float sum = 0.0;
            for (uint l = 0; l < LANES; l++) {
                sum += flash_share[i * gl_WorkGroupSize.x + lane / LANES * LANES + l];
            }
            flash_w_[i] = sum;
        }
    }
#endif
}

void flash_load_q_(const uint i)
{
    const uint c = i * LANES + gl_LocalInvocationID.x % LANES;
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        vec4 q = vec4(0.0);
        if (c < FLASH_D4) {
            q = flash_q(flash_row_[r], c) * flash_map[r].scale;
        }
        [[unroll]] for (uint e = 0; e < 4u; e++) {
            flash_q_[(r * FLASH_D_STEPS + i) * 4u + e] = q[e];
        }
    }
}

// The largest of the groups' maxima of row r, which flash_share holds.
float flash_top_(const uint r)
{
    float top = SCORE_LOWEST;
    [[unroll]] for (uint g = 0; g < FLASH_GROUPS; g++) {
        top = max(top, flash_share[r * FLASH_GROUPS + g]);
    }
    return top;
}

// Into shared memory: what this lane has of row r's outputs, in the units of flash_top_.
void flash_share_o_(const uint r, const uint i, const float factor)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint c = i * LANES + lane % LANES;
    [[unroll]] for (uint e = 0; e < 4u; e++) {
        if (4u * c + e < V_DIM) {
            flash_out[lane / LANES * V_DIM + 4u * c + e] =
                flash_o_[(r * FLASH_V_STEPS + i) * 4u + e] * factor;
        }
    }
}

float flash_share_factor_(const uint r)
{
    const uint group = gl_LocalInvocationID.x / LANES;
    return vkz_exp2(flash_share[r * FLASH_GROUPS + group] - flash_top_(r), EXP);
}

void flash_merge_(const uint r, const uint row)
{
    const uint lane = gl_LocalInvocationID.x;
    [[unroll]] for (uint i = 0; i < V_DIM; i += gl_WorkGroupSize.x) {
        if (i + lane < V_DIM) {
            float o = 0.0;
            [[unroll]] for (uint g = 0; g < FLASH_GROUPS; g++) {
                o += flash_out[g * V_DIM + i + lane];
            }
            flash_store(row, i + lane, o);
        }
    }
    if (lane == 0u) {
        const float top = flash_top_(r);
        float sum = 0.0;
        [[unroll]] for (uint g = 0; g < FLASH_GROUPS; g++) {
            sum += flash_share[(ROWS + r) * FLASH_GROUPS + g] *
                   vkz_exp2(flash_share[r * FLASH_GROUPS + g] - top, EXP);
        }
        flash_store_sums(row, top, sum);
    }
}

// Rows first .. first + ROWS - 1 of which those below `end` count, and keys
// [keys.x, keys.y), or those of the list (lib/flash_span.glsl). All lanes of the workgroup
// come here together.
void flash_keys(const uint first, const uint end, const ivec2 keys)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint group = lane / LANES;
    float m[ROWS];
    float l[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        flash_row_[r] = min(first + r, end - 1u);
        m[r] = SCORE_LOWEST;
        l[r] = 0.0;
        [[unroll]] for (uint i = 0; i < FLASH_V_STEPS * 4u; i++) {
            flash_o_[r * FLASH_V_STEPS * 4u + i] = 0.0;
        }
    }
    [[unroll]] for (uint i = 0; i < FLASH_D_STEPS; i++) {
        flash_load_q_(i);
    }

    for (flash_span span = flash_begin(keys); span.at < span.end;
         span = flash_step(span, int(FLASH_GROUPS * KEYS))) {
        uint key[KEYS];
        bool seen[ROWS * KEYS];
        [[unroll]] for (uint j = 0; j < KEYS; j++) {
            const int at = span.at + int(j * FLASH_GROUPS + group);
            key[j] = uint(min(at, span.end - 1));
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                seen[r * KEYS + j] =
                    at < span.end && flash_sees_(flash_map[r], span, flash_row_[r],
                                                 flash_position[r], key[j], 0);
                flash_w_[r * KEYS + j] = 0.0;
            }
        }
        [[unroll]] for (uint i = 0; i < FLASH_D_STEPS; i++) {
            const uint c = min(i * LANES + lane % LANES, FLASH_D4 - 1u);
            [[unroll]] for (uint j = 0; j < KEYS; j++) {
                const vec4 k = flash_k(key[j], c);
                [[unroll]] for (uint r = 0; r < ROWS; r++) {
                    [[unroll]] for (uint e = 0; e < 4u; e++) {
                        const float q = flash_q_[(r * FLASH_D_STEPS + i) * 4u + e];
                        flash_w_[r * KEYS + j] = fma(q, k[e], flash_w_[r * KEYS + j]);
                    }
                }
            }
        }
        flash_sum_lanes_();

        float rescale[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            float top = m[r];
            [[unroll]] for (uint j = 0; j < KEYS; j++) {
                const uint i = r * KEYS + j;
                flash_w_[i] = score_modify(flash_map[r], flash_w_[i], flash_position[r],
                                           flash_row_[r], key[j]);
                top = max(top, seen[i] ? flash_w_[i] : SCORE_LOWEST);
            }
            rescale[r] = vkz_exp2(m[r] - top, EXP);
            m[r] = top;
            float sum = 0.0;
            [[unroll]] for (uint j = 0; j < KEYS; j++) {
                const uint i = r * KEYS + j;
                flash_w_[i] = seen[i] ? vkz_exp2(flash_w_[i] - top, EXP) : 0.0;
                sum += flash_w_[i];
            }
            l[r] = fma(l[r], rescale[r], sum);
        }

        [[unroll]] for (uint i = 0; i < FLASH_V_STEPS; i++) {
            const uint c = min(i * LANES + lane % LANES, FLASH_V4 - 1u);
            vec4 v[KEYS];
            [[unroll]] for (uint j = 0; j < KEYS; j++) {
                v[j] = flash_v(key[j], c);
            }
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                [[unroll]] for (uint e = 0; e < 4u; e++) {
                    const uint at = (r * FLASH_V_STEPS + i) * 4u + e;
                    float o = flash_o_[at] * rescale[r];
                    [[unroll]] for (uint j = 0; j < KEYS; j++) {
                        // Selected, not multiplied by 0: a hidden value may be NaN.
                        const uint i = r * KEYS + j;
                        o = seen[i] ? fma(flash_w_[i], v[j][e], o) : o;
                    }
                    flash_o_[at] = o;
                }
            }
        }
    }

    // The groups' results, row by row. A loop around one that is not unrolled is not
    // unrolled either, so both forms are written out.
    barrier();
    if (lane % LANES == 0u) {
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            flash_share[r * FLASH_GROUPS + group] = m[r];
            flash_share[(ROWS + r) * FLASH_GROUPS + group] = l[r];
        }
    }
    barrier();
    if (ROLL != 0) {
        [[dont_unroll]] for (uint r = 0; r < ROWS; r++) {
            const float factor = flash_share_factor_(r);
            [[dont_unroll]] for (uint i = 0; i < FLASH_V_STEPS; i++) {
                flash_share_o_(r, i, factor);
            }
            barrier();
            if (first + r < end) {
                flash_merge_(r, first + r);
            }
            barrier();
        }
    } else {
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const float factor = flash_share_factor_(r);
            [[unroll]] for (uint i = 0; i < FLASH_V_STEPS; i++) {
                flash_share_o_(r, i, factor);
            }
            barrier();
            if (first + r < end) {
                flash_merge_(r, first + r);
            }
            barrier();
        }
    }
}

#endif
