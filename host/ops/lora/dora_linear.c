// SPDX-License-Identifier: MIT
// dora_linear: a frozen linear layer with a low-rank side path and learned row magnitudes.
#include "ops/lora/dora.h"

static const struct vkz_dim dims[] = {LORA_DIMS, {0}};
static const struct vkz_scalar scalars[] = {DORA_SCALARS, {0}};
static const struct vkz_axis axes[] = {
    DORA_NORM_AXIS,
    {"BIAS", "off on", "one value a column is added"},
    {0},
};
static const struct vkz_tensor tensors[] = {
    DORA_TENSORS,
    {"bias", VKZ_IN, "f32", "n", "BIAS == BIAS.on", "normal(1)", NULL},
    {"wsq", VKZ_IN, "f32", "n", "NORM == NORM.cached", "uniform(1,2)", "‖W_o‖²"},
    {"y", VKZ_OUT, "T", "rows, n", NULL, NULL, NULL},
    {"c", VKZ_OUT, "f32", "n", "NORM != NORM.given", NULL, "row norms of W + s B A"},
    {0},
};

// c² of all rows by the factored form, whose terms its magnitudes are those of.
static struct lora_sums squares(struct vkz_ref *ref, const struct lora *l)
{
    const struct lora_sums c2 = lora_sums(ref, l->n);
    const struct lora_sums v = dora_weights(ref, l);
    const float *wsq = vkz_ref_in(ref, "wsq");
    for (int64_t o = 0; o < l->n; o++) {
        for (int64_t i = 0; i < l->k; i++) {
            const real w = (real)l->w[o * l->k + i];
            const real side = v.value[o * l->k + i] - w; // s (B A)_oi
            const real size = v.magnitude[o * l->k + i] - fabs(w);
            const real base = wsq == NULL ? w * w : (real)0;
            lora_add(c2, o, base + 2 * w * side + side * side,
                     base + 2 * fabs(w) * size + size * size);
        }
        if (wsq != NULL) {
            lora_add(c2, o, (real)wsq[o], (real)wsq[o]);
        }
    }
    return c2;
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // c is no part of a row of y
    struct lora l = lora_open(ref);
    l.s = (real)vkz_ref_value(ref, "s");
    l.bias = vkz_ref_in(ref, "bias");
    const float *c0 = vkz_ref_in(ref, "c0"), *m = vkz_ref_in(ref, "m");
    real *u = vkz_ref_temp(ref, (size_t)l.n * sizeof(real));
    real *doubt = vkz_ref_temp(ref, (size_t)l.n * sizeof(real));
    double *c = vkz_ref_out(ref, "c"), *c_scale = vkz_ref_scale(ref, "c");
    const struct lora_sums c2 = c0 == NULL ? squares(ref, &l) : (struct lora_sums){0};
    for (int64_t o = 0; o < l.n; o++) {
        const real norm = c0 != NULL ? (real)c0[o] : sqrt(fmax(c2.value[o], (real)0));
        u[o] = (real)m[o] / norm;
        doubt[o] = 1;
        if (c0 == NULL) {
            doubt[o] += c2.magnitude[o] / c2.value[o];
            c[o] = (double)norm;
            c_scale[o] = (double)(c2.magnitude[o] / norm);
        }
    }
    l.u = u;
    double *y = vkz_ref_out(ref, "y"), *y_scale = vkz_ref_scale(ref, "y");
    for (int64_t row = 0; row < l.rows; row++) {
        lora_row(ref, &l, row, y + row * l.n, y_scale + row * l.n, NULL, NULL);
        for (int64_t o = 0; o < l.n; o++) {
            y_scale[row * l.n + o] *= (double)doubt[o];
        }
    }
}

// With m = c and B = 0 it is the layer without adapter.
static bool check_base(struct vkz_identity_run *run)
{
    const int64_t n = vkz_identity_dim(run, "n");
    struct vkz_data *first = vkz_identity_inputs(run, "NORM=full fill.b=zero");
    struct vkz_data *one = vkz_identity_inputs(run, "NORM=full fill.b=zero");
    struct vkz_data *two = vkz_identity_inputs(
        run, "NORM=given fill.b=zero fill.m=const(1) fill.c0=const(1)");
    const double *c = vkz_identity_output(run, first, "c");
    float *m = vkz_identity_float(run, one, "m");
    for (int64_t o = 0; c != NULL && m != NULL && o < n; o++) {
        m[o] = (float)c[o];
    }
    return lora_same(run, "y", one, two, 4);
}

static bool check_scale(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "BIAS=off");
    struct vkz_data *two = vkz_identity_inputs(run, "BIAS=off");
    lora_multiply(run, two, "m", 2);
    double *y = vkz_identity_output(run, one, "y");
    const int64_t count = vkz_identity_count(one, "y");
    for (int64_t i = 0; y != NULL && i < count; i++) {
        y[i] *= 2;
    }
    return vkz_identity_equal(run, "y", y, vkz_identity_output(run, two, "y"), count, 2);
}

// The factored norm of twice the weights: everything scales.
static bool check_length(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "NORM=full");
    struct vkz_data *two = vkz_identity_inputs(run, "NORM=full");
    lora_multiply(run, two, "w", 2);
    lora_multiply(run, two, "a", 2);
    return lora_same(run, "y", one, two, 4);
}

static const struct vkz_identity identities[] = {
    {"base", "with m = c and B = 0 it is the layer without adapter", NULL, check_base},
    {"scale", "m times 2 doubles y", NULL, check_scale},
    {"length", "W and A times 2 change nothing: only directions count", NULL, check_length},
    {"balance", "A times 2 and B times 1/2 change nothing", NULL, lora_check_balance},
    {0},
};

VKZ_OP(dora_linear) = {
    .name = "dora_linear",
    .family = "lora",
    .abi = 1,
    .title = "linear layer with a low-rank side path and learned row magnitudes",
    .doc = "V = W + s B A,  c_o = ‖V_o‖₂,  y_o = (m_o / c_o) (x Vᵀ)_o + bias_o\n"
           "\n"
           "V is not formed: c_o² = ‖W_o‖² + 2 s ⟨(W Aᵀ)_o, B_o⟩ + s² B_o (A Aᵀ) B_oᵀ, in\n"
           "f32. NORM cached takes ‖W_o‖², given takes c itself: with the c of a run of\n"
           "NORM full that is the detached form, whose gradient has no part through c.\n"
           "DoRA arXiv 2402.09353.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "2 * rows * k * n + 2 * rows * rank * (k + n) + "
             "(NORM == NORM.given ? 0 : 2 * n * k * rank + 2 * n * rank * rank)",
    .sum_length = "k + rank",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
