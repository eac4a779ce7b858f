// SPDX-License-Identifier: MIT
// block_influence: how much each layer turns the hidden states.
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"l", "layers", NULL},
    {"rows", "tokens", NULL},
    {"width", "elements of a hidden state", NULL},
    {0},
};

static const struct vkz_axis axes[] = {
    {"SAVE", "off on", "whether the cosine of every token is stored"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "l + 1, rows, width", NULL, "normal(1)",
     "hidden states before the first layer and after each"},
    {"bi", VKZ_OUT, "f32", "l", NULL, NULL, "influence of each layer"},
    {"cosine", VKZ_OUT, "f32", "l, rows", "SAVE == SAVE.on", NULL, "of each token"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t layer)
{
    const int64_t rows = vkz_ref_dim(ref, "rows"), width = vkz_ref_dim(ref, "width");
    const float *x = vkz_ref_in(ref, "x") + layer * rows * width;
    double *bi = vkz_ref_out(ref, "bi"), *bi_scale = vkz_ref_scale(ref, "bi");
    double *cosine = vkz_ref_out(ref, "cosine"), *scale = vkz_ref_scale(ref, "cosine");
    real sum = 0, magnitude = 0;
    for (int64_t row = 0; row < rows; row++) {
        const float *a = x + row * width, *b = a + rows * width;
        real aa = 0, bb = 0, ab = 0, terms = 0;
        for (int64_t c = 0; c < width; c++) {
            aa += (real)a[c] * (real)a[c];
            bb += (real)b[c] * (real)b[c];
            ab += (real)a[c] * (real)b[c];
            terms += fabs((real)a[c] * (real)b[c]);
        }
        const real norm = sqrt(aa) * sqrt(bb);
        const real cos_ = norm > 0 || isnan(norm) ? ab / norm : (real)0;
        const real size = norm > 0 ? terms / norm : (real)0;
        sum += (real)1 - cos_;
        magnitude += (real)1 + size;
        if (cosine != NULL) {
            cosine[row] = (double)cos_;
            scale[row] = (double)(size + fabs(cos_));
        }
    }
    bi[0] = (double)(sum / (real)rows);
    bi_scale[0] = (double)(magnitude / (real)rows);
}

// Layers that multiply: y = a x, and a zero state.
static bool check_factor(struct vkz_identity_run *run, float factor, double influence)
{
    struct vkz_data *data = vkz_identity_inputs(run, "fill.x=normal(1)");
    const int64_t l = vkz_identity_dim(run, "l");
    const int64_t state = vkz_identity_count(data, "x") / (l + 1);
    float *x = vkz_identity_float(run, data, "x");
    // One more than the layers: the size that what cancels has, on both sides.
    double *expected = vkz_identity_temp(run, l + 1);
    double *got = vkz_identity_temp(run, l + 1);
    if (x == NULL || expected == NULL || got == NULL) {
        return false;
    }
    for (int64_t i = 0; i < state * l; i++) {
        // Powers of two, so that 16-bit states are exact too, and do not grow.
        x[state + i] = (i / state) % 2 == 0 ? x[i] * factor : x[i] / factor;
        if (factor == 0) {
            x[state + i] = 0;
        }
    }
    const double *bi = vkz_identity_output(run, data, "bi");
    for (int64_t i = 0; bi != NULL && i < l; i++) {
        expected[i] = influence;
        got[i] = bi[i];
    }
    expected[l] = got[l] = 1;
    return vkz_identity_equal(run, "bi", expected, got, l + 1, 2);
}

static bool check_multiple(struct vkz_identity_run *run)
{
    return check_factor(run, 4, 0);
}

static bool check_opposite(struct vkz_identity_run *run)
{
    return check_factor(run, -1, 2);
}

static bool check_zero(struct vkz_identity_run *run)
{
    return check_factor(run, 0, 1);
}

static const struct vkz_identity identities[] = {
    {"multiple", "a layer that multiplies its input has no influence", NULL,
     check_multiple},
    {"opposite", "one that turns it round has influence 2", NULL, check_opposite},
    {"zero", "the cosine with a zero state is 0", NULL, check_zero},
    {0},
};

VKZ_OP(block_influence) = {
    .name = "block_influence",
    .family = "hyper",
    .abi = 1,
    .title = "how much each layer turns the hidden states, a score for pruning layers",
    .doc = "bi_i = mean over tokens of 1 - x_i · x_(i+1) / (|x_i| |x_(i+1)|)\n"
           "\n"
           "The cosine with a zero state is 0. Summed as 1 - cosine, with what rounding\n"
           "leaves, since the mean of cosines near 1 has few digits of its distance to 1.\n"
           "ShortGPT arXiv 2403.03853.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "l * rows * width * 6",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "l",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
