// SPDX-License-Identifier: MIT
//
// lib/score.glsl for scores that are a scaled dot product and nothing else
//
// The includer declares MASK and EXP.
#ifndef VKZ_SPARSE_PLAIN_SCORE_GLSL
#define VKZ_SPARSE_PLAIN_SCORE_GLSL

const uint WEIGHT = 0; // softmax
const uint BIAS = 0;
const uint CAP = 0;

float score_bias_load(const uint row, const uint key) { return 0.0; }
int score_segment_load(const uint key) { return 0; }

#include "lib/score.glsl"

score_map plain_score_map(const uint q_len, const uint kv_len, const float tau)
{
    score_map s;
    s.q_len = int(q_len);
    s.kv_len = int(kv_len);
    s.wl = -1;
    s.wr = -1;
    s.np = 0;
    s.scale = tau * SCORE_UNIT;
    s.cap = 1.0;
    s.offset = 0.0;
    s.slope = 0.0;
    s.r1 = 0.0;
    s.r2 = 0.0;
    return s;
}

#endif
