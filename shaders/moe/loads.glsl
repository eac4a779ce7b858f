// SPDX-License-Identifier: MIT
//
// Four consecutive elements of a row, anywhere in a buffer
//
//   MOE_LOADER(f, x, x4, VEC)   defines vec4 f(base, i, end): elements i .. i + 3 of the row
//                               that begins at element `base`, 0 from its element `end` on
//   MOE_STORER(f, x, x4, VEC)   defines void f(base, i, end, vec4): nothing from `end` on
//   MOE_LOADER_F32, MOE_STORER_F32   the same of float buffers
//
// i is a multiple of four; where VEC is 4, base and end are as well, and the buffer is there
// a second time as W4 x4[] (vec4 for the F32 forms).
#ifndef VKZ_MOE_LOADS_GLSL
#define VKZ_MOE_LOADS_GLSL

#include "lib/num.glsl"
#include "lib/words.glsl"

#define MOE_PLAIN_(x) (x)

#define MOE_LOADER_(name, load, wide, x, x4, VEC)                                       \
    vec4 name(const uint base, const uint i, const uint end)                            \
    {                                                                                   \
        if (VEC == 4) {                                                                 \
            const vec4 four = wide(x4[(base + min(i, end - 4u)) / 4u]);                 \
            return i < end ? four : vec4(0.0);                                          \
        }                                                                               \
        vec4 four = vec4(0.0);                                                          \
        [[unroll]] for (uint j = 0; j < 4u; j++) {                                      \
            const float one = load(x[base + min(i + j, end - 1u)]);                     \
            four[j] = i + j < end ? one : 0.0;                                          \
        }                                                                               \
        return four;                                                                    \
    }

#define MOE_STORER_(name, store, wide, x, x4, VEC)                                      \
    void name(const uint base, const uint i, const uint end, const vec4 four)           \
    {                                                                                   \
        if (VEC == 4) {                                                                 \
            if (i < end) {                                                              \
                x4[(base + i) / 4u] = wide(four);                                       \
            }                                                                           \
        } else {                                                                        \
            [[unroll]] for (uint j = 0; j < 4u; j++) {                                  \
                if (i + j < end) {                                                      \
                    x[base + i + j] = store(four[j]);                                   \
                }                                                                       \
            }                                                                           \
        }                                                                               \
    }

#define MOE_LOADER(name, x, x4, VEC) MOE_LOADER_(name, vkz_load, vkz_load_w4, x, x4, VEC)
#define MOE_STORER(name, x, x4, VEC) MOE_STORER_(name, vkz_store, vkz_store_w4, x, x4, VEC)
#define MOE_LOADER_F32(name, x, x4, VEC) \
    MOE_LOADER_(name, MOE_PLAIN_, MOE_PLAIN_, x, x4, VEC)
#define MOE_STORER_F32(name, x, x4, VEC) \
    MOE_STORER_(name, MOE_PLAIN_, MOE_PLAIN_, x, x4, VEC)

#endif
