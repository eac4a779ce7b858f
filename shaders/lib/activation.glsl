// SPDX-License-Identifier: MIT
//
// Activation functions, exact to an ulp or two of float on every driver
//
//   vkz_erf(x)     2/sqrt(pi) times the integral of exp(-t^2) from 0 to x
//   vkz_relu(x)    max(x, 0), NaN stays NaN
//   vkz_gelu(x)    x/2 (1 + erf(x/sqrt(2)))
//   vkz_silu(x)    x / (1 + exp(-x))
//
// The polynomials are minimax fits of this project. Comparisons are written so that a NaN
// fails them and takes the arithmetic path.
#ifndef VKZ_ACTIVATION_GLSL
#define VKZ_ACTIVATION_GLSL

#include "lib/exp.glsl"

const float VKZ_SQRT_HALF = 0.7071067811865476;

// erfc(a) for a >= 1 to 1e-8: log2 of it is smooth. 0 from where float knows no erfc.
float vkz_erfc_tail_(const float a)
{
    float p = fma(a, 0.00026772481, -0.00424093919);
    p = fma(a, p, 0.0314583571);
    p = fma(a, p, -0.148651366);
    p = fma(a, p, -0.920765168);
    p = fma(a, p, -1.62597498);
    p = fma(a, p, -0.00051032974);
    return a > 4.0 ? 0.0 : vkz_exp2_accurate(p);
}

// erf(x)/x on x^2 <= 1, 3e-8.
float vkz_erf_core_(const float x)
{
    const float y = x * x;
    float p = fma(y, -0.00056601564, 0.00492478979);
    p = fma(y, p, -0.0267177077);
    p = fma(y, p, 0.112804116);
    p = fma(y, p, -0.376123557);
    p = fma(y, p, 1.12837913);
    return p * x;
}

float vkz_erf(const float x)
{
    const float a = abs(x);
    const float tail = 1.0 - vkz_erfc_tail_(a);
    return a >= 1.0 ? (x < 0.0 ? -tail : tail) : vkz_erf_core_(x);
}

float vkz_relu(const float x)
{
    return x < 0.0 ? 0.0 : x;
}

// For x well below 0 the sum 1 + erf cancels: erfc of |x| is the same thing without it.
float vkz_gelu(const float x)
{
    const float z = x * VKZ_SQRT_HALF;
    const float a = abs(z);
    const float tail = 0.5 * vkz_erfc_tail_(a);
    const float core = 0.5 + 0.5 * vkz_erf_core_(z);
    return x * (a >= 1.0 ? (x < 0.0 ? tail : 1.0 - tail) : core);
}

// exp(-x) overflows no float before the quotient is 0 anyway.
float vkz_silu(const float x)
{
    return x / (1.0 + vkz_exp2_accurate(min(-x * VKZ_LOG2E, 126.0)));
}

#endif
