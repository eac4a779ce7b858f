// SPDX-License-Identifier: MIT
// What load_balance and its gradient share: inputs, and the statistics of all tokens.
// Included by contract files only.
#ifndef VKZ_OPS_MOE_LOAD_BALANCE_H
#define VKZ_OPS_MOE_LOAD_BALANCE_H

#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

#define BALANCE_DIMS \
    {"rows", "tokens", NULL}, {"experts", "experts", NULL}, \
        {"topk", "experts of a token", "1"}, \
        {"len", "tokens of a sequence, of KIND=sequence", "rows"}
#define BALANCE_SCALARS {"alpha", "0.01", "factor of the loss"}
#define BALANCE_AXES \
    {"KIND", "switch importance_cv2 load_cv2 zloss sequence", "which loss"}

#define BALANCE_HAS_SCORE "KIND != KIND.load_cv2 && KIND != KIND.zloss"
#define BALANCE_HAS_LOGITS "KIND == KIND.load_cv2 || KIND == KIND.zloss"
#define BALANCE_HAS_LOAD "KIND == KIND.load_cv2"
#define BALANCE_HAS_IDX "KIND == KIND.switch || KIND == KIND.sequence"
#define BALANCE_HAS_F "KIND != KIND.zloss"
#define BALANCE_F "f32", "floordiv(rows, len), experts", BALANCE_HAS_F

#define BALANCE_INPUTS(has_score) \
    {"score", VKZ_IN, "f32", "rows, experts", has_score, "uniform(0,1)", \
     "probabilities, weights or scores"}, \
        {"logits", VKZ_IN, "f32", "rows, experts", BALANCE_HAS_LOGITS, "normal(1)", \
         NULL}, \
        {"noisy", VKZ_IN, "f32", "rows, experts", BALANCE_HAS_LOAD, "normal(1)", \
         "logits with their noise"}, \
        {"sd", VKZ_IN, "f32", "rows, experts", BALANCE_HAS_LOAD, "uniform(0.5,1.5)", \
         "width of the noise"}

#define BALANCE_VALID \
    "(KIND == KIND.sequence || len == rows) && rows % len == 0 && " \
    "(KIND != KIND.load_cv2 || topk < experts)"
#define BALANCE_VALID_REASON \
    "sequences divide the tokens and are for KIND=sequence; load_cv2 needs an expert " \
    "that is not chosen"

enum { BALANCE_SWITCH, BALANCE_IMPORTANCE, BALANCE_LOAD, BALANCE_Z, BALANCE_SEQUENCE };

struct balance {
    int64_t rows, experts, topk, len;
    int kind;
    real alpha;
    const float *score, *logits, *noisy, *sd;
};

static inline struct balance balance_of(const struct vkz_ref *ref)
{
    return (struct balance){
        .rows = vkz_ref_dim(ref, "rows"),
        .experts = vkz_ref_dim(ref, "experts"),
        .topk = vkz_ref_dim(ref, "topk"),
        .len = vkz_ref_dim(ref, "len"),
        .kind = (int)vkz_ref_dim(ref, "KIND"),
        .alpha = (real)vkz_ref_value(ref, "alpha"),
        .score = vkz_ref_in(ref, "score"),
        .logits = vkz_ref_in(ref, "logits"),
        .noisy = vkz_ref_in(ref, "noisy"),
        .sd = vkz_ref_in(ref, "sd"),
    };
}

// The topk-th largest noisy logit of a token, expert e left out.
static inline real balance_threshold(const struct balance *b, int64_t row, int64_t e)
{
    const float *h = b->noisy + row * b->experts;
    for (int64_t i = 0; i < b->experts; i++) {
        int64_t before = 0;
        for (int64_t j = 0; j < b->experts; j++) {
            before += j != e && (h[j] > h[i] || (h[j] == h[i] && j < i));
        }
        if (i != e && before == b->topk - 1) {
            return (real)h[i];
        }
    }
    return 0; // not reached: topk < experts
}

// Log-sum-exp of a token's logits.
static inline real balance_lse(const struct balance *b, int64_t row)
{
    const float *l = b->logits + row * b->experts;
    real most = (real)l[0], sum = 0;
    for (int64_t e = 1; e < b->experts; e++) {
        most = (real)l[e] > most ? (real)l[e] : most;
    }
    for (int64_t e = 0; e < b->experts; e++) {
        sum += exp((real)l[e] - most);
    }
    return most + log(sum);
}

static inline real balance_row_sum(const struct balance *b, int64_t row)
{
    real sum = 0;
    for (int64_t e = 0; e < b->experts; e++) {
        sum += (real)b->score[row * b->experts + e];
    }
    return sum;
}

#endif
