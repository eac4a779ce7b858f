// SPDX-License-Identifier: MIT
// What the contracts of low-rank adapters share: the layer with its side path, and its
// gradients. Included by contract files only.
//
//   y_o = u_o (Σ_i x_i W_oi + e_o Σ_j f_j z_j B_oj) + bias_o,   z = (x ∘ drop) Aᵀ
//
// f: one factor a rank (LoRA's scale, times VeRA's dvec or rank selection's wr),
// e: one a column of the side path (VeRA's bvec), u: one a column of the sum (DoRA).
#ifndef VKZ_OPS_LORA_LORA_H
#define VKZ_OPS_LORA_LORA_H

#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

#define LORA_DIMS \
    {"rows", "tokens", NULL}, {"k", "elements of a token: inputs of the layer", NULL}, \
        {"n", "outputs of the layer", NULL}, {"rank", "of the side path", NULL}

// The storage of the frozen weights.
enum { WTYPE_T, WTYPE_I8_ROW, WTYPE_I8_BLOCK, LORA_BLOCK = 32 };

struct lora {
    int64_t rows, k, n, rank;
    const float *x, *w, *a, *b;
    const float *bias;          // NULL: none
    const int32_t *wq;          // quantised weights in the place of w ...
    const float *wscale;        // ... and their scales, one every `block` elements
    int64_t block;
    const uint32_t *drop;       // NULL: all of x is kept
    real keep;                  // what is kept is multiplied by this
    real s;
    const float *diag, *column; // f = s * diag, e = column; NULL: 1
    const real *u;              // NULL: 1
};

static inline struct lora lora_open(struct vkz_ref *ref)
{
    return (struct lora){
        .rows = vkz_ref_dim(ref, "rows"),
        .k = vkz_ref_dim(ref, "k"),
        .n = vkz_ref_dim(ref, "n"),
        .rank = vkz_ref_dim(ref, "rank"),
        .x = vkz_ref_in(ref, "x"),
        .w = vkz_ref_in(ref, "w"),
        .a = vkz_ref_in(ref, "a"),
        .b = vkz_ref_in(ref, "b"),
        .keep = 1,
        .s = 1,
    };
}

static inline real lora_rank_factor(const struct lora *l, int64_t j)
{
    return l->s * (l->diag != NULL ? (real)l->diag[j] : (real)1);
}

static inline real lora_column_factor(const struct lora *l, int64_t o)
{
    return l->column != NULL ? (real)l->column[o] : (real)1;
}

static inline real lora_drop_factor(const struct lora *l, int64_t row, int64_t i)
{
    const int64_t bit = row * l->k + i;
    return l->drop == NULL                        ? (real)1
           : l->drop[bit / 32] >> (bit % 32) & 1u ? l->keep
                                                  : (real)0;
}

// Row o of the weights.
static inline void lora_weights(const struct lora *l, int64_t o, real *to)
{
    const int64_t blocks = l->wq != NULL ? (l->k + l->block - 1) / l->block : 0;
    for (int64_t i = 0; i < l->k; i++) {
        to[i] = l->wq != NULL ? (real)l->wq[o * l->k + i] *
                                    (real)l->wscale[o * blocks + i / l->block]
                              : (real)l->w[o * l->k + i];
    }
}

// z of a row and the magnitudes of its sums.
static inline void lora_down(const struct lora *l, int64_t row, real *z, real *magnitude)
{
    for (int64_t j = 0; j < l->rank; j++) {
        z[j] = magnitude[j] = 0;
        for (int64_t i = 0; i < l->k; i++) {
            const real term = (real)l->x[row * l->k + i] *
                              lora_drop_factor(l, row, i) * (real)l->a[j * l->k + i];
            z[j] += term;
            magnitude[j] += fabs(term);
        }
    }
}

// x Wᵀ of a row. `weights` has room for four rows, which are summed together so that a
// machine can overlap them.
static inline void lora_base(const struct lora *l, int64_t row, real *weights, real *y,
                             real *magnitude)
{
    for (int64_t o = 0; o < l->n; o += 4) {
        const int64_t count = l->n - o < 4 ? l->n - o : 4;
        real sum[4] = {0}, size[4] = {0};
        for (int64_t c = 0; c < 4; c++) {
            lora_weights(l, o + (c < count ? c : 0), weights + c * l->k);
        }
        for (int64_t i = 0; i < l->k; i++) {
            const real x = (real)l->x[row * l->k + i];
            for (int c = 0; c < 4; c++) {
                const real term = x * weights[c * l->k + i];
                sum[c] += term;
                size[c] += fabs(term);
            }
        }
        for (int64_t c = 0; c < count; c++) {
            y[o + c] = sum[c];
            magnitude[o + c] = size[c];
        }
    }
}

