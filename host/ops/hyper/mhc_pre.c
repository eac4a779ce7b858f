// SPDX-License-Identifier: MIT
// mhc_pre: coefficients of manifold-constrained hyper-connections, and the layer's input.
#include "ops/hyper/mhc.h"

static const struct vkz_dim dims[] = {MHC_DIMS, MHC_ITERS, {0}};
static const struct vkz_scalar scalars[] = {MHC_SCALARS, {0}};
static const struct vkz_axis axes[] = {MHC_AXES, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, streams, width", NULL, NULL, "residual streams"},
    MHC_PARAMETERS,
    {"h0", VKZ_OUT, "T", "rows, width", NULL, NULL, "the layer's input"},
    {"pre", VKZ_OUT, "f32", "rows, streams", NULL, NULL, "weights of the streams in h0"},
    {"post", VKZ_OUT, "f32", "rows, streams", NULL, NULL,
     "weights of the layer's output in the streams"},
    {"comb", VKZ_OUT, "f32", "rows, streams, streams", NULL, NULL,
     "source, target: how streams are mixed"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t width = vkz_ref_dim(ref, "width");
    const int64_t size = vkz_ref_dim(ref, "streams") * width;
    const float *x = vkz_ref_in(ref, "x") + row * size;
    real *v = vkz_ref_temp(ref, (size_t)size * sizeof(real));
    for (int64_t k = 0; k < size; k++) {
        v[k] = (real)x[k];
    }
    struct mhc_token t;
    mhc_coefficients(ref, v, NULL, &t);
    mhc_put(ref, &t, "pre", "post", "comb");
    double *h0 = vkz_ref_out(ref, "h0"), *scale = vkz_ref_scale(ref, "h0");
    for (int64_t k = 0; k < width; k++) {
        real sum, magnitude;
        mhc_mix(&t, v, NULL, width, k, &sum, &magnitude);
        h0[k] = (double)sum;
        scale[k] = (double)magnitude;
    }
}

static bool check_columns(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "eps_sk=1e-6");
    return mhc_check_columns(run, "comb", vkz_identity_output(run, data, "comb"),
                             vkz_identity_dim(run, "rows"),
                             vkz_identity_dim(run, "streams"));
}

// Sums of the rows, and columns, of a weighted sum of permutations are the weights' sum.
static bool check_stochastic(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t s = vkz_identity_dim(run, "streams");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const double *comb = vkz_identity_output(run, data, "comb");
    double *sum = vkz_identity_temp(run, 2 * rows * s);
    double *one = vkz_identity_temp(run, 2 * rows * s);
    if (comb == NULL || sum == NULL || one == NULL) {
        return false;
    }
    for (int64_t i = 0; i < 2 * rows * s; i++) {
        one[i] = 1;
    }
    for (int64_t i = 0; i < rows * s * s; i++) {
        sum[i / s] += comb[i];
        sum[rows * s + i / (s * s) * s + i % s] += comb[i];
    }
    return vkz_identity_equal(run, "comb", sum, one, 2 * rows * s, 2);
}

// Without phi the coefficients are those of base, whatever x is.
static bool check_static(struct vkz_identity_run *run)
{
    static const char *const outputs[] = {"pre", "post", "comb"};
    struct vkz_data *one = vkz_identity_inputs(run, "fill.phi=const(0)");
    struct vkz_data *two = vkz_identity_inputs(run,
                                               "fill.phi=const(0) fill.x=uniform(-1,1)");
    for (int i = 0; i < 3; i++) {
        if (!vkz_identity_equal(run, outputs[i],
                                vkz_identity_output(run, one, outputs[i]),
                                vkz_identity_output(run, two, outputs[i]),
                                vkz_identity_count(one, outputs[i]), 2)) {
            return false;
        }
    }
    return true;
}

// The norm takes a factor of x out of the coefficients, not out of h0.
static bool check_scale(struct vkz_identity_run *run)
{
    static const char *const outputs[] = {"pre", "post", "comb", "h0"};
    struct vkz_data *one = vkz_identity_inputs(run, "eps_norm=0");
    struct vkz_data *two = vkz_identity_inputs(run, "eps_norm=0");
    float *x = vkz_identity_float(run, two, "x");
    for (int64_t i = 0; i < vkz_identity_count(two, "x"); i++) {
        x[i] *= 2;
    }
    for (int i = 0; i < 4; i++) {
        const int64_t count = vkz_identity_count(one, outputs[i]);
        double *a = vkz_identity_output(run, one, outputs[i]);
        for (int64_t k = 0; a != NULL && i == 3 && k < count; k++) {
            a[k] *= 2;
        }
        if (!vkz_identity_equal(run, outputs[i], a,
                                vkz_identity_output(run, two, outputs[i]), count, 4)) {
            return false;
        }
    }
    return true;
}

// Logits of +30 on the diagonal and -30 beside it leave every stream to itself.
static bool check_identity(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t s = vkz_identity_dim(run, "streams");
    struct vkz_data *data = vkz_identity_inputs(run, "fill.phi=const(0) eps_sk=0");
    float *base = vkz_identity_float(run, data, "base");
    for (int64_t i = 0; base != NULL && i < s * s; i++) {
        base[2 * s + i] = i % (s + 1) == 0 ? 30 : -30;
    }
    const double *comb = vkz_identity_output(run, data, "comb");
    double *eye = vkz_identity_temp(run, rows * s * s);
    for (int64_t i = 0; eye != NULL && i < rows * s * s; i++) {
        eye[i] = i % (s * s) % (s + 1) == 0 ? 1 : 0;
    }
    return vkz_identity_equal(run, "comb", comb, eye, rows * s * s, 2);
}

static const struct vkz_identity identities[] = {
    {"columns", "Sinkhorn leaves columns that sum to 1",
     "COMB == COMB.sinkhorn && iters >= 10", check_columns},
    {"stochastic", "rows and columns of a sum of permutations sum to 1",
     "COMB == COMB.permutation", check_stochastic},
    {"static", "without phi the coefficients do not depend on x", NULL, check_static},
    {"scale", "doubling x doubles h0 and leaves the coefficients", NULL, check_scale},
    {"identity", "a heavy diagonal of base makes comb the identity",
     "COMB == COMB.sinkhorn", check_identity},
    {0},
};

VKZ_OP(mhc_pre) = {
    .name = "mhc_pre",
    .family = "hyper",
    .abi = 1,
    .title = "manifold-constrained hyper-connections: coefficients and the layer's input",
    .doc = "v = vec(x), r = 1 / sqrt(mean(v²) + eps_norm), a = r (phi v) ∘ scale + base\n"
           "pre = σ(a[0..s)) + eps_pre,  post = mu σ(a[s..2s))\n"
           "comb = sinkhorn(a[2s..) as s × s), or Σ_p softmax(a[2s..))_p P_p over the\n"
           "permutation matrices in lexicographic order\n"
           "h0 = Σ_i pre_i x_i\n"
           "\n"
           "mHC arXiv 2512.24880.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = MHC_VALID,
    .valid_reason = MHC_VALID_REASON,
    .flops = "rows * streams * width * (2 * (" MHC_PHI_ROWS ") + 4)",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
