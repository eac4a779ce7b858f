// SPDX-License-Identifier: MIT
// parallel_block: attention and feed-forward layers side by side: the projection into both,
// and the one out of both.
#include <stddef.h>
#include <stdio.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

enum { PART_INPUT, PART_OUTPUT };
enum { NORM_RMS, NORM_LAYER };

static const struct vkz_dim dims[] = {
    {"rows", "tokens", NULL},
    {"width", "model width", NULL},
    {"na", "outputs of the projection for attention (q, k and v)", "1"},
    {"nf", "outputs of the projection for the feed-forward layer", "1"},
    {"ka", "inputs from attention", "1"},
    {"kf", "inputs from the feed-forward layer", "1"},
    {0},
};

static const struct vkz_scalar scalars[] = {{"eps", "1e-6", "added to the mean square"}, {0}};

static const struct vkz_axis axes[] = {
    {"PART", "input output", "which of the two projections; na and nf, or ka and kf matter"},
    {"NORM", "rms layer", "norm of the input; its weights are part of w"},
    {"BIAS", "off on", "whether the input projection adds a bias"},
    {0},
};

#define WHEN_INPUT "PART == PART.input"
#define WHEN_OUTPUT "PART == PART.output"

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "the residual stream"},
    {"w", VKZ_IN, "T", "na + nf, width", WHEN_INPUT, "linear_w", "weights of both inputs"},
    {"bias", VKZ_IN, "f32", "na + nf", "PART == PART.input && BIAS == BIAS.on", "normal(1)",
     "one an output"},
    {"a", VKZ_IN, "T", "rows, ka", WHEN_OUTPUT, "normal(1)", "attention's values"},
    {"g", VKZ_IN, "T", "rows, kf", WHEN_OUTPUT, "normal(1)", "the feed-forward layer's"},
    {"wo", VKZ_IN, "T", "width, ka", WHEN_OUTPUT, "linear_w", "output weights of attention"},
    {"wd", VKZ_IN, "T", "width, kf", WHEN_OUTPUT, "linear_w", "of the feed-forward layer"},
    {"qkv", VKZ_OUT, "T", "rows, na", WHEN_INPUT, NULL, "for attention"},
    {"ffn", VKZ_OUT, "T", "rows, nf", WHEN_INPUT, NULL, "for the feed-forward layer"},
    {"y", VKZ_OUT, "T", "rows, width", WHEN_OUTPUT, NULL, "the new residual stream"},
    {0},
};

// Adds a product of one row with a row of weights, and its magnitude.
static void product(const real *a, const float *w, int64_t count, real *sum,
                    real *magnitude)
{
    for (int64_t l = 0; l < count; l++) {
        const real term = a[l] * (real)w[l];
        *sum += term;
        *magnitude += fabs(term);
    }
}

static void input_row(struct vkz_ref *ref, int64_t row)
{
    const int64_t width = vkz_ref_dim(ref, "width");
    const int64_t na = vkz_ref_dim(ref, "na"), nf = vkz_ref_dim(ref, "nf");
    const float *x = vkz_ref_in(ref, "x") + row * width, *w = vkz_ref_in(ref, "w");
    const float *bias = vkz_ref_in(ref, "bias");
    double *qkv = vkz_ref_out(ref, "qkv"), *ffn = vkz_ref_out(ref, "ffn");
    double *qkv_scale = vkz_ref_scale(ref, "qkv"), *ffn_scale = vkz_ref_scale(ref, "ffn");
    real *n = vkz_ref_temp(ref, (size_t)width * sizeof(real));
    real mean = 0, square = 0;
    for (int64_t l = 0; vkz_ref_dim(ref, "NORM") == NORM_LAYER && l < width; l++) {
        mean += (real)x[l] / (real)width;
    }
    for (int64_t l = 0; l < width; l++) {
        n[l] = (real)x[l] - mean;
        square += n[l] * n[l];
    }
    const real r = (real)1 / sqrt(square / (real)width + (real)vkz_ref_value(ref, "eps"));
    for (int64_t l = 0; l < width; l++) {
        n[l] *= r;
    }
    for (int64_t j = 0; j < na + nf; j++) {
        real sum = 0, magnitude = 0, off = 0;
        product(n, w + j * width, width, &sum, &magnitude);
        for (int64_t l = 0; mean != 0 && l < width; l++) {
            off += fabs((real)w[j * width + l]);
        }
        magnitude += fabs(mean) * r * off;
        if (bias != NULL) {
            sum += (real)bias[j];
            magnitude += fabs((real)bias[j]);
        }
        *(j < na ? qkv + j : ffn + j - na) = (double)sum;
        *(j < na ? qkv_scale + j : ffn_scale + j - na) = (double)magnitude;
    }
}

