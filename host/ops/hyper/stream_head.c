// SPDX-License-Identifier: MIT
// stream_head: the residual streams of a token, weighted by gates and added.
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"rows", "tokens", NULL},
    {"streams", "residual streams", NULL},
    {"width", "elements of a stream", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"eps_norm", "1e-6", "added to the mean square of all streams"},
    {"eps_pre", "1e-6", "added to every gate"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, streams, width", NULL, "normal(1)", "streams"},
    {"phi", VKZ_IN, "f32", "streams, streams * width", NULL, "linear_w",
     "one row a gate, over all streams"},
    {"scale", VKZ_IN, "f32", "1", NULL, "uniform(0.5,1.5)", "factor of every product"},
    {"base", VKZ_IN, "f32", "streams", NULL, "normal(1)", "added to it"},
    {"h", VKZ_OUT, "T", "rows, width", NULL, NULL, "the weighted sum"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t streams = vkz_ref_dim(ref, "streams"), width = vkz_ref_dim(ref, "width");
    const int64_t size = streams * width;
    const float *x = vkz_ref_in(ref, "x") + row * size;
    const float *phi = vkz_ref_in(ref, "phi"), *base = vkz_ref_in(ref, "base");
    const real factor = (real)vkz_ref_in(ref, "scale")[0];
    double *h = vkz_ref_out(ref, "h"), *scale = vkz_ref_scale(ref, "h");
    real *sum = vkz_ref_temp(ref, (size_t)width * sizeof(real));
    real square = 0;
    for (int64_t c = 0; c < size; c++) {
        square += (real)x[c] * (real)x[c];
    }
    const real r =
        (real)1 / sqrt(square / (real)size + (real)vkz_ref_value(ref, "eps_norm"));
    for (int64_t i = 0; i < streams; i++) {
        real dot = 0, magnitude = 0;
        for (int64_t c = 0; c < size; c++) {
            const real term = (real)phi[i * size + c] * (real)x[c];
            dot += term;
            magnitude += fabs(term);
        }
        const real a = factor * dot * r + (real)base[i];
        const real gate = (real)1 / ((real)1 + exp(-a));
        const real steep = gate * ((real)1 - gate);
        const real weight = gate + (real)vkz_ref_value(ref, "eps_pre");
        const real weight_magnitude =
            weight + steep * (fabs(factor) * magnitude * r + fabs((real)base[i]));
        for (int64_t c = 0; c < width; c++) {
            sum[c] += weight * (real)x[i * width + c];
            scale[c] += (double)(weight_magnitude * fabs((real)x[i * width + c]));
        }
    }
    for (int64_t c = 0; c < width; c++) {
        h[c] = (double)sum[c];
    }
}

static bool check_scale(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "eps_norm=0");
    struct vkz_data *two = vkz_identity_inputs(run, "eps_norm=0");
    float *x = vkz_identity_float(run, two, "x");
    for (int64_t i = 0; i < vkz_identity_count(two, "x"); i++) {
        x[i] *= 2;
    }
    const int64_t count = vkz_identity_count(one, "h");
    double *h = vkz_identity_output(run, one, "h");
    for (int64_t i = 0; h != NULL && i < count; i++) {
        h[i] *= 2;
    }
    return vkz_identity_equal(run, "h", h, vkz_identity_output(run, two, "h"), count, 2);
}

// σ(base) for all: with phi = 0 and base = 0 the gates are 1/2 + eps.
static bool check_half(struct vkz_identity_run *run)
{
    const int64_t streams = vkz_identity_dim(run, "streams");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *data = vkz_identity_inputs(
        run, "fill.phi=const(0) fill.base=const(0) fill.x=normal(1)");
    const float *x = vkz_identity_float(run, data, "x");
    const double *h = vkz_identity_output(run, data, "h");
    const int64_t count = vkz_identity_count(data, "h");
    double *expected = vkz_identity_temp(run, count);
    if (x == NULL || h == NULL || expected == NULL) {
        return false;
    }
    for (int64_t i = 0; i < vkz_identity_count(data, "x"); i++) {
        expected[i / (streams * width) * width + i % width] +=
            (0.5 + vkz_identity_value(run, "eps_pre")) * (double)x[i];
    }
    return vkz_identity_equal(run, "h", expected, h, count, 2);
}

static const struct vkz_identity identities[] = {
    {"scale", "with eps_norm = 0, doubling x leaves the gates and doubles h", NULL,
     check_scale},
    {"half", "without phi and base every gate is one half", NULL, check_half},
    {0},
};

VKZ_OP(stream_head) = {
    .name = "stream_head",
    .family = "hyper",
    .abi = 1,
    .title = "gated sum of a token's residual streams",
    .doc = "v = vec(x),  r = 1 / sqrt(mean(v²) + eps_norm)\n"
           "h = Σ_i (σ(scale r (phi_i · v) + base_i) + eps_pre) x_i\n"
           "\n"
           "The output of a model with manifold-constrained hyper-connections.\n"
           "mHC arXiv 2512.24880.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .flops = "rows * streams * width * (2 * streams + 4)",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
