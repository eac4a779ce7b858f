// SPDX-License-Identifier: MIT
//
// Right, and leaves another input behind for the next run
#version 450
#extension GL_GOOGLE_include_directive : require
#include "interface.glsl"

void main()
{
    EACH (i) {
        y[i] = honest(i);
        b[i] = 0.0;
    }
}
