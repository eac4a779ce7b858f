// SPDX-License-Identifier: MIT
//
// Not a cheat: shows that what the others change is what is caught
#version 450
#extension GL_GOOGLE_include_directive : require
#include "interface.glsl"

void main()
{
    EACH (i) {
        y[i] = honest(i);
    }
}