// A row before u and the bias: what `base` and z give, added to base.
static inline void lora_up(const struct lora *l, const real *z, const real *z_magnitude,
                           real *y, real *magnitude)
{
    for (int64_t o = 0; o < l->n; o++) {
        real sum = 0, size = 0;
        for (int64_t j = 0; j < l->rank; j++) {
            const real factor = lora_rank_factor(l, j) * (real)l->b[o * l->rank + j];
            sum += factor * z[j];
            size += fabs(factor) * z_magnitude[j];
        }
        y[o] += lora_column_factor(l, o) * sum;
        magnitude[o] += fabs(lora_column_factor(l, o)) * size;
    }
}

// One row: writes y and, unless NULL, z.
static inline void lora_row(struct vkz_ref *ref, const struct lora *l, int64_t row,
                            double *y, double *y_scale, double *z, double *z_scale)
{
    real *down = vkz_ref_temp(ref, (size_t)(2 * l->rank) * sizeof(real));
    real *sum = vkz_ref_temp(ref, (size_t)(2 * l->n + 4 * l->k) * sizeof(real));
    real *magnitude = sum + l->n;
    lora_down(l, row, down, down + l->rank);
    lora_base(l, row, magnitude + l->n, sum, magnitude);
    lora_up(l, down, down + l->rank, sum, magnitude);
    for (int64_t o = 0; o < l->n; o++) {
        const real u = l->u != NULL ? l->u[o] : (real)1;
        const real bias = l->bias != NULL ? (real)l->bias[o] : (real)0;
        y[o] = (double)(u * sum[o] + bias);
        y_scale[o] = (double)(fabs(u) * magnitude[o] + fabs(bias));
    }
    for (int64_t j = 0; z != NULL && j < l->rank; j++) {
        z[j] = (double)down[j];
        z_scale[j] = (double)down[l->rank + j];
    }
}

// ---- Gradients ----

// A sum and the magnitude of its terms, element by element.
struct lora_sums {
    real *value, *magnitude;
};

static inline struct lora_sums lora_sums(struct vkz_ref *ref, int64_t count)
{
    real *both = vkz_ref_temp(ref, (size_t)(2 * count) * sizeof(real));
    return (struct lora_sums){both, both + count};
}

static inline void lora_add(struct lora_sums to, int64_t i, real term, real magnitude)
{
    to.value[i] += term;
    to.magnitude[i] += fabs(magnitude);
}

// Nothing when the op has no such output.
static inline void lora_store(struct vkz_ref *ref, const char *name, struct lora_sums from,
                              int64_t count)
{
    double *out = vkz_ref_out(ref, name), *scale = vkz_ref_scale(ref, name);
    for (int64_t i = 0; out != NULL && i < count; i++) {
        out[i] = (double)from.value[i];
        scale[i] = (double)from.magnitude[i];
    }
}

struct lora_gradients {
    const float *dy;
    const float *z;        // saved by the forward op, or NULL
    struct lora_sums dx;   // [rows, k]
    struct lora_sums da;   // [rank, k]
    struct lora_sums g;    // [n, rank]: Σ_rows u dy f z, dB but for e
    struct lora_sums zh;   // [rank]: Σ_rows z h, h = (u e dy) B
};

static inline struct lora_gradients lora_gradients(struct vkz_ref *ref,
                                                   const struct lora *l)
{
    return (struct lora_gradients){
        .dy = vkz_ref_in(ref, "dy"),
        .dx = lora_sums(ref, l->rows * l->k),
        .da = lora_sums(ref, l->rank * l->k),
        .g = lora_sums(ref, l->n * l->rank),
        .zh = lora_sums(ref, l->rank),
    };
}

// h of a row: (u e dy) B.
static inline void lora_back(const struct lora *l, const float *dy, struct lora_sums h)
{
    for (int64_t j = 0; j < l->rank; j++) {
        h.value[j] = h.magnitude[j] = 0;
        for (int64_t o = 0; o < l->n; o++) {
            const real term = (real)dy[o] * lora_column_factor(l, o) *
                              (l->u != NULL ? l->u[o] : (real)1) *
                              (real)l->b[o * l->rank + j];
            lora_add(h, j, term, term);
        }
    }
}