static real *widen(struct vkz_ref *ref, const char *name, int64_t row, int64_t count)
{
    const float *from = vkz_ref_in(ref, name) + row * count;
    real *to = vkz_ref_temp(ref, (size_t)count * sizeof(real));
    for (int64_t i = 0; i < count; i++) {
        to[i] = (real)from[i];
    }
    return to;
}

static void output_row(struct vkz_ref *ref, int64_t row)
{
    const int64_t width = vkz_ref_dim(ref, "width");
    const int64_t ka = vkz_ref_dim(ref, "ka"), kf = vkz_ref_dim(ref, "kf");
    const real *a = widen(ref, "a", row, ka), *g = widen(ref, "g", row, kf);
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    for (int64_t j = 0; j < width; j++) {
        real sum = (real)vkz_ref_in(ref, "x")[row * width + j], magnitude = fabs(sum);
        product(a, vkz_ref_in(ref, "wo") + j * ka, ka, &sum, &magnitude);
        product(g, vkz_ref_in(ref, "wd") + j * kf, kf, &sum, &magnitude);
        y[j] = (double)sum;
        scale[j] = (double)magnitude;
    }
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    if (vkz_ref_dim(ref, "PART") == PART_INPUT) {
        input_row(ref, row);
    } else {
        output_row(ref, row);
    }
}

// One row of everything: outputs swap when the halves of the weights do.
static bool check_swap(struct vkz_identity_run *run)
{
    const int64_t width = vkz_identity_dim(run, "width");
    const int64_t na = vkz_identity_dim(run, "na"), nf = vkz_identity_dim(run, "nf");
    char settings[64];
    snprintf(settings, sizeof settings, "na=%lld nf=%lld", (long long)nf, (long long)na);
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, settings);
    const struct { const char *name; int64_t size; } turned[] = {{"w", width}, {"bias", 1}};
    for (int i = 0; i < 2; i++) {
        const float *from = vkz_identity_float(run, one, turned[i].name);
        float *to = vkz_identity_float(run, two, turned[i].name);
        const int64_t count = vkz_identity_count(one, turned[i].name);
        for (int64_t j = 0; from && to && j < count; j++) {
            to[(j + nf * turned[i].size) % count] = from[j];
        }
    }
    return vkz_identity_equal(run, "qkv", vkz_identity_output(run, one, "qkv"),
                              vkz_identity_output(run, two, "ffn"),
                              vkz_identity_count(one, "qkv"), 2) &&
           vkz_identity_equal(run, "ffn", vkz_identity_output(run, one, "ffn"),
                              vkz_identity_output(run, two, "qkv"),
                              vkz_identity_count(one, "ffn"), 2);
}

// y - x is the sum of both products, each by itself.
static bool check_separate(struct vkz_identity_run *run)
{
    struct vkz_data *both = vkz_identity_inputs(run, "fill.x=const(0)");
    struct vkz_data *attention = vkz_identity_inputs(run, "fill.x=const(0) fill.wd=const(0) "
                                                          "fill.g=const(1)");
    struct vkz_data *feed = vkz_identity_inputs(run, "fill.x=const(0) fill.wo=const(0) "
                                                     "fill.a=const(1)");
    const int64_t count = vkz_identity_count(both, "y");
    double *sum = vkz_identity_output(run, attention, "y");
    const double *other = vkz_identity_output(run, feed, "y");
    for (int64_t i = 0; sum && other && i < count; i++) {
        sum[i] += other[i];
    }
    return vkz_identity_equal(run, "y", vkz_identity_output(run, both, "y"), sum, count, 3);
}

static const struct vkz_identity identities[] = {
    {"swap", "swapping the halves of the weights swaps the outputs", WHEN_INPUT, check_swap},
    {"separate", "both products by themselves add up to the output", WHEN_OUTPUT,
     check_separate},
    {0},
};

VKZ_OP(parallel_block) = {
    .name = "parallel_block",
    .family = "hyper",
    .abi = 1,
    .title = "one projection into parallel attention and feed-forward layers, one out",
    .doc = "PART=input:  [qkv | ffn] = norm(x) wᵀ + bias\n"
           "PART=output: y = x + a woᵀ + g wdᵀ, one product of length ka + kf\n"
           "\n"
           "norm(x) = x / sqrt(mean(x²) + eps), of x less its mean for NORM=layer; weights\n"
           "of a norm belong into w.\n"
           "PaLM arXiv 2204.02311, parallel attention and feed-forward net arXiv 2305.13297.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "PART == PART.input || BIAS == BIAS.off",
    .valid_reason = "only the input projection has a bias",
    .flops = "2 * rows * width * (PART == PART.input ? na + nf : ka + kf)",
    .sum_length = "PART == PART.input ? width : ka + kf",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
