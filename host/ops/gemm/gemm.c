// SPDX-License-Identifier: MIT
// gemm: the dense matrix product with its epilogues, contract and reference.
// batched_gemm is the same product for several independent matrices.
#include "ops/gemm/identities.h"

static const struct vkz_dim dims[] = {
    {"m", "rows of the product", NULL},
    {"n", "columns of the product", NULL},
    {"k", "length of the sums", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"alpha", "1", "factor of the product"},
    {"beta", "0", "factor of c0, which is not read when this is 0"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"TRANS", VKZ_GEMM_TRANS_VALUES, "layout of a and b: nt is the linear layer x Wᵀ"},
    {"EPILOGUE", VKZ_GEMM_EPILOGUE_VALUES, "what happens to a sum before it is stored"},
    {0},
};

// The shape of a transposed operand swaps its extents; ? : over the axis says so.
#define A_SHAPE "TRANS == TRANS.tn ? k : m, TRANS == TRANS.tn ? m : k"
#define B_SHAPE "TRANS == TRANS.nt ? n : k, TRANS == TRANS.nt ? k : n"

static const struct vkz_tensor tensors[] = {
    {"a", VKZ_IN, "T", A_SHAPE, NULL, "normal(1)", "[m, k], for tn [k, m]"},
    {"b", VKZ_IN, "T", B_SHAPE, NULL, "linear_w", "[n, k], for nn and tn [k, n]"},
    {"c0", VKZ_IN, "T", "m, n", VKZ_GEMM_HAS_C0, "normal(1)", "added, times beta"},
    {"bias", VKZ_IN, "f32", "n", VKZ_GEMM_HAS_BIAS, "normal(1)", "one a column"},
    {"scale", VKZ_IN, "f32", "EPILOGUE == EPILOGUE.scale_row ? m : n", VKZ_GEMM_HAS_SCALE,
     "uniform(0.5,2)", "one a row or one a column"},
    {"c", VKZ_OUT, "T", "m, n", NULL, NULL, "the result"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t i)
{
    const int64_t m = vkz_ref_dim(ref, "m");
    const int64_t n = vkz_ref_dim(ref, "n");
    const int64_t k = vkz_ref_dim(ref, "k");
    const int trans = (int)vkz_ref_dim(ref, "TRANS");
    const float *a = vkz_ref_in(ref, "a");
    const float *c0 = vkz_ref_in(ref, "c0");
    const float *scale = vkz_ref_in(ref, "scale");
    real *sum = vkz_ref_temp(ref, (size_t)n * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)n * sizeof(real));

    const struct product_row row = {
        .a = trans == TRANS_TN ? a + i : a + i * k,
        .a_step = trans == TRANS_TN ? m : 1,
        .b = vkz_ref_in(ref, "b"),
        .b_by_column = trans == TRANS_NT,
        .n = n,
        .k = k,
    };
    product_row_run(&row, sum, magnitude);

    struct product_epilogue epilogue = {
        .kind = (int)vkz_ref_dim(ref, "EPILOGUE"),
        .alpha = (real)vkz_ref_value(ref, "alpha"),
        .beta = (real)vkz_ref_value(ref, "beta"),
        .c0 = c0 != NULL ? c0 + i * n : NULL,
        .bias = vkz_ref_in(ref, "bias"),
        .scale = scale,
    };
    if (epilogue.kind == EPILOGUE_SCALE_ROW) {
        epilogue.scale += i;
    }
    product_finish(&epilogue, n, sum, magnitude, vkz_ref_out(ref, "c"),
                   vkz_ref_scale(ref, "c"));
}

// Rows of op(A), and what belongs to them, in opposite order.
static bool check_permute_rows(struct vkz_identity_run *run)
{
    const int64_t m = vkz_identity_dim(run, "m");
    const int64_t n = vkz_identity_dim(run, "n");
    const int64_t k = vkz_identity_dim(run, "k");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *a = vkz_identity_float(run, two, "a");
    if (a == NULL) {
        return false;
    }
    if (vkz_identity_dim(run, "TRANS") == TRANS_TN) {
        for (int64_t l = 0; l < k; l++) {
            reverse_rows(a + l * m, m, 1);
        }
    } else {
        reverse_rows(a, m, k);
    }
    reverse_rows(vkz_identity_float(run, two, "c0"), m, n);
    if (vkz_identity_dim(run, "EPILOGUE") == EPILOGUE_SCALE_ROW) {
        reverse_rows(vkz_identity_float(run, two, "scale"), m, 1);
    }
    double *permuted = vkz_identity_output(run, two, "c");
    reverse_double_rows(permuted, m, n);
    return vkz_identity_equal(run, "c", vkz_identity_output(run, one, "c"), permuted,
                              m * n, 2);
}

