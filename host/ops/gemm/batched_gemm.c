// SPDX-License-Identifier: MIT
// batched_gemm: independent matrix products of one size, contract and reference.
// B may be shared by the whole batch.
#include "ops/gemm/identities.h"

enum { SHARED_B_NO, SHARED_B_YES };

static const struct vkz_dim dims[] = {
    {"batch", "independent products", NULL},
    {"m", "rows of each product", NULL},
    {"n", "columns of each product", NULL},
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
    {"SHARED_B", "no yes", "yes: one B for the whole batch"},
    {0},
};

#define A_SHAPE "batch, TRANS == TRANS.tn ? k : m, TRANS == TRANS.tn ? m : k"
#define B_SHAPE \
    "SHARED_B == SHARED_B.yes ? 1 : batch, TRANS == TRANS.nt ? n : k, " \
    "TRANS == TRANS.nt ? k : n"

static const struct vkz_tensor tensors[] = {
    {"a", VKZ_IN, "T", A_SHAPE, NULL, "normal(1)", "[batch, m, k], for tn [batch, k, m]"},
    {"b", VKZ_IN, "T", B_SHAPE, NULL, "linear_w",
     "[batch, n, k], for nn and tn [batch, k, n]; batch is 1 when shared"},
    {"c0", VKZ_IN, "T", "batch, m, n", VKZ_GEMM_HAS_C0, "normal(1)", "added, times beta"},
    {"bias", VKZ_IN, "f32", "n", VKZ_GEMM_HAS_BIAS, "normal(1)",
     "one a column, shared by the batch"},
    {"scale", VKZ_IN, "f32", "EPILOGUE == EPILOGUE.scale_row ? m : n", VKZ_GEMM_HAS_SCALE,
     "uniform(0.5,2)", "one a row or one a column, shared by the batch"},
    {"c", VKZ_OUT, "T", "batch, m, n", NULL, NULL, "the results"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t m = vkz_ref_dim(ref, "m");
    const int64_t n = vkz_ref_dim(ref, "n");
    const int64_t k = vkz_ref_dim(ref, "k");
    const int64_t item = unit / m, i = unit % m;
    const int trans = (int)vkz_ref_dim(ref, "TRANS");
    const bool shared = vkz_ref_dim(ref, "SHARED_B") == SHARED_B_YES;
    const float *a = vkz_ref_in(ref, "a") + item * m * k;
    const float *c0 = vkz_ref_in(ref, "c0");
    real *sum = vkz_ref_temp(ref, (size_t)n * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)n * sizeof(real));

    const struct product_row row = {
        .a = trans == TRANS_TN ? a + i : a + i * k,
        .a_step = trans == TRANS_TN ? m : 1,
        .b = vkz_ref_in(ref, "b") + (shared ? 0 : item * n * k),
        .b_by_column = trans == TRANS_NT,
        .n = n,
        .k = k,
    };
    product_row_run(&row, sum, magnitude);

    struct product_epilogue epilogue = {
        .kind = (int)vkz_ref_dim(ref, "EPILOGUE"),
        .alpha = (real)vkz_ref_value(ref, "alpha"),
        .beta = (real)vkz_ref_value(ref, "beta"),
        .c0 = c0 != NULL ? c0 + unit * n : NULL,
        .bias = vkz_ref_in(ref, "bias"),
        .scale = vkz_ref_in(ref, "scale"),
    };
    if (epilogue.kind == EPILOGUE_SCALE_ROW) {
        epilogue.scale += i;
    }
    product_finish(&epilogue, n, sum, magnitude, vkz_ref_out(ref, "c"),
                   vkz_ref_scale(ref, "c"));
}

// The products in opposite order.
static bool check_permute_batch(struct vkz_identity_run *run)
{
    const int64_t batch = vkz_identity_dim(run, "batch");
    const int64_t m = vkz_identity_dim(run, "m");
    const int64_t n = vkz_identity_dim(run, "n");
    const int64_t k = vkz_identity_dim(run, "k");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    reverse_rows(vkz_identity_float(run, two, "a"), batch, m * k);
    reverse_rows(vkz_identity_float(run, two, "c0"), batch, m * n);
    if (vkz_identity_dim(run, "SHARED_B") == SHARED_B_NO) {
        reverse_rows(vkz_identity_float(run, two, "b"), batch, n * k);
    }
    double *permuted = vkz_identity_output(run, two, "c");
    reverse_double_rows(permuted, batch, m * n);
    return vkz_identity_equal(run, "c", vkz_identity_output(run, one, "c"), permuted,
                              batch * m * n, 2);
}

static const struct vkz_identity identities[] = {
    {"permute_batch", "reversing the batch reverses the results", "batch > 1",
     check_permute_batch},
    {"layouts", "nt, nn and tn of the same operands agree", NULL, check_layouts},
    {"double", "doubling A doubles the products", NULL, check_double},
    {0},
};

VKZ_OP(batched_gemm) = {
    .name = "batched_gemm",
    .family = "gemm",
    .abi = 1,
    .title = "independent matrix products of one size",
    .doc = "c_x = act(s ∘ (alpha·op(A_x) op(B_x) + beta·C0_x) + bias) for every x <\n"
           "batch\n"
           "\n"
           "Layouts and epilogues are those of gemm. SHARED_B=yes multiplies every A_x\n"
           "by the same B. Bias and scale belong to the whole batch.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "!(EPILOGUE == EPILOGUE.residual && beta != 0)",
    .valid_reason = "EPILOGUE=residual adds c0 as it is: leave beta at 0",
    .flops = "2 * batch * m * n * k",
    .sum_length = "k",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * m",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
