// SPDX-License-Identifier: MIT
// What the GEMM contracts share: one output row of op(A) op(B), and the epilogue.
// Included by contract files only, which are compiled once with `real` = double and once
// with `real` = float.
#ifndef VKZ_OPS_GEMM_PRODUCT_H
#define VKZ_OPS_GEMM_PRODUCT_H

#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/op.h"

// Axis text and numbers: the order of the names is the order of the enumerators.
#define VKZ_GEMM_TRANS_VALUES "nt nn tn"
#define VKZ_GEMM_EPILOGUE_VALUES \
    "none bias bias_relu bias_gelu bias_silu residual scale_row scale_col"
#define VKZ_GEMM_HAS_C0 "beta != 0 || EPILOGUE == EPILOGUE.residual"
#define VKZ_GEMM_HAS_BIAS \
    "EPILOGUE == EPILOGUE.bias || EPILOGUE == EPILOGUE.bias_relu || " \
    "EPILOGUE == EPILOGUE.bias_gelu || EPILOGUE == EPILOGUE.bias_silu"
#define VKZ_GEMM_HAS_SCALE \
    "EPILOGUE == EPILOGUE.scale_row || EPILOGUE == EPILOGUE.scale_col"

enum { TRANS_NT, TRANS_NN, TRANS_TN };
enum {
    EPILOGUE_NONE,
    EPILOGUE_BIAS,
    EPILOGUE_BIAS_RELU,
    EPILOGUE_BIAS_GELU,
    EPILOGUE_BIAS_SILU,
    EPILOGUE_RESIDUAL,
    EPILOGUE_SCALE_ROW,
    EPILOGUE_SCALE_COL,
};

// One row of a product: sum[j] = Σ_l a[l * a_step] · B(l, j), magnitude[j] = Σ |terms|.
// Every sum runs over l in ascending order, alone in its accumulator: the plain loop.
struct product_row {
    const float *a;
    int64_t a_step;
    const float *b;
    bool b_by_column; // B is [n, k] (rows of B are columns of the product), else [k, n]
    int64_t n, k;
};

// Columns j to j + 3, together so that a machine can overlap them.
static inline void product_four_columns(const struct product_row *row, int64_t j,
                                        real *sum, real *magnitude)
{
    real acc[4] = {0}, abs_acc[4] = {0};
    const float *b = row->b + j * row->k;
    for (int64_t l = 0; l < row->k; l++) {
        const real a = (real)row->a[l * row->a_step];
        for (int c = 0; c < 4; c++) {
            const real term = a * (real)b[c * row->k + l];
            acc[c] += term;
            abs_acc[c] += fabs(term);
        }
    }
    for (int c = 0; c < 4; c++) {
        sum[j + c] = acc[c];
        magnitude[j + c] = abs_acc[c];
    }
}

static inline void product_one_column(const struct product_row *row, int64_t j, real *sum,
                                      real *magnitude)
{
    real acc = 0, abs_acc = 0;
    const float *b = row->b + j * row->k;
    for (int64_t l = 0; l < row->k; l++) {
        const real term = (real)row->a[l * row->a_step] * (real)b[l];
        acc += term;
        abs_acc += fabs(term);
    }
    sum[j] = acc;
    magnitude[j] = abs_acc;
}

static inline void product_row_by_column(const struct product_row *row, real *sum,
                                         real *magnitude)
{
    int64_t j = 0;
    for (; j + 4 <= row->n; j += 4) {
        product_four_columns(row, j, sum, magnitude);
    }
    for (; j < row->n; j++) {
        product_one_column(row, j, sum, magnitude);
    }
}

static inline void product_row_by_depth(const struct product_row *row, real *restrict sum,
                                        real *restrict magnitude)
{
    for (int64_t j = 0; j < row->n; j++) {
        sum[j] = 0;
        magnitude[j] = 0;
    }
    for (int64_t l = 0; l < row->k; l++) {
        const real a = (real)row->a[l * row->a_step];
        const float *restrict b = row->b + l * row->n;
        for (int64_t j = 0; j < row->n; j++) {
            const real term = a * (real)b[j];
            sum[j] += term;
            magnitude[j] += fabs(term);
        }
    }
}

static inline void product_row_run(const struct product_row *row, real *sum,
                                   real *magnitude)
{
    if (row->b_by_column) {
        product_row_by_column(row, sum, magnitude);
    } else {
        product_row_by_depth(row, sum, magnitude);
    }
}

static inline real product_gelu(real x)
{
    return (real)0.5 * x * ((real)1 + erf(x * (real)0.70710678118654752440));
}

static inline real product_silu(real x)
{
    return x / ((real)1 + exp(-x));
}

// The activation of an epilogue that adds a bias. NaN passes through all of them.
static inline real product_activation(int epilogue, real x)
{
    switch (epilogue) {
    case EPILOGUE_BIAS_RELU:
        return x < 0 ? (real)0 : x;
    case EPILOGUE_BIAS_GELU:
        return product_gelu(x);
    case EPILOGUE_BIAS_SILU:
        return product_silu(x);
    default:
        return x;
    }
}

static inline bool epilogue_has_bias(int epilogue)
{
    return epilogue >= EPILOGUE_BIAS && epilogue <= EPILOGUE_BIAS_SILU;
}

// What the epilogue of one output row reads; NULL where the case has no such tensor.
struct product_epilogue {
    int kind;
    real alpha, beta;
    const float *c0;    // this row
    const float *bias;  // [n]
    const float *scale; // [n], or the one value of this row
};

// Turns sums into outputs. The magnitude of an activated output stays that of its
// argument: none of the activations is steeper than 1.13.
static inline void product_finish(const struct product_epilogue *e, int64_t n,
                                  const real *sum, const real *magnitude, double *out,
                                  double *scale)
{
    for (int64_t j = 0; j < n; j++) {
        real y = e->alpha * sum[j];
        real s = fabs(e->alpha) * magnitude[j];
        if (e->kind == EPILOGUE_RESIDUAL) {
            y += (real)e->c0[j];
            s += fabs((real)e->c0[j]);
        } else if (e->beta != 0) {
            y += e->beta * (real)e->c0[j];
            s += fabs(e->beta * (real)e->c0[j]);
        }
        if (e->kind == EPILOGUE_SCALE_ROW || e->kind == EPILOGUE_SCALE_COL) {
            const real factor =
                (real)e->scale[e->kind == EPILOGUE_SCALE_COL ? (size_t)j : 0];
            y *= factor;
            s *= fabs(factor);
        }
        if (epilogue_has_bias(e->kind)) {
            y += (real)e->bias[j];
            s += fabs((real)e->bias[j]);
        }
        out[j] = (double)product_activation(e->kind, y);
        scale[j] = (double)s;
    }
}

#endif
