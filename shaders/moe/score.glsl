// SPDX-License-Identifier: MIT
//
// Scores of routing logits, to an ulp or two on every driver
//
//   score_sigmoid(l)   1 / (1 + e^-l), also where that is small
//   score_of(l)        by the axis SCORE: sigmoid or sqrt(softplus)
//   SCORE_SOFT         the score is a softmax: score_of does not apply
#ifndef MOE_SCORE_GLSL
#define MOE_SCORE_GLSL

#include "lib/exp.glsl"

layout(constant_id = 17) const uint SCORE = 0;

const uint SCORE_SOFTMAX = 0;
const uint SCORE_SIGMOID = 1;
const uint SCORE_SQRTSOFTPLUS = 2;
const uint SCORE_COSINE = 3;
const bool SCORE_SOFT = SCORE == SCORE_SOFTMAX || SCORE == SCORE_COSINE;

float score_sigmoid(const float l)
{
    const float t = vkz_exp_accurate(-abs(l));
    return (l >= 0.0 ? 1.0 : t) / (1.0 + t);
}

float score_of(const float l)
{
    return SCORE == SCORE_SIGMOID ? score_sigmoid(l) : sqrt(vkz_softplus_accurate(l));
}

#endif
