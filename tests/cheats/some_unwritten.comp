// SPDX-License-Identifier: MIT
//
// Leaves an element here and there as it was
#version 450
#extension GL_GOOGLE_include_directive : require
#include "interface.glsl"

void main()
{
    EACH (i) {
        y[i] = i % 7 == 3 ? y[i] : honest(i);
    }
}