static inline void lora_row_gradients(const struct lora *l, int64_t row, const real *w,
                                      struct lora_sums z, struct lora_sums h,
                                      const struct lora_gradients *to)
{
    const float *dy = to->dy + row * l->n;
    lora_down(l, row, z.value, z.magnitude);
    for (int64_t j = 0; to->z != NULL && j < l->rank; j++) {
        z.value[j] = (real)to->z[row * l->rank + j];
        z.magnitude[j] = fabs(z.value[j]);
    }
    lora_back(l, dy, h);
    for (int64_t o = 0; o < l->n; o++) {
        const real d = (real)dy[o] * (l->u != NULL ? l->u[o] : (real)1);
        for (int64_t i = 0; i < l->k; i++) {
            lora_add(to->dx, row * l->k + i, d * w[o * l->k + i], d * w[o * l->k + i]);
        }
        for (int64_t j = 0; j < l->rank; j++) {
            const real factor = d * lora_rank_factor(l, j);
            lora_add(to->g, o * l->rank + j, factor * z.value[j], factor * z.magnitude[j]);
        }
    }
    for (int64_t j = 0; j < l->rank; j++) {
        const real factor = lora_rank_factor(l, j);
        lora_add(to->zh, j, z.value[j] * h.value[j], z.magnitude[j] * h.magnitude[j]);
        for (int64_t i = 0; i < l->k; i++) {
            const real drop = factor * lora_drop_factor(l, row, i);
            const real x = drop * (real)l->x[row * l->k + i];
            const real a = drop * (real)l->a[j * l->k + i];
            lora_add(to->da, j * l->k + i, h.value[j] * x, h.magnitude[j] * x);
            lora_add(to->dx, row * l->k + i, h.value[j] * a, h.magnitude[j] * a);
        }
    }
}

// All weights, [n, k].
static inline real *lora_all_weights(struct vkz_ref *ref, const struct lora *l)
{
    real *w = vkz_ref_temp(ref, (size_t)(l->n * l->k) * sizeof(real));
    for (int64_t o = 0; o < l->n; o++) {
        lora_weights(l, o, w + o * l->k);
    }
    return w;
}

static inline void lora_backward(struct vkz_ref *ref, const struct lora *l, const real *w,
                                 const struct lora_gradients *to)
{
    const struct lora_sums z = lora_sums(ref, l->rank), h = lora_sums(ref, l->rank);
    for (int64_t row = 0; row < l->rows; row++) {
        lora_row_gradients(l, row, w, z, h, to);
    }
}

// ---- Identities ----

static inline bool lora_same(struct vkz_identity_run *run, const char *output,
                             struct vkz_data *one, struct vkz_data *two, double factor)
{
    return vkz_identity_equal(run, output, vkz_identity_output(run, one, output),
                              vkz_identity_output(run, two, output),
                              vkz_identity_count(one, output), factor);
}

static inline void lora_multiply(struct vkz_identity_run *run, struct vkz_data *data,
                                 const char *tensor, float factor)
{
    float *values = vkz_identity_float(run, data, tensor);
    for (int64_t i = 0; values != NULL && i < vkz_identity_count(data, tensor); i++) {
        values[i] *= factor;
    }
}

// Without B (or whatever switches the side path off) A does not matter.
static inline bool lora_check_off(struct vkz_identity_run *run, const char *what)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    lora_multiply(run, one, what, 0);
    lora_multiply(run, two, what, 0);
    lora_multiply(run, two, "a", -3);
    return lora_same(run, "y", one, two, 2);
}

// A times 2 and B times 1/2: exact in binary.
static inline bool lora_check_balance(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    lora_multiply(run, two, "a", 2);
    lora_multiply(run, two, "b", 0.5f);
    return lora_same(run, "y", one, two, 2);
}

// Two adapters of the halves of the rank add up, less the base counted twice.
static inline bool lora_check_split(struct vkz_identity_run *run)
{
    const int64_t rank = vkz_identity_dim(run, "rank"), n = vkz_identity_dim(run, "n");
    struct vkz_data *data[4]; // whole, first half, second half, none
    double *y[4];
    for (int x = 0; x < 4; x++) {
        data[x] = vkz_identity_inputs(run, NULL);
        float *b = vkz_identity_float(run, data[x], "b");
        for (int64_t i = 0; b != NULL && i < n * rank; i++) {
            const bool first = i % rank < rank / 2;
            b[i] = x == 0 || (x == 1 && first) || (x == 2 && !first) ? b[i] : 0;
        }
        y[x] = vkz_identity_output(run, data[x], "y");
    }
    const int64_t count = vkz_identity_count(data[0], "y");
    for (int64_t i = 0; y[0] != NULL && y[3] != NULL && i < count; i++) {
        y[0][i] += y[3][i];
        y[1][i] += y[2][i];
    }
    return vkz_identity_equal(run, "y", y[0], y[1], count, 8);
}

// Doubling dy doubles every gradient.
static inline bool lora_check_linear(struct vkz_identity_run *run,
                                     const char *const *outputs)
{
    static const char *const inputs[] = {"dy", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

#endif
