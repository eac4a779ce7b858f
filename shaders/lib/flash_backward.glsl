// SPDX-License-Identifier: MIT
//
// The gradient of softmax attention where a lane owns whole rows
//
//   P_ij = 2^(s_ij - lse_i),  dP_ij = do_i . v_j,  dS_ij = tau P_ij (dP_ij - delta_i)
//   dq_i = sum_j dS_ij k_j       a lane owns queries and walks keys
//   dk_j = sum_i dS_ij q_i       a lane owns keys and walks queries
//   dv_j = sum_i P_ij do_i
//
// with s in base 2, lse the forward pass's and delta_i = do_i . o_i. Both directions are the
// same loop: a row has the vectors a (q or k) and b (do or v), and so has what it walks:
//
//   s = a . a',  dP = b . b',  x += dS a',  and, for keys,  y += P b'
//
// so nothing is summed across lanes, and there are no atomics. FlashAttention, arXiv
// 2205.14135 and 2307.08691; the two walks cost 7 products instead of 5.
//
// With FLASH_SHUFFLE defined what is walked comes in chunks of 2 * SUBGROUP elements, a pair
// a lane, and is handed round; without it all lanes read the same element.
//
// The kernel declares, before including this file:
//   constants   HEAD_DIM V_DIM ROWS ITEMS ROLL EXP, SUBGROUP as for lib/flash.glsl, and
//               BACK_KEYS: bool, the rows are keys
//   FLASH_LIST and its hooks (lib/flash_span.glsl): what is walked, in ranges of items
//   functions   vec4 back_row_a(uint row, uint c)    elements 4c..4c+3; 0 past the end
//               vec4 back_row_b(uint row, uint c)
//               vec4 back_item_a(uint item, uint c)  (without FLASH_SHUFFLE)
//               vec4 back_item_b(uint item, uint c)
//               vec2 back_item_a2(uint item, uint c) elements 2c and 2c+1, anything past the
//               vec2 back_item_b2(uint item, uint c) end (with it)
//               vec2 back_stats(uint i)              lse_i in base 2, delta_i of a query
//               bool back_visible(uint row, uint item)   where a span is masked
//               void back_store_x(uint row, uint c, vec4 x)
//               void back_store_y(uint row, uint c, vec4 y)
//   float back_scale                                 of the rows' a: tau log2 e
//   float back_tau                                   of dS
// and calls back_begin(), back_walk() for every list, back_end().
#ifndef VKZ_FLASH_BACKWARD_GLSL
#define VKZ_FLASH_BACKWARD_GLSL

#ifdef FLASH_SHUFFLE
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif

#include "lib/flash_span.glsl"

#ifdef FLASH_SHUFFLE
const uint BACK_CHUNK = 2u * SUBGROUP;
#else
const uint BACK_CHUNK = 4u;
#endif
const uint BACK_A_CHUNKS = (HEAD_DIM + BACK_CHUNK - 1u) / BACK_CHUNK;
const uint BACK_B_CHUNKS = (V_DIM + BACK_CHUNK - 1u) / BACK_CHUNK;
const uint BACK_A = BACK_A_CHUNKS * BACK_CHUNK; // elements of a row, padded with zeros
const uint BACK_B = BACK_B_CHUNKS * BACK_CHUNK;

float back_a_[ROWS * BACK_A];
float back_b_[ROWS * BACK_B];
float back_x_[ROWS * BACK_A];
float back_y_[BACK_KEYS ? ROWS * BACK_B : 1u];
float back_s_[ROWS * ITEMS]; // scores, then dS
float back_p_[ROWS * ITEMS]; // dP, then P
uint back_row_[ROWS];
uint back_item_[ITEMS];

// Chunks of what is walked, kept from the scores for the sums.
#ifdef FLASH_SHUFFLE
vec2 back_item_chunk_a_[ITEMS * BACK_A_CHUNKS];
vec2 back_item_chunk_b_[ITEMS * BACK_B_CHUNKS];
#define BACK_ELEMENT(chunk, i)                                                          \
    subgroupShuffle(((i) & 1u) == 0u ? (chunk).x : (chunk).y, (i) >> 1)
