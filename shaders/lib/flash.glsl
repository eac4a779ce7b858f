// SPDX-License-Identifier: MIT
//
// The flash attention tile where a lane owns whole query rows
//
//            key j, the same for all lanes
//   lane 0   q[ROWS] . k_j -> w[ROWS]   o[ROWS] += w v_j
//   lane 1   ...                        no row crosses lanes: no shared memory,
//   lane 2   ...                        no barrier, no reduction
//
// A lane holds ROWS query rows and their outputs in registers and walks KEYS keys at a
// time. For softmax the running maximum m and sum l are the lane's own; the outputs are
// rescaled while the tile's values are added to them. Other weights need no statistics.
//
// Keys and values come in chunks of 2 * SUBGROUP elements: lane l of each SUBGROUP lanes
// reads a pair of them, and the lanes hand them round by shuffles. A plain read of the
// same element by all lanes looks cheaper and is 3 times slower on a driver that checks
// the bounds of each element it reads: here a chunk is checked once, by all lanes
// together.
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM V_DIM ROWS KEYS, those of lib/score.glsl, ROLL (see below), and
//               SUBGROUP: a power of two, at most the subgroup's size; the workgroup is a
//               multiple of it
//   functions   vec4 flash_q(uint row, uint c)     elements 4c..4c+3; 0 past the row's end
//               vec2 flash_k2(uint key, uint c)    elements 2c and 2c+1; anything past it
//               vec2 flash_v2(uint key, uint c)
//               float flash_key_scale(uint key)    factor on the scores of a key
//               float flash_row_scale(uint row, float norm2)   factor on the scores of
//                                                  a row, norm2 = |q|^2
//               void flash_store(uint row, uint c, vec4 o)
// and calls flash_lane() with row indices of its own (which need not be contiguous). Lists
// of keys are lib/flash_span.glsl's.
//
// ROLL = 1 leaves the loops that fill and empty the private arrays as loops: a driver
// that keeps large arrays in memory anyway compiles several times faster so. On a GPU it
// would force them out of registers: 0 there.
#ifndef VKZ_FLASH_GLSL
#define VKZ_FLASH_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#include "lib/flash_span.glsl"

const uint FLASH_CHUNK = 2u * SUBGROUP;

float flash_element_(const vec2 chunk, const uint i)
{
    return subgroupShuffle((i & 1u) == 0u ? chunk.x : chunk.y, i >> 1);
}

const bool FLASH_MAX = WEIGHT == WEIGHT_SOFTMAX;
const bool FLASH_SUM = WEIGHT == WEIGHT_SOFTMAX || WEIGHT == WEIGHT_SOFTPLUS;

const uint FLASH_D = (HEAD_DIM + 3u) / 4u * 4u; // what flash_q fills
const uint FLASH_V = (V_DIM + 3u) / 4u * 4u;
const uint FLASH_D_CHUNKS = (HEAD_DIM + FLASH_CHUNK - 1u) / FLASH_CHUNK;
const uint FLASH_V_CHUNKS = (V_DIM + FLASH_CHUNK - 1u) / FLASH_CHUNK;

float flash_q_[ROWS * FLASH_D];
float flash_o_[ROWS * FLASH_V]; // outputs, not yet divided by flash_l
float flash_m[ROWS];            // running maximum (softmax)
float flash_l[ROWS];            // sum of weights (softmax, softplus)
float flash_factor[ROWS];       // what flash_store_rows multiplies by

// Arrays sized by constants are not passed as parameters: a compiler was seen to lose
// what a function wrote to them (glslang 15.2).
uint flash_row_[ROWS];
float flash_norm2_[ROWS];

// Four elements of each of the lane's queries into the registers, scaled, and what they
// add to the squared norms.
void flash_load_q_(const score_map s, const uint c)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const vec4 q = flash_q(flash_row_[r], c);
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            flash_q_[r * FLASH_D + 4u * c + i] = q[i] * s.scale;
        }
        flash_norm2_[r] += dot(q, q);
    }
}

void flash_store_o_(const uint first, const uint stride, const uint end, const uint c)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        vec4 o;
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            o[i] = flash_o_[r * FLASH_V + 4u * c + i] * flash_factor[r];
        }
        if (first + r * stride < end) {
            flash_store(first + r * stride, c, o);
        }
    }
}

// Writes those rows first + r * stride of the lane that are below `end`, times
// flash_factor[r].
void flash_store_rows(const uint first, const uint stride, const uint end)
{
    // The loops over c stay outside: a loop around one that is not unrolled would not be
    // unrolled either.
    if (ROLL != 0) {
        [[dont_unroll]] for (uint c = 0; c < FLASH_V / 4u; c++) {
            flash_store_o_(first, stride, end, c);
        }
    } else {
        [[unroll]] for (uint c = 0; c < FLASH_V / 4u; c++) {
            flash_store_o_(first, stride, end, c);
        }
    }
}

