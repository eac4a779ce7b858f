// SPDX-License-Identifier: MIT
// What the mhc contracts share: dims, Sinkhorn's iteration, and a token's coefficients.
// Included by contract files only.
#ifndef VKZ_OPS_HYPER_MHC_H
#define VKZ_OPS_HYPER_MHC_H

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

#define MHC_DIMS \
    {"rows", "tokens", NULL}, {"streams", "residual streams", NULL}, \
        {"width", "channels of a stream", NULL}
#define MHC_ITERS {"iters", "iterations of Sinkhorn", "20"}
#define MHC_SCALARS \
    {"eps_norm", "1e-6", "added to the mean square of the streams"}, \
        {"eps_pre", "1e-6", "added to pre"}, \
        {"eps_sk", "1e-6", "added to the sums that Sinkhorn divides by"}, \
        {"mu", "2", "largest post"}
#define MHC_AXES \
    {"COMB", "sinkhorn permutation", \
     "comb is balanced by Sinkhorn, or a weighted sum of permutations"}, \
        {"NORMW", "off on", "columns of phi are multiplied by normw"}
#define MHC_PHI_ROWS \
    "2 * streams + (COMB == COMB.sinkhorn ? streams * streams" \
    " : streams == 4 ? 24 : streams == 3 ? 6 : streams)"
#define MHC_VALID "streams <= 8 && (COMB == COMB.sinkhorn || streams <= 4)"
#define MHC_VALID_REASON "at most 8 streams, and at most 4 of which to list permutations"
#define MHC_PARAMETERS \
    {"phi", VKZ_IN, "f32", MHC_PHI_ROWS ", streams * width", NULL, "linear_w", \
     "rows for pre, post and comb"}, \
        {"scale", VKZ_IN, "f32", "3", NULL, "uniform(0.5,1.5)", \
         "of the logits of pre, post and comb"}, \
        {"base", VKZ_IN, "f32", MHC_PHI_ROWS, NULL, "normal(0.5)", \
         "logits where phi v = 0"}, \
        {"normw", VKZ_IN, "f32", "streams * width", "NORMW == NORMW.on", \
         "uniform(0.5,1.5)", "norm weights, a factor of phi's columns"}

enum { MHC_MAX_STREAMS = 16, MHC_MAX_ROWS = 2 * 16 + 256 };

// One token's coefficients, and for those of a the magnitude of the sum behind each.
struct mhc_token {
    int streams, terms; // terms: logits behind comb
    real norm;          // r
    real product[MHC_MAX_ROWS], product_magnitude[MHC_MAX_ROWS]; // phi v
    real a[MHC_MAX_ROWS], a_magnitude[MHC_MAX_ROWS];
    real pre[MHC_MAX_STREAMS], post[MHC_MAX_STREAMS]; // post with the factor mu
    real comb[MHC_MAX_STREAMS * MHC_MAX_STREAMS];
    real comb_magnitude; // of any logit of comb
};

static inline real mhc_sigmoid(real x)
{
    return (real)1 / ((real)1 + exp(-x));
}

// Softmax of every row of `m`, in place.
static inline void mhc_softmax(real *m, int rows, int cols)
{
    for (int i = 0; i < rows; i++) {
        real top = m[i * cols], sum = 0;
        for (int j = 1; j < cols; j++) {
            top = fmax(top, m[i * cols + j]);
        }
        for (int j = 0; j < cols; j++) {
            m[i * cols + j] = exp(m[i * cols + j] - top);
            sum += m[i * cols + j];
        }
        for (int j = 0; j < cols; j++) {
            m[i * cols + j] /= sum;
        }
    }
}

// Divides every row (step 1) or column by its sum plus eps; the divisors go to `sums`.
static inline void mhc_divide(real *m, int s, bool columns, real eps, real *sums)
{
    for (int i = 0; i < s; i++) {
        const int line = columns ? i : i * s, step = columns ? s : 1;
        real sum = 0;
        for (int j = 0; j < s; j++) {
            sum += m[line + j * step];
        }
        for (int j = 0; j < s; j++) {
            m[line + j * step] /= sum + eps;
        }
        if (sums != NULL) {
            sums[i] = sum + eps;
        }
    }
}

