// SPDX-License-Identifier: MIT
// fsmn_memory: a short filter a channel along time, looking back and ahead.
#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"len", "frames of a sequence", NULL},
    {"width", "channels", NULL},
    {"w", "taps on this frame and those before it", NULL},
    {"ahead", "AHEAD: taps on the frames after it", "1"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"AHEAD", "off on", "looks ahead, too"},
    {"PAIRS", "real complex", "channels 2j and 2j+1 are one complex number, taps too"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "batch, len, width", NULL, "normal(1)", "hidden states"},
    {"a", VKZ_IN, "f32", "w, width", NULL, "normal(1/sqrt(w))", "taps; a_0 is this frame"},
    {"b", VKZ_IN, "f32", "ahead, width", "AHEAD == AHEAD.on", "normal(1/sqrt(w))",
     "taps ahead; b[0] is the next frame"},
    {"y", VKZ_OUT, "T", "batch, len, width", NULL, NULL, "x and its memory"},
    {0},
};

struct frame {
    int64_t width;
    bool complex_pairs;
    real *sum, *magnitude;
};

static void add_tap(const struct frame *f, const float *tap, const float *x)
{
    for (int64_t c = 0; c < f->width; c++) {
        if (!f->complex_pairs) {
            const real term = (real)tap[c] * (real)x[c];
            f->sum[c] += term;
            f->magnitude[c] += fabs(term);
            continue;
        }
        const int64_t re = c / 2 * 2, im = re + 1;
        const real first = (real)tap[re] * (real)x[c];
        const real second = (real)tap[im] * (real)x[c == re ? im : re];
        f->sum[c] += c == re ? first - second : first + second;
        f->magnitude[c] += fabs(first) + fabs(second);
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "width");
    const int64_t w = vkz_ref_dim(ref, "w");
    const int64_t ahead = vkz_ref_dim(ref, "AHEAD") ? vkz_ref_dim(ref, "ahead") : 0;
    const int64_t t = unit % len;
    const float *x = vkz_ref_in(ref, "x") + unit * width;
    const float *a = vkz_ref_in(ref, "a"), *b = vkz_ref_in(ref, "b");
    const struct frame f = {
        .width = width,
        .complex_pairs = vkz_ref_dim(ref, "PAIRS") != 0,
        .sum = vkz_ref_temp(ref, (size_t)width * sizeof(real)),
        .magnitude = vkz_ref_temp(ref, (size_t)width * sizeof(real)),
    };
    for (int64_t c = 0; c < width; c++) {
        f.sum[c] = (real)x[c];
        f.magnitude[c] = fabs((real)x[c]);
    }
    for (int64_t i = 0; i < w && i <= t; i++) {
        add_tap(&f, a + i * width, x - i * width);
    }
    for (int64_t i = 1; i <= ahead && t + i < len; i++) {
        add_tap(&f, b + (i - 1) * width, x + i * width);
    }
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    for (int64_t c = 0; c < width; c++) {
        y[c] = (double)f.sum[c];
        scale[c] = (double)f.magnitude[c];
    }
}

// Without taps the memory is x itself.
static bool check_no_taps(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "fill.a=const(0) AHEAD=off");
    const int64_t count = vkz_identity_count(data, "x");
    const float *x = vkz_identity_float(run, data, "x");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; x != NULL && expected != NULL && i < count; i++) {
        expected[i] = (double)x[i];
    }
    return vkz_identity_equal(run, "y", expected, vkz_identity_output(run, data, "y"),
                              count, 2);
}

// A single frame that is not 0 leaves its taps behind it.
static bool check_impulse(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t width = vkz_identity_dim(run, "width");
    const int64_t w = vkz_identity_dim(run, "w");
    struct vkz_data *data = vkz_identity_inputs(
        run, "batch=1 AHEAD=off PAIRS=real fill.x=const(0) fill.a=dyadic");
    float *x = vkz_identity_float(run, data, "x");
    const float *a = vkz_identity_float(run, data, "a");
    const int64_t count = vkz_identity_count(data, "y"), at = len / 2;
    double *expected = vkz_identity_temp(run, count);
    for (int64_t c = 0; x != NULL && a != NULL && expected != NULL && c < width; c++) {
        x[at * width + c] = 1;
        expected[at * width + c] = 1;
        for (int64_t i = 0; i < w && at + i < len; i++) {
            expected[(at + i) * width + c] += (double)a[i * width + c];
        }
    }
    return vkz_identity_equal(run, "y", expected, vkz_identity_output(run, data, "y"),
                              count, 2);
}

static const struct vkz_identity identities[] = {
    {"no_taps", "with all taps 0 the output is x", NULL, check_no_taps},
    {"impulse", "an impulse leaves the taps behind it", NULL, check_impulse},
    {0},
};

VKZ_OP(fsmn_memory) = {
    .name = "fsmn_memory",
    .family = "linear",
    .abi = 1,
    .title = "memory block of a sequential memory network: a filter a channel along time",
    .doc = "y_t = x_t + Σ_{i=0..w-1} a_i ∘ x_{t-i} + Σ_{i=1..ahead} b_i ∘ x_{t+i}\n"
           "\n"
           "The second sum with AHEAD only. Frames before the first and after the last are 0.\n"
           "PAIRS=complex takes channels 2j and 2j+1 of x and of the taps as one complex\n"
           "number and ∘ as its product.\n"
           "FRCRN arXiv 2206.07293; feed-forward sequential memory networks 1512.08301.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .valid = "PAIRS == PAIRS.real || width % 2 == 0",
    .valid_reason = "complex channels come in pairs: width must be even",
    .flops = "batch * len * width * 2 * (w + (AHEAD == AHEAD.on ? ahead : 0)) * "
             "(PAIRS == PAIRS.complex ? 2 : 1)",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch * len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
