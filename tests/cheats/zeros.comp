// SPDX-License-Identifier: MIT
//
// Writes zeros
#version 450
#extension GL_GOOGLE_include_directive : require
#include "interface.glsl"

void main()
{
    EACH (i) {
        y[i] = 0.0;
    }
}