// Sinkhorn's iteration in place. `states` (may be NULL) gets the matrix after the
// softmax, and after each of the 2 iters - 1 steps; `sums` the divisors of each step.
static inline void mhc_sinkhorn(real *m, int s, int64_t iters, real eps, real *states,
                                real *sums)
{
    const size_t size = (size_t)(s * s) * sizeof(real);
    mhc_softmax(m, s, s);
    if (states != NULL) {
        memcpy(states, m, size);
    }
    for (int i = 0; i < s * s; i++) {
        m[i] += eps;
    }
    for (int64_t step = 0; step < 2 * iters - 1; step++) {
        mhc_divide(m, s, step % 2 == 0, eps, sums == NULL ? NULL : sums + step * s);
        if (states != NULL) {
            memcpy(states + (step + 1) * s * s, m, size);
        }
    }
}

// The gradient g of Sinkhorn's result becomes that of the logits m, in place (m is
// spoilt). Returns the largest value on the way: what rounding on the way is held
// against.
static inline real mhc_sinkhorn_gradient(struct vkz_ref *ref, real *m, real *g, int s,
                                         int64_t iters, real eps)
{
    const size_t lines = (size_t)(2 * iters);
    real *states = vkz_ref_temp(ref, lines * (size_t)(s * s) * sizeof(real));
    real *sums = vkz_ref_temp(ref, lines * (size_t)s * sizeof(real));
    mhc_sinkhorn(m, s, iters, eps, states, sums);
    real largest = 0;
    for (int64_t step = 2 * iters - 2; step >= 0; step--) {
        const real *y = states + (step + 1) * s * s;
        for (int i = 0; i < s; i++) {
            const int line = step % 2 == 0 ? i : i * s, next = step % 2 == 0 ? s : 1;
            real dot = 0;
            for (int j = 0; j < s; j++) {
                largest = fmax(largest, fabs(g[line + j * next]));
                dot += g[line + j * next] * y[line + j * next];
            }
            for (int j = 0; j < s; j++) {
                g[line + j * next] = (g[line + j * next] - dot) / sums[step * s + i];
            }
        }
    }
    for (int i = 0; i < s; i++) {
        real dot = 0;
        for (int j = 0; j < s; j++) {
            largest = fmax(largest, fabs(g[i * s + j]));
            dot += g[i * s + j] * states[i * s + j];
        }
        for (int j = 0; j < s; j++) {
            g[i * s + j] = states[i * s + j] * (g[i * s + j] - dot);
        }
    }
    return largest;
}

// Permutation number p of s things in lexicographic order.
static inline void mhc_permutation(int p, int s, int to[4])
{
    bool used[4] = {false};
    int radix = 1;
    for (int i = 2; i <= s; i++) {
        radix *= i;
    }
    for (int i = 0; i < s; i++) {
        radix /= s - i;
        int skip = p / radix, j = 0;
        p %= radix;
        while (used[j] || skip > 0) {
            skip -= used[j] ? 0 : 1;
            j++;
        }
        used[j] = true;
        to[i] = j;
    }
}

static inline int mhc_terms(int streams, bool permutation)
{
    return !permutation   ? streams * streams
           : streams == 4 ? 24
           : streams == 3 ? 6
                          : streams;
}

