// SPDX-License-Identifier: MIT
//
// Number roles: the storage type of a variant, what sums are kept in, and the way between
//
// A variant line `T=f16` defines T_F16, `acc=f16` defines ACC_F16; this file gives
//
//   T, T2, T4                          what a buffer holds: 1, 2 or 4 elements
//   vkz_load(x) vkz_load2 vkz_load4    T, T2, T4 -> float, vec2, vec4
//   vkz_store(x) vkz_store2 vkz_store4 float, vec2, vec4 -> T, T2, T4; NaN stays NaN
//   ACC, ACC2, ACC4                    accumulators: float, vec2, vec4, or 16-bit
//
//   c[i] = vkz_store(alpha * vkz_load(a[i]));
//
// Load and store are macros: with 16-bit storage but no 16-bit arithmetic, a 16-bit value
// may only be converted where it is read or written, never be a variable or a parameter.
// bf16 is kept as its bits, so it needs no more of a device than 16-bit storage; it is
// rounded to nearest even here. f16 is rounded by the device, which may truncate.
// Buffers of 8-bit integers hold words; vkz_i8x4 and vkz_u8x4 take them apart.
//
// The 16-bit extensions are required here, by the variants that need them only. Include
// this before anything but #version and #extension.
#ifndef VKZ_NUM_GLSL
#define VKZ_NUM_GLSL

#if defined(T_F16) || defined(T_BF16)
#extension GL_EXT_shader_16bit_storage : require
#endif
#ifdef ACC_F16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#endif

// --- bf16, as bits --------------------------------------------------------------------

float vkz_bf16_decode(const uint bits)
{
    return uintBitsToFloat(bits << 16);
}

vec2 vkz_bf16_decode(const uvec2 bits)
{
    return uintBitsToFloat(bits << 16);
}

vec4 vkz_bf16_decode(const uvec4 bits)
{
    return uintBitsToFloat(bits << 16);
}

// To nearest, ties to even: half of the last kept place is added, less one unit when that
// place is even. A NaN could carry over into infinity or zero that way, so it keeps its
// top bits instead and is made quiet.
uint vkz_bf16_encode(const float x)
{
    const uint bits = floatBitsToUint(x);
    const uint nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    return is_nan ? (bits >> 16) | 0x40u : nearest;
}

uvec2 vkz_bf16_encode(const vec2 x)
{
    return uvec2(vkz_bf16_encode(x.x), vkz_bf16_encode(x.y));
}

uvec4 vkz_bf16_encode(const vec4 x)
{
    return uvec4(vkz_bf16_encode(x.xy), vkz_bf16_encode(x.zw));
}

// --- the storage type -----------------------------------------------------------------

#if defined(T_F32)

#define T float
#define T2 vec2
#define T4 vec4
#define vkz_load(x) (x)
#define vkz_load2(x) (x)
#define vkz_load4(x) (x)
#define vkz_store(x) (x)
#define vkz_store2(x) (x)
#define vkz_store4(x) (x)

#elif defined(T_F16)

#define T float16_t
#define T2 f16vec2
#define T4 f16vec4
#define vkz_load(x) float(x)
#define vkz_load2(x) vec2(x)
#define vkz_load4(x) vec4(x)
#define vkz_store(x) float16_t(x)
#define vkz_store2(x) f16vec2(x)
#define vkz_store4(x) f16vec4(x)

#elif defined(T_BF16)

#define T uint16_t
#define T2 u16vec2
#define T4 u16vec4
#define vkz_load(x) vkz_bf16_decode(uint(x))
#define vkz_load2(x) vkz_bf16_decode(uvec2(x))
#define vkz_load4(x) vkz_bf16_decode(uvec4(x))
#define vkz_store(x) uint16_t(vkz_bf16_encode(x))
#define vkz_store2(x) u16vec2(vkz_bf16_encode(x))
#define vkz_store4(x) u16vec4(vkz_bf16_encode(x))

#elif defined(T_I32)

#define T int
#define T2 ivec2
#define T4 ivec4

#elif defined(T_U32)

#define T uint
#define T2 uvec2
#define T4 uvec4

#endif

// --- accumulators ---------------------------------------------------------------------

#ifdef ACC_F16
#define ACC float16_t
#define ACC2 f16vec2
#define ACC4 f16vec4
#else
#define ACC float
#define ACC2 vec2
#define ACC4 vec4
#endif

// --- 8-bit integers in words: element 0 is the lowest byte ----------------------------

ivec4 vkz_i8x4(const uint word)
{
    return ivec4(word << 24, word << 16, word << 8, word) >> 24;
}

uvec4 vkz_u8x4(const uint word)
{
    return (uvec4(word) >> uvec4(0, 8, 16, 24)) & 0xffu;
}

#endif
