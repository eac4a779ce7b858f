// SPDX-License-Identifier: MIT
//
// Every second group does nothing
#version 450
#extension GL_GOOGLE_include_directive : require
#include "interface.glsl"

void main()
{
    if (group() % 2 == 1) {
        return;
    }
    EACH (i) {
        y[i] = honest(i);
    }
}
