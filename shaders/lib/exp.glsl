// SPDX-License-Identifier: MIT
//
// Exponentials of chosen accuracy, and the functions made of them
//
//   vkz_exp2(x, kind)      2^x by `kind`; 0 below 2^-126, NaN stays NaN; x <= 127
//   vkz_exp2_accurate(x)   2^x to 2e-9 before rounding, for values computed once a row
//   vkz_exp2_decay(x)      2^x to 1.7e-7, better the nearer to 1: factors that a state is
//                          multiplied by step after step, whose errors must not add up
//   vkz_exp_accurate(x)    e^x to an ulp or two for x <= 88, large negative x too
//   vkz_log2(x)            log2 of a normal x > 0 to an ulp or two; 0 gives -inf
//   vkz_tanh(x)            tanh to an ulp or two, near 0 too
//   vkz_softplus(x)        max(x, 0) + ln(1 + e^-|x|)
//   vkz_softplus_accurate(x)  the same to an ulp or two also where it is small, x << 0
//
// Drivers differ by three orders of magnitude in how fast, and by some ulp in how exact,
// exp2 and log2 are. `kind` is a constant that the host sets: 0 the driver's own, 3, 4, 5
// a polynomial of that degree on the fraction of x (minimax on [0, 1) among those that
// are exact at 0: relative error 8.6e-5, 2.9e-6, 8.2e-8), the integer part goes into the
// exponent. Exact at 0, because an online softmax multiplies by 2^0 once a tile.
//
// Comparisons are written so that a NaN fails them and takes the arithmetic path.
#ifndef VKZ_EXP_GLSL
#define VKZ_EXP_GLSL

const uint EXP_NATIVE = 0;
const uint EXP_POLY3 = 3;
const uint EXP_POLY4 = 4;
const uint EXP_POLY5 = 5;

const float VKZ_LOG2E = 1.4426950408889634;
const float VKZ_LN2 = 0.6931471805599453;

// 2^n for a whole n, -126 <= n <= 127. The sum puts n + 127 into the lowest bits of its
// mantissa: cheaper than a conversion to int, which some drivers do lane by lane.
float vkz_scale2_(const float n)
{
    return intBitsToFloat(floatBitsToInt(n + (12582912.0 + 127.0)) << 23);
}

float vkz_exp2(const float x, const uint kind)
{
    if (kind == EXP_NATIVE) {
        return exp2(x);
    }
    const float n = floor(x);
    const float f = x - n;
    float p;
    if (kind == EXP_POLY3) {
        p = fma(f, 0.0770670424, 0.227644991);
        p = fma(f, p, 0.695116787);
        p = fma(f, p, 1.0);
    } else if (kind == EXP_POLY4) {
        p = fma(f, 0.0134266843, 0.0522424743);
        p = fma(f, p, 0.241280205);
        p = fma(f, p, 0.693044845);
        p = fma(f, p, 1.0);
    } else {
        p = fma(f, 0.00186713008, 0.00901703029);
        p = fma(f, p, 0.0557999131);
        p = fma(f, p, 0.24016445);
        p = fma(f, p, 0.693151312);
        p = fma(f, p, 1.0);
    }
    const float y = p * vkz_scale2_(n);
    return x < -126.0 ? 0.0 : y;
}

float vkz_exp2_accurate(const float x)
{
    const float n = floor(x + 0.5);
    const float f = (x - n) * VKZ_LN2;
    float p = fma(f, 1.0 / 5040.0, 1.0 / 720.0);
    p = fma(f, p, 1.0 / 120.0);
    p = fma(f, p, 1.0 / 24.0);
    p = fma(f, p, 1.0 / 6.0);
    p = fma(f, p, 0.5);
    p = fma(f, p, 1.0);
    p = fma(f, p, 1.0);
    const float y = p * vkz_scale2_(n);
    return x < -126.0 ? 0.0 : y;
}

