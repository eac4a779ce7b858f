// SPDX-License-Identifier: MIT
//
// Rows of any width in pairs and quads of elements, for buffers that the includer
// declares
//
//   WIDE_LOAD4(name, row, width, c)    elements 4c .. 4c+3 of a row; 0 past its end
//   WIDE_LOAD2(name, row, width, c)    elements 2c, 2c+1; anything readable past its end
//   WIDE_STORE4(name, row, width, c, from)
//
// The statements use buffers name[] (T), name2[] (W2), name4[] (W4; T4 to store) on one
// binding (lib/words.glsl), and the constant VEC: 4 when every width is a multiple of 4,
// else 1.
#ifndef VKZ_SPARSE_WIDE_GLSL
#define VKZ_SPARSE_WIDE_GLSL

#include "lib/words.glsl"

// Both end the function they stand in. Widths and c are constants after unrolling, so the
// tests of the VEC = 1 form fold away.
#define WIDE_LOAD4(name, row, width, c)                                                 \
    if (VEC == 4) {                                                                     \
        return vkz_load_w4(name##4[(row) * ((width) / 4u) + (c)]);                      \
    }                                                                                   \
    const uint at = (row) * (width) + 4u * (c);                                         \
    vec4 x = vec4(vkz_load(name[at]), 0.0, 0.0, 0.0);                                   \
    if (4u * (c) + 1u < (width)) {                                                      \
        x.y = vkz_load(name[at + 1u]);                                                  \
    }                                                                                   \
    if (4u * (c) + 2u < (width)) {                                                      \
        x.z = vkz_load(name[at + 2u]);                                                  \
    }                                                                                   \
    if (4u * (c) + 3u < (width)) {                                                      \
        x.w = vkz_load(name[at + 3u]);                                                  \
    }                                                                                   \
    return x

#define WIDE_LOAD2(name, row, width, c)                                                 \
    if (VEC == 4) {                                                                     \
        const uint pair = min((c), (width) / 2u - 1u);                                  \
        return vkz_load_w2(name##2[(row) * ((width) / 2u) + pair]);                     \
    }                                                                                   \
    const uint at = (row) * (width);                                                    \
    return vec2(vkz_load(name[at + min(2u * (c), (width) - 1u)]),                       \
                vkz_load(name[at + min(2u * (c) + 1u, (width) - 1u)]))

#define WIDE_STORE4(name, row, width, c, from)                                          \
    if (VEC == 4) {                                                                     \
        name##4[(row) * ((width) / 4u) + (c)] = vkz_store4(from);                       \
    } else {                                                                            \
        const uint at = (row) * (width) + 4u * (c);                                     \
        name[at] = vkz_store((from).x);                                                 \
        if (4u * (c) + 1u < (width)) {                                                  \
            name[at + 1u] = vkz_store((from).y);                                        \
        }                                                                               \
        if (4u * (c) + 2u < (width)) {                                                  \
            name[at + 2u] = vkz_store((from).z);                                        \
        }                                                                               \
        if (4u * (c) + 3u < (width)) {                                                  \
            name[at + 3u] = vkz_store((from).w);                                        \
        }                                                                               \
    }

#endif