// On numbers of its own: a NaN or an infinity times the zeros of the matrix is NaN.
static bool check_identity_matrix(struct vkz_identity_run *run)
{
    const int64_t m = vkz_identity_dim(run, "m");
    const int64_t k = vkz_identity_dim(run, "k");
    char settings[96];
    snprintf(settings, sizeof settings,
             "n=%lld EPILOGUE=none alpha=1 beta=0 fill.a=normal(1)", (long long)k);
    struct vkz_data *data = vkz_identity_inputs(run, settings);
    float *a = vkz_identity_float(run, data, "a");
    float *b = vkz_identity_float(run, data, "b");
    double *expected = vkz_identity_temp(run, m * k);
    if (a == NULL || b == NULL || expected == NULL) {
        return false;
    }
    for (int64_t i = 0; i < k * k; i++) {
        b[i] = i / k == i % k;
    }
    double *c = vkz_identity_output(run, data, "c");
    const struct operand layout =
        operand_a((int)vkz_identity_dim(run, "TRANS"), m, k);
    for (int64_t i = 0; i < m * k; i++) {
        expected[i] = (double)a[i / k * layout.row_step + i % k * layout.column_step];
    }
    return vkz_identity_equal(run, "c", expected, c, m * k, 2);
}

// The product of the first half of k and that of the rest add up to the whole.
static bool check_split_k(struct vkz_identity_run *run)
{
    const int64_t m = vkz_identity_dim(run, "m");
    const int64_t n = vkz_identity_dim(run, "n");
    const int64_t k = vkz_identity_dim(run, "k");
    const int trans = (int)vkz_identity_dim(run, "TRANS");
    const int64_t first[2] = {0, k / 2}, length[2] = {k / 2, k - k / 2};
    struct vkz_data *whole = vkz_identity_inputs(run, "EPILOGUE=none beta=0");
    double *expected = vkz_identity_output(run, whole, "c");
    double *sum = vkz_identity_temp(run, m * n);
    const float *a = vkz_identity_float(run, whole, "a");
    const float *b = vkz_identity_float(run, whole, "b");
    for (int half = 0; half < 2; half++) {
        const int64_t part = length[half];
        char settings[64];
        snprintf(settings, sizeof settings, "k=%lld EPILOGUE=none beta=0",
                 (long long)part);
        struct vkz_data *data = vkz_identity_inputs(run, settings);
        float *a_part = vkz_identity_float(run, data, "a");
        float *b_part = vkz_identity_float(run, data, "b");
        if (a == NULL || b == NULL || sum == NULL || a_part == NULL || b_part == NULL) {
            return false;
        }
        const struct operand a_all = operand_a(trans, m, k);
        const struct operand b_all = operand_b(trans, n, k);
        operand_copy(a_part, operand_a(trans, m, part),
                     a + first[half] * a_all.column_step, a_all, m, part);
        operand_copy(b_part, operand_b(trans, n, part), b + first[half] * b_all.row_step,
                     b_all, part, n);
        const double *c = vkz_identity_output(run, data, "c");
        for (int64_t i = 0; c != NULL && i < m * n; i++) {
            sum[i] += c[i];
        }
    }
    return vkz_identity_equal(run, "c", expected, sum, m * n, 3);
}

static const struct vkz_identity identities[] = {
    {"permute_rows", "reversing the rows of A reverses the rows of C", "m > 1",
     check_permute_rows},
    {"identity_matrix", "A times the identity matrix is A", NULL, check_identity_matrix},
    {"split_k", "the products of both halves of k add up to the product", "k > 1",
     check_split_k},
    {"layouts", "nt, nn and tn of the same operands agree", NULL, check_layouts},
    {"double", "doubling A doubles the product", NULL, check_double},
    {0},
};

VKZ_OP(gemm) = {
    .name = "gemm",
    .family = "gemm",
    .abi = 1,
    .title = "dense matrix product with an epilogue",
    .doc = "c = act(s ∘ (alpha·op(A) op(B) + beta·C0) + bias)\n"
           "\n"
           "TRANS nt: A [m,k], B [n,k]; nn: B [k,n]; tn: A [k,m], B [k,n].\n"
           "EPILOGUE: bias adds one value a column, bias_relu, bias_gelu (erf form) and\n"
           "bias_silu apply the activation after it; residual adds c0 as it is (beta is\n"
           "not used); scale_row and scale_col multiply by one value a row or column.\n"
           "The order is always product, c0, scale, bias, activation.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "!(EPILOGUE == EPILOGUE.residual && beta != 0)",
    .valid_reason = "EPILOGUE=residual adds c0 as it is: leave beta at 0",
    .flops = "2 * m * n * k",
    .sum_length = "k",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "m",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
