// SPDX-License-Identifier: MIT
// mhc_pre_backward: gradients of mhc_pre.
#include "ops/hyper/mhc.h"

static const struct vkz_dim dims[] = {MHC_DIMS, MHC_ITERS, {0}};
static const struct vkz_scalar scalars[] = {MHC_SCALARS, {0}};
static const struct vkz_axis axes[] = {MHC_AXES, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, streams, width", NULL, NULL, "residual streams"},
    MHC_PARAMETERS,
    {"dh0", VKZ_IN, "T", "rows, width", NULL, NULL, "gradient of h0"},
    {"dpre", VKZ_IN, "f32", "rows, streams", NULL, NULL,
     "gradient of pre, where it is used beside h0"},
    {"dpost", VKZ_IN, "f32", "rows, streams", NULL, NULL, NULL},
    {"dcomb", VKZ_IN, "f32", "rows, streams, streams", NULL, NULL, NULL},
    {"dx", VKZ_OUT, "T", "rows, streams, width", NULL, NULL, NULL},
    {"dphi", VKZ_OUT, "f32", MHC_PHI_ROWS ", streams * width", NULL, NULL, NULL},
    {"dscale", VKZ_OUT, "f32", "3", NULL, NULL, NULL},
    {"dbase", VKZ_OUT, "f32", MHC_PHI_ROWS, NULL, NULL, NULL},
    {"dnormw", VKZ_OUT, "f32", "streams * width", "NORMW == NORMW.on", NULL, NULL},
    {0},
};

// Sums over all rows, and the magnitudes behind them.
struct sums {
    real *phi, *phi_size, *normw, *normw_size;
    real scale[3], scale_size[3], base[MHC_MAX_ROWS], base_size[MHC_MAX_ROWS];
};

// Gradients of a token's logits, and how large what they are sums of is.
static void logits_gradient(struct vkz_ref *ref, int64_t row, const struct mhc_token *t,
                            const real *g_pre, const real *g_size, real *da, real *size)
{
    const int s = t->streams;
    const real mu = (real)vkz_ref_value(ref, "mu");
    const float *dpost = vkz_ref_in(ref, "dpost") + row * s;
    const float *dcomb = vkz_ref_in(ref, "dcomb") + row * s * s;
    for (int i = 0; i < s; i++) {
        const real a = mhc_sigmoid(t->a[i]), b = mhc_sigmoid(t->a[s + i]);
        da[i] = g_pre[i] * a * ((real)1 - a);
        size[i] = g_size[i] * (1 + t->a_magnitude[i]);
        da[s + i] = (real)dpost[i] * mu * b * ((real)1 - b);
        size[s + i] = fabs((real)dpost[i]) * mu * (1 + t->a_magnitude[s + i]);
    }
    real *comb = da + 2 * s;
    real largest = 0;
    if (vkz_ref_value(ref, "COMB") == 0) {
        real m[MHC_MAX_STREAMS * MHC_MAX_STREAMS];
        memcpy(m, t->a + 2 * s, (size_t)(s * s) * sizeof(real));
        for (int i = 0; i < s * s; i++) {
            comb[i] = (real)dcomb[i];
        }
        largest = mhc_sinkhorn_gradient(ref, m, comb, s, vkz_ref_dim(ref, "iters"),
                                        (real)vkz_ref_value(ref, "eps_sk"));
    } else {
        real w[24], mean = 0;
        memcpy(w, t->a + 2 * s, (size_t)t->terms * sizeof(real));
        mhc_softmax(w, 1, t->terms);
        for (int p = 0; p < t->terms; p++) {
            int to[4];
            real terms = 0;
            mhc_permutation(p, s, to);
            comb[p] = 0;
            for (int i = 0; i < s; i++) {
                comb[p] += (real)dcomb[i * s + to[i]];
                terms += fabs((real)dcomb[i * s + to[i]]);
            }
            mean += w[p] * comb[p];
            largest = fmax(largest, terms);
        }
        for (int p = 0; p < t->terms; p++) {
            comb[p] = w[p] * (comb[p] - mean);
        }
    }
    for (int d = 2 * s; d < 2 * s + t->terms; d++) {
        size[d] = largest * (1 + t->comb_magnitude);
    }
}

