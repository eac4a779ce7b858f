// SPDX-License-Identifier: MIT
// selective_scan_backward: the gradient of selective_scan, contract and reference.
#include "ops/linear/selective.h"

static const struct vkz_dim dims[] = {VKZ_SELECTIVE_DIMS, {0}};
static const struct vkz_axis axes[] = {VKZ_SELECTIVE_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    VKZ_SELECTIVE_TENSORS_IN,
    {"dy", VKZ_IN, "T", "batch, len, width", NULL, "normal(1)", "gradient of y"},
    {"dht", VKZ_IN, "f32", "batch, width, state", "FINAL == FINAL.on", "normal(1)",
     "gradient of the last state"},
    {"dx", VKZ_OUT, "T", "batch, len, width", NULL, NULL, "gradient of x"},
    {"ddt", VKZ_OUT, "T", "batch, len, width", NULL, NULL, "gradient of dt"},
    {"ddtb", VKZ_OUT, "f32", "width", NULL, NULL, "gradient of dtb"},
    {"dd", VKZ_OUT, "f32", "width", NULL, NULL, "gradient of d"},
    {"da", VKZ_OUT, "f32", "width, state", NULL, NULL, "gradient of a"},
    {"db", VKZ_OUT, "T", "batch, len, state", NULL, NULL, "gradient of b"},
    {"dc", VKZ_OUT, "T", "batch, len, state", NULL, NULL, "gradient of c"},
    {"dz", VKZ_OUT, "T", "batch, len, width", "GATE == GATE.on", NULL, "gradient of z"},
    {"dh0", VKZ_OUT, "f32", "batch, width, state", "INIT == INIT.on", NULL,
     "gradient of h0"},
    {0},
};

enum { DX, DDT, DDTB, DD, DA, DB, DC, DZ, DH0, OUTPUTS };
static const char *const names[OUTPUTS] = {"dx", "ddt", "ddtb", "dd", "da",
                                           "db", "dc", "dz", "dh0"};

// Sums are kept in `real` until all terms are in.
struct sums {
    real *value[OUTPUTS], *size[OUTPUTS];
};

static void add(struct sums *s, int output, int64_t i, real term, real size)
{
    s->value[output][i] += term;
    s->size[output][i] += fabs(size);
}

