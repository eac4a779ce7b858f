// SPDX-License-Identifier: MIT
// resfield_linear_backward: gradients of resfield_linear; the bias' is a column sum.
#include "ops/lora/resfield.h"

static const struct vkz_dim dims[] = {RESFIELD_DIMS, {0}};
static const struct vkz_tensor tensors[] = {
    RESFIELD_TENSORS,
    {"dy", VKZ_IN, "T", "rows, n", NULL, "normal(1)", "gradient of y"},
    {"dx", VKZ_OUT, "T", "rows, k", NULL, NULL, NULL},
    {"dw", VKZ_OUT, "f32", "n, k", NULL, NULL, NULL},
    {"dm", VKZ_OUT, "f32", "rk, n, k", NULL, NULL, NULL},
    {"dv", VKZ_OUT, "f32", "nf, rk", NULL, NULL, NULL},
    {0},
};

// dx of one row, and the row's dyᵀ x added to its frame's sums g.
static void row_gradients(const struct resfield *r, struct vkz_ref *ref, int64_t row,
                          real *g, real *size)
{
    const float *x = r->x + row * r->k, *dy = vkz_ref_in(ref, "dy") + row * r->n;
    const int64_t base = r->ti[row] * r->n * r->k;
    for (int64_t c = 0; c < r->k; c++) {
        real sum = 0, magnitude = 0;
        for (int64_t o = 0; o < r->n; o++) {
            real weight, terms;
            resfield_weight(r, r->ti[row], o, c, &weight, &terms);
            sum += (real)dy[o] * weight;
            magnitude += fabs((real)dy[o]) * terms;
            g[base + o * r->k + c] += (real)dy[o] * (real)x[c];
            size[base + o * r->k + c] += fabs((real)dy[o] * (real)x[c]);
        }
        vkz_ref_out(ref, "dx")[row * r->k + c] = (double)sum;
        vkz_ref_scale(ref, "dx")[row * r->k + c] = (double)magnitude;
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // dw and dm are sums over all rows
    const struct resfield r = resfield_of(ref);
    const int64_t plane = r.n * r.k;
    real *g = vkz_ref_temp(ref, (size_t)(r.nf * plane) * sizeof(real));
    real *size = vkz_ref_temp(ref, (size_t)(r.nf * plane) * sizeof(real));
    for (int64_t row = 0; row < r.rows; row++) {
        row_gradients(&r, ref, row, g, size);
    }
    double *dw = vkz_ref_out(ref, "dw"), *dw_scale = vkz_ref_scale(ref, "dw");
    double *dm = vkz_ref_out(ref, "dm"), *dm_scale = vkz_ref_scale(ref, "dm");
    for (int64_t i = 0; i < (r.rk + 1) * plane; i++) {
        const int64_t j = i / plane;
        real sum = 0, magnitude = 0;
        for (int64_t t = 0; t < r.nf; t++) {
            const real v = j < r.rk ? (real)r.v[t * r.rk + j] : 1;
            sum += v * g[t * plane + i % plane];
            magnitude += fabs(v) * size[t * plane + i % plane];
        }
        if (j < r.rk) {
            dm[i] = (double)sum;
            dm_scale[i] = (double)magnitude;
        } else {
            dw[i % plane] = (double)sum;
            dw_scale[i % plane] = (double)magnitude;
        }
    }
    double *dv = vkz_ref_out(ref, "dv"), *dv_scale = vkz_ref_scale(ref, "dv");
    for (int64_t i = 0; i < r.nf * r.rk; i++) {
        real sum = 0, magnitude = 0;
        for (int64_t c = 0; c < plane; c++) {
            const real m = (real)r.m[i % r.rk * plane + c];
            sum += m * g[i / r.rk * plane + c];
            magnitude += fabs(m) * size[i / r.rk * plane + c];
        }
        dv[i] = (double)sum;
        dv_scale[i] = (double)magnitude;
    }
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"dy", NULL};
    static const char *const outputs[] = {"dx", "dw", "dm", "dv", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

// The residual path is linear in v and in m: Σ v dv = Σ m dm.
static bool check_same_degree(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"v", "m"}, *const gradients[] = {"dv", "dm"};
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    double *sums = vkz_identity_temp(run, 4); // a sum, and the size of what cancels
    for (int i = 0; i < 2; i++) {
        const float *value = vkz_identity_float(run, data, inputs[i]);
        const double *gradient = vkz_identity_output(run, data, gradients[i]);
        if (value == NULL || gradient == NULL || sums == NULL) {
            return false;
        }
        for (int64_t j = 0; j < vkz_identity_count(data, inputs[i]); j++) {
            sums[2 * i] += (double)value[j] * gradient[j];
            sums[1] += fabs((double)value[j] * gradient[j]);
        }
    }
    sums[3] = sums[1];
    return vkz_identity_equal(run, "dv", sums, sums + 2, 2, 2);
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dy doubles every gradient", NULL, check_linear},
    {"same_degree", "sum v dv = sum m dm", NULL, check_same_degree},
    {0},
};

VKZ_OP(resfield_linear_backward) = {
    .name = "resfield_linear_backward",
    .family = "lora",
    .abi = 1,
    .forward = "resfield_linear",
    .title = "gradients of resfield_linear",
    .doc = "G_t = Σ_{i in t} dy_iᵀ x_i\n"
           "dx_i = dy_i W(ti_i),  dW = Σ_t G_t,  dM_j = Σ_t v[t,j] G_t\n"
           "dv[t,j] = Σ G_t ∘ M_j\n"
           "\n"
           "ResFields arXiv 2309.03160.",
    .dims = dims,
    .tensors = tensors,
    .flops = "6*min(nf,rows)*rk*n*k + 4*rows*k*n",
    .sum_length = "k*n + rows",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