// 2^(n + f) with |f| <= 1/2: near 0 the error is that of f alone.
float vkz_exp2_decay(const float x)
{
    const float n = floor(x + 0.5);
    const float f = x - n;
    float p = fma(f, 0.0013382264, 0.0096673407);
    p = fma(f, p, 0.0555037968);
    p = fma(f, p, 0.240223363);
    p = fma(f, p, 0.693147182);
    p = fma(f, p, 1.0);
    const float y = p * vkz_scale2_(n);
    return x < -126.0 ? 0.0 : y;
}

float vkz_log2(const float x)
{
    // x = 2^e * m with m in [sqrt(1/2), sqrt(2)), log2 m = (2 / ln 2) atanh z.
    const int bits = floatBitsToInt(x) - 0x3f3504f3;
    const float e = float(bits >> 23);
    const float m = intBitsToFloat((bits & 0x007fffff) + 0x3f3504f3);
    const float z = (m - 1.0) / (m + 1.0);
    const float y = z * z;
    float p = fma(y, 1.0 / 9.0, 1.0 / 7.0);
    p = fma(y, p, 1.0 / 5.0);
    p = fma(y, p, 1.0 / 3.0);
    p = fma(y * z, p, z) * (2.0 * VKZ_LOG2E);
    const float r = e + p;
    // Zero, and what is no number or infinite, are the driver's.
    return x > 0.0 && x < 3.0e38 ? r : log2(x);
}

float vkz_tanh(const float x)
{
    const float a = abs(x);
    const float y = x * x;
    // tanh(x)/x on x^2 < 0.625^2, minimax, 4e-9.
    float p = fma(y, -0.00565998894, 0.0205909883);
    p = fma(y, p, -0.053721068);
    p = fma(y, p, 0.133311275);
    p = fma(y, p, -0.333332605);
    p = fma(y, p, 0.999999996);
    const float t = vkz_exp2(min(a, 16.0) * (-2.0 * VKZ_LOG2E), EXP_POLY5);
    const float big = (1.0 - t) / (1.0 + t);
    const float r = a < 0.625 ? p * x : (x < 0.0 ? -big : big);
    return a >= 0.0 ? r : x;
}

float vkz_softplus(const float x)
{
    const float t = vkz_exp2(-abs(x) * VKZ_LOG2E, EXP_POLY5);
    return (x < 0.0 ? 0.0 : x) + VKZ_LN2 * vkz_log2(1.0 + t);
}

// ln 2 is taken off in two parts, so that a large argument costs no digits.
float vkz_exp_accurate(const float x)
{
    const float n = floor(fma(x, VKZ_LOG2E, 0.5));
    precise const float high = x - n * 0.693145752; // the product is exact
    precise const float r = high - n * 1.42860677e-6;
    float p = fma(r, 1.0 / 5040.0, 1.0 / 720.0);
    p = fma(r, p, 1.0 / 120.0);
    p = fma(r, p, 1.0 / 24.0);
    p = fma(r, p, 1.0 / 6.0);
    p = fma(r, p, 0.5);
    p = fma(r, p, 1.0);
    p = fma(r, p, 1.0);
    const float y = p * vkz_scale2_(n);
    return n < -126.0 ? 0.0 : y;
}

float vkz_softplus_accurate(const float x)
{
    const float t = vkz_exp_accurate(-abs(x));
    // ln(1 + t) = 2 atanh(t / (2 + t)).
    const float z = t / (2.0 + t);
    const float y = z * z;
    float q = fma(y, 1.0 / 13.0, 1.0 / 11.0);
    q = fma(y, q, 1.0 / 9.0);
    q = fma(y, q, 1.0 / 7.0);
    q = fma(y, q, 1.0 / 5.0);
    q = fma(y, q, 1.0 / 3.0);
    return (x < 0.0 ? 0.0 : x) + 2.0 * fma(y * z, q, z);
}

#endif