#else
vec4 back_item_chunk_a_[ITEMS * BACK_A_CHUNKS];
vec4 back_item_chunk_b_[ITEMS * BACK_B_CHUNKS];
#define BACK_ELEMENT(chunk, i) ((chunk)[i])
#endif

void back_load_a_(const uint c)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        vec4 x = vec4(0.0);
        if (4u * c < HEAD_DIM) {
            x = back_row_a(back_row_[r], c) * back_scale;
        }
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            back_a_[r * BACK_A + 4u * c + i] = x[i];
            back_x_[r * BACK_A + 4u * c + i] = 0.0;
        }
    }
}

void back_load_b_(const uint c)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        vec4 x = vec4(0.0);
        if (4u * c < V_DIM) {
            x = back_row_b(back_row_[r], c);
        }
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            back_b_[r * BACK_B + 4u * c + i] = x[i];
            if (BACK_KEYS) {
                back_y_[r * BACK_B + 4u * c + i] = 0.0;
            }
        }
    }
}

void back_dot_a_(const uint c)
{
    [[unroll]] for (uint j = 0; j < ITEMS; j++) {
#ifdef FLASH_SHUFFLE
        const uint at = c * SUBGROUP + gl_SubgroupInvocationID % SUBGROUP;
        const vec2 x = back_item_a2(back_item_[j], at);
        back_item_chunk_a_[j * BACK_A_CHUNKS + c] =
            vec2(2u * at < HEAD_DIM ? x.x : 0.0, 2u * at + 1u < HEAD_DIM ? x.y : 0.0);
#else
        back_item_chunk_a_[j * BACK_A_CHUNKS + c] = back_item_a(back_item_[j], c);
#endif
    }
    [[unroll]] for (uint i = 0; i < BACK_CHUNK; i++) {
        [[unroll]] for (uint j = 0; j < ITEMS; j++) {
            const float x = BACK_ELEMENT(back_item_chunk_a_[j * BACK_A_CHUNKS + c], i);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                const uint at = r * ITEMS + j;
                back_s_[at] =
                    fma(back_a_[r * BACK_A + c * BACK_CHUNK + i], x, back_s_[at]);
            }
        }
    }
}

void back_dot_b_(const uint c)
{
    [[unroll]] for (uint j = 0; j < ITEMS; j++) {
#ifdef FLASH_SHUFFLE
        const uint at = c * SUBGROUP + gl_SubgroupInvocationID % SUBGROUP;
        const vec2 x = back_item_b2(back_item_[j], at);
        back_item_chunk_b_[j * BACK_B_CHUNKS + c] =
            vec2(2u * at < V_DIM ? x.x : 0.0, 2u * at + 1u < V_DIM ? x.y : 0.0);
#else
        back_item_chunk_b_[j * BACK_B_CHUNKS + c] = back_item_b(back_item_[j], c);
#endif
    }
    [[unroll]] for (uint i = 0; i < BACK_CHUNK; i++) {
        [[unroll]] for (uint j = 0; j < ITEMS; j++) {
            const float x = BACK_ELEMENT(back_item_chunk_b_[j * BACK_B_CHUNKS + c], i);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                const uint at = r * ITEMS + j;
                back_p_[at] =
                    fma(back_b_[r * BACK_B + c * BACK_CHUNK + i], x, back_p_[at]);
            }
        }
    }
}

// What is hidden has P = dS = 0, and must not count even where its vectors hold NaN: the
// sums select.
void back_sum_a_(const uint c)
{
    [[unroll]] for (uint i = 0; i < BACK_CHUNK; i++) {
        [[unroll]] for (uint j = 0; j < ITEMS; j++) {
            const float x = BACK_ELEMENT(back_item_chunk_a_[j * BACK_A_CHUNKS + c], i);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                const uint at = r * BACK_A + c * BACK_CHUNK + i;
                const float ds = back_s_[r * ITEMS + j];
                back_x_[at] = ds == 0.0 ? back_x_[at] : fma(ds, x, back_x_[at]);
            }
        }
    }
}

