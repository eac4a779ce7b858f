// SPDX-License-Identifier: MIT
// resfield_linear: a linear layer whose weight moves with the frame.
#include "ops/lora/resfield.h"

static const struct vkz_dim dims[] = {RESFIELD_DIMS, {0}};
static const struct vkz_axis axes[] = {{"BIAS", "off on", NULL}, {0}};
static const struct vkz_tensor tensors[] = {
    RESFIELD_TENSORS,
    {"bias", VKZ_IN, "f32", "n", "BIAS == BIAS.on", "normal(1)", NULL},
    {"y", VKZ_OUT, "T", "rows, n", NULL, NULL, NULL},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct resfield r = resfield_of(ref);
    const float *bias = vkz_ref_in(ref, "bias");
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    for (int64_t o = 0; o < r.n; o++) {
        real sum = 0, magnitude = 0;
        for (int64_t c = 0; c < r.k; c++) {
            const real x = (real)r.x[row * r.k + c];
            real weight, size;
            resfield_weight(&r, r.ti[row], o, c, &weight, &size);
            sum += x * weight;
            magnitude += fabs(x) * size;
        }
        const real b = bias != NULL ? (real)bias[o] : 0;
        y[o] = (double)(sum + b);
        scale[o] = (double)(magnitude + fabs(b));
    }
}

static bool check_base(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "fill.v=const(0)");
    struct vkz_data *two = vkz_identity_inputs(run, "fill.m=const(0)");
    return vkz_identity_equal(run, "y", vkz_identity_output(run, one, "y"),
                              vkz_identity_output(run, two, "y"),
                              vkz_identity_count(one, "y"), 2);
}

// The same samples in opposite order.
static bool check_permute(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t k = vkz_identity_dim(run, "k"), n = vkz_identity_dim(run, "n");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    const float *x = vkz_identity_float(run, one, "x");
    const int32_t *ti = vkz_identity_int(run, one, "ti");
    float *x2 = vkz_identity_float(run, two, "x");
    int32_t *ti2 = vkz_identity_int(run, two, "ti");
    for (int64_t i = 0; x && ti && x2 && ti2 && i < rows; i++) {
        ti2[i] = ti[rows - 1 - i];
        for (int64_t c = 0; c < k; c++) {
            x2[i * k + c] = x[(rows - 1 - i) * k + c];
        }
    }
    const double *y = vkz_identity_output(run, one, "y");
    double *turned = vkz_identity_temp(run, rows * n);
    for (int64_t i = 0; y && turned && i < rows * n; i++) {
        turned[i] = y[(rows - 1 - i / n) * n + i % n];
    }
    return vkz_identity_equal(run, "y", turned, vkz_identity_output(run, two, "y"),
                              vkz_identity_count(one, "y"), 2);
}

static const struct vkz_identity identities[] = {
    {"base", "v = 0 leaves the plain layer", NULL, check_base},
    {"permute", "the order of the samples does not matter", NULL, check_permute},
    {0},
};

VKZ_OP(resfield_linear) = {
    .name = "resfield_linear",
    .family = "lora",
    .abi = 1,
    .title = "linear layer with residual weights that depend on the frame",
    .doc = "W(t) = W + Σ_j v[t,j] M_j,  y_i = x_i W(ti_i)ᵀ + bias\n"
           "\n"
           "ResFields arXiv 2309.03160.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "2*min(nf,rows)*rk*n*k + 2*rows*k*n",
    .sum_length = "k*(rk+1)",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
