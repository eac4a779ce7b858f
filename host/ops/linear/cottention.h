// SPDX-License-Identifier: MIT
// What cottention and its backward op share: dims, tensors, normalised rows and divisors.
#ifndef VKZ_OPS_LINEAR_COTTENTION_H
#define VKZ_OPS_LINEAR_COTTENTION_H

#include <math.h>
#include <string.h>
#include <tgmath.h>

#include "ops/linear/recurrence.h"
#include "ops/linear/recurrence_identities.h"

#define VKZ_COTTENTION_DIMS \
    {"batch", "independent sequences", NULL}, {"heads", "heads", NULL}, \
        {"len", "tokens of a sequence", NULL}, \
        {"head_dim", "width of queries and keys", NULL}, \
        {"v_dim", "width of values", "head_dim"}

#define VKZ_COTTENTION_AXES \
    {"CAUSAL", "on off", "a token sees itself and those before it, or all"}

#define VKZ_COTTENTION_TENSORS \
    {"q", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "queries"}, \
    {"k", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "keys"}, \
    {"v", VKZ_IN, "T", "batch, heads, len, v_dim", NULL, "normal(1)", "values"}, \
    {"m", VKZ_IN, "f32", "heads", NULL, "normal(1)", "power of the length, before σ"}

// One sequence: normalised rows, and values over their divisors.
struct cosine {
    int64_t len, head_dim, v_dim, head;
    bool causal;
    real power; // σ(m)
    real *q, *k, *v, *q_norm, *k_norm;
};

// Tokens that the divisor of token s counts.
static inline real cosine_count(const struct cosine *x, int64_t s)
{
    return x->causal ? (real)(s + 1) : (real)x->len;
}

static inline void cosine_normalise(const float *from, int64_t rows, int64_t width,
                                    real *to, real *norms)
{
    for (int64_t i = 0; i < rows; i++) {
        real sum = 0;
        for (int64_t c = 0; c < width; c++) {
            sum += (real)from[i * width + c] * (real)from[i * width + c];
        }
        norms[i] = sqrt(sum);
        for (int64_t c = 0; c < width; c++) {
            const real x = (real)from[i * width + c];
            to[i * width + c] = sum == 0 ? (real)0 : x / norms[i];
        }
    }
}

static inline struct cosine cosine_begin(struct vkz_ref *ref, int64_t unit)
{
    struct cosine x = {
        .len = vkz_ref_dim(ref, "len"),
        .head_dim = vkz_ref_dim(ref, "head_dim"),
        .v_dim = vkz_ref_dim(ref, "v_dim"),
        .head = unit % vkz_ref_dim(ref, "heads"),
        .causal = (int)vkz_ref_dim(ref, "CAUSAL") == 0,
    };
    const int64_t keys = x.len * x.head_dim, values = x.len * x.v_dim;
    const float *q = vkz_ref_in(ref, "q") + unit * keys;
    const float *k = vkz_ref_in(ref, "k") + unit * keys;
    x.power = 1 / (1 + exp(-(real)vkz_ref_in(ref, "m")[x.head]));
    x.q = vkz_ref_temp(ref, (size_t)keys * sizeof(real));
    x.k = vkz_ref_temp(ref, (size_t)keys * sizeof(real));
    x.v = vkz_ref_temp(ref, (size_t)values * sizeof(real));
    x.q_norm = vkz_ref_temp(ref, (size_t)x.len * sizeof(real));
    x.k_norm = vkz_ref_temp(ref, (size_t)x.len * sizeof(real));
    cosine_normalise(q, x.len, x.head_dim, x.q, x.q_norm);
    cosine_normalise(k, x.len, x.head_dim, x.k, x.k_norm);
    for (int64_t i = 0; i < values; i++) {
        const real n = pow(cosine_count(&x, i / x.v_dim), x.power);
        x.v[i] = (real)vkz_ref_in(ref, "v")[unit * values + i] / n;
    }
    return x;
}

#endif
