// SPDX-License-Identifier: MIT
// gatedconv: a depthwise convolution with a gate, of gated CNNs and of convolutional
// GLUs, contract and reference.
#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

enum { KIND_GATEDCNN, KIND_CONVGLU };
enum { ACT_GELU, ACT_SILU };

static const struct vkz_dim dims[] = {
    {"batch", "independent images", NULL},
    {"height", "rows of an image", NULL},
    {"img_width", "columns of an image", NULL},
    {"width", "channels of the output; the input has twice as many", NULL},
    {"conv_width", "channels that are convolved; convglu: all", "width"},
    {"ksize", "side of the kernel, odd", NULL},
    {0},
};

static const struct vkz_axis axes[] = {
    {"KIND", "gatedcnn convglu",
     "what the channels of x are and which part is activated"},
    {"ACT", "gelu silu", "activation"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "batch, height, img_width, 2 * width", NULL, "normal(1)",
     "output of the linear layer before"},
    {"w", VKZ_IN, "f32", "ksize, ksize, conv_width", NULL, "normal(1 / ksize)",
     "depthwise kernel"},
    {"b", VKZ_IN, "f32", "conv_width", NULL, "normal(0.3)", "bias"},
    {"y", VKZ_OUT, "T", "batch, height, img_width, width", NULL, NULL, "gated channels"},
    {0},
};

static real activate(int act, real x)
{
    if (act == ACT_SILU) {
        return x / ((real)1 + exp(-x));
    }
    return x * erfc(-x * (real)0.70710678118654752440) / 2;
}

// One pixel.
static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t h = vkz_ref_dim(ref, "height"), w = vkz_ref_dim(ref, "img_width");
    const int64_t c = vkz_ref_dim(ref, "width"), cc = vkz_ref_dim(ref, "conv_width");
    const int64_t k = vkz_ref_dim(ref, "ksize"), reach = k / 2;
    const int kind = (int)vkz_ref_dim(ref, "KIND"), act = (int)vkz_ref_dim(ref, "ACT");
    const float *x = vkz_ref_in(ref, "x"), *pixel = x + unit * 2 * c;
    const float *weight = vkz_ref_in(ref, "w"), *bias = vkz_ref_in(ref, "b");
    const int64_t r = unit / w % h, q = unit % w;
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    // Channel n of the output; m is its channel among the convolved ones.
    for (int64_t n = 0; n < c; n++) {
        const int64_t m = n - (c - cc);
        const int64_t from = kind == KIND_CONVGLU ? n : c + n;
        real sum = (real)pixel[from], magnitude = fabs(sum);
        if (m >= 0) {
            sum = (real)bias[m];
            magnitude = fabs(sum);
            for (int64_t u = 0; u < k; u++) {
                for (int64_t v = 0; v < k; v++) {
                    const int64_t dr = u - reach, dq = v - reach;
                    if (r + dr >= 0 && r + dr < h && q + dq >= 0 && q + dq < w) {
                        const real term = (real)weight[(u * k + v) * cc + m] *
                                          (real)pixel[(dr * w + dq) * 2 * c + from];
                        sum += term;
                        magnitude += fabs(term);
                    }
                }
            }
        }
        if (kind == KIND_CONVGLU) {
            const real gate = (real)pixel[c + n];
            y[n] = (double)(activate(act, sum) * gate);
            scale[n] = (double)(magnitude * fabs(gate));
        } else {
            // GELU is a sum, x/2 + x/2 erf(x/sqrt 2), which cancels below 0.
            const real gate = (real)pixel[n];
            y[n] = (double)(activate(act, gate) * sum);
            scale[n] = (double)(fabs(gate) * magnitude);
        }
    }
}

// A kernel that copies makes a plain gated linear unit: every output follows from its own
// pixel.
static bool check_copy(struct vkz_identity_run *run)
{
    const int64_t c = vkz_identity_dim(run, "width");
    const int64_t cc = vkz_identity_dim(run, "conv_width");
    const int64_t k = vkz_identity_dim(run, "ksize");
    const int kind = (int)vkz_identity_dim(run, "KIND");
    struct vkz_data *data = vkz_identity_inputs(run, "fill.w=zero fill.b=zero");
    float *w = vkz_identity_float(run, data, "w");
    const float *x = vkz_identity_float(run, data, "x");
    for (int64_t i = 0; w != NULL && i < cc; i++) {
        w[k * k / 2 * cc + i] = 1;
    }
    const double *y = vkz_identity_output(run, data, "y");
    const int64_t count = vkz_identity_count(data, "y");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; y != NULL && x != NULL && expected != NULL && i < count; i++) {
        const float *pixel = x + i / c * 2 * c;
        const double a = (double)pixel[i % c], v = (double)pixel[c + i % c];
        const int act = (int)vkz_identity_dim(run, "ACT");
        expected[i] = (double)activate(act, (real)a) * v;
    }
    (void)kind; // gatedcnn: act(g) [i, c]; convglu: act(a) v. The same places.
    return vkz_identity_equal(run, "y", expected, y, count, 2);
}

// Doubling what is not activated doubles y: the second half of the channels in both kinds
// (with the bias, which belongs to it in a gated CNN).
static bool check_linear(struct vkz_identity_run *run)
{
    const int64_t c = vkz_identity_dim(run, "width");
    const bool cnn = vkz_identity_dim(run, "KIND") == KIND_GATEDCNN;
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *x = vkz_identity_float(run, two, "x"), *b = vkz_identity_float(run, two, "b");
    for (int64_t i = 0; x != NULL && i < vkz_identity_count(two, "x"); i++) {
        x[i] *= i % (2 * c) >= c ? 2.0f : 1.0f;
    }
    for (int64_t i = 0; b != NULL && i < vkz_identity_count(two, "b"); i++) {
        b[i] *= cnn ? 2.0f : 1.0f;
    }
    const int64_t count = vkz_identity_count(one, "y");
    double *y = vkz_identity_output(run, one, "y");
    for (int64_t i = 0; y != NULL && i < count; i++) {
        y[i] *= 2;
    }
    return vkz_identity_equal(run, "y", y, vkz_identity_output(run, two, "y"), count, 2);
}

static const struct vkz_identity identities[] = {
    {"copy", "a kernel that copies makes a gated linear unit", NULL, check_copy},
    {"linear", "y is linear in the channels that are not activated", NULL, check_linear},
    {0},
};

VKZ_OP(gatedconv) = {
    .name = "gatedconv",
    .family = "mixer",
    .abi = 1,
    .title = "depthwise convolution with a gate: gated CNN and convolutional GLU",
    .doc = "conv(z) = b + Σ_{u,v} w[u,v] z shifted by (u - ksize/2, v - ksize/2), channel by\n"
           "channel, zeros outside the image\n"
           "gatedcnn: x = [g width | i width - conv_width | c conv_width],\n"
           "          y = act(g) ∘ [i, conv(c)]\n"
           "convglu:  x = [a width | v width],  y = act(conv(a)) ∘ v\n"
           "\n"
           "MambaOut arXiv 2405.07992; ConvGLU of TransNeXt 2311.17132.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .valid = "ksize % 2 == 1 && (KIND == KIND.convglu ? conv_width == width : "
             "conv_width <= width)",
    .valid_reason =
        "ksize must be odd, conv_width at most width, with convglu equal to it",
    .flops = "batch * height * img_width * (2 * conv_width * ksize * ksize + 6 * width)",
    .sum_length = "ksize * ksize + 1",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch * height * img_width",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
