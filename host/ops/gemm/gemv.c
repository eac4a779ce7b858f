// SPDX-License-Identifier: MIT
// gemv: a weight matrix times one to eight vectors, contract and reference.
// The work is reading the weights: its rate is bytes, not FLOPs.
#include "ops/gemm/identities.h"

static const struct vkz_dim dims[] = {
    {"m", "vectors, 1 to 8", "1"},
    {"n", "rows of W, elements of each result", NULL},
    {"k", "length of a vector", NULL},
    {0},
};

static const struct vkz_axis axes[] = {
    {"EPILOGUE", "none bias bias_relu bias_gelu bias_silu",
     "what happens to a sum before it is stored"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "m, k", NULL, "normal(1)", "the vectors"},
    {"w", VKZ_IN, "T", "n, k", NULL, "linear_w", "the weights, read once"},
    {"bias", VKZ_IN, "f32", "n", "EPILOGUE != EPILOGUE.none", "normal(1)",
     "one a row of W"},
    {"y", VKZ_OUT, "T", "m, n", NULL, NULL, "the results"},
    {0},
};

// One unit is one element: a single row of results may be the whole case.
static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t n = vkz_ref_dim(ref, "n");
    const int64_t k = vkz_ref_dim(ref, "k");
    const int64_t i = unit / n, j = unit % n;
    const float *bias = vkz_ref_in(ref, "bias");
    const struct product_row row = {
        .a = vkz_ref_in(ref, "x") + i * k,
        .a_step = 1,
        .b = vkz_ref_in(ref, "w") + j * k,
        .b_by_column = true,
        .n = 1,
        .k = k,
    };
    real sum, magnitude;
    product_row_run(&row, &sum, &magnitude);
    const struct product_epilogue epilogue = {
        .kind = (int)vkz_ref_dim(ref, "EPILOGUE"),
        .alpha = 1,
        .bias = bias != NULL ? bias + j : NULL,
    };
    product_finish(&epilogue, 1, &sum, &magnitude, vkz_ref_out(ref, "y"),
                   vkz_ref_scale(ref, "y"));
}

// Rows of W, and their biases, in opposite order.
static bool check_permute_weights(struct vkz_identity_run *run)
{
    const int64_t m = vkz_identity_dim(run, "m");
    const int64_t n = vkz_identity_dim(run, "n");
    const int64_t k = vkz_identity_dim(run, "k");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    reverse_rows(vkz_identity_float(run, two, "w"), n, k);
    reverse_rows(vkz_identity_float(run, two, "bias"), n, 1);
    double *permuted = vkz_identity_output(run, two, "y");
    for (int64_t i = 0; permuted != NULL && i < m; i++) {
        reverse_double_rows(permuted + i * n, n, 1);
    }
    return vkz_identity_equal(run, "y", vkz_identity_output(run, one, "y"), permuted,
                              m * n, 2);
}

// A unit vector picks a column of W; on numbers of its own, since NaN times 0 is NaN.
static bool check_unit_vector(struct vkz_identity_run *run)
{
    const int64_t m = vkz_identity_dim(run, "m");
    const int64_t n = vkz_identity_dim(run, "n");
    const int64_t k = vkz_identity_dim(run, "k");
    struct vkz_data *data = vkz_identity_inputs(run, "EPILOGUE=none fill.w=linear_w");
    float *x = vkz_identity_float(run, data, "x");
    const float *w = vkz_identity_float(run, data, "w");
    double *expected = vkz_identity_temp(run, m * n);
    if (x == NULL || w == NULL || expected == NULL) {
        return false;
    }
    for (int64_t i = 0; i < m * k; i++) {
        x[i] = i % k == (7 * (i / k) + k / 2) % k;
    }
    const double *y = vkz_identity_output(run, data, "y");
    for (int64_t i = 0; i < m * n; i++) {
        expected[i] = (double)w[i % n * k + (7 * (i / n) + k / 2) % k];
    }
    return vkz_identity_equal(run, "y", expected, y, m * n, 2);
}

static const struct vkz_identity identities[] = {
    {"permute_weights", "reversing the rows of W reverses the results", "n > 1",
     check_permute_weights},
    {"unit_vector", "a unit vector picks a column of W", NULL, check_unit_vector},
    {0},
};

VKZ_OP(gemv) = {
    .name = "gemv",
    .family = "gemm",
    .abi = 1,
    .title = "a weight matrix times a few vectors",
    .doc = "y = act(x Wᵀ + bias) for up to eight rows of x\n"
           "\n"
           "The linear layer of a model that writes one token at a time. Every weight\n"
           "is used m times and read once, so the ceiling is the memory's.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .valid = "m <= 8",
    .valid_reason = "gemv serves up to 8 rows: use gemm for more",
    .flops = "2 * m * n * k",
    .sum_length = "k",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "m * n",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