static void token_gradient(struct vkz_ref *ref, int64_t row, struct sums *sums)
{
    const int64_t width = vkz_ref_dim(ref, "width");
    const int64_t n = vkz_ref_dim(ref, "streams") * width;
    const float *x = vkz_ref_in(ref, "x") + row * n, *phi = vkz_ref_in(ref, "phi");
    const float *scale = vkz_ref_in(ref, "scale"), *normw = vkz_ref_in(ref, "normw");
    const float *dh0 = vkz_ref_in(ref, "dh0") + row * width;
    double *dx = vkz_ref_out(ref, "dx") + row * n;
    double *dx_scale = vkz_ref_scale(ref, "dx") + row * n;
    real *v = vkz_ref_temp(ref, (size_t)n * sizeof(real));
    for (int64_t k = 0; k < n; k++) {
        v[k] = (real)x[k];
    }
    struct mhc_token t;
    mhc_coefficients(ref, v, NULL, &t);
    const int s = t.streams, rows = 2 * s + t.terms;
    real g_pre[MHC_MAX_STREAMS], g_size[MHC_MAX_STREAMS];
    for (int i = 0; i < s; i++) {
        g_pre[i] = (real)vkz_ref_in(ref, "dpre")[row * s + i];
        g_size[i] = fabs(g_pre[i]);
        for (int64_t k = 0; k < width; k++) {
            const real term = v[i * width + k] * (real)dh0[k];
            g_pre[i] += term;
            g_size[i] += fabs(term);
        }
    }
    real da[MHC_MAX_ROWS], size[MHC_MAX_ROWS];
    logits_gradient(ref, row, &t, g_pre, g_size, da, size);
    const real r = t.norm;
    real along = 0, along_size = 0; // dm · (phi v)
    for (int d = 0; d < rows; d++) {
        const int group = d < s ? 0 : d < 2 * s ? 1 : 2;
        sums->base[d] += da[d];
        sums->base_size[d] += size[d];
        sums->scale[group] += da[d] * t.product[d] * r;
        sums->scale_size[group] += size[d] * t.product_magnitude[d] * r;
        da[d] *= (real)scale[group]; // dm from here on
        size[d] *= fabs((real)scale[group]);
        along += da[d] * t.product[d];
        along_size += size[d] * t.product_magnitude[d];
    }
    for (int64_t k = 0; k < n; k++) {
        const real factor = normw == NULL ? (real)1 : (real)normw[k];
        const real pre = t.pre[k / width], d_h0 = (real)dh0[k % width];
        real sum = pre * d_h0 - v[k] * r * r * r * along / (real)n;
        real magnitude = (1 + t.a_magnitude[k / width]) * fabs(d_h0) +
                         fabs(v[k]) * r * r * r * along_size / (real)n;
        for (int d = 0; d < rows; d++) {
            const real w = (real)phi[d * n + k];
            sum += r * da[d] * w * factor;
            magnitude += r * size[d] * fabs(w * factor);
            sums->phi[d * n + k] += r * da[d] * v[k] * factor;
            sums->phi_size[d * n + k] += r * size[d] * fabs(v[k] * factor);
            sums->normw[k] += r * da[d] * v[k] * w;
            sums->normw_size[k] += r * size[d] * fabs(v[k] * w);
        }
        dx[k] = (double)sum;
        dx_scale[k] = (double)magnitude;
    }
}

static void put(struct vkz_ref *ref, const char *name, const real *values,
                const real *sizes, int64_t count)
{
    double *out = vkz_ref_out(ref, name), *scale = vkz_ref_scale(ref, name);
    for (int64_t i = 0; out != NULL && i < count; i++) {
        out[i] = (double)values[i];
        scale[i] = (double)sizes[i];
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // parameters have sums over all rows
    const int64_t streams = vkz_ref_dim(ref, "streams");
    const int64_t n = streams * vkz_ref_dim(ref, "width");
    const int64_t rows =
        2 * streams + mhc_terms((int)streams, vkz_ref_value(ref, "COMB") != 0);
    struct sums sums = {
        .phi = vkz_ref_temp(ref, (size_t)(rows * n) * sizeof(real)),
        .phi_size = vkz_ref_temp(ref, (size_t)(rows * n) * sizeof(real)),
        .normw = vkz_ref_temp(ref, (size_t)n * sizeof(real)),
        .normw_size = vkz_ref_temp(ref, (size_t)n * sizeof(real)),
    };
    for (int64_t row = 0; row < vkz_ref_dim(ref, "rows"); row++) {
        token_gradient(ref, row, &sums);
    }
    put(ref, "dphi", sums.phi, sums.phi_size, rows * n);
    put(ref, "dscale", sums.scale, sums.scale_size, 3);
    put(ref, "dbase", sums.base, sums.base_size, rows);
    put(ref, "dnormw", sums.normw, sums.normw_size, n);
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"dh0", "dpre", "dpost", "dcomb", NULL};
    static const char *const outputs[] = {"dx", "dphi", "dscale", "dbase", "dnormw", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

// Without phi only the mix carries a gradient to x: dx_i = pre_i dh0.
static bool check_static(struct vkz_identity_run *run)
{
    const int64_t s = vkz_identity_dim(run, "streams");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *data = vkz_identity_inputs(run, "fill.phi=const(0)");
    const float *base = vkz_identity_float(run, data, "base");
    const float *dh0 = vkz_identity_float(run, data, "dh0");
    const double *dx = vkz_identity_output(run, data, "dx");
    const int64_t count = vkz_identity_count(data, "dx");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; dx != NULL && expected != NULL && i < count; i++) {
        const double pre = 1 / (1 + exp(-(double)base[i / width % s])) +
                           vkz_identity_value(run, "eps_pre");
        expected[i] = pre * (double)dh0[i / (s * width) * width + i % width];
    }
    return vkz_identity_equal(run, "dx", dx, expected, count, 2);
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling all upstream gradients doubles all others", NULL, check_linear},
    {"static", "without phi, dx is the mix transposed", NULL, check_static},
    {0},
};

VKZ_OP(mhc_pre_backward) = {
    .name = "mhc_pre_backward",
    .family = "hyper",
    .abi = 1,
    .forward = "mhc_pre",
    .title = "gradients of mhc_pre",
    .doc = "dpre_i += x_i·dh0;  da: σ', Sinkhorn's gradient;  dm = da ∘ scale\n"
           "dx_i = pre_i dh0 + (r phiᵀ dm - v r³ (dm·phi v) / (s c))_i\n"
           "dphi = Σ_rows r dm ⊗ v,  dscale = sums of da ∘ m,  dbase = Σ da\n"
           "normw: phi ∘ normw for phi;  dnormw_k = Σ_d phi_dk Σ_rows r dm_d v_k\n"
           "\n"
           "mHC arXiv 2512.24880.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = MHC_VALID,
    .valid_reason = MHC_VALID_REASON,
    .flops = "rows * streams * width * (6 * (" MHC_PHI_ROWS ") + 8)",
    .sum_length = "rows",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