// Coefficients of the token whose streams are v[0 .. streams * width).
static inline void mhc_coefficients(struct vkz_ref *ref, const real *v,
                                    const real *v_scale, struct mhc_token *t)
{
    const int64_t streams = vkz_ref_dim(ref, "streams");
    const int64_t size = streams * vkz_ref_dim(ref, "width");
    const bool permutation = vkz_ref_value(ref, "COMB") != 0;
    const float *phi = vkz_ref_in(ref, "phi"), *base = vkz_ref_in(ref, "base");
    const float *scale = vkz_ref_in(ref, "scale"), *normw = vkz_ref_in(ref, "normw");
    const int s = t->streams = (int)streams;
    t->terms = mhc_terms(s, permutation);
    real square = 0;
    for (int64_t k = 0; k < size; k++) {
        square += v[k] * v[k];
    }
    t->norm = (real)1 / sqrt(square / (real)size + (real)vkz_ref_value(ref, "eps_norm"));
    t->comb_magnitude = 0;
    for (int d = 0; d < 2 * s + t->terms; d++) {
        const float *row = phi + d * size;
        const real factor = (real)scale[d < s ? 0 : d < 2 * s ? 1 : 2];
        real sum = 0, magnitude = 0;
        for (int64_t k = 0; k < size; k++) {
            const real w = (real)row[k] * (normw == NULL ? (real)1 : (real)normw[k]);
            sum += w * v[k];
            magnitude += fabs(w) * (v_scale == NULL ? fabs(v[k]) : v_scale[k]);
        }
        t->product[d] = sum;
        t->product_magnitude[d] = magnitude;
        t->a[d] = sum * t->norm * factor + (real)base[d];
        t->a_magnitude[d] = magnitude * t->norm * fabs(factor) + fabs((real)base[d]);
        if (d >= 2 * s) {
            t->comb_magnitude = fmax(t->comb_magnitude, t->a_magnitude[d]);
        }
    }
    for (int i = 0; i < s; i++) {
        t->pre[i] = mhc_sigmoid(t->a[i]) + (real)vkz_ref_value(ref, "eps_pre");
        t->post[i] = (real)vkz_ref_value(ref, "mu") * mhc_sigmoid(t->a[s + i]);
    }
    real logits[MHC_MAX_STREAMS * MHC_MAX_STREAMS];
    memcpy(logits, t->a + 2 * s, (size_t)t->terms * sizeof(real));
    if (!permutation) {
        mhc_sinkhorn(logits, s, vkz_ref_dim(ref, "iters"),
                     (real)vkz_ref_value(ref, "eps_sk"), NULL, NULL);
        memcpy(t->comb, logits, (size_t)(s * s) * sizeof(real));
        return;
    }
    mhc_softmax(logits, 1, t->terms);
    for (int i = 0; i < s * s; i++) {
        t->comb[i] = 0;
    }
    for (int p = 0; p < t->terms; p++) {
        int to[4];
        mhc_permutation(p, s, to);
        for (int i = 0; i < s; i++) {
            t->comb[i * s + to[i]] += logits[p];
        }
    }
}

// Writes pre, post and comb of a token and how large the sums behind them are.
static inline void mhc_put(struct vkz_ref *ref, const struct mhc_token *t,
                           const char *pre, const char *post, const char *comb)
{
    const int s = t->streams;
    double *to_pre = vkz_ref_out(ref, pre), *to_post = vkz_ref_out(ref, post);
    double *to_comb = vkz_ref_out(ref, comb);
    double *pre_scale = vkz_ref_scale(ref, pre), *post_scale = vkz_ref_scale(ref, post);
    double *comb_scale = vkz_ref_scale(ref, comb);
    for (int i = 0; i < s; i++) {
        to_pre[i] = (double)t->pre[i];
        pre_scale[i] = (double)(1 + t->a_magnitude[i]);
        to_post[i] = (double)t->post[i];
        post_scale[i] = (double)(1 + t->a_magnitude[s + i]);
    }
    for (int i = 0; i < s * s; i++) {
        to_comb[i] = (double)t->comb[i];
        comb_scale[i] = (double)(1 + t->comb_magnitude);
    }
}

// h0[k] = sum_i pre_i x_i[k], and the sum of magnitudes with pre's own.
static inline void mhc_mix(const struct mhc_token *t, const real *v, const real *v_scale,
                           int64_t width, int64_t k, real *sum, real *magnitude)
{
    *sum = *magnitude = 0;
    for (int i = 0; i < t->streams; i++) {
        const real x = v[i * width + k];
        *sum += t->pre[i] * x;
        *magnitude += (1 + t->a_magnitude[i]) *
                      (v_scale == NULL ? fabs(x) : v_scale[i * width + k]);
    }
}

// Sinkhorn ends with the columns: their sums are 1, whatever the logits.
static inline bool mhc_check_columns(struct vkz_identity_run *run, const char *comb,
                                     const double *values, int64_t rows, int64_t s)
{
    double *sum = vkz_identity_temp(run, rows * s);
    double *one = vkz_identity_temp(run, rows * s);
    if (values == NULL || sum == NULL || one == NULL) {
        return false;
    }
    for (int64_t i = 0; i < rows * s; i++) {
        for (int64_t j = 0; j < s; j++) {
            sum[i] += values[i / s * s * s + j * s + i % s];
        }
        one[i] = isnan(sum[i]) ? sum[i] : 1;
        // eps takes a little of what a column has: up to 1e-5 of 1 is not counted.
        sum[i] = fabs(sum[i] - 1) < 1e-5 ? 1 : sum[i];
    }
    return vkz_identity_equal(run, comb, sum, one, rows * s, 2);
}

#endif
