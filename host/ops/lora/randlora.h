// SPDX-License-Identifier: MIT
// What the RandLoRA contracts share: dims, tensors, the fill of packed bases, and element
// access. Included by contract files only.
//
// dm = min(k, n), dx = max(k, n), nb = ceil(dm / rank) bases. All share A [rank, dm]; the
// last one uses all its rank columns even where nb * rank > dm. With BASIS = ternary the
// bases hold -1, 0, 1 with probabilities 1/6, 2/3, 1/6, divided by their standard
// deviation sqrt(1/3): 16 elements a word, element 0 lowest, two's complement of 2 bits.
#ifndef VKZ_OPS_LORA_RANDLORA_H
#define VKZ_OPS_LORA_RANDLORA_H

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

#define RANDLORA_SIZES                                                                 \
    {"k", "width in", NULL}, {"n", "width out", NULL},                                 \
        {"rank", "columns of a basis", NULL}
#define RANDLORA_AXIS {"BASIS", "dense ternary", "how the frozen bases are stored"}
// Keeps the side path about as large as the base product on the default fills.
#define RANDLORA_SCALAR                                                                \
    {"s", "BASIS == BASIS.ternary ? 1 / min(k, n) : 0.5", "alpha / rank"}
#define RANDLORA_BASES                                                                 \
    {"a", VKZ_IN, "T", "rank, min(k,n)", "BASIS == BASIS.dense", "linear_w",           \
     "shared by all bases"},                                                           \
        {"b", VKZ_IN, "T", "ceildiv(min(k,n),rank), max(k,n), rank",                   \
         "BASIS == BASIS.dense", "linear_w", NULL},                                    \
        {"abits", VKZ_IN, "u32", "ceildiv(rank*min(k,n),16)",                          \
         "BASIS == BASIS.ternary", "op", "A, 2 bits an element"},                      \
        {"bbits", VKZ_IN, "u32", "ceildiv(ceildiv(min(k,n),rank)*max(k,n)*rank,16)",   \
         "BASIS == BASIS.ternary", "op", "B, 2 bits an element"},                      \
        {"lam", VKZ_IN, "f32", "ceildiv(min(k,n),rank), rank", NULL, "normal(1)",      \
         "trained, one a column"},                                                     \
    {                                                                                  \
        "gam", VKZ_IN, "f32", "ceildiv(min(k,n),rank), min(k,n)", NULL, "normal(1)",   \
            "trained, one a column of A, for every basis"                              \
    }
#define RANDLORA_COLUMNS "ceildiv(min(k,n),rank)*rank"

struct randlora {
    int64_t k, n, rank, dm, dx, nb;
    bool wide; // k > n: x meets B first, and A comes last
    const float *a, *b, *lam, *gam;
    const int32_t *abits, *bbits;
    real s;
};

static inline struct randlora randlora_of(const struct vkz_ref *ref)
{
    struct randlora r = {
        .k = vkz_ref_dim(ref, "k"),
        .n = vkz_ref_dim(ref, "n"),
        .rank = vkz_ref_dim(ref, "rank"),
        .a = vkz_ref_in(ref, "a"),
        .b = vkz_ref_in(ref, "b"),
        .lam = vkz_ref_in(ref, "lam"),
        .gam = vkz_ref_in(ref, "gam"),
        .abits = vkz_ref_in_int(ref, "abits"),
        .bbits = vkz_ref_in_int(ref, "bbits"),
        .s = (real)vkz_ref_value(ref, "s"),
    };
    r.wide = r.k > r.n;
    r.dm = r.wide ? r.n : r.k;
    r.dx = r.wide ? r.k : r.n;
    r.nb = (r.dm + r.rank - 1) / r.rank;
    return r;
}

static inline real randlora_ternary(const int32_t *bits, int64_t i)
{
    const uint32_t code = (uint32_t)bits[i / 16] >> (2 * (i % 16)) & 3;
    return code == 0 ? 0 : (code == 1 ? 1 : -1) * sqrt((real)3);
}

// A[j, c]
static inline real randlora_a(const struct randlora *r, int64_t j, int64_t c)
{
    const int64_t i = j * r->dm + c;
    return r->a != NULL ? (real)r->a[i] : randlora_ternary(r->abits, i);
}

// B_b[c, j]
static inline real randlora_b(const struct randlora *r, int64_t b, int64_t c, int64_t j)
{
    const int64_t i = (b * r->dx + c) * r->rank + j;
    return r->b != NULL ? (real)r->b[i] : randlora_ternary(r->bbits, i);
}

// Sums with the magnitude of their terms.
struct randlora_sum {
    real value, magnitude;
};

