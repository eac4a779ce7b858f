// SPDX-License-Identifier: MIT
// mhc_sinkhorn_backward: gradient of mhc_sinkhorn.
#include "ops/hyper/mhc.h"

static const struct vkz_dim dims[] = {{"rows", "matrices", NULL},
                                      {"streams", "rows and columns of a matrix", NULL},
                                      MHC_ITERS,
                                      {0}};
static const struct vkz_scalar scalars[] = {{"eps_sk", "1e-6", "added to every sum"},
                                            {0}};
static const struct vkz_tensor tensors[] = {
    {"logits", VKZ_IN, "f32", "rows, streams, streams", NULL, NULL, NULL},
    {"dcomb", VKZ_IN, "f32", "rows, streams, streams", NULL, NULL, "gradient of comb"},
    {"dlogits", VKZ_OUT, "f32", "rows, streams, streams", NULL, NULL, NULL},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int s = (int)vkz_ref_dim(ref, "streams");
    const float *logits = vkz_ref_in(ref, "logits") + row * s * s;
    const float *dcomb = vkz_ref_in(ref, "dcomb") + row * s * s;
    double *out = vkz_ref_out(ref, "dlogits"), *scale = vkz_ref_scale(ref, "dlogits");
    real m[MHC_MAX_STREAMS * MHC_MAX_STREAMS], g[MHC_MAX_STREAMS * MHC_MAX_STREAMS];
    for (int i = 0; i < s * s; i++) {
        m[i] = (real)logits[i];
        g[i] = (real)dcomb[i];
    }
    const real largest =
        mhc_sinkhorn_gradient(ref, m, g, s, vkz_ref_dim(ref, "iters"),
                              (real)vkz_ref_value(ref, "eps_sk"));
    for (int i = 0; i < s * s; i++) {
        out[i] = (double)g[i];
        scale[i] = (double)largest;
    }
}

// A constant in a row of logits has no effect, so no gradient points there.
static bool check_orthogonal(struct vkz_identity_run *run)
{
    const int64_t s = vkz_identity_dim(run, "streams");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const double *d = vkz_identity_output(run, data, "dlogits");
    const int64_t lines = vkz_identity_count(data, "dlogits") / s;
    // One more than the rows: the size that what cancels has, on both sides.
    double *sum = vkz_identity_temp(run, lines + 1);
    double *zero = vkz_identity_temp(run, lines + 1);
    if (d == NULL || sum == NULL || zero == NULL) {
        return false;
    }
    for (int64_t i = 0; i < lines * s; i++) {
        sum[i / s] += d[i] / (double)s;
        sum[lines] = fmax(sum[lines], fmax(1, fabs(d[i])));
    }
    zero[lines] = sum[lines];
    return vkz_identity_equal(run, "dlogits", sum, zero, lines + 1, 4);
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"dcomb", NULL};
    static const char *const outputs[] = {"dlogits", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

static const struct vkz_identity identities[] = {
    {"orthogonal", "gradients of a row's logits sum to 0", NULL, check_orthogonal},
    {"linear", "doubling dcomb doubles dlogits", NULL, check_linear},
    {0},
};

VKZ_OP(mhc_sinkhorn_backward) = {
    .name = "mhc_sinkhorn_backward",
    .family = "hyper",
    .abi = 1,
    .forward = "mhc_sinkhorn",
    .title = "gradient of mhc_sinkhorn",
    .doc = "From the last step to the first, y and den the step's result and divisors:\n"
           "g ← (g - Σ_line g ∘ y) / den\n"
           "dlogits = p ∘ (g - Σ_row g ∘ p), p the softmax of the first step\n"
           "\n"
           "mHC arXiv 2512.24880.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = "streams <= 16",
    .valid_reason = "a lane holds a matrix of at most 16 streams",
    .flops = "rows * 12 * streams * streams * iters",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
