// SPDX-License-Identifier: MIT
// mhc_post_pre: mhc_post of a layer and mhc_pre of the next in one op.
#include "ops/hyper/mhc_post.h"

static const struct vkz_dim dims[] = {MHC_DIMS, MHC_ITERS, {0}};
static const struct vkz_scalar scalars[] = {MHC_SCALARS, {0}};
static const struct vkz_axis axes[] = {
    MHC_AXES, {"NORM_OUT", "off on", "h0 is over its root mean square, times gain"}, {0}};
static const struct vkz_tensor tensors[] = {
    MHC_POST_TENSORS,
    MHC_PARAMETERS,
    {"gain", VKZ_IN, "f32", "width", "NORM_OUT == NORM_OUT.on", "uniform(0.5,1.5)",
     "norm weights of h0"},
    {"z", VKZ_OUT, "T", "rows, streams, width", NULL, NULL, "the new streams"},
    {"h0", VKZ_OUT, "T", "rows, width", NULL, NULL, "the next layer's input"},
    {"next_pre", VKZ_OUT, "f32", "rows, streams", NULL, NULL, "of the next layer"},
    {"next_post", VKZ_OUT, "f32", "rows, streams", NULL, NULL, "of the next layer"},
    {"next_comb", VKZ_OUT, "f32", "rows, streams, streams", NULL, NULL,
     "of the next layer: source, target"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t width = vkz_ref_dim(ref, "width");
    const int64_t size = vkz_ref_dim(ref, "streams") * width;
    real *z = vkz_ref_temp(ref, (size_t)size * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)size * sizeof(real));
    mhc_post_token(ref, row, z, magnitude);
    double *z_out = vkz_ref_out(ref, "z"), *z_scale = vkz_ref_scale(ref, "z");
    for (int64_t k = 0; k < size; k++) {
        z_out[k] = (double)z[k];
        z_scale[k] = (double)magnitude[k];
        z[k] = (real)vkz_ref_round(ref, "z", (double)z[k]);
    }
    struct mhc_token t;
    mhc_coefficients(ref, z, magnitude, &t);
    mhc_put(ref, &t, "next_pre", "next_post", "next_comb");
    double *h0 = vkz_ref_out(ref, "h0"), *scale = vkz_ref_scale(ref, "h0");
    const float *gain = vkz_ref_in(ref, "gain");
    real *sums = vkz_ref_temp(ref, (size_t)width * sizeof(real));
    real *sizes = vkz_ref_temp(ref, (size_t)width * sizeof(real));
    real square = 0;
    for (int64_t k = 0; k < width; k++) {
        mhc_mix(&t, z, magnitude, width, k, &sums[k], &sizes[k]);
        square += sums[k] * sums[k];
    }
    const real norm =
        (real)1 / sqrt(square / (real)width + (real)vkz_ref_value(ref, "eps_norm"));
    for (int64_t k = 0; k < width; k++) {
        const real factor = gain == NULL ? (real)1 : norm * (real)gain[k];
        h0[k] = (double)(sums[k] * factor);
        scale[k] = (double)(sizes[k] * fabs(factor));
    }
}

static bool check_columns(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "eps_sk=1e-6");
    return mhc_check_columns(
        run, "next_comb", vkz_identity_output(run, data, "next_comb"),
        vkz_identity_dim(run, "rows"), vkz_identity_dim(run, "streams"));
}

// The coefficients of this layer multiplied by two double the streams and h0, and leave
// the next layer's coefficients, whose norm takes the factor out.
static bool check_scale(struct vkz_identity_run *run)
{
    static const char *const outputs[] = {"next_pre", "next_post", "next_comb", "z",
                                          "h0"};
    static const char *const doubled[] = {"post", "comb"};
    struct vkz_data *one = vkz_identity_inputs(run, "eps_norm=0 NORM_OUT=off");
    struct vkz_data *two = vkz_identity_inputs(run, "eps_norm=0 NORM_OUT=off");
    for (int x = 0; x < 2; x++) {
        float *values = vkz_identity_float(run, two, doubled[x]);
        for (int64_t i = 0; i < vkz_identity_count(two, doubled[x]); i++) {
            values[i] *= 2;
        }
    }
    for (int i = 0; i < 5; i++) {
        const int64_t count = vkz_identity_count(one, outputs[i]);
        double *a = vkz_identity_output(run, one, outputs[i]);
        for (int64_t k = 0; a != NULL && i >= 3 && k < count; k++) {
            a[k] *= 2;
        }
        if (!vkz_identity_equal(run, outputs[i], a,
                                vkz_identity_output(run, two, outputs[i]), count, 4)) {
            return false;
        }
    }
    return true;
}

static const struct vkz_identity identities[] = {
    {"columns", "Sinkhorn leaves columns that sum to 1",
     "COMB == COMB.sinkhorn && iters >= 10", check_columns},
    {"scale", "doubling post and comb doubles z and h0 and leaves the coefficients", NULL,
     check_scale},
    {0},
};

VKZ_OP(mhc_post_pre) = {
    .name = "mhc_post_pre",
    .family = "hyper",
    .abi = 1,
    .title = "mhc_post of a layer and mhc_pre of the next, fused",
    .doc =
        "z = mhc_post(x, f, post, comb), rounded to its type\n"
        "h0, next_pre, next_post, next_comb = mhc_pre(z, phi, scale, base, normw)\n"
        "NORM_OUT: h0 ← gain ∘ h0 / sqrt(mean(h0²) + eps_norm)\n"
        "\n"
        "mHC arXiv 2512.24880. On one device a kernel of this op gives the same bits as\n"
        "mhc_post_row and mhc_pre_row after each other.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = MHC_VALID,
    .valid_reason = MHC_VALID_REASON,
    .flops = "rows * streams * width * (2 * (" MHC_PHI_ROWS ") + 6 + 2 * streams)",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
