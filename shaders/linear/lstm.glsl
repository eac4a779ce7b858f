// SPDX-License-Identifier: MIT
//
// What lstm and its gradient share: axes, push constants, the recurrent weights, lengths
//
// The includer declares the constant VEC, and defines LSTM_BACKWARD if it is the gradient.
#include "linear/gates.glsl"
#include "linear/row_sums.glsl"

layout(constant_id = 16) const uint CELL = 0;
layout(constant_id = 17) const uint DIR = 0;
layout(constant_id = 18) const uint LENS = 0;
#ifndef LSTM_BACKWARD
layout(constant_id = 19) const uint CACHE = 0;
#endif
layout(constant_id = 32) const uint HID = 32;

const uint CELL_LSTM = 0;
const uint CELL_GRU = 1;
const uint CELL_TANH = 2;
const uint GATES = CELL == CELL_LSTM ? 4 : CELL == CELL_GRU ? 3 : 1;
const uint KEPT = CELL == CELL_TANH ? 1 : 5;

layout(push_constant, std430) uniform Push {
    uint batch, len;
} pc;

layout(set = 0, binding = 1, std430) restrict readonly buffer Wh { T wh[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Wh4 { W4 wh4[]; };
#ifdef LSTM_BACKWARD
#define LSTM_H0 2
#define LSTM_C0 3
#define LSTM_LENS 4
#else
#define LSTM_H0 3
#define LSTM_C0 4
#define LSTM_LENS 5
#endif
layout(set = 0, binding = LSTM_H0, std430) restrict readonly buffer H0 { float h0[]; };
layout(set = 0, binding = LSTM_C0, std430) restrict readonly buffer C0 { float c0[]; };
layout(set = 0, binding = LSTM_LENS, std430) restrict readonly buffer Lens { int lens[]; };

ROWS_LOADER(load_wh, wh, wh4, HID)

// Tokens of a sequence that count.
uint valid_tokens(const uint row)
{
    return LENS == 0 ? pc.len : uint(clamp(lens[row], 0, int(pc.len)));
}

// An element of h0; 0 past the end.
float state_element(const uint row, const uint k)
{
    return k < HID ? h0[row * HID + k] : 0.0;
}
