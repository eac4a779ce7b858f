// SPDX-License-Identifier: MIT
//
// The flash attention tile of a whole workgroup, staged through shared memory
//
//   ACROSS lanes span keys and output columns, WG_SIZE / ACROSS lanes span query rows:
//
//                 keys, ACROSS apart          columns, 4 * ACROSS apart
//            +------------------------+     +------------------------+
//     rows   |  scores of a tile      |  x  |  values of its keys    |
//            +------------------------+     +------------------------+
//     a lane owns FLASH_ROWS x FLASH_KEYS scores and FLASH_ROWS x 4 FLASH_QUADS outputs
//
// Queries and keys come in slices of SLICE elements, values in slabs of SLAB keys,
// through the same buffer. Row maxima go through shared memory too; sums need not,
// because a lane reads all weights of its rows anyway.
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM V_DIM ROWS KEYS ACROSS SLICE SLAB and those of lib/score.glsl.
//               ROWS is a multiple of WG_SIZE / ACROSS, KEYS of ACROSS, SLICE of 4, SLAB
//               divides KEYS, and SLAB * ceil(V_DIM / 4) <= (ROWS + KEYS) * (SLICE / 4 + 1)
//   shared      vec4 flash_stage[(ROWS + KEYS) * (SLICE / 4 + 1)],
//               float flash_w[ROWS * (KEYS + 4)], float flash_top[ROWS * ACROSS]
//   functions   flash_q, flash_k, flash_v, flash_key_scale, flash_row_scale as for
//               lib/flash.glsl (plain), with any c
//               void flash_store(uint row, uint c, vec4 o)
//               float flash_finish(uint row, bool store, float m, float l)
// Lists of keys are lib/flash_span.glsl's.
#ifndef VKZ_FLASH_TILE_GLSL
#define VKZ_FLASH_TILE_GLSL

#include "lib/flash_span.glsl"

const bool FLASH_MAX = WEIGHT == WEIGHT_SOFTMAX;
const bool FLASH_SUM = WEIGHT == WEIGHT_SOFTMAX || WEIGHT == WEIGHT_SOFTPLUS;

const uint FLASH_ROWS = ROWS * ACROSS / gl_WorkGroupSize.x; // of a lane
const uint FLASH_KEYS = KEYS / ACROSS;
const uint FLASH_D4 = (HEAD_DIM + 3u) / 4u;
const uint FLASH_V4 = (V_DIM + 3u) / 4u;
const uint FLASH_QUADS = (FLASH_V4 + ACROSS - 1u) / ACROSS;

// One vec4 of padding a row keeps lanes that read down a column on different banks.
const uint FLASH_PITCH = SLICE / 4u + 1u;
const uint FLASH_W_PITCH = KEYS + 4u;

// Stands for a pair that is not visible: weights are never negative.
const float FLASH_HIDDEN = -1.0;

// Elements 4 * SLICE/4 * slice .. of the tile's queries and keys into shared memory;
// zeros past their ends, so that what is added there is nothing.
void flash_stage_slice_(const score_map s, const uint row0, const uint key0,
                        const uint c0)
{
    const uint width = SLICE / 4u;
    for (uint i = gl_LocalInvocationID.x; i < (ROWS + KEYS) * width;
         i += gl_WorkGroupSize.x) {
        const uint line = i / width;
        const uint c = c0 + i % width;
        vec4 x = vec4(0.0);
        if (c < FLASH_D4) {
            if (line < ROWS) {
                x = flash_q(min(row0 + line, uint(s.q_len) - 1u), c) * s.scale;
            } else {
                x = flash_k(min(key0 + line - ROWS, uint(s.kv_len) - 1u), c);
            }
        }
        flash_stage[line * FLASH_PITCH + i % width] = x;
    }
}

void flash_stage_slab_(const score_map s, const uint key0)
{
    for (uint i = gl_LocalInvocationID.x; i < SLAB * FLASH_V4; i += gl_WorkGroupSize.x) {
        const uint key = min(key0 + i / FLASH_V4, uint(s.kv_len) - 1u);
        flash_stage[i] = flash_v(key, i % FLASH_V4);
    }
}

