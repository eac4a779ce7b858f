// SPDX-License-Identifier: MIT
//
// Rows of four elements in this family's buffers
//
//   LINEAR_BUFFER(binding, name)      restrict readonly, by element `name` and by aligned
//                                     groups of four `name4`
//   LINEAR_LOAD4(name, row, width, c) return elements 4c..4c+3 of row `row`, 0 past its end
//   LINEAR_STORE4(name, row, width, c, x)
//
// The last two are the bodies of functions. VEC = 4, a constant of the includer, promises
// that the width is a multiple of four; `name` and its `name4` hold T and W4 (lib/words.glsl),
// or float and vec4 with LINEAR_LOAD4_F32 and LINEAR_STORE4_F32.
#ifndef VKZ_LINEAR_ROWS_GLSL
#define VKZ_LINEAR_ROWS_GLSL

#include "lib/num.glsl"
#include "lib/words.glsl"

#define LINEAR_LOAD4_(name, load, wide, row, width, c)                                  \
    if (VEC == 4) {                                                                     \
        return wide;                                                                    \
    }                                                                                   \
    const uint at = (row) * (width) + 4u * (c);                                         \
    vec4 x = vec4(0.0);                                                                 \
    [[unroll]] for (uint i = 0; i < 4u; i++) {                                          \
        if (4u * (c) + i < (width)) {                                                   \
            x[i] = load(name[at + i]);                                                  \
        }                                                                               \
    }                                                                                   \
    return x

#define LINEAR_PLAIN(x) (x)
#define LINEAR_LOAD4(name, name4, row, width, c)                                        \
    LINEAR_LOAD4_(name, vkz_load,                                                       \
                  vkz_load_w4(name4[(row) * ((width) / 4u) + min(c, (width) / 4u - 1u)]), \
                  row, width, c)
#define LINEAR_LOAD4_F32(name, name4, row, width, c)                                    \
    LINEAR_LOAD4_(name, LINEAR_PLAIN,                                                   \
                  name4[(row) * ((width) / 4u) + min(c, (width) / 4u - 1u)], row, width, c)

#define LINEAR_STORE4_(name, store, name4, wide, row, width, c, x)                      \
    if (VEC == 4) {                                                                     \
        if (4u * (c) < (width)) {                                                       \
            name4[(row) * ((width) / 4u) + (c)] = wide(x);                              \
        }                                                                               \
    } else {                                                                            \
        const uint at = (row) * (width) + 4u * (c);                                     \
        [[unroll]] for (uint i = 0; i < 4u; i++) {                                      \
            if (4u * (c) + i < (width)) {                                               \
                name[at + i] = store((x)[i]);                                           \
            }                                                                           \
        }                                                                               \
    }

#define LINEAR_STORE4(name, name4, row, width, c, x)                                    \
    LINEAR_STORE4_(name, vkz_store, name4, vkz_store_w4, row, width, c, x)
#define LINEAR_STORE4_F32(name, name4, row, width, c, x)                                \
    LINEAR_STORE4_(name, LINEAR_PLAIN, name4, LINEAR_PLAIN, row, width, c, x)

#endif
