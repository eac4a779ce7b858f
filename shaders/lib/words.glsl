// SPDX-License-Identifier: MIT
//
// Four elements as one load of 32-bit words, whatever the storage type
//
//   W4                               four elements of T: vec4, or uvec2 for 16-bit types
//   vkz_load_w4(x)  vkz_store_w4(x)  W4 -> vec4, vec4 -> W4
//   W2  vkz_load_w2(x)               two elements of T, W2 -> vec2
//
// A second view of a buffer of T, for addresses that are multiples of four elements:
//
//   layout(std430, binding = 0) restrict readonly buffer BufferA  { T  a[]; };
//   layout(std430, binding = 0) restrict readonly buffer BufferA4 { W4 a4[]; };
//
// Words rather than T4, because several drivers load 16-bit elements one at a time; and
// because the conversions of packed halves are core GLSL.
#ifndef VKZ_WORDS_GLSL
#define VKZ_WORDS_GLSL

#include "lib/num.glsl"

#if defined(T_F32)

#define W2 vec2
#define vkz_load_w2(x) (x)
#define W4 vec4
#define vkz_load_w4(x) (x)
#define vkz_store_w4(x) (x)

#elif defined(T_F16)

#define W2 uint
#define W4 uvec2

vec2 vkz_load_w2(const uint word)
{
    return unpackHalf2x16(word);
}

vec4 vkz_load_w4(const uvec2 words)
{
    return vec4(unpackHalf2x16(words.x), unpackHalf2x16(words.y));
}

uvec2 vkz_store_w4(const vec4 x)
{
    return uvec2(packHalf2x16(x.xy), packHalf2x16(x.zw));
}

#elif defined(T_BF16)

#define W2 uint
#define W4 uvec2

vec2 vkz_load_w2(const uint word)
{
    return uintBitsToFloat(uvec2(word << 16, word & 0xffff0000u));
}

vec4 vkz_load_w4(const uvec2 words)
{
    return uintBitsToFloat(uvec4(words.x << 16, words.x & 0xffff0000u,
                                 words.y << 16, words.y & 0xffff0000u));
}

uvec2 vkz_store_w4(const vec4 x)
{
    const uvec4 bits = vkz_bf16_encode(x);
    return uvec2(bits.x | bits.y << 16, bits.z | bits.w << 16);
}

#endif

#endif