// Rows row0 .. row0 + ROWS - 1, of which those below row_end count. p_low and p_high are
// the first and last key position of the rows that count. All lanes come here together.
void flash_tile(const score_map s, const uint row0, const uint row_end, const int p_low,
                const int p_high)
{
    const uint across = gl_LocalInvocationID.x % ACROSS;
    const uint down = gl_LocalInvocationID.x / ACROSS * FLASH_ROWS; // the lane's first row
    uint row[FLASH_ROWS];
    int p[FLASH_ROWS];
    int segment[FLASH_ROWS];
    float m[FLASH_ROWS];
    float l[FLASH_ROWS];
    float row_scale[FLASH_ROWS];
    vec4 o[FLASH_ROWS * FLASH_QUADS];
    [[unroll]] for (uint r = 0; r < FLASH_ROWS; r++) {
        row[r] = min(row0 + down + r, uint(s.q_len) - 1u);
        p[r] = flash_position_of_(s, row[r]);
        segment[r] = 0;
        if (MASK == MASK_DOC) {
            // A query before the first key sees nothing, whatever its segment.
            segment[r] = score_segment_load(uint(max(p[r], 0)));
        }
        m[r] = SCORE_LOWEST;
        l[r] = 0.0;
        row_scale[r] = 1.0;
        [[unroll]] for (uint i = 0; i < FLASH_QUADS; i++) {
            o[r * FLASH_QUADS + i] = vec4(0.0);
        }
    }
    if (WEIGHT == WEIGHT_SOFTPLUS) {
        float norm2[FLASH_ROWS];
        [[unroll]] for (uint r = 0; r < FLASH_ROWS; r++) {
            norm2[r] = 0.0;
        }
        for (uint c = 0; c < FLASH_D4; c++) {
            [[unroll]] for (uint r = 0; r < FLASH_ROWS; r++) {
                const vec4 q = flash_q(row[r], c);
                norm2[r] += dot(q, q);
            }
        }
        [[unroll]] for (uint r = 0; r < FLASH_ROWS; r++) {
            row_scale[r] = flash_row_scale(row[r], norm2[r]);
        }
    }

    const ivec2 range = FLASH_LISTED ? ivec2(0) : score_key_range(s, p_low, p_high);
    for (flash_span span = flash_begin(range); span.at < span.end;
         span = flash_step(span, int(KEYS))) {
        const int j0 = span.at;
        const bool whole = flash_whole_(s, span, p_low, p_high, int(KEYS));

        // Scores of keys j0 + across + n * ACROSS.
        float x[FLASH_ROWS * FLASH_KEYS];
        [[unroll]] for (uint i = 0; i < FLASH_ROWS * FLASH_KEYS; i++) {
            x[i] = 0.0;
        }
        for (uint c0 = 0; c0 < FLASH_D4; c0 += SLICE / 4u) {
            barrier(); // the buffer has been read
            flash_stage_slice_(s, row0, uint(j0), c0);
            barrier();
            for (uint c = 0; c < SLICE / 4u; c++) {
                vec4 k[FLASH_KEYS];
                [[unroll]] for (uint n = 0; n < FLASH_KEYS; n++) {
                    k[n] = flash_stage[(ROWS + across + n * ACROSS) * FLASH_PITCH + c];
                }
                [[unroll]] for (uint r = 0; r < FLASH_ROWS; r++) {
                    const vec4 q = flash_stage[(down + r) * FLASH_PITCH + c];
                    [[unroll]] for (uint n = 0; n < FLASH_KEYS; n++) {
                        float y = x[r * FLASH_KEYS + n];
                        y = fma(q.x, k[n].x, y);
                        y = fma(q.y, k[n].y, y);
                        y = fma(q.z, k[n].z, y);
                        x[r * FLASH_KEYS + n] = fma(q.w, k[n].w, y);
                    }
                }
            }
        }
        bool seen[FLASH_ROWS * FLASH_KEYS];
        [[unroll]] for (uint n = 0; n < FLASH_KEYS; n++) {
            const int at = j0 + int(across + n * ACROSS);
            const uint key = uint(min(at, s.kv_len - 1));
            const float factor = flash_key_scale(key);
            [[unroll]] for (uint r = 0; r < FLASH_ROWS; r++) {
                const uint i = r * FLASH_KEYS + n;
                x[i] = score_modify(s, x[i] * (factor * row_scale[r]), p[r], row[r], key);
                seen[i] = whole ||
                          (at < span.end &&
                           flash_sees_(s, span, row[r], p[r], key, segment[r]));
            }
        }

        // Row maxima.
        if (FLASH_MAX) {
            [[unroll]] for (uint r = 0; r < FLASH_ROWS; r++) {
                float top = SCORE_LOWEST;
                [[unroll]] for (uint n = 0; n < FLASH_KEYS; n++) {
                    const uint i = r * FLASH_KEYS + n;
                    top = max(top, seen[i] ? x[i] : SCORE_LOWEST);
                }
                flash_top[(down + r) * ACROSS + across] = top;
            }
            barrier();
            [[unroll]] for (uint r = 0; r < FLASH_ROWS; r++) {
                float top = m[r];
                [[unroll]] for (uint n = 0; n < ACROSS; n++) {
                    top = max(top, flash_top[(down + r) * ACROSS + n]);
                }
                const float rescale = vkz_exp2(m[r] - top, EXP);
                m[r] = top;
                l[r] *= rescale;
                [[unroll]] for (uint i = 0; i < FLASH_QUADS; i++) {
                    o[r * FLASH_QUADS + i] *= rescale;
                }
            }
        }

        // Weights.
        [[unroll]] for (uint r = 0; r < FLASH_ROWS; r++) {
            [[unroll]] for (uint n = 0; n < FLASH_KEYS; n++) {
                const uint i = r * FLASH_KEYS + n;
                const float w =
                    FLASH_MAX ? vkz_exp2(x[i] - m[r], EXP) : score_weight(x[i]);
                flash_w[(down + r) * FLASH_W_PITCH + across + n * ACROSS] =
                    seen[i] ? w : FLASH_HIDDEN;
            }
        }

        // Outputs.
        for (uint slab = 0; slab < KEYS; slab += SLAB) {
            barrier(); // weights are written, the buffer has been read
            flash_stage_slab_(s, uint(j0) + slab);
            barrier();
            for (uint j = 0; j < SLAB; j++) {
                vec4 v[FLASH_QUADS];
                [[unroll]] for (uint i = 0; i < FLASH_QUADS; i++) {
                    v[i] = flash_stage[j * FLASH_V4 + min(across + i * ACROSS,
                                                          FLASH_V4 - 1u)];
                }
                [[unroll]] for (uint r = 0; r < FLASH_ROWS; r++) {
                    const float w = flash_w[(down + r) * FLASH_W_PITCH + slab + j];
                    // Selected, not multiplied by 0: a hidden value may be NaN. A NaN
                    // weight is not below 0 and spreads.
                    const bool hidden = !whole && w < 0.0;
                    if (FLASH_SUM) {
                        l[r] += hidden ? 0.0 : w;
                    }
                    [[unroll]] for (uint i = 0; i < FLASH_QUADS; i++) {
                        const vec4 y = fma(vec4(w), v[i], o[r * FLASH_QUADS + i]);
                        o[r * FLASH_QUADS + i] =
                            hidden ? o[r * FLASH_QUADS + i] : y;
                    }
                }
            }
        }
    }

    [[unroll]] for (uint r = 0; r < FLASH_ROWS; r++) {
        const bool mine = row0 + down + r < row_end;
        const float factor = flash_finish(row[r], mine && across == 0u, m[r], l[r]);
        [[unroll]] for (uint i = 0; i < FLASH_QUADS; i++) {
            const uint c = across + i * ACROSS;
            if (mine && c < FLASH_V4) {
                flash_store(row[r], c, o[r * FLASH_QUADS + i] * factor);
            }
        }
    }
}

#endif
