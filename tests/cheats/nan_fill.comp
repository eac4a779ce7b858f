// SPDX-License-Identifier: MIT
//
// Fills the output with NaN, which compares false with every limit
#version 450
#extension GL_GOOGLE_include_directive : require
#include "interface.glsl"

void main()
{
    EACH (i) {
        y[i] = uintBitsToFloat(0x7fc00000u);
    }
}
