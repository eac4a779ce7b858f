// SPDX-License-Identifier: MIT
// causal_conv1d: a short convolution along time, a channel each; contract and reference.
#include <math.h>
#include <tgmath.h>

#include "zoo/identity.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"len", "steps of time", NULL},
    {"width", "channels", NULL},
    {"taps", "weights of a channel", "4"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"ACT", "none silu", "applied to the sum"},
    {"INIT", "off on", "the inputs before the first step are given, else 0"},
    {"FINAL", "off on", "the last taps - 1 inputs are written"},
    {0},
};

#define KEPT "batch, width, max(1, taps - 1)"

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "batch, len, width", NULL, "normal(1)", "input"},
    {"weight", VKZ_IN, "f32", "width, taps", NULL, "normal(0.5)", "oldest input first"},
    {"bias", VKZ_IN, "f32", "width", NULL, "normal(1)", "added"},
    {"s0", VKZ_IN, "f32", KEPT, "INIT == INIT.on && taps > 1", "normal(1)",
     "inputs before the first step, oldest first"},
    {"y", VKZ_OUT, "T", "batch, len, width", NULL, NULL, "output"},
    {"st", VKZ_OUT, "f32", KEPT, "FINAL == FINAL.on && taps > 1", NULL,
     "the last inputs, s0 among them when len < taps - 1"},
    {0},
};

struct conv {
    int64_t len, width, taps;
    const float *x, *s0; // of this sequence; s0 may be NULL
};

// Input t of channel ch; negative t is before the first step.
static real input(const struct conv *v, int64_t t, int64_t ch)
{
    if (t >= 0) {
        return (real)v->x[t * v->width + ch];
    }
    return v->s0 != NULL ? (real)v->s0[ch * (v->taps - 1) + v->taps - 1 + t] : 0;
}

static void reference(struct vkz_ref *ref, int64_t batch)
{
    struct conv v = {
        .len = vkz_ref_dim(ref, "len"),
        .width = vkz_ref_dim(ref, "width"),
        .taps = vkz_ref_dim(ref, "taps"),
    };
    v.x = vkz_ref_in(ref, "x") + batch * v.len * v.width;
    if (vkz_ref_dim(ref, "INIT") != 0 && v.taps > 1) {
        v.s0 = vkz_ref_in(ref, "s0") + batch * v.width * (v.taps - 1);
    }
    const bool silu = vkz_ref_dim(ref, "ACT") != 0;
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    double *st = vkz_ref_out(ref, "st");
    for (int64_t t = 0; t < v.len; t++) {
        for (int64_t ch = 0; ch < v.width; ch++) {
            real sum = (real)vkz_ref_in(ref, "bias")[ch], magnitude = fabs(sum);
            for (int64_t s = 0; s < v.taps; s++) {
                const real term = (real)vkz_ref_in(ref, "weight")[ch * v.taps + s] *
                                  input(&v, t - v.taps + 1 + s, ch);
                sum += term;
                magnitude += fabs(term);
            }
            y[t * v.width + ch] = (double)(silu ? sum / (1 + exp(-sum)) : sum);
            scale[t * v.width + ch] = (double)magnitude;
        }
    }
    for (int64_t i = 0; st != NULL && i < v.width * (v.taps - 1); i++) {
        const int64_t ch = i / (v.taps - 1), s = i % (v.taps - 1);
        st[i] = (double)input(&v, v.len - v.taps + 1 + s, ch);
    }
}

// With one weight that is not 0, and that 1, the output is the input, delayed.
static bool check_delay(struct vkz_identity_run *run)
{
    const int64_t taps = vkz_identity_dim(run, "taps");
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t width = vkz_identity_dim(run, "width");
    const int64_t delay = taps / 2;
    struct vkz_data *data = vkz_identity_inputs(run, "ACT=none INIT=off");
    float *weight = vkz_identity_float(run, data, "weight");
    float *bias = vkz_identity_float(run, data, "bias");
    const float *x = vkz_identity_float(run, data, "x");
    const int64_t count = vkz_identity_count(data, "y");
    double *expected = vkz_identity_temp(run, count);
    if (weight == NULL || bias == NULL || x == NULL || expected == NULL) {
        return false;
    }
    for (int64_t i = 0; i < width * taps; i++) {
        weight[i] = i % taps == taps - 1 - delay;
    }
    for (int64_t i = 0; i < width; i++) {
        bias[i] = 0;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t t = i / width % len;
        expected[i] = t >= delay ? (double)x[i - delay * width] : 0;
    }
    const double *y = vkz_identity_output(run, data, "y");
    for (int64_t i = 0; i < count; i++) { // 0 times a NaN is NaN: not this identity's matter
        if (!isfinite(expected[i]) || (y != NULL && !isfinite(y[i]))) {
            return true;
        }
    }
    return vkz_identity_equal(run, "y", expected, y, count, 2);
}

static const struct vkz_identity identities[] = {
    {"delay", "a single weight of 1 delays the input", NULL, check_delay},
    {0},
};

VKZ_OP(causal_conv1d) = {
    .name = "causal_conv1d",
    .family = "linear",
    .abi = 1,
    .title = "short causal convolution along time, a channel each",
    .doc = "y_{t,c} = act(bias_c + sum_{s<taps} W_{c,s} x_{t-taps+1+s, c})\n"
           "\n"
           "The convolution before Mamba's scan, arXiv 2312.00752.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "2 * batch * len * width * taps",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
