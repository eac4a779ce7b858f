// SPDX-License-Identifier: MIT
// Half and bfloat16 conversions, and reading and rounding of every storage type.
// See zoo/data.h.
#include "zoo/data.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

uint16_t vkz_f16_from_f32(float x)
{
    const uint32_t bits = bits_of(x);
    const uint32_t sign = bits >> 16 & 0x8000;
    const uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) // NaN: keep the top of the payload, make it quiet
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) // 65520 and above round to infinity
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) {
        // Below 2^-14: adding 0.5 leaves 2^-24, the smallest half, as the float's last
        // bit, and the addition rounds to nearest even.
        return (uint16_t)(sign | (bits_of(float_of(magnitude) + 0.5f) - 0x3f000000));
    }
    // Rebias the exponent by -112, round to nearest even on the 13 bits that go away; a
    // carry runs into the exponent as it should.
    const uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | (magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

float vkz_f32_from_f16(uint16_t x)
{
    const uint32_t sign = (uint32_t)(x & 0x8000) << 16;
    const uint32_t exponent = x >> 10 & 0x1f;
    const uint32_t mantissa = x & 0x3ff;
    if (exponent == 0)
        return float_of(sign | bits_of((float)mantissa * 0x1p-24f));
    if (exponent == 31)
        return float_of(sign | 0x7f800000 | mantissa << 13 | (mantissa ? 0x400000 : 0));
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t vkz_bf16_from_f32(float x)
{
    const uint32_t bits = bits_of(x);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float vkz_f32_from_bf16(uint16_t x) { return float_of((uint32_t)x << 16); }

double vkz_storage_get(enum vkz_type type, const void *storage, int64_t i)
{
    switch (type) {
    case VKZ_F32:
        return ((const float *)storage)[i];
    case VKZ_F16:
        return vkz_f32_from_f16(((const uint16_t *)storage)[i]);
    case VKZ_BF16:
        return vkz_f32_from_bf16(((const uint16_t *)storage)[i]);
    case VKZ_I32:
        return ((const int32_t *)storage)[i];
    case VKZ_U32:
        return ((const uint32_t *)storage)[i];
    case VKZ_I8:
        return ((const int8_t *)storage)[i];
    case VKZ_U8:
        return ((const uint8_t *)storage)[i];
    case VKZ_TYPE_NONE:
        break;
    }
    return NAN;
}

static double round_clamped(double x, double low, double high)
{
    return isnan(x) ? 0 : fmin(fmax(nearbyint(x), low), high);
}

double vkz_storage_round(enum vkz_type type, double x)
{
    switch (type) {
    case VKZ_F32:
        return (float)x;
    case VKZ_F16:
        return vkz_f32_from_f16(vkz_f16_from_f32((float)x));
    case VKZ_BF16:
        return vkz_f32_from_bf16(vkz_bf16_from_f32((float)x));
    case VKZ_I32:
        return round_clamped(x, INT32_MIN, INT32_MAX);
    case VKZ_U32:
        return round_clamped(x, 0, UINT32_MAX);
    case VKZ_I8:
        return round_clamped(x, INT8_MIN, INT8_MAX);
    case VKZ_U8:
        return round_clamped(x, 0, UINT8_MAX);
    case VKZ_TYPE_NONE:
        break;
    }
    return NAN;
}
