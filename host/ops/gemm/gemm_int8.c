// SPDX-License-Identifier: MIT
// gemm_int8: the exact product of 8-bit integers, contract and reference.
// The engine under quantised products, whose scales are applied elsewhere.
#include <stdio.h>
#include <string.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"m", "rows of the product", NULL},
    {"n", "columns of the product", NULL},
    {"k", "length of the sums", NULL},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"a", VKZ_IN, "i8", "m, k", NULL, "range(-128,127)", "full range"},
    {"b", VKZ_IN, "i8", "n, k", NULL, "range(-128,127)", "full range"},
    {"c", VKZ_OUT, "i32", "m, n", NULL, NULL, "the sums, exact"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t i)
{
    const int64_t n = vkz_ref_dim(ref, "n");
    const int64_t k = vkz_ref_dim(ref, "k");
    const int32_t *a = vkz_ref_in_int(ref, "a") + i * k;
    const int32_t *b = vkz_ref_in_int(ref, "b");
    double *c = vkz_ref_out(ref, "c");
    for (int64_t j = 0; j < n; j++) {
        int32_t sum = 0;
        for (int64_t l = 0; l < k; l++) {
            sum += a[l] * b[j * k + l];
        }
        c[j] = sum;
    }
}

// The product of the first half of k and that of the rest add up to the whole.
static bool check_split_k(struct vkz_identity_run *run)
{
    const int64_t m = vkz_identity_dim(run, "m");
    const int64_t n = vkz_identity_dim(run, "n");
    const int64_t k = vkz_identity_dim(run, "k");
    struct vkz_data *whole = vkz_identity_inputs(run, NULL);
    const int32_t *a = vkz_identity_int(run, whole, "a");
    const int32_t *b = vkz_identity_int(run, whole, "b");
    double *sum = vkz_identity_temp(run, m * n);
    for (int half = 0; half < 2; half++) {
        const int64_t first = half == 0 ? 0 : k / 2;
        const int64_t part = half == 0 ? k / 2 : k - k / 2;
        char settings[32];
        snprintf(settings, sizeof settings, "k=%lld", (long long)part);
        struct vkz_data *data = vkz_identity_inputs(run, settings);
        int32_t *a_part = vkz_identity_int(run, data, "a");
        int32_t *b_part = vkz_identity_int(run, data, "b");
        if (a == NULL || b == NULL || sum == NULL || a_part == NULL || b_part == NULL) {
            return false;
        }
        for (int64_t i = 0; i < m * part; i++) {
            a_part[i] = a[i / part * k + first + i % part];
        }
        for (int64_t i = 0; i < n * part; i++) {
            b_part[i] = b[i / part * k + first + i % part];
        }
        const double *c = vkz_identity_output(run, data, "c");
        for (int64_t i = 0; c != NULL && i < m * n; i++) {
            sum[i] += c[i];
        }
    }
    return vkz_identity_equal(run, "c", vkz_identity_output(run, whole, "c"), sum, m * n,
                              1);
}

// C of (A, B) is the transpose of C of (B, A).
static bool check_swap(struct vkz_identity_run *run)
{
    const int64_t m = vkz_identity_dim(run, "m");
    const int64_t n = vkz_identity_dim(run, "n");
    char settings[64];
    snprintf(settings, sizeof settings, "m=%lld n=%lld", (long long)n, (long long)m);
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, settings);
    const int32_t *a = vkz_identity_int(run, one, "a");
    const int32_t *b = vkz_identity_int(run, one, "b");
    int32_t *a2 = vkz_identity_int(run, two, "a");
    int32_t *b2 = vkz_identity_int(run, two, "b");
    double *turned = vkz_identity_temp(run, m * n);
    if (a == NULL || b == NULL || a2 == NULL || b2 == NULL || turned == NULL) {
        return false;
    }
    memcpy(b2, a, (size_t)vkz_identity_count(one, "a") * sizeof *b2);
    memcpy(a2, b, (size_t)vkz_identity_count(one, "b") * sizeof *a2);
    const double *c = vkz_identity_output(run, two, "c");
    for (int64_t i = 0; c != NULL && i < m * n; i++) {
        turned[i] = c[i % n * m + i / n];
    }
    return vkz_identity_equal(run, "c", vkz_identity_output(run, one, "c"), turned, m * n,
                              1);
}

static const struct vkz_identity identities[] = {
    {"split_k", "the products of both halves of k add up to the product", "k > 1",
     check_split_k},
    {"swap", "A Bᵀ is the transpose of B Aᵀ", NULL, check_swap},
    {0},
};

VKZ_OP(gemm_int8) = {
    .name = "gemm_int8",
    .family = "gemm",
    .abi = 1,
    .title = "exact product of 8-bit integer matrices",
    .doc = "c = A Bᵀ in 32-bit integers, A [m,k], B [n,k] signed 8-bit\n"
           "\n"
           "Bit-exact: nothing saturates, and k <= 131071 keeps every sum below 2³¹.",
    .dims = dims,
    .tensors = tensors,
    .valid = "k <= 131071",
    .valid_reason = "k above 131071 could overflow the 32-bit sums",
    .flops = "2 * m * n * k",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_FLOPS,
    .unit = "idot",
    .units = "m",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