// Rows first + r * stride, r < ROWS, of which those below q_len count. p_low and p_high
// are the first and last key position of the workgroup's rows.
void flash_lane(const score_map s, const uint first, const uint stride, const int p_low,
                const int p_high)
{
    const uint lane = gl_SubgroupInvocationID % SUBGROUP;
    int p[ROWS];
    int segment[ROWS];
    float row_scale[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        flash_row_[r] = min(first + r * stride, uint(s.q_len) - 1u);
        p[r] = flash_position_of_(s, flash_row_[r]);
        segment[r] = 0;
        if (MASK == MASK_DOC) {
            // A query before the first key sees nothing, whatever its segment.
            segment[r] = score_segment_load(uint(max(p[r], 0)));
        }
        flash_norm2_[r] = 0.0;
        [[unroll]] for (uint e = 0; e < FLASH_V; e++) {
            flash_o_[r * FLASH_V + e] = 0.0;
        }
        flash_m[r] = SCORE_LOWEST;
        flash_l[r] = 0.0;
    }
    if (ROLL != 0) {
        [[dont_unroll]] for (uint c = 0; c < FLASH_D / 4u; c++) {
            flash_load_q_(s, c);
        }
    } else {
        [[unroll]] for (uint c = 0; c < FLASH_D / 4u; c++) {
            flash_load_q_(s, c);
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        row_scale[r] = flash_row_scale(flash_row_[r], flash_norm2_[r]);
    }

    const ivec2 range = FLASH_LISTED ? ivec2(0) : score_key_range(s, p_low, p_high);
    for (flash_span span = flash_begin(range); span.at < span.end;
         span = flash_step(span, int(KEYS))) {
        const bool whole = flash_whole_(s, span, p_low, p_high, int(KEYS));
        uint key[KEYS];
        [[unroll]] for (uint j = 0; j < KEYS; j++) {
            key[j] = uint(min(span.at + int(j), span.end - 1));
        }

        // Scores.
        float w[ROWS * KEYS];
        [[unroll]] for (uint i = 0; i < ROWS * KEYS; i++) {
            w[i] = 0.0;
        }
        [[unroll]] for (uint c = 0; c < FLASH_D_CHUNKS; c++) {
            vec2 k[KEYS];
            [[unroll]] for (uint j = 0; j < KEYS; j++) {
                k[j] = flash_k2(key[j], c * SUBGROUP + lane);
            }
            [[unroll]] for (uint i = 0; i < FLASH_CHUNK; i++) {
                const uint e = c * FLASH_CHUNK + i;
                if (e < HEAD_DIM) {
                    [[unroll]] for (uint j = 0; j < KEYS; j++) {
                        const float x = flash_element_(k[j], i);
                        [[unroll]] for (uint r = 0; r < ROWS; r++) {
                            const uint at = r * KEYS + j;
                            w[at] = fma(flash_q_[r * FLASH_D + e], x, w[at]);
                        }
                    }
                }
            }
        }
        [[unroll]] for (uint j = 0; j < KEYS; j++) {
            const float factor = flash_key_scale(key[j]);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                const uint at = r * KEYS + j;
                const float x = w[at] * (factor * row_scale[r]);
                w[at] = score_modify(s, x, p[r], flash_row_[r], key[j]);
            }
        }

        // A pair that is not visible must not count even if its score is NaN: its weight
        // is selected away, here and below, never multiplied by 0.
        bool seen[ROWS * KEYS];
        [[unroll]] for (uint i = 0; i < ROWS * KEYS; i++) {
            seen[i] = true;
        }
        if (!whole) {
            [[unroll]] for (uint j = 0; j < KEYS; j++) {
                [[unroll]] for (uint r = 0; r < ROWS; r++) {
                    seen[r * KEYS + j] = span.at + int(j) < span.end &&
                        flash_sees_(s, span, flash_row_[r], p[r], key[j], segment[r]);
                }
            }
        }

        // Weights.
        float rescale[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            rescale[r] = 1.0;
            float m = flash_m[r];
            if (FLASH_MAX) {
                [[unroll]] for (uint j = 0; j < KEYS; j++) {
                    const uint at = r * KEYS + j;
                    m = max(m, seen[at] ? w[at] : SCORE_LOWEST);
                }
                rescale[r] = vkz_exp2(flash_m[r] - m, EXP);
                flash_m[r] = m;
            }
            float sum = 0.0;
            [[unroll]] for (uint j = 0; j < KEYS; j++) {
                const uint at = r * KEYS + j;
                const float y =
                    FLASH_MAX ? vkz_exp2(w[at] - m, EXP) : score_weight(w[at]);
                w[at] = seen[at] ? y : 0.0;
                sum += w[at];
            }
            if (FLASH_SUM) {
                flash_l[r] = fma(flash_l[r], rescale[r], sum);
            }
        }

        // Outputs.
        [[unroll]] for (uint c = 0; c < FLASH_V_CHUNKS; c++) {
            vec2 v[KEYS];
            [[unroll]] for (uint j = 0; j < KEYS; j++) {
                v[j] = flash_v2(key[j], c * SUBGROUP + lane);
            }
            [[unroll]] for (uint i = 0; i < FLASH_CHUNK; i++) {
                const uint e = c * FLASH_CHUNK + i;
                if (e < V_DIM) {
                    float o[ROWS];
                    [[unroll]] for (uint r = 0; r < ROWS; r++) {
                        o[r] = flash_o_[r * FLASH_V + e];
                        if (FLASH_MAX) {
                            o[r] *= rescale[r];
                        }
                    }
                    [[unroll]] for (uint j = 0; j < KEYS; j++) {
                        const float x = flash_element_(v[j], i);
                        [[unroll]] for (uint r = 0; r < ROWS; r++) {
                            const uint at = r * KEYS + j;
                            const float y = fma(w[at], x, o[r]);
                            // Keys past the end repeat the last one: nothing to hide.
                            o[r] = !FLASH_HIDES || seen[at] ? y : o[r];
                        }
                    }
                    [[unroll]] for (uint r = 0; r < ROWS; r++) {
                        flash_o_[r * FLASH_V + e] = o[r];
                    }
                }
            }
        }
    }
}

#endif
