// SPDX-License-Identifier: MIT
// selective_update: one token of selective_scan, the state in place; contract and reference.
#include "ops/linear/selective.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"width", "channels", NULL},
    {"state", "states of a channel", "16"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"GATE", "off on", "y is multiplied by silu(z)"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "batch, width", NULL, "normal(1)", "input"},
    {"dt", VKZ_IN, "T", "batch, width", NULL, "normal(1)", "raw step size"},
    {"dtb", VKZ_IN, "f32", "width", NULL, "uniform(-4,0)", "bias of the step size"},
    {"d", VKZ_IN, "f32", "width", NULL, "normal(1)", "weight of the input itself"},
    {"a", VKZ_IN, "f32", "width, state", NULL, "uniform(-8,-0.1)", "decay rates, < 0"},
    {"b", VKZ_IN, "T", "batch, state", NULL, "normal(1)", "input weights"},
    {"c", VKZ_IN, "T", "batch, state", NULL, "normal(1)", "output weights"},
    {"z", VKZ_IN, "T", "batch, width", "GATE == GATE.on", "normal(1)", "gate"},
    {"h", VKZ_INOUT, "f32", "batch, width, state", NULL, "normal(1)", "state"},
    {"y", VKZ_OUT, "T", "batch, width", NULL, NULL, "output"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t width = vkz_ref_dim(ref, "width"), states = vkz_ref_dim(ref, "state");
    const int64_t batch = unit / width, ch = unit % width;
    const float *a = vkz_ref_in(ref, "a") + ch * states;
    const float *b = vkz_ref_in(ref, "b") + batch * states;
    const float *c = vkz_ref_in(ref, "c") + batch * states;
    const float *h = vkz_ref_in(ref, "h") + unit * states;
    double *out = vkz_ref_out(ref, "h"), *out_scale = vkz_ref_scale(ref, "h");
    const real x = (real)vkz_ref_in(ref, "x")[unit];
    const real delta = selective_softplus((real)vkz_ref_in(ref, "dt")[unit] +
                                          (real)vkz_ref_in(ref, "dtb")[ch]);
    real sum = (real)vkz_ref_in(ref, "d")[ch] * x, magnitude = fabs(sum);
    for (int64_t n = 0; n < states; n++) {
        const real kept = exp(delta * (real)a[n]) * (real)h[n];
        const real term = delta * x * (real)b[n];
        const real next = kept + term, size = fabs(kept) + fabs(term);
        out[n] = (double)next;
        out_scale[n] = (double)size;
        sum += next * (real)c[n];
        magnitude += size * fabs((real)c[n]);
    }
    if (vkz_ref_dim(ref, "GATE") != 0) {
        const real gate = selective_silu((real)vkz_ref_in(ref, "z")[unit]);
        sum *= gate;
        magnitude *= fabs(gate);
    }
    vkz_ref_out(ref, "y")[0] = (double)sum;
    vkz_ref_scale(ref, "y")[0] = (double)magnitude;
}

VKZ_OP(selective_update) = {
    .name = "selective_update",
    .family = "linear",
    .abi = 1,
    .title = "one token of selective_scan, the state updated in place",
    .doc = "Δ = softplus(dt + dtb);  h ← e^{ΔA} ∘ h + (Δ x) B;  y = h·C + D x\n"
           "\n"
           "GATE: y is multiplied by silu(z). Mamba, arXiv 2312.00752.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "9 * batch * width * state",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch * width",
    .sampled = true,
    .reference = reference,
    .bitwise = true,
};
