// SPDX-License-Identifier: MIT
// augmented_shortcut: bottlenecks beside attention's shortcut, and a sum of activations.
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

enum { PART_SHORTCUT, PART_SERIES };

static const struct vkz_dim dims[] = {
    {"rows", "tokens", NULL},
    {"width", "model width", NULL},
    {"m", "bottlenecks", "1"},
    {"br", "width of a bottleneck", "1"},
    {"n", "activations of the series", "1"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"PART", "shortcut series", "the shortcut around attention, or the activation"},
    {0},
};

#define WHEN_SHORTCUT "PART == PART.shortcut"
#define WHEN_SERIES "PART == PART.series"

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "input of the layer"},
    {"msa", VKZ_IN, "T", "rows, width", WHEN_SHORTCUT, "normal(1)", "attention's output"},
    {"wdn", VKZ_IN, "T", "m, br, width", WHEN_SHORTCUT, "linear_w", "into the bottlenecks"},
    {"wup", VKZ_IN, "T", "m, width, br", WHEN_SHORTCUT, "linear_w", "out of them"},
    {"a", VKZ_IN, "f32", "n, width", WHEN_SERIES, "normal(1)", "factors of the series"},
    {"b", VKZ_IN, "f32", "n, width", WHEN_SERIES, "normal(1)", "offsets of the series"},
    {"z", VKZ_OUT, "T", "rows, width", NULL, NULL, "the sum"},
    {0},
};

static real gelu(real x)
{
    return (real)0.5 * x * ((real)1 + erf(x * (real)0.70710678118654752440));
}

static void shortcut_row(struct vkz_ref *ref, int64_t row, double *z, double *scale)
{
    const int64_t width = vkz_ref_dim(ref, "width"), m = vkz_ref_dim(ref, "m");
    const int64_t br = vkz_ref_dim(ref, "br");
    const float *x = vkz_ref_in(ref, "x") + row * width;
    const float *msa = vkz_ref_in(ref, "msa") + row * width;
    const float *wdn = vkz_ref_in(ref, "wdn"), *wup = vkz_ref_in(ref, "wup");
    real *hidden = vkz_ref_temp(ref, (size_t)(m * br) * sizeof(real));
    real *hidden_magnitude = vkz_ref_temp(ref, (size_t)(m * br) * sizeof(real));
    for (int64_t j = 0; j < m * br; j++) {
        real sum = 0, magnitude = 0;
        for (int64_t l = 0; l < width; l++) {
            sum += (real)wdn[j * width + l] * (real)x[l];
            magnitude += fabs((real)wdn[j * width + l] * (real)x[l]);
        }
        hidden[j] = gelu(sum);
        hidden_magnitude[j] = magnitude; // gelu is nowhere steeper than 1.13
    }
    for (int64_t l = 0; l < width; l++) {
        real sum = (real)msa[l] + (real)x[l];
        real magnitude = fabs((real)msa[l]) + fabs((real)x[l]);
        for (int64_t i = 0; i < m; i++) {
            for (int64_t j = 0; j < br; j++) {
                const real up = (real)wup[(i * width + l) * br + j];
                sum += up * hidden[i * br + j];
                magnitude += fabs(up) * hidden_magnitude[i * br + j];
            }
        }
        z[l] = (double)sum;
        scale[l] = (double)magnitude;
    }
}

static void series_row(struct vkz_ref *ref, int64_t row, double *z, double *scale)
{
    const int64_t width = vkz_ref_dim(ref, "width"), n = vkz_ref_dim(ref, "n");
    const float *x = vkz_ref_in(ref, "x") + row * width;
    const float *a = vkz_ref_in(ref, "a"), *b = vkz_ref_in(ref, "b");
    for (int64_t l = 0; l < width; l++) {
        real sum = 0, magnitude = 0;
        for (int64_t i = 0; i < n; i++) {
            const real scaled = (real)a[i * width + l] * (real)x[l];
            const real offset = (real)b[i * width + l];
            sum += gelu(scaled + offset);
            magnitude += fabs(scaled) + fabs(offset);
        }
        z[l] = (double)sum;
        scale[l] = (double)magnitude;
    }
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    double *z = vkz_ref_out(ref, "z"), *scale = vkz_ref_scale(ref, "z");
    if (vkz_ref_dim(ref, "PART") == PART_SHORTCUT) {
        shortcut_row(ref, row, z, scale);
    } else {
        series_row(ref, row, z, scale);
    }
}

// On numbers of its own: a NaN times zero is NaN.
static bool check_plain(struct vkz_identity_run *run)
{
    struct vkz_data *data =
        vkz_identity_inputs(run, "fill.x=normal(1) fill.msa=normal(1) fill.wup=const(0)");
    const float *x = vkz_identity_float(run, data, "x");
    const float *msa = vkz_identity_float(run, data, "msa");
    const int64_t count = vkz_identity_count(data, "z");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; x && msa && expected && i < count; i++) {
        expected[i] = (double)x[i] + (double)msa[i];
    }
    return vkz_identity_equal(run, "z", expected, vkz_identity_output(run, data, "z"),
                              count, 2);
}

// One activation with a = 1 and b = 0 is gelu: z(x) - z(-x) = x.
static bool check_gelu(struct vkz_identity_run *run)
{
    struct vkz_data *one =
        vkz_identity_inputs(run, "n=1 fill.x=normal(1) fill.a=const(1) fill.b=const(0)");
    struct vkz_data *two =
        vkz_identity_inputs(run, "n=1 fill.x=normal(1) fill.a=const(-1) fill.b=const(0)");
    const float *x = vkz_identity_float(run, one, "x");
    double *z = vkz_identity_output(run, one, "z");
    const double *turned = vkz_identity_output(run, two, "z");
    const int64_t count = vkz_identity_count(one, "z");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; x && z && turned && expected && i < count; i++) {
        z[i] -= turned[i];
        expected[i] = (double)x[i];
    }
    return vkz_identity_equal(run, "z", expected, z, count, 2);
}

static const struct vkz_identity identities[] = {
    {"plain", "without wup the shortcut is x + msa", WHEN_SHORTCUT, check_plain},
    {"gelu", "one plain activation has gelu's odd part, x / 2", WHEN_SERIES, check_gelu},
    {0},
};

VKZ_OP(augmented_shortcut) = {
    .name = "augmented_shortcut",
    .family = "hyper",
    .abi = 1,
    .title = "shortcut around attention with bottlenecks, and a series of activations",
    .doc = "PART=shortcut: z = msa + x + Σ_{i<m} wup_i gelu(wdn_i x)\n"
           "PART=series:   z = Σ_{i<n} gelu(a_i ∘ x + b_i)\n"
           "\n"
           "gelu in its erf form. PanGu-π arXiv 2312.17276.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "PART == PART.shortcut ? rows * m * 4 * width * br : rows * n * width * 10",
    .sum_length = "PART == PART.shortcut ? width : 1",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
