// SPDX-License-Identifier: MIT
// dense_hidden_fuse_backward: gradients of dense_hidden_fuse.
#include "ops/linear/dense_hidden.h"

static const struct vkz_dim dims[] = {DENSE_HIDDEN_DIMS, {0}};
static const struct vkz_scalar scalars[] = {DENSE_HIDDEN_SCALARS, {0}};
static const struct vkz_tensor tensors[] = {
    DENSE_HIDDEN_TENSORS,
    {"do", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "gradient of o"},
    {"dy", VKZ_OUT, "T", "rows, width", NULL, NULL, NULL},
    {"dgate", VKZ_OUT, "T", "rows, width", NULL, NULL, NULL},
    {"dpast", VKZ_OUT, "T", "m, rows, width", NULL, NULL, NULL},
    {"dw", VKZ_OUT, "f32", "width", NULL, NULL, NULL},
    {0},
};

// Where the gradients of one row go: value and scale of each.
struct outputs {
    double *dy, *dy_scale, *dgate, *dgate_scale, *dpast, *dpast_scale;
    int64_t rows, m;
};

static void row_gradients(const struct dense_row *d, int64_t row, const float *d_o,
                          real *dw, real *dw_magnitude, const struct outputs *to)
{
    const real r = d->r;
    real mean = 0, mean_magnitude = 0; // of g' ∘ s, with g' = w ∘ do
    for (int64_t c = 0; c < d->width; c++) {
        const real g = (real)d->w[c] * (real)d_o[c];
        mean += g * d->s[c] / (real)d->width;
        mean_magnitude += fabs(g) * d->s_magnitude[c] / (real)d->width;
        dw[c] += (real)d_o[c] * d->s[c] * r;
        dw_magnitude[c] += fabs((real)d_o[c]) * d->s_magnitude[c] * r;
    }
    for (int64_t c = 0; c < d->width; c++) {
        const int64_t at = row * d->width + c;
        const real g = (real)d->w[c] * (real)d_o[c];
        const real gate = (real)d->gate[c], sigma = d->sigma[c];
        const real ds = r * (g - d->s[c] * r * r * mean);
        const real magnitude =
            r * (fabs(g) + d->s_magnitude[c] * r * r * mean_magnitude);
        to->dy[at] = (double)ds;
        to->dy_scale[at] = (double)magnitude;
        to->dgate[at] =
            (double)(ds * d->past[c] * sigma * ((real)1 + gate * ((real)1 - sigma)));
        to->dgate_scale[at] = (double)(magnitude * d->past_magnitude[c] * sigma *
                                       ((real)1 + fabs(gate) * ((real)1 - sigma)));
        for (int64_t i = 0; i < to->m; i++) {
            to->dpast[i * to->rows * d->width + at] = (double)(ds * gate * sigma);
            to->dpast_scale[i * to->rows * d->width + at] =
                (double)(magnitude * fabs(gate) * sigma);
        }
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // dw is a sum over all rows
    const int64_t width = vkz_ref_dim(ref, "width");
    const struct outputs to = {
        .dy = vkz_ref_out(ref, "dy"),
        .dy_scale = vkz_ref_scale(ref, "dy"),
        .dgate = vkz_ref_out(ref, "dgate"),
        .dgate_scale = vkz_ref_scale(ref, "dgate"),
        .dpast = vkz_ref_out(ref, "dpast"),
        .dpast_scale = vkz_ref_scale(ref, "dpast"),
        .rows = vkz_ref_dim(ref, "rows"),
        .m = vkz_ref_dim(ref, "m"),
    };
    real *dw = vkz_ref_temp(ref, (size_t)width * sizeof(real));
    real *dw_magnitude = vkz_ref_temp(ref, (size_t)width * sizeof(real));
    for (int64_t row = 0; row < to.rows; row++) {
        const struct dense_row d = dense_row(ref, row);
        row_gradients(&d, row, vkz_ref_in(ref, "do") + row * width, dw, dw_magnitude,
                      &to);
    }
    double *out = vkz_ref_out(ref, "dw"), *scale = vkz_ref_scale(ref, "dw");
    for (int64_t c = 0; c < width; c++) {
        out[c] = (double)dw[c];
        scale[c] = (double)dw_magnitude[c];
    }
}

// The norm does not feel a common factor of y and past, so without eps no gradient points
// along them: Σ_c (dy y + Σ_i dpast_i past_i) = 0 in every row.
static bool check_orthogonal(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *data = vkz_identity_inputs(run, "eps=0");
    const float *y = vkz_identity_float(run, data, "y");
    const float *past = vkz_identity_float(run, data, "past");
    const double *dy = vkz_identity_output(run, data, "dy");
    const double *dpast = vkz_identity_output(run, data, "dpast");
    // One more than the rows: the size that what cancels has, on both sides.
    double *sum = vkz_identity_temp(run, rows + 1);
    double *zero = vkz_identity_temp(run, rows + 1);
    if (y == NULL || past == NULL || dy == NULL || dpast == NULL || zero == NULL) {
        return false;
    }
    for (int64_t i = 0; i < vkz_identity_count(data, "y"); i++) {
        sum[i / width] += dy[i] * (double)y[i] / (double)width;
        sum[rows] = fmax(sum[rows], fabs(dy[i] * (double)y[i]));
    }
    for (int64_t i = 0; i < vkz_identity_count(data, "past"); i++) {
        sum[i / width % rows] += dpast[i] * (double)past[i] / (double)width;
    }
    zero[rows] = sum[rows];
    return vkz_identity_equal(run, "dy", sum, zero, rows + 1, 4);
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"do", NULL};
    static const char *const outputs[] = {"dy", "dgate", "dpast", "dw", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

static const struct vkz_identity identities[] = {
    {"orthogonal", "without eps no gradient points along a common factor", "width > 1",
     check_orthogonal},
    {"linear", "doubling do doubles every gradient", NULL, check_linear},
    {0},
};

VKZ_OP(dense_hidden_fuse_backward) = {
    .name = "dense_hidden_fuse_backward",
    .family = "linear",
    .abi = 1,
    .forward = "dense_hidden_fuse",
    .title = "gradients of dense_hidden_fuse",
    .doc = "r = 1 / sqrt(mean(s²) + eps), g' = w ∘ do\n"
           "ds = r (g' - s r² mean(g' ∘ s))\n"
           "dy = ds,  dpast_i = ds ∘ silu(gate),  dw = Σ_rows do ∘ s r\n"
           "dgate = ds ∘ Σ past ∘ σ(gate) (1 + gate (1 - σ(gate)))\n"
           "\n"
           "DenseMamba arXiv 2403.00818.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .flops = "rows * width * (2 * m + 24)",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
