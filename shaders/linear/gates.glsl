// SPDX-License-Identifier: MIT
//
// The logistic function over all of float's range
//
//   gate_sigmoid(x)   1 / (1 + e^-x), for a float or four
//
// Exact zeros where float has them: a gate of -100 is shut. NaN stays NaN.
#ifndef VKZ_LINEAR_GATES_GLSL
#define VKZ_LINEAR_GATES_GLSL

#include "lib/exp.glsl"

float gate_sigmoid(const float x)
{
    // 2^128 and above is no float, and its reciprocal none that is normal.
    const float y = -x * VKZ_LOG2E;
    const float s = 1.0 / (1.0 + vkz_exp2(y > 127.5 ? 127.5 : y, EXP_POLY5));
    return y > 127.5 ? 0.0 : s;
}

vec4 gate_sigmoid(const vec4 x)
{
    return vec4(gate_sigmoid(x.x), gate_sigmoid(x.y), gate_sigmoid(x.z), gate_sigmoid(x.w));
}

#endif
