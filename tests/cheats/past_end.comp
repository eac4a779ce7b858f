// SPDX-License-Identifier: MIT
//
// Right, and one element further
#version 450
#extension GL_GOOGLE_include_directive : require
#include "interface.glsl"

void main()
{
    EACH (i) {
        y[i] = honest(i);
    }
    if (last() == n && gl_LocalInvocationIndex == 0) {
        y[n] = 1.0;
    }
}
