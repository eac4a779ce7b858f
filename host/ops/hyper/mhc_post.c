// SPDX-License-Identifier: MIT
// mhc_post: a layer's output goes into the residual streams, which are mixed.
#include "ops/hyper/mhc_post.h"

static const struct vkz_dim dims[] = {MHC_DIMS, {0}};
static const struct vkz_tensor tensors[] = {
    MHC_POST_TENSORS,
    {"z", VKZ_OUT, "T", "rows, streams, width", NULL, NULL, "the new streams"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t size = vkz_ref_dim(ref, "streams") * vkz_ref_dim(ref, "width");
    real *z = vkz_ref_temp(ref, (size_t)size * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)size * sizeof(real));
    mhc_post_token(ref, row, z, magnitude);
    double *out = vkz_ref_out(ref, "z"), *scale = vkz_ref_scale(ref, "z");
    for (int64_t k = 0; k < size; k++) {
        out[k] = (double)z[k];
        scale[k] = (double)magnitude[k];
    }
}

// comb = I and post = 1: the plain residual connection of every stream.
static bool check_residual(struct vkz_identity_run *run)
{
    const int64_t s = vkz_identity_dim(run, "streams");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *data = vkz_identity_inputs(run, "fill.post=const(1)");
    float *comb = vkz_identity_float(run, data, "comb");
    for (int64_t i = 0; i < vkz_identity_count(data, "comb"); i++) {
        comb[i] = i % (s * s) % (s + 1) == 0 ? 1 : 0;
    }
    const float *x = vkz_identity_float(run, data, "x");
    const float *f = vkz_identity_float(run, data, "f");
    const double *z = vkz_identity_output(run, data, "z");
    const int64_t count = vkz_identity_count(data, "z");
    double *sum = vkz_identity_temp(run, count);
    for (int64_t i = 0; z != NULL && sum != NULL && i < count; i++) {
        sum[i] = (double)x[i] + (double)f[i / (s * width) * width + i % width];
    }
    return vkz_identity_equal(run, "z", z, sum, count, 2);
}

// Only row i of comb says where stream i goes: with comb = e_0 e_1^T and post = 0,
// stream 1 becomes stream 0 and the others nothing.
static bool check_direction(struct vkz_identity_run *run)
{
    const int64_t s = vkz_identity_dim(run, "streams");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *data = vkz_identity_inputs(
        run, "fill.f=normal(1) fill.x=normal(1) fill.post=const(0) fill.comb=const(0)");
    float *comb = vkz_identity_float(run, data, "comb");
    for (int64_t i = 0; i < vkz_identity_count(data, "comb"); i += s * s) {
        comb[i + 1] = 1;
    }
    const float *x = vkz_identity_float(run, data, "x");
    const double *z = vkz_identity_output(run, data, "z");
    const int64_t count = vkz_identity_count(data, "z");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; z != NULL && expected != NULL && i < count; i++) {
        expected[i] = i / width % s == 1 ? (double)x[i - width] : 0;
    }
    return vkz_identity_equal(run, "z", z, expected, count, 2);
}

static const struct vkz_identity identities[] = {
    {"residual", "comb = I, post = 1 adds f to every stream", NULL, check_residual},
    {"direction", "comb is indexed source, target", "streams > 1", check_direction},
    {0},
};

VKZ_OP(mhc_post) = {
    .name = "mhc_post",
    .family = "hyper",
    .abi = 1,
    .title = "manifold-constrained hyper-connections: the new streams",
    .doc = "z_j = post_j f + Σ_i comb[i,j] x_i\n"
           "\n"
           "mHC arXiv 2512.24880. comb is source, target: it is applied transposed.",
    .dims = dims,
    .tensors = tensors,
    .valid = "streams <= 8",
    .valid_reason = "a lane holds the coefficients of at most 8 streams",
    .flops = "rows * width * 2 * streams * (streams + 1)",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