void back_sum_b_(const uint c)
{
    [[unroll]] for (uint i = 0; i < BACK_CHUNK; i++) {
        [[unroll]] for (uint j = 0; j < ITEMS; j++) {
            const float x = BACK_ELEMENT(back_item_chunk_b_[j * BACK_B_CHUNKS + c], i);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                const uint at = r * BACK_B + c * BACK_CHUNK + i;
                const float p = back_p_[r * ITEMS + j];
                back_y_[at] = p == 0.0 ? back_y_[at] : fma(p, x, back_y_[at]);
            }
        }
    }
}

void back_end_x_(const uint first, const uint stride, const uint end, const uint c)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        vec4 x;
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            x[i] = back_x_[r * BACK_A + 4u * c + i];
        }
        if (first + r * stride < end) {
            back_store_x(first + r * stride, c, x);
        }
    }
}

void back_end_y_(const uint first, const uint stride, const uint end, const uint c)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        vec4 x;
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            x[i] = back_y_[r * BACK_B + 4u * c + i];
        }
        if (first + r * stride < end) {
            back_store_y(first + r * stride, c, x);
        }
    }
}

// What is walked is in the registers of unrolled loops: a driver that keeps private arrays
// in memory reads them lane by lane where an index is not a constant.
#define BACK_UNROLLED(count, call)                                                      \
    [[unroll]] for (uint c = 0; c < (count); c++) {                                     \
        call;                                                                           \
    }

// Filling and emptying: a loop over chunks, unrolled or not.
#define BACK_CHUNKS(count, call)                                                        \
    if (ROLL != 0) {                                                                    \
        [[dont_unroll]] for (uint c = 0; c < (count); c++) {                            \
            call;                                                                       \
        }                                                                               \
    } else {                                                                            \
        [[unroll]] for (uint c = 0; c < (count); c++) {                                 \
            call;                                                                       \
        }                                                                               \
    }

// Rows first + r * stride, r < ROWS, of which those below `end` count.
void back_begin(const uint first, const uint stride, const uint end)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        back_row_[r] = min(first + r * stride, end - 1u);
    }
    BACK_CHUNKS(BACK_A / 4u, back_load_a_(c))
    BACK_CHUNKS(BACK_B / 4u, back_load_b_(c))
}

// Adds what flash_list() lists. All lanes come here together.
void back_walk()
{
    vec2 row_stats[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        row_stats[r] = BACK_KEYS ? vec2(0.0) : back_stats(back_row_[r]);
    }
    for (flash_span span = flash_begin(ivec2(0)); span.at < span.end;
         span = flash_step(span, int(ITEMS))) {
        [[unroll]] for (uint j = 0; j < ITEMS; j++) {
            back_item_[j] = uint(min(span.at + int(j), span.end - 1));
        }
        [[unroll]] for (uint i = 0; i < ROWS * ITEMS; i++) {
            back_s_[i] = 0.0;
            back_p_[i] = 0.0;
        }
        BACK_UNROLLED(BACK_A_CHUNKS, back_dot_a_(c))
        BACK_UNROLLED(BACK_B_CHUNKS, back_dot_b_(c))
        [[unroll]] for (uint j = 0; j < ITEMS; j++) {
            vec2 item_stats = vec2(0.0);
            if (BACK_KEYS) {
                item_stats = back_stats(back_item_[j]);
            }
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                const uint at = r * ITEMS + j;
                const vec2 stats = BACK_KEYS ? item_stats : row_stats[r];
                bool seen = span.at + int(j) < span.end;
                if (span.masked) {
                    seen = seen && back_visible(back_row_[r], back_item_[j]);
                }
                const float p = seen ? vkz_exp2(back_s_[at] - stats.x, EXP) : 0.0;
                const float ds = p * (back_p_[at] - stats.y) * back_tau;
                back_s_[at] = seen ? ds : 0.0;
                back_p_[at] = p;
            }
        }
        BACK_UNROLLED(BACK_A_CHUNKS, back_sum_a_(c))
        if (BACK_KEYS) {
            BACK_UNROLLED(BACK_B_CHUNKS, back_sum_b_(c))
        }
    }
}

void back_end(const uint first, const uint stride, const uint end)
{
    BACK_CHUNKS((HEAD_DIM + 3u) / 4u, back_end_x_(first, stride, end, c))
    if (BACK_KEYS) {
        BACK_CHUNKS((V_DIM + 3u) / 4u, back_end_y_(first, stride, end, c))
    }
}

#endif
