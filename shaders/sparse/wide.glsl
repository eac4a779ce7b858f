// SPDX-License-Identifier: MIT
//
// Rows of any width in pairs and quads of elements, for buffers that the includer
// declares
//
//   WIDE2, WIDE4                       2 or 4 elements of type T as one load
//   WIDE_LOAD4(name, row, width, c)    elements 4c .. 4c+3 of a row; 0 past its end
//   WIDE_LOAD2(name, row, width, c)    elements 2c, 2c+1; anything readable past its end
//   WIDE_STORE4(name, row, width, c, from)
//
// The statements use buffers name[] (T), name2[] (WIDE2), name4[] (WIDE4; T4 to store) on
// one binding, and the constant VEC: 4 when every width is a multiple of 4, else 1. A
// 16-bit pair is a word: a driver that checks bounds checks it once.
#ifndef VKZ_SPARSE_WIDE_GLSL
#define VKZ_SPARSE_WIDE_GLSL

#include "lib/num.glsl"

#if defined(T_F32)
#define WIDE2 vec2
#define WIDE4 vec4
vec2 wide2(const vec2 x) { return x; }
vec4 wide4(const vec4 x) { return x; }
#elif defined(T_F16)
#define WIDE2 uint
#define WIDE4 uvec2
vec2 wide2(const uint x) { return unpackHalf2x16(x); }
vec4 wide4(const uvec2 x) { return vec4(unpackHalf2x16(x.x), unpackHalf2x16(x.y)); }
#else
#define WIDE2 uint
#define WIDE4 uvec2
vec2 wide2(const uint x) { return uintBitsToFloat(uvec2(x << 16, x & 0xffff0000u)); }
vec4 wide4(const uvec2 x) { return vec4(wide2(x.x), wide2(x.y)); }
#endif

// Both end the function they stand in. Widths and c are constants after unrolling, so the
// tests of the VEC = 1 form fold away.
#define WIDE_LOAD4(name, row, width, c)                                                 \
    if (VEC == 4) {                                                                     \
        return wide4(name##4[(row) * ((width) / 4u) + (c)]);                            \
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
        return wide2(name##2[(row) * ((width) / 2u) + min((c), (width) / 2u - 1u)]);    \
    }                                                                                   \
    const uint at = (row) * (width);                                                    \
    return vec2(vkz_load(name[at + min(2u * (c), (width) - 1u)]),                       \
                vkz_load(name[at + min(2u * (c) + 1u, (width) - 1u)]))

#define WIDE_STORE4(name, row, width, c, from)                                         \
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