// One channel of one sequence; h and size have (len + 1) * states elements of room.
static void channel(struct vkz_ref *ref, struct sums *s, int64_t batch, int64_t ch,
                    real *h, real *h_size)
{
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "width");
    const int64_t states = vkz_ref_dim(ref, "state"), first = (batch * width + ch) * states;
    const bool gate = vkz_ref_dim(ref, "GATE") != 0, init = vkz_ref_dim(ref, "INIT") != 0;
    const bool final = vkz_ref_dim(ref, "FINAL") != 0;
    const float *a = vkz_ref_in(ref, "a") + ch * states;
    const float *b = vkz_ref_in(ref, "b") + batch * len * states;
    const float *c = vkz_ref_in(ref, "c") + batch * len * states;
    const real bias = (real)vkz_ref_in(ref, "dtb")[ch];
    const real skip = (real)vkz_ref_in(ref, "d")[ch];
    for (int64_t n = 0; n < states; n++) {
        h[n] = init ? (real)vkz_ref_in(ref, "h0")[first + n] : 0;
        h_size[n] = fabs(h[n]);
    }
    for (int64_t t = 0; t < len; t++) {
        const int64_t at = (batch * len + t) * width + ch;
        const real x = (real)vkz_ref_in(ref, "x")[at];
        const real delta = selective_softplus((real)vkz_ref_in(ref, "dt")[at] + bias);
        for (int64_t n = 0; n < states; n++) {
            const real keep = exp(delta * (real)a[n]);
            const real term = delta * x * (real)b[t * states + n];
            h[(t + 1) * states + n] = keep * h[t * states + n] + term;
            h_size[(t + 1) * states + n] = keep * h_size[t * states + n] + fabs(term);
        }
    }
    real *dh = vkz_ref_temp(ref, (size_t)states * sizeof(real));
    real *dh_size = vkz_ref_temp(ref, (size_t)states * sizeof(real));
    for (int64_t n = 0; final && n < states; n++) {
        dh[n] = (real)vkz_ref_in(ref, "dht")[first + n];
        dh_size[n] = fabs(dh[n]);
    }
    for (int64_t t = len - 1; t >= 0; t--) {
        const int64_t at = (batch * len + t) * width + ch;
        const real x = (real)vkz_ref_in(ref, "x")[at];
        const real dy = (real)vkz_ref_in(ref, "dy")[at];
        const real raw = (real)vkz_ref_in(ref, "dt")[at] + bias;
        const real delta = selective_softplus(raw);
        const real z = gate ? (real)vkz_ref_in(ref, "z")[at] : 0;
        const real gy = gate ? dy * selective_silu(z) : dy;
        real y = skip * x, y_size = fabs(y), dx = gy * skip, dx_size = fabs(dx);
        real ddelta = 0, ddelta_size = 0;
        for (int64_t n = 0; n < states; n++) {
            const int64_t from = t * states + n;
            const real keep = exp(delta * (real)a[n]);
            const real before = h[from], before_size = h_size[from];
            const real after = h[from + states], after_size = h_size[from + states];
            const real weight = (real)b[from];
            const int64_t shared = batch * len * states + from;
            y += after * (real)c[from];
            y_size += after_size * fabs((real)c[from]);
            dh[n] += gy * (real)c[from];
            dh_size[n] += fabs(gy * (real)c[from]);
            add(s, DC, shared, gy * after, gy * after_size);
            add(s, DB, shared, dh[n] * delta * x, dh_size[n] * delta * x);
            add(s, DA, ch * states + n, dh[n] * before * keep * delta,
                dh_size[n] * before_size * keep * delta);
            ddelta += dh[n] * (before * keep * (real)a[n] + weight * x);
            ddelta_size +=
                dh_size[n] * (before_size * keep * fabs((real)a[n]) + fabs(weight * x));
            dx += dh[n] * delta * weight;
            dx_size += dh_size[n] * delta * fabs(weight);
            dh[n] *= keep;
            dh_size[n] *= keep;
        }
        const real slope = selective_sigmoid(raw), open = selective_sigmoid(z);
        add(s, DX, at, dx, dx_size);
        add(s, DDT, at, ddelta * slope, ddelta_size * slope);
        add(s, DDTB, ch, ddelta * slope, ddelta_size * slope);
        add(s, DD, ch, gy * x, gy * x);
        if (gate) {
            const real factor = dy * open * (1 + z * (1 - open));
            // The factor itself is a sum: of 1 and z (1 - open).
            const real size = dy * open * (1 + fabs(z) * (1 - open));
            add(s, DZ, at, y * factor, y_size * size);
        }
    }
    for (int64_t n = 0; init && n < states; n++) {
        add(s, DH0, first + n, dh[n], dh_size[n]);
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // gradients of what sequences share sum over all: one unit
    const int64_t batch = vkz_ref_dim(ref, "batch"), len = vkz_ref_dim(ref, "len");
    const int64_t width = vkz_ref_dim(ref, "width"), states = vkz_ref_dim(ref, "state");
    const int64_t wide = batch * len * width, narrow = batch * len * states;
    const int64_t counts[OUTPUTS] = {wide,   wide,   width, width,
                                     width * states, narrow, narrow, wide,
                                     batch * width * states};
    struct sums s;
    for (int i = 0; i < OUTPUTS; i++) {
        s.value[i] = vkz_ref_temp(ref, (size_t)counts[i] * sizeof(real));
        s.size[i] = vkz_ref_temp(ref, (size_t)counts[i] * sizeof(real));
    }
    real *h = vkz_ref_temp(ref, (size_t)((len + 1) * states) * sizeof(real));
    real *h_size = vkz_ref_temp(ref, (size_t)((len + 1) * states) * sizeof(real));
    for (int64_t i = 0; i < batch * width; i++) {
        channel(ref, &s, i / width, i % width, h, h_size);
    }
    for (int i = 0; i < OUTPUTS; i++) {
        double *out = vkz_ref_out(ref, names[i]), *scale = vkz_ref_scale(ref, names[i]);
        for (int64_t j = 0; out != NULL && j < counts[i]; j++) {
            out[j] = (double)s.value[i][j];
            scale[j] = (double)s.size[i][j];
        }
    }
}

VKZ_OP(selective_scan_backward) = {
    .name = "selective_scan_backward",
    .family = "linear",
    .forward = "selective_scan",
    .abi = 1,
    .title = "gradient of selective_scan",
    .doc = "gy = dy·silu(z); from the last token to the first, with h of selective_scan:\n"
           "dh += gy C;  dC = Σ_c gy h_t;  dA += dh h_{t-1} e^{ΔA} Δ;  dB = Σ_c dh Δ x\n"
           "dΔ = Σ_n dh (h_{t-1} e^{ΔA} A + B x);  dx = gy D + Σ_n dh Δ B;  dh ← dh e^{ΔA}\n"
           "ddt = dΔ σ(dt + dtb);  ddtb = Σ ddt;  dD = Σ gy x\n"
           "dz = dy y0 σ(z) (1 + z (1 - σ(z))), y0 before the gate. Mamba, 2312.00752.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "25 * batch * len * width * state",
    .sum_length = "len",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "1",
    .reference = reference,
    .bitwise = true,
};
