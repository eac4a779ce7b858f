// SPDX-License-Identifier: MIT
// Identities of the GEMM contracts: what must hold whatever the numbers are.
// Included by contract files only; see zoo/identity.h for what a check sees.
#ifndef VKZ_OPS_GEMM_IDENTITIES_H
#define VKZ_OPS_GEMM_IDENTITIES_H

#include <stdio.h>

#include "ops/gemm/product.h"
#include "zoo/identity.h"

// The layouts of one operand of a case: element (row, column) of op(A) or op(B) of one
// batch item is values[row * row_step + column * column_step].
struct operand {
    int64_t row_step, column_step;
};

static inline struct operand operand_a(int trans, int64_t m, int64_t k)
{
    return trans == TRANS_TN ? (struct operand){1, m} : (struct operand){k, 1};
}

static inline struct operand operand_b(int trans, int64_t n, int64_t k)
{
    return trans == TRANS_NT ? (struct operand){1, k} : (struct operand){n, 1};
}

static inline void operand_copy(float *to, struct operand to_layout, const float *from,
                                struct operand from_layout, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            to[i * to_layout.row_step + j * to_layout.column_step] =
                from[i * from_layout.row_step + j * from_layout.column_step];
        }
    }
}

static inline void swap_floats(float *a, float *b)
{
    const float kept = *a;
    *a = *b;
    *b = kept;
}

// Puts rows of `width` in opposite order. NULL values are left alone.
static inline void reverse_rows(float *values, int64_t rows, int64_t width)
{
    for (int64_t i = 0; values != NULL && i < rows / 2; i++) {
        for (int64_t j = 0; j < width; j++) {
            swap_floats(&values[i * width + j], &values[(rows - 1 - i) * width + j]);
        }
    }
}

static inline void reverse_double_rows(double *values, int64_t rows, int64_t width)
{
    for (int64_t i = 0; values != NULL && i < rows / 2; i++) {
        for (int64_t j = 0; j < width; j++) {
            const double kept = values[i * width + j];
            values[i * width + j] = values[(rows - 1 - i) * width + j];
            values[(rows - 1 - i) * width + j] = kept;
        }
    }
}

// Doubling op(A) doubles the sums: exact in binary.
static inline bool check_double(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "EPILOGUE=none beta=0");
    struct vkz_data *two = vkz_identity_inputs(run, "EPILOGUE=none beta=0");
    float *a = vkz_identity_float(run, two, "a");
    for (int64_t i = 0; i < vkz_identity_count(two, "a"); i++) {
        a[i] *= 2;
    }
    double *c = vkz_identity_output(run, one, "c");
    double *c2 = vkz_identity_output(run, two, "c");
    const int64_t count = vkz_identity_count(one, "c");
    for (int64_t i = 0; c != NULL && i < count; i++) {
        c[i] *= 2;
    }
    return vkz_identity_equal(run, "c", c, c2, count, 2);
}

// The three layouts of the same operands give the same product.
static inline bool check_layouts(struct vkz_identity_run *run)
{
    static const char *const names[] = {"nt", "nn", "tn"};
    const int64_t m = vkz_identity_dim(run, "m");
    const int64_t n = vkz_identity_dim(run, "n");
    const int64_t k = vkz_identity_dim(run, "k");
    const int own = (int)vkz_identity_dim(run, "TRANS");
    struct vkz_data *base = vkz_identity_inputs(run, NULL);
    double *expected = vkz_identity_output(run, base, "c");
    const int64_t count = vkz_identity_count(base, "c");
    const int64_t items = vkz_identity_count(base, "a") / (m * k);
    const int64_t b_items = vkz_identity_count(base, "b") / (n * k);
    for (int trans = TRANS_NT; trans <= TRANS_TN; trans++) {
        char settings[32];
        snprintf(settings, sizeof settings, "TRANS=%s", names[trans]);
        struct vkz_data *other = trans == own ? base : vkz_identity_inputs(run, settings);
        float *a = vkz_identity_float(run, other, "a");
        float *b = vkz_identity_float(run, other, "b");
        const float *base_a = vkz_identity_float(run, base, "a");
        const float *base_b = vkz_identity_float(run, base, "b");
        if (a == NULL || b == NULL || base_a == NULL || base_b == NULL) {
            return false;
        }
        if (trans == own) {
            continue;
        }
        for (int64_t i = 0; i < items; i++) {
            operand_copy(a + i * m * k, operand_a(trans, m, k), base_a + i * m * k,
                         operand_a(own, m, k), m, k);
        }
        for (int64_t i = 0; i < b_items; i++) {
            operand_copy(b + i * n * k, operand_b(trans, n, k), base_b + i * n * k,
                         operand_b(own, n, k), k, n);
        }
        if (!vkz_identity_equal(run, "c", expected, vkz_identity_output(run, other, "c"),
                                count, 2)) {
            return false;
        }
    }
    return true;
}

#endif
