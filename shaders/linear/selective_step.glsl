// SPDX-License-Identifier: MIT
//
// Logistic and silu that keep their digits far below zero, where silu is x e^x
//
//   selective_sigmoid(x)   1 / (1 + e^-x)
//   selective_silu(x)      x times that
#ifndef VKZ_LINEAR_SELECTIVE_STEP_GLSL
#define VKZ_LINEAR_SELECTIVE_STEP_GLSL

#include "lib/exp.glsl"

float selective_sigmoid(const float x)
{
    const float t = vkz_exp_accurate(-abs(x));
    return (x < 0.0 ? t : 1.0) / (1.0 + t);
}

float selective_silu(const float x)
{
    return x * selective_sigmoid(x);
}

#endif
