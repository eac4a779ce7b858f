// SPDX-License-Identifier: MIT
// mhc_post_backward: gradients of mhc_post.
#include "ops/hyper/mhc_post.h"

static const struct vkz_dim dims[] = {MHC_DIMS, {0}};
static const struct vkz_tensor tensors[] = {
    MHC_POST_TENSORS,
    {"dz", VKZ_IN, "T", "rows, streams, width", NULL, NULL, "gradient of z"},
    {"dx", VKZ_OUT, "T", "rows, streams, width", NULL, NULL, NULL},
    {"df", VKZ_OUT, "T", "rows, width", NULL, NULL, NULL},
    {"dpost", VKZ_OUT, "f32", "rows, streams", NULL, NULL, NULL},
    {"dcomb", VKZ_OUT, "f32", "rows, streams, streams", NULL, NULL, NULL},
    {0},
};

static void put_dot(const float *a, const float *b, int64_t width, double *to,
                    double *scale)
{
    real sum = 0, magnitude = 0;
    for (int64_t k = 0; k < width; k++) {
        sum += (real)a[k] * (real)b[k];
        magnitude += fabs((real)a[k] * (real)b[k]);
    }
    *to = (double)sum;
    *scale = (double)magnitude;
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t s = vkz_ref_dim(ref, "streams"), width = vkz_ref_dim(ref, "width");
    const float *x = vkz_ref_in(ref, "x") + row * s * width;
    const float *f = vkz_ref_in(ref, "f") + row * width;
    const float *post = vkz_ref_in(ref, "post") + row * s;
    const float *comb = vkz_ref_in(ref, "comb") + row * s * s;
    const float *dz = vkz_ref_in(ref, "dz") + row * s * width;
    double *dx = vkz_ref_out(ref, "dx"), *dx_scale = vkz_ref_scale(ref, "dx");
    double *df = vkz_ref_out(ref, "df"), *df_scale = vkz_ref_scale(ref, "df");
    double *dpost = vkz_ref_out(ref, "dpost"), *dpost_scale = vkz_ref_scale(ref, "dpost");
    double *dcomb = vkz_ref_out(ref, "dcomb"), *dcomb_scale = vkz_ref_scale(ref, "dcomb");
    for (int64_t k = 0; k < width; k++) {
        real sum = 0, magnitude = 0;
        for (int64_t j = 0; j < s; j++) {
            const real term = (real)post[j] * (real)dz[j * width + k];
            sum += term;
            magnitude += fabs(term);
        }
        df[k] = (double)sum;
        df_scale[k] = (double)magnitude;
    }
    for (int64_t i = 0; i < s; i++) {
        for (int64_t k = 0; k < width; k++) {
            real sum = 0, magnitude = 0;
            for (int64_t j = 0; j < s; j++) {
                const real term = (real)comb[i * s + j] * (real)dz[j * width + k];
                sum += term;
                magnitude += fabs(term);
            }
            dx[i * width + k] = (double)sum;
            dx_scale[i * width + k] = (double)magnitude;
        }
        put_dot(dz + i * width, f, width, &dpost[i], &dpost_scale[i]);
        for (int64_t j = 0; j < s; j++) {
            put_dot(x + i * width, dz + j * width, width, &dcomb[i * s + j],
                    &dcomb_scale[i * s + j]);
        }
    }
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const outputs[] = {"dx", "df", "dpost", "dcomb"};
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *dz = vkz_identity_float(run, two, "dz");
    for (int64_t i = 0; i < vkz_identity_count(two, "dz"); i++) {
        dz[i] *= 2;
    }
    for (int i = 0; i < 4; i++) {
        const int64_t count = vkz_identity_count(one, outputs[i]);
        double *a = vkz_identity_output(run, one, outputs[i]);
        for (int64_t k = 0; a != NULL && k < count; k++) {
            a[k] *= 2;
        }
        if (!vkz_identity_equal(run, outputs[i], a,
                                vkz_identity_output(run, two, outputs[i]), count, 2)) {
            return false;
        }
    }
    return true;
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dz doubles every gradient", NULL, check_linear},
    {0},
};

VKZ_OP(mhc_post_backward) = {
    .name = "mhc_post_backward",
    .family = "hyper",
    .abi = 1,
    .forward = "mhc_post",
    .title = "gradients of mhc_post",
    .doc = "dx_i = Σ_j comb[i,j] dz_j,  df = Σ_j post_j dz_j\n"
           "dpost_j = dz_j·f,  dcomb[i,j] = x_i·dz_j\n"
           "\n"
           "mHC arXiv 2512.24880.",
    .dims = dims,
    .tensors = tensors,
    .valid = "streams <= 8",
    .valid_reason = "a lane holds the sums of at most 8 streams",
    .flops = "rows * width * 4 * streams * (streams + 1)",
    .sum_length = "width",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
