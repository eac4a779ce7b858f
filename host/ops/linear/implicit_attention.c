// SPDX-License-Identifier: MIT
// implicit_attention: the attention matrices hidden in selective_scan; contract, reference.
#include "ops/linear/selective.h"

#include "zoo/identity.h"

static const struct vkz_dim dims[] = {VKZ_SELECTIVE_DIMS, {0}};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "batch, len, width", NULL, "normal(1)", "input"},
    {"dt", VKZ_IN, "T", "batch, len, width", NULL, "normal(1)", "raw step size"},
    {"dtb", VKZ_IN, "f32", "width", NULL, "uniform(-4,0)", "bias of the step size"},
    {"d", VKZ_IN, "f32", "width", NULL, "normal(1)", "weight of the input itself"},
    {"a", VKZ_IN, "f32", "width, state", NULL, "uniform(-8,-0.1)", "decay rates, < 0"},
    {"b", VKZ_IN, "T", "batch, len, state", NULL, "normal(1)", "input weights"},
    {"c", VKZ_IN, "T", "batch, len, state", NULL, "normal(1)", "output weights"},
    {"alpha", VKZ_OUT, "f32", "batch, width, len, len", NULL, NULL,
     "what output i takes of input j, 0 for j > i"},
    {"y", VKZ_OUT, "f32", "batch, width, len", NULL, NULL, "alpha x + d x, a channel a row"},
    {0},
};

// One row of a channel's matrix.
static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "width");
    const int64_t states = vkz_ref_dim(ref, "state");
    const int64_t i = unit % len, ch = unit / len % width, batch = unit / len / width;
    const float *a = vkz_ref_in(ref, "a") + ch * states;
    const float *b = vkz_ref_in(ref, "b") + batch * len * states;
    const float *c = vkz_ref_in(ref, "c") + (batch * len + i) * states;
    const float *x = vkz_ref_in(ref, "x") + batch * len * width + ch;
    const float *dt = vkz_ref_in(ref, "dt") + batch * len * width + ch;
    const real bias = (real)vkz_ref_in(ref, "dtb")[ch];
    double *alpha = vkz_ref_out(ref, "alpha"), *scale = vkz_ref_scale(ref, "alpha");
    real elapsed = 0; // from input j to output i
    real y = (real)vkz_ref_in(ref, "d")[ch] * (real)x[i * width], y_size = fabs(y);
    for (int64_t j = 0; j < len; j++) {
        alpha[j] = 0;
    }
    for (int64_t j = i; j >= 0; j--) {
        const real delta = selective_softplus((real)dt[j * width] + bias);
        real sum = 0, size = 0;
        for (int64_t n = 0; n < states; n++) {
            const real weight = (real)c[n] * delta * (real)b[j * states + n];
            const real age = elapsed * (real)a[n], left = exp(age);
            sum += weight * left;
            // The exponent is rounded relative to itself, and what is next to nothing may
            // be flushed.
            size += fabs(weight) * (left * (1 + fabs(age)) + (real)1e-30);
        }
        alpha[j] = (double)sum;
        scale[j] = (double)size;
        y += sum * (real)x[j * width];
        y_size += size * fabs((real)x[j * width]);
        elapsed += delta;
    }
    vkz_ref_out(ref, "y")[0] = (double)y;
    vkz_ref_scale(ref, "y")[0] = (double)y_size;
}

VKZ_OP(implicit_attention) = {
    .name = "implicit_attention",
    .family = "linear",
    .abi = 1,
    .title = "the attention matrices hidden in a selective scan",
    .doc = "α_ij = Σ_n C_in e^{(Δ_{j+1} + ... + Δ_i) A_n} Δ_j B_jn for j <= i, else 0\n"
           "y = α x + D x, a channel a row\n"
           "\n"
           "Δ as in selective_scan, whose output (without gate) y is, transposed.\n"
           "Ali, Zimerman and Wolf, arXiv 2403.01590; 2405.16504.",
    .dims = dims,
    .tensors = tensors,
    .flops = "3 * batch * width * len * (len + 1) * state / 2",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * width * len",
    .sampled = true,
    .reference = reference,
    .bitwise = true,
};
