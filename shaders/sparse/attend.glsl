// SPDX-License-Identifier: MIT
//
// What kernels of sparse softmax attention share: shapes, wide loads, the end of a row
//
// The includer declares its buffers and push constants, and ATTEND_MASK when it wants a
// mask of lib/score.glsl.
#ifndef VKZ_SPARSE_ATTEND_GLSL
#define VKZ_SPARSE_ATTEND_GLSL

#include "lib/num.glsl"
#include "lib/words.glsl"

layout(constant_id = 5) const uint EXP = 5;
layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 32) const uint HEAD_DIM = 64;
layout(constant_id = 33) const uint V_DIM = 64;

const uint WEIGHT = 0; // softmax
#ifndef ATTEND_MASK
#define ATTEND_MASK 0
#endif
const uint MASK = ATTEND_MASK;
const uint BIAS = 0;
const uint CAP = 0;

float score_bias_load(const uint row, const uint key)
{
    return 0.0;
}

int score_segment_load(const uint key)
{
    return 0;
}

#include "lib/score.glsl"

// For `rows` rows and keys 0 .. keys - 1, as the tiles count them.
score_map attend_map(const uint rows, const uint keys, const float tau)
{
    score_map s;
    s.q_len = int(rows);
    s.kv_len = int(keys);
    s.wl = -1;
    s.wr = -1;
    s.np = 0;
    s.scale = tau * SCORE_UNIT;
    s.cap = 1.0;
    s.offset = 0.0;
    s.slope = 0.0;
    s.r1 = 0.0;
    s.r2 = 0.0;
    return s;
}

// Elements 4c .. 4c+3 of the row of `width` elements that begins at `base`; 0 past its
// end. With VEC = 4, base is a multiple of 4, and so is the width.
#define ATTEND_LOAD4(name, name4, base, width, c)                                        \
    if (VEC == 4) {                                                                      \
        return vkz_load_w4(name4[(base) / 4u + (c)]);                                    \
    }                                                                                    \
    vec4 x = vec4(vkz_load(name[(base) + 4u * (c)]), 0.0, 0.0, 0.0);                     \
    if (4u * (c) + 1u < (width)) {                                                       \
        x.y = vkz_load(name[(base) + 4u * (c) + 1u]);                                    \
    }                                                                                    \
    if (4u * (c) + 2u < (width)) {                                                       \
        x.z = vkz_load(name[(base) + 4u * (c) + 2u]);                                    \
    }                                                                                    \
    if (4u * (c) + 3u < (width)) {                                                       \
        x.w = vkz_load(name[(base) + 4u * (c) + 3u]);                                    \
    }                                                                                    \
    return x

// Elements 2c and 2c+1, each lane another c; anything readable past the row's end.
#define ATTEND_LOAD2(name, name2, base, width, c)                                        \
    if (VEC == 4) {                                                                      \
        return vkz_load_w2(name2[(base) / 2u + min((c), (width) / 2u - 1u)]);           \
    }                                                                                    \
    return vec2(vkz_load(name[(base) + min(2u * (c), (width) - 1u)]),                    \
                vkz_load(name[(base) + min(2u * (c) + 1u, (width) - 1u)]))

#define ATTEND_STORE4(name, name4, base, width, c, value)                                \
    if (VEC == 4) {                                                                      \
        name4[(base) / 4u + (c)] = vkz_store_w4(value);                                  \
        return;                                                                          \
    }                                                                                    \
    name[(base) + 4u * (c)] = vkz_store((value).x);                                      \
    if (4u * (c) + 1u < (width)) {                                                       \
        name[(base) + 4u * (c) + 1u] = vkz_store((value).y);                             \
    }                                                                                    \
    if (4u * (c) + 2u < (width)) {                                                       \
        name[(base) + 4u * (c) + 2u] = vkz_store((value).z);                             \
    }                                                                                    \
    if (4u * (c) + 3u < (width)) {                                                       \
        name[(base) + 4u * (c) + 3u] = vkz_store((value).w);                             \
    }

// Natural log-sum-exp of a row with running maximum m, in base 2, and sum of weights l.
// The logarithm of 0 is spelled out: not every driver's is an infinity.
float attend_lse(const float m, const float l)
{
    return l == 0.0 ? uintBitsToFloat(0xff800000u) : (m + vkz_log2(l)) * VKZ_LN2;
}

// What finishes the outputs of a row.
float attend_factor(const float l)
{
    return l == 0.0 ? 0.0 : 1.0 / l;
}

#endif
