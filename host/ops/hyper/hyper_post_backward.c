// SPDX-License-Identifier: MIT
// hyper_post_backward: gradients of hyper_post.
#include "ops/hyper/hyper.h"

static const struct vkz_dim dims[] = {HYPER_STREAM_DIMS, {0}};
static const struct vkz_tensor tensors[] = {
    {"dz", VKZ_IN, "T", "rows, streams, width", NULL, "normal(1)", "gradient of z, and of y"},
    {"f", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "output of the layer"},
    {"beta", VKZ_IN, "f32", "rows, streams", NULL, "normal(1)", "depth weights"},
    {"df", VKZ_OUT, "T", "rows, width", NULL, NULL, NULL},
    {"dbeta", VKZ_OUT, "f32", "rows, streams", NULL, NULL, NULL},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct hyper_shape shape = hyper_streams(ref);
    const real *dz = hyper_load(ref, "dz", row, shape.s * shape.c);
    const real *f = hyper_load(ref, "f", row, shape.c);
    const real *beta = hyper_load(ref, "beta", row, shape.s);
    double *df = vkz_ref_out(ref, "df"), *df_scale = vkz_ref_scale(ref, "df");
    double *dbeta = vkz_ref_out(ref, "dbeta"), *scale = vkz_ref_scale(ref, "dbeta");
    for (int64_t l = 0; l < shape.c; l++) {
        real sum = 0, magnitude = 0;
        for (int64_t i = 0; i < shape.s; i++) {
            sum += beta[i] * dz[i * shape.c + l];
            magnitude += fabs(beta[i] * dz[i * shape.c + l]);
        }
        df[l] = (double)sum;
        df_scale[l] = (double)magnitude;
    }
    for (int64_t i = 0; i < shape.s; i++) {
        real sum = 0, magnitude = 0;
        for (int64_t l = 0; l < shape.c; l++) {
            sum += f[l] * dz[i * shape.c + l];
            magnitude += fabs(f[l] * dz[i * shape.c + l]);
        }
        dbeta[i] = (double)sum;
        scale[i] = (double)magnitude;
    }
}

// Both are gradients of the sum of beta_i f · dz_i: f · df = beta · dbeta in every row.
static bool check_euler(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t width = vkz_identity_dim(run, "width");
    const int64_t streams = vkz_identity_dim(run, "streams");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const float *f = vkz_identity_float(run, data, "f");
    const float *beta = vkz_identity_float(run, data, "beta");
    const double *df = vkz_identity_output(run, data, "df");
    const double *dbeta = vkz_identity_output(run, data, "dbeta");
    // One more than the rows: the size that the terms have, on both sides.
    double *one = vkz_identity_temp(run, rows + 1);
    double *two = vkz_identity_temp(run, rows + 1);
    if (!f || !beta || !df || !dbeta || !one || !two) {
        return false;
    }
    for (int64_t i = 0; i < rows * width; i++) {
        one[i / width] += df[i] * (double)f[i];
        one[rows] += fabs(df[i] * (double)f[i]);
    }
    for (int64_t i = 0; i < rows * streams; i++) {
        two[i / streams] += dbeta[i] * (double)beta[i];
    }
    two[rows] = one[rows];
    return vkz_identity_equal(run, "df", one, two, rows + 1, 2);
}

static const struct vkz_identity identities[] = {
    {"euler", "f · df is beta · dbeta", NULL, check_euler},
    {0},
};

VKZ_OP(hyper_post_backward) = {
    .name = "hyper_post_backward",
    .family = "hyper",
    .abi = 1,
    .forward = "hyper_post",
    .title = "gradients of hyper_post",
    .doc = "df = Σ_i beta_i dz_i,  dbeta_i = f · dz_i\n"
           "\n"
           "The gradient of y is dz. Hyper-connections arXiv 2409.19606.",
    .dims = dims,
    .tensors = tensors,
    .flops = "rows * width * streams * 4",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
