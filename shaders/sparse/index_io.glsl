// SPDX-License-Identifier: MIT
//
// What the index_score kernels share: push constants, buffers, loads and stores
#ifndef VKZ_SPARSE_INDEX_IO_GLSL
#define VKZ_SPARSE_INDEX_IO_GLSL

#include "lib/num.glsl"
#include "lib/words.glsl"

layout(constant_id = 12) const uint VEC = 1;   // elements a load of qi and ki
layout(constant_id = 14) const uint VEC_S = 1; // scores a store

layout(set = 0, binding = 0, std430) restrict readonly buffer Qi { T qi[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Qi4 { W4 qi4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Ki { T ki[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Ki4 { W4 ki4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer W { float w[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Score { float score[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Score4 { vec4 score4[]; };

layout(push_constant, std430) uniform Push {
    uint q_len, kv_len, hi, di;
    float scale;
} pc;

#define MINUS_INFINITY uintBitsToFloat(0xff800000u)

// Elements 4c .. 4c+3 of a row of di elements, 0 past its end.
#define INDEX_LOAD4(name, name4, row, c)                                                 \
    if (VEC == 4) {                                                                      \
        return 4u * (c) < pc.di ? vkz_load_w4(name4[(row) * (pc.di / 4u) + (c)])         \
                                : vec4(0.0);                                             \
    }                                                                                    \
    const uint at = (row) * pc.di;                                                       \
    vec4 x = vec4(0.0);                                                                  \
    if (4u * (c) < pc.di) {                                                              \
        x.x = vkz_load(name[at + 4u * (c)]);                                             \
    }                                                                                    \
    if (4u * (c) + 1u < pc.di) {                                                         \
        x.y = vkz_load(name[at + 4u * (c) + 1u]);                                        \
    }                                                                                    \
    if (4u * (c) + 2u < pc.di) {                                                         \
        x.z = vkz_load(name[at + 4u * (c) + 2u]);                                        \
    }                                                                                    \
    if (4u * (c) + 3u < pc.di) {                                                         \
        x.w = vkz_load(name[at + 4u * (c) + 3u]);                                        \
    }                                                                                    \
    return x

// `row`: (batch * q_len + query) * hi + head.
vec4 index_q(const uint row, const uint c)
{
    INDEX_LOAD4(qi, qi4, row, c);
}

// `key`: batch * kv_len + key.
vec4 index_k(const uint key, const uint c)
{
    INDEX_LOAD4(ki, ki4, key, c);
}

// What a head adds for four keys. Written so that a NaN passes.
vec4 index_term(const float weight, const vec4 dots)
{
    return weight * mix(dots, vec4(0.0), lessThanEqual(dots, vec4(0.0)));
}

// Scores of keys s .. s+3 for row `batch * q_len + query`.
void index_store(const uint row, const uint s, const vec4 sums)
{
    const int position = int(row % pc.q_len) + int(pc.kv_len) - int(pc.q_len);
    const vec4 scaled = sums * pc.scale;
    vec4 x;
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        x[i] = int(s + i) <= position ? scaled[i] : MINUS_INFINITY;
    }
    if (VEC_S == 4 && s < pc.kv_len) {
        score4[row * (pc.kv_len / 4u) + s / 4u] = x;
        return;
    }
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (s + i < pc.kv_len) {
            score[row * pc.kv_len + s + i] = x[i];
        }
    }
}

#endif
