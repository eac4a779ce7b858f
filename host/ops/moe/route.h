// SPDX-License-Identifier: MIT
// What the routing contracts share: dims, scalars, axes, the inputs, and a token's
// scores. Included by contract files only.
#ifndef VKZ_OPS_MOE_ROUTE_H
#define VKZ_OPS_MOE_ROUTE_H

#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

#define ROUTE_DIMS \
    {"rows", "tokens", NULL}, {"width", "elements of a token", "1"}, \
        {"experts", "experts to choose from", NULL}, \
        {"topk", "experts chosen for a token", NULL}

#define ROUTE_SCALAR_SCALE {"scale", "1", "factor of the weights (DeepSeek-V3: 2.5)"}
#define ROUTE_SCALAR_EPS {"eps", "1e-20", "least sum that RENORM divides by"}
#define ROUTE_SCALAR_TEMP {"temp", "1", "temperature of the cosines"}

#define ROUTE_AXIS_INPUT {"INPUT", "logits x", "x: the logits are x wgᵀ, not read"}
#define ROUTE_AXIS_SCORE \
    {"SCORE", "softmax sigmoid sqrtsoftplus cosine", \
     "of a logit; cosine: softmax of cosine similarities over temp"}
#define ROUTE_AXIS_ORDER \
    {"ORDER", "score_then_topk topk_then_softmax", \
     "topk_then_softmax: weights are a softmax over the chosen logits"}
#define ROUTE_AXIS_RENORM {"RENORM", "off on", "divide the weights by their sum"}
#define ROUTE_AXIS_NOISE {"NOISE", "off on", "given noise times a learned width"}
#define ROUTE_AXIS_SAVE {"SAVE", "off on", "the scores of all experts are an output"}

#define ROUTE_HAS_X "INPUT == INPUT.x"
#define ROUTE_HAS_NOISE "NOISE == NOISE.on"
#define ROUTE_INPUTS \
    {"logits", VKZ_IN, "f32", "rows, experts", "INPUT == INPUT.logits", "normal(1)", \
     "one a token and expert"}, \
        {"x", VKZ_IN, "T", "rows, width", ROUTE_HAS_X, "normal(1)", "tokens"}, \
        {"wg", VKZ_IN, "T", "experts, width", ROUTE_HAS_X, "linear_w", \
         "gate weights, or the experts' prototypes"}
#define ROUTE_NOISE_INPUTS \
    {"eps_n", VKZ_IN, "f32", "rows, experts", ROUTE_HAS_NOISE, "normal(1)", \
     "N(0,1) numbers"}, \
        {"wn", VKZ_IN, "T", "experts, width", ROUTE_HAS_NOISE, "linear_w", \
         "weights of the noise's width"}

#define ROUTE_VALID \
    "topk <= experts && " \
    "(INPUT == INPUT.x || (SCORE != SCORE.cosine && NOISE == NOISE.off)) && " \
    "(SCORE != SCORE.cosine || NOISE == NOISE.off) && " \
    "(ORDER == ORDER.score_then_topk || " \
    "((SCORE == SCORE.softmax || SCORE == SCORE.cosine) && RENORM == RENORM.off))"
#define ROUTE_VALID_REASON \
    "topk is at most experts; cosine and NOISE need INPUT=x and exclude each other; " \
    "topk_then_softmax is for softmax and cosine without RENORM"

// Logits are products of tokens and weights, and of the noise's width.
#define ROUTE_PRODUCTS \
    "(INPUT == INPUT.x ? 2 * rows * width * experts * (1 + (NOISE == NOISE.on)) : 0)"

enum { ROUTE_LOGITS, ROUTE_X };
enum { ROUTE_SOFTMAX, ROUTE_SIGMOID, ROUTE_SQRTSOFTPLUS, ROUTE_COSINE };
enum { ROUTE_SCORE_THEN_TOPK, ROUTE_TOPK_THEN_SOFTMAX };

struct route_row {
    int64_t experts;
    int score;
    real *l, *magnitude; // logits, and the magnitude of the sums behind them
    real *s;             // scores
    real *width;         // x wnᵀ, before softplus
    real *xg, *g_square; // x·wg and |wg|², for the gradient of a cosine
    real x_square;       // |x|²
    real largest, largest_magnitude;
};

