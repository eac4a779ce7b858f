// SPDX-License-Identifier: MIT
//
// Rows of four elements in this family's buffers
//
//   LINEAR_LOAD4(name, name4, row, width, c)      elements 4c..4c+3 of row `row`, 0 past its
//                                                 end: returned
//   LINEAR_STORE4(name, name4, row, width, c, x)  the same, stored; nothing past the end
//
// They are the bodies of functions. `name` is a buffer of T and `name4` the same of W4
// (lib/words.glsl); LINEAR_LOAD4_F32 and LINEAR_STORE4_F32 take float and vec4.
//
// The includer defines
//   VEC            constant: 4 promises that all widths are multiples of four
//   LINEAR_WHOLE   constant bool: no lane's columns are past the last one
#ifndef VKZ_LINEAR_ROWS_GLSL
#define VKZ_LINEAR_ROWS_GLSL

#include "lib/num.glsl"
#include "lib/words.glsl"

#define LINEAR_INSIDE_(c, width) (LINEAR_WHOLE ? (c) : min(c, (width) / 4u - 1u))
#define LINEAR_LOAD4_(name, load, wide, row, width, c)                                  \
    if (VEC == 4) {                                                                     \
        return wide;                                                                    \
    }                                                                                   \
    const uint at = (row) * (width) + 4u * (c);                                         \
    vec4 four_ = vec4(0.0); /* no buffer's name */                                      \
    [[unroll]] for (uint i = 0; i < 4u; i++) {                                          \
        if (4u * (c) + i < (width)) {                                                   \
            four_[i] = load(name[at + i]);                                              \
        }                                                                               \
    }                                                                                   \
    return four_

#define LINEAR_PLAIN(x) (x)
#define LINEAR_LOAD4(name, name4, row, width, c)                                        \
    LINEAR_LOAD4_(name, vkz_load,                                                       \
                  vkz_load_w4(name4[(row) * ((width) / 4u) + LINEAR_INSIDE_(c, width)]), \
                  row, width, c)
#define LINEAR_LOAD4_F32(name, name4, row, width, c)                                    \
    LINEAR_LOAD4_(name, LINEAR_PLAIN,                                                   \
                  name4[(row) * ((width) / 4u) + LINEAR_INSIDE_(c, width)], row, width, c)

#define LINEAR_STORE4_(name, store, name4, wide, row, width, c, x)                      \
    if (VEC == 4) {                                                                     \
        if (LINEAR_WHOLE || 4u * (c) < (width)) {                                       \
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
