// SPDX-License-Identifier: MIT
//
// The step of ssd: softplus to an ulp or two relative, because decays are powers of it
//
//   ssd_softplus(x)        ln(1 + e^x); x itself above 20
//   ssd_sigmoid(x)         its derivative, 1 above 20
//   ssd_clamp(x, lo, hi)   NaN stays
#ifndef VKZ_LINEAR_SSD_STEP_GLSL
#define VKZ_LINEAR_SSD_STEP_GLSL

#include "lib/exp.glsl"

float ssd_softplus(const float x)
{
    const float e = vkz_exp2_accurate(-abs(x) * VKZ_LOG2E);
    // ln(1 + e) = 2 artanh(e / (2 + e)); 1 + e itself would round a small e away.
    const float r = e / (2.0 + e);
    const float y = r * r;
    float p = fma(y, 1.0 / 15.0, 1.0 / 13.0);
    p = fma(y, p, 1.0 / 11.0);
    p = fma(y, p, 1.0 / 9.0);
    p = fma(y, p, 1.0 / 7.0);
    p = fma(y, p, 1.0 / 5.0);
    p = fma(y, p, 1.0 / 3.0);
    p = fma(y, p, 1.0);
    const float s = (x < 0.0 ? 0.0 : x) + 2.0 * r * p;
    return x > 20.0 ? x : s;
}

float ssd_sigmoid(const float x)
{
    const float e = vkz_exp2_accurate(-abs(x) * VKZ_LOG2E);
    const float s = (x < 0.0 ? e : 1.0) / (1.0 + e);
    return x > 20.0 ? 1.0 : s;
}

float ssd_clamp(const float x, const float lo, const float hi)
{
    return x < lo ? lo : (x > hi ? hi : x);
}

#endif