static inline real route_softplus(real x)
{
    return (x > 0 ? x : (real)0) + log1p(exp(-fabs(x)));
}

static inline real route_sigmoid(real x)
{
    const real t = exp(-fabs(x));
    return x >= 0 ? (real)1 / ((real)1 + t) : t / ((real)1 + t);
}

static inline real route_dot(const float *a, const float *b, int64_t n, real *magnitude)
{
    real sum = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        const real term = (real)a[i] * (real)b[i];
        sum += term;
        all += fabs(term);
    }
    *magnitude = all;
    return sum;
}

static inline void route_logits_of_x(struct vkz_ref *ref, int64_t row,
                                     struct route_row *r)
{
    const int64_t width = vkz_ref_dim(ref, "width");
    const float *x = vkz_ref_in(ref, "x") + row * width;
    const float *wg = vkz_ref_in(ref, "wg"), *wn = vkz_ref_in(ref, "wn");
    const float *eps_n = vkz_ref_in(ref, "eps_n");
    real unused = 0;
    r->x_square = route_dot(x, x, width, &unused);
    for (int64_t i = 0; i < r->experts; i++) {
        const float *g = wg + i * width;
        r->xg[i] = r->l[i] = route_dot(x, g, width, &r->magnitude[i]);
        r->g_square[i] = route_dot(g, g, width, &unused);
        if (r->score == ROUTE_COSINE) {
            const real norm = sqrt(fmax(r->x_square, (real)1e-24) *
                                   fmax(r->g_square[i], (real)1e-24)) *
                              (real)vkz_ref_value(ref, "temp");
            r->l[i] /= norm;
            r->magnitude[i] /= norm;
        }
        if (wn != NULL) {
            const real n = (real)eps_n[row * r->experts + i];
            real magnitude = 0;
            r->width[i] = route_dot(x, wn + i * width, width, &magnitude);
            r->l[i] += n * (route_softplus(r->width[i]) + (real)0.01);
            r->magnitude[i] += fabs(n) * (magnitude + (real)1);
        }
    }
}

// Logits and scores of a token. A NaN takes no part in what is the largest.
static inline struct route_row route_row(struct vkz_ref *ref, int64_t row)
{
    const int64_t experts = vkz_ref_dim(ref, "experts");
    const size_t size = (size_t)experts * sizeof(real);
    struct route_row r = {
        .experts = experts,
        .score = (int)vkz_ref_dim(ref, "SCORE"),
        .l = vkz_ref_temp(ref, size),
        .magnitude = vkz_ref_temp(ref, size),
        .s = vkz_ref_temp(ref, size),
        .width = vkz_ref_temp(ref, size),
        .xg = vkz_ref_temp(ref, size),
        .g_square = vkz_ref_temp(ref, size),
        .largest = (real)-3.0e38,
    };
    const float *logits = vkz_ref_in(ref, "logits");
    if (logits == NULL) {
        route_logits_of_x(ref, row, &r);
    }
    real sum = 0;
    for (int64_t i = 0; i < experts; i++) {
        if (logits != NULL) {
            r.l[i] = (real)logits[row * experts + i];
        }
        r.largest = r.l[i] > r.largest ? r.l[i] : r.largest;
        r.largest_magnitude = r.magnitude[i] > r.largest_magnitude ? r.magnitude[i]
                                                                   : r.largest_magnitude;
    }
    for (int64_t i = 0; i < experts; i++) {
        r.s[i] = r.score == ROUTE_SIGMOID        ? route_sigmoid(r.l[i])
                 : r.score == ROUTE_SQRTSOFTPLUS ? sqrt(route_softplus(r.l[i]))
                                                 : exp(r.l[i] - r.largest);
        sum += r.s[i];
    }
    for (int64_t i = 0; i < experts; i++) {
        if (r.score == ROUTE_SOFTMAX || r.score == ROUTE_COSINE) {
            r.s[i] /= sum;
        }
    }
    return r;
}

// The magnitude behind a weight or score `value` of expert i.
static inline double route_magnitude(const struct route_row *r, int64_t i, real value)
{
    return (double)(fabs(value) * ((real)1 + r->magnitude[i] + r->largest_magnitude)) +
           1e-30;
}

#endif
