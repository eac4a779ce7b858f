// SPDX-License-Identifier: MIT
// A small op that only the unit tests have: y = alpha x wᵀ + bias, and a count.
// Compiled twice like every contract: in double, and with VKZ_NAIVE in float.
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"m", "rows", NULL},
    {"n", "columns", "m"},
    {"k", "length of the sums", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"alpha", "1/sqrt(k)", "factor"},
    {"shift", "0", "added to every element"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"MODE", "plain relu", "what happens to a sum"},
    {"BIAS", "none row column", "what is added to a sum"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "m, k", NULL, "normal(1)", "left"},
    {"w", VKZ_IN, "T", "n, k", NULL, "linear_w", "right"},
    {"bias", VKZ_IN, "f32", "BIAS == BIAS.row ? m : n", "BIAS != BIAS.none", "op",
     "added"},
    {"y", VKZ_OUT, "T", "m, n", NULL, NULL, "result"},
    {"positive", VKZ_OUT, "i32", "m", "MODE == MODE.relu", NULL, "elements above 0"},
    {0},
};

static void fill(struct vkz_fill *f, const char *tensor)
{
    (void)tensor;
    const int64_t count = vkz_fill_count(f);
    for (int64_t i = 0; i < count; i++)
        vkz_fill_float(f)[i] = (float)vkz_fill_normal(f, (uint64_t)i);
}

static void reference(struct vkz_ref *ref, int64_t i)
{
    const int64_t n = vkz_ref_dim(ref, "n"), k = vkz_ref_dim(ref, "k");
    const int64_t bias_kind = vkz_ref_dim(ref, "BIAS");
    const real alpha = (real)vkz_ref_value(ref, "alpha");
    const real shift = (real)vkz_ref_value(ref, "shift");
    const float *x = vkz_ref_in(ref, "x") + i * k, *w = vkz_ref_in(ref, "w");
    const float *bias = vkz_ref_in(ref, "bias");
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    double *positive = vkz_ref_out(ref, "positive");
    real *sums = vkz_ref_temp(ref, (size_t)n * sizeof(real));
    int count = 0;
    for (int64_t j = 0; j < n; j++) {
        double magnitude = 0;
        for (int64_t p = 0; p < k; p++) {
            sums[j] += (real)x[p] * (real)w[j * k + p];
            magnitude += fabs((double)x[p] * w[j * k + p]);
        }
        real sum = alpha * sums[j] + shift;
        if (bias)
            sum += (real)bias[bias_kind == 1 ? i : j];
        count += sum > 0;
        y[j] = positive ? fmax(sum, (real)0) : sum;
        scale[j] = fabs(alpha) * magnitude + fabs(shift);
    }
    if (positive)
        positive[0] = count;
}

static bool check_swap_rows(struct vkz_identity_run *run)
{
    struct vkz_data *a = vkz_identity_inputs(run, NULL);
    struct vkz_data *b = vkz_identity_inputs(run, NULL);
    const int64_t m = vkz_identity_dim(run, "m"), n = vkz_identity_dim(run, "n");
    const int64_t k = vkz_identity_dim(run, "k");
    float *x = vkz_identity_float(run, b, "x");
    for (int64_t p = 0; x && p < k; p++) {
        const float first = x[p];
        x[p] = x[(m - 1) * k + p];
        x[(m - 1) * k + p] = first;
    }
    const double *ya = vkz_identity_output(run, a, "y");
    const double *yb = vkz_identity_output(run, b, "y");
    return ya && yb && vkz_identity_equal(run, "y", ya, yb + (m - 1) * n, n, 2) &&
           vkz_identity_equal(run, "y", ya + (m - 1) * n, yb, n, 2);
}

// Wrong on purpose: the tests see that an identity that does not hold is reported.
static bool check_negated(struct vkz_identity_run *run)
{
    struct vkz_data *a = vkz_identity_inputs(run, NULL);
    struct vkz_data *b = vkz_identity_inputs(run, "alpha=-1");
    const double *ya = vkz_identity_output(run, a, "y");
    const double *yb = vkz_identity_output(run, b, "y");
    return vkz_identity_equal(run, "y", ya, yb, 1, 2);
}

static const struct vkz_identity identities[] = {
    {"swap_rows", "swapping two rows of x swaps the rows of y", "BIAS != BIAS.row",
     check_swap_rows},
    {"negated", "does not hold", "shift == 3", check_negated},
    {0},
};

VKZ_OP(dot) = {
    .name = "dot",
    .family = "unit",
    .abi = 1,
    .title = "rows times rows",
    .doc = "y = alpha x wᵀ + shift + bias",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "k <= 5000",
    .valid_reason = "k above 5000 is not served",
    .flops = "2 * m * n * k",
    .sum_length = "k",
    .tolerance = VKZ_TOL_SUM,
    .units = "m",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