static inline void randlora_add(struct randlora_sum *sum, real factor, real value,
                                real magnitude)
{
    sum->value += factor * value;
    sum->magnitude += fabs(factor) * magnitude;
}

// Σ_c row[c] gam_b[c] A[j, c] for a row of dm elements.
static inline struct randlora_sum randlora_meet_a(const struct randlora *r,
                                                  const float *row, int64_t b, int64_t j)
{
    struct randlora_sum sum = {0, 0};
    for (int64_t c = 0; c < r->dm; c++) {
        const real x = (real)row[c] * (real)r->gam[b * r->dm + c];
        randlora_add(&sum, x, randlora_a(r, j, c), fabs(randlora_a(r, j, c)));
    }
    return sum;
}

// Σ_c row[c] B_b[c, j] for a row of dx elements.
static inline struct randlora_sum randlora_meet_b(const struct randlora *r,
                                                  const float *row, int64_t b, int64_t j)
{
    struct randlora_sum sum = {0, 0};
    for (int64_t c = 0; c < r->dx; c++) {
        const real x = randlora_b(r, b, c, j);
        randlora_add(&sum, (real)row[c], x, fabs(x));
    }
    return sum;
}

// to[c] += s lam_bj z · gam_b[c] A[j, c], for c < dm.
static inline void randlora_leave_a(const struct randlora *r, int64_t b, int64_t j,
                                    struct randlora_sum z, struct randlora_sum *to)
{
    const real factor = r->s * (real)r->lam[b * r->rank + j];
    for (int64_t c = 0; c < r->dm; c++) {
        const real x = (real)r->gam[b * r->dm + c] * randlora_a(r, j, c);
        randlora_add(&to[c], factor * x, z.value, z.magnitude);
    }
}

// to[c] += s lam_bj z · B_b[c, j], for c < dx.
static inline void randlora_leave_b(const struct randlora *r, int64_t b, int64_t j,
                                    struct randlora_sum z, struct randlora_sum *to)
{
    const real factor = r->s * (real)r->lam[b * r->rank + j];
    for (int64_t c = 0; c < r->dx; c++) {
        randlora_add(&to[c], factor * randlora_b(r, b, c, j), z.value, z.magnitude);
    }
}

static inline void randlora_fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor;
    static const uint32_t codes[6] = {3, 0, 0, 0, 0, 1};
    int32_t *words = vkz_fill_int(fill);
    const int64_t count = vkz_fill_count(fill);
    for (int64_t i = 0; i < count; i++) {
        uint32_t word = 0;
        for (int64_t e = 0; e < 16; e++) {
            const double u = vkz_fill_uniform(fill, (uint64_t)(16 * i + e));
            word |= codes[(int)(u * 6)] << (2 * e);
        }
        memcpy(&words[i], &word, sizeof word);
    }
}

// ---- Identities ----

// Reverses `count` items of `size` values.
static inline void randlora_reverse(float *values, int64_t count, int64_t size)
{
    for (int64_t i = 0; values != NULL && i < count / 2; i++) {
        for (int64_t j = 0; j < size; j++) {
            const float kept = values[i * size + j];
            values[i * size + j] = values[(count - 1 - i) * size + j];
            values[(count - 1 - i) * size + j] = kept;
        }
    }
}

// Inputs whose bases come in opposite order, with what belongs to them.
static inline struct vkz_data *randlora_reversed(struct vkz_identity_run *run)
{
    const int64_t k = vkz_identity_dim(run, "k"), n = vkz_identity_dim(run, "n");
    const int64_t rank = vkz_identity_dim(run, "rank");
    const int64_t dm = k < n ? k : n, dx = k < n ? n : k, nb = (dm + rank - 1) / rank;
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    randlora_reverse(vkz_identity_float(run, data, "b"), nb, dx * rank);
    randlora_reverse(vkz_identity_float(run, data, "lam"), nb, rank);
    randlora_reverse(vkz_identity_float(run, data, "gam"), nb, dm);
    return data;
}

// Doubling one input multiplies an output by `factor`.
static inline bool randlora_doubled(struct vkz_identity_run *run, const char *input,
                                    const char *output, double factor)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *values = vkz_identity_float(run, two, input);
    for (int64_t i = 0; i < vkz_identity_count(two, input); i++) {
        values[i] *= 2;
    }
    double *y = vkz_identity_output(run, one, output);
    const int64_t count = vkz_identity_count(one, output);
    for (int64_t i = 0; y != NULL && i < count; i++) {
        y[i] *= factor;
    }
    return vkz_identity_equal(run, output, y, vkz_identity_output(run, two, output),
                              count, 2);
}

#endif
