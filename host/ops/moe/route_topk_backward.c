// SPDX-License-Identifier: MIT
// route_topk_backward: gradients of route_topk, the choice being fixed.
#include "ops/moe/route.h"

static const struct vkz_dim dims[] = {ROUTE_DIMS, {0}};
static const struct vkz_scalar scalars[] = {ROUTE_SCALAR_SCALE, ROUTE_SCALAR_EPS,
                                            ROUTE_SCALAR_TEMP, {0}};
static const struct vkz_axis axes[] = {ROUTE_AXIS_INPUT, ROUTE_AXIS_SCORE,
                                       ROUTE_AXIS_ORDER, ROUTE_AXIS_RENORM,
                                       ROUTE_AXIS_NOISE, ROUTE_AXIS_SAVE, {0}};

static const struct vkz_tensor tensors[] = {
    {"logits", VKZ_IN, "f32", "rows, experts", "INPUT == INPUT.logits", "op", NULL},
    {"x", VKZ_IN, "T", "rows, width", ROUTE_HAS_X, "normal(1)", "tokens"},
    {"wg", VKZ_IN, "T", "experts, width", ROUTE_HAS_X, "linear_w", "gate weights"},
    ROUTE_NOISE_INPUTS,
    {"idx", VKZ_IN, "i32", "rows, topk", NULL, "forward", "experts chosen, -1: none"},
    {"dw", VKZ_IN, "f32", "rows, topk", NULL, "normal(1)", "gradient of w"},
    {"dscore", VKZ_IN, "f32", "rows, experts", "SAVE == SAVE.on", "normal(1)",
     "gradient of score, of the losses"},
    {"dlogits", VKZ_OUT, "f32", "rows, experts", "INPUT == INPUT.logits", NULL, NULL},
    {"dx", VKZ_OUT, "T", "rows, width", ROUTE_HAS_X, NULL, NULL},
    {"dwg", VKZ_OUT, "f32", "experts, width", ROUTE_HAS_X, NULL, NULL},
    {"dwn", VKZ_OUT, "f32", "experts, width", ROUTE_HAS_NOISE, NULL, NULL},
    {0},
};

// logits: an eighth apart, so that no small step changes the choice.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor;
    const int64_t experts = (int64_t)vkz_fill_value(fill, "experts");
    float *logits = vkz_fill_float(fill);
    for (int64_t i = 0; i < vkz_fill_count(fill); i++) {
        const int64_t first = i - i % experts;
        const double mine = vkz_fill_uniform(fill, (uint64_t)i);
        int64_t place = 0;
        for (int64_t j = first; j < first + experts; j++) {
            const double other = vkz_fill_uniform(fill, (uint64_t)j);
            place += other < mine || (other == mine && j < i);
        }
        logits[i] = (float)(place - experts / 2) / 8;
    }
}

struct row_gradient {
    real *dl, *magnitude;
};

// Gradient of the scores, then of the logits.
static struct row_gradient row_gradient(struct vkz_ref *ref, const struct route_row *r,
                                        int64_t row)
{
    const int64_t topk = vkz_ref_dim(ref, "topk");
    const bool after = vkz_ref_dim(ref, "ORDER") == ROUTE_TOPK_THEN_SOFTMAX;
    const real scale = (real)vkz_ref_value(ref, "scale");
    const real eps = (real)vkz_ref_value(ref, "eps");
    const int32_t *idx = vkz_ref_in_int(ref, "idx") + row * topk;
    const float *dw = vkz_ref_in(ref, "dw") + row * topk;
    const float *dscore = vkz_ref_in(ref, "dscore");
    const size_t size = (size_t)r->experts * sizeof(real);
    struct row_gradient g = {vkz_ref_temp(ref, size), vkz_ref_temp(ref, size)};
    real *ds = vkz_ref_temp(ref, size), *ds_magnitude = vkz_ref_temp(ref, size);
    real most = (real)-3.0e38, z = 0, sum = 0, sum_magnitude = 0;
    for (int64_t t = 0; t < topk; t++) {
        most = idx[t] >= 0 && r->l[idx[t]] > most ? r->l[idx[t]] : most;
    }
    for (int64_t t = 0; t < topk; t++) {
        if (idx[t] >= 0) {
            const real s = after ? exp(r->l[idx[t]] - most) : r->s[idx[t]];
            z += s;
            sum += s * (real)dw[t];
            sum_magnitude += s * fabs((real)dw[t]);
        }
    }
    const bool divided = after || vkz_ref_dim(ref, "RENORM") != 0;
    const bool bounded = divided && !after && z < eps;
    for (int64_t t = 0; t < topk; t++) {
        if (idx[t] < 0) {
            continue;
        }
        real d = (real)dw[t], d_magnitude = fabs(d);
        if (bounded) {
            d /= eps;
            d_magnitude /= eps;
        } else if (divided) {
            d = (d - sum / z) / z;
            d_magnitude = (d_magnitude + sum_magnitude / z) / z;
        }
        if (after) {
            const real p = exp(r->l[idx[t]] - most);
            g.dl[idx[t]] += scale * d * p;
            g.magnitude[idx[t]] += fabs(scale) * d_magnitude * p;
        } else {
            ds[idx[t]] += scale * d;
            ds_magnitude[idx[t]] += fabs(scale) * d_magnitude;
        }
    }
    real inner = 0, inner_magnitude = 0;
    for (int64_t i = 0; i < r->experts; i++) {
        const real d = dscore != NULL ? (real)dscore[row * r->experts + i] : 0;
        ds[i] += d;
        ds_magnitude[i] += fabs(d);
        inner += r->s[i] * ds[i];
        inner_magnitude += r->s[i] * ds_magnitude[i];
    }
    for (int64_t i = 0; i < r->experts; i++) {
        const real s = r->s[i];
        real slope = s;
        if (r->score == ROUTE_SIGMOID) {
            slope = s * route_sigmoid(-r->l[i]);
            inner = inner_magnitude = 0;
        } else if (r->score == ROUTE_SQRTSOFTPLUS) {
            slope = route_sigmoid(r->l[i]) / (2 * s);
            inner = inner_magnitude = 0;
        }
        const real magnitude = slope * (ds_magnitude[i] + inner_magnitude);
        g.dl[i] += slope * (ds[i] - inner);
        g.magnitude[i] += magnitude;
        g.magnitude[i] *= 1 + r->magnitude[i] + r->largest_magnitude;
    }
    return g;
}

// What a term adds to an output of f32 or T and to its scale.
static void add(double *out, double *scale, real value, real magnitude)
{
    *out += (double)value;
    *scale += (double)magnitude;
}

static void row_products(struct vkz_ref *ref, const struct route_row *r,
                         const struct row_gradient *g, int64_t row)
{
    const int64_t width = vkz_ref_dim(ref, "width"), experts = r->experts;
    const float *x = vkz_ref_in(ref, "x") + row * width;
    const float *wg = vkz_ref_in(ref, "wg"), *wn = vkz_ref_in(ref, "wn");
    const float *eps_n = vkz_ref_in(ref, "eps_n");
    double *dx = vkz_ref_out(ref, "dx") + row * width, *dwg = vkz_ref_out(ref, "dwg");
    double *dx_scale = vkz_ref_scale(ref, "dx") + row * width;
    double *dwg_scale = vkz_ref_scale(ref, "dwg");
    double *dwn = vkz_ref_out(ref, "dwn"), *dwn_scale = vkz_ref_scale(ref, "dwn");
    const real temp = (real)vkz_ref_value(ref, "temp");
    for (int64_t e = 0; e < experts; e++) {
        real d = g->dl[e], magnitude = g->magnitude[e], along_x = 0, along_g = 0;
        if (r->score == ROUTE_COSINE) {
            const real x_square = fmax(r->x_square, (real)1e-24);
            const real g_square = fmax(r->g_square[e], (real)1e-24);
            along_x = d * r->l[e] / x_square;
            along_g = d * r->l[e] / g_square;
            d /= sqrt(x_square * g_square) * temp;
            magnitude /= sqrt(x_square * g_square) * temp;
        }
        for (int64_t c = 0; c < width; c++) {
            const int64_t at = e * width + c;
            const real xc = (real)x[c], gc = (real)wg[at];
            add(&dx[c], &dx_scale[c], d * gc - along_x * xc,
                magnitude * fabs(gc) + fabs(along_x * xc));
            add(&dwg[at], &dwg_scale[at], d * xc - along_g * gc,
                magnitude * fabs(xc) + fabs(along_g * gc));
        }
        if (wn != NULL) {
            const real n = (real)eps_n[row * experts + e];
            const real factor = n * route_sigmoid(r->width[e]);
            for (int64_t c = 0; c < width; c++) {
                const int64_t at = e * width + c;
                add(&dx[c], &dx_scale[c], d * factor * (real)wn[at],
                    magnitude * fabs(factor * (real)wn[at]));
                add(&dwn[at], &dwn_scale[at], d * factor * (real)x[c],
                    magnitude * fabs(factor * (real)x[c]));
            }
        }
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    static const char *const sums[] = {"dx", "dwg", "dwn"};
    const int64_t experts = vkz_ref_dim(ref, "experts"), rows = vkz_ref_dim(ref, "rows");
    const int64_t width = vkz_ref_dim(ref, "width");
    double *dlogits = vkz_ref_out(ref, "dlogits");
    if (dlogits != NULL) {
        const struct route_row r = route_row(ref, unit);
        const struct row_gradient g = row_gradient(ref, &r, unit);
        for (int64_t i = 0; i < experts; i++) {
            dlogits[i] = (double)g.dl[i];
            vkz_ref_scale(ref, "dlogits")[i] = (double)g.magnitude[i] + 1e-30;
        }
        return;
    }
    for (int i = 0; i < 3; i++) {
        double *out = vkz_ref_out(ref, sums[i]), *scale = vkz_ref_scale(ref, sums[i]);
        for (int64_t j = 0; out != NULL && j < (i == 0 ? rows : experts) * width; j++) {
            out[j] = 0;
            scale[j] = 1e-30;
        }
    }
    for (int64_t row = 0; row < rows; row++) {
        const struct route_row r = route_row(ref, row);
        const struct row_gradient g = row_gradient(ref, &r, row);
        row_products(ref, &r, &g, row);
    }
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"dw", "dscore", NULL};
    static const char *const outputs[] = {"dlogits", "dx", "dwg", "dwn", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

// A softmax does not feel what all logits have in common: their gradients add up to 0.
static bool check_sum(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t experts = vkz_identity_dim(run, "experts");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const double *dlogits = vkz_identity_output(run, data, "dlogits");
    double *sum = vkz_identity_temp(run, rows + 1);
    double *zero = vkz_identity_temp(run, rows + 1);
    for (int64_t i = 0; dlogits != NULL && zero != NULL && i < rows * experts; i++) {
        sum[i / experts] += dlogits[i] / (double)experts;
        sum[rows] = zero[rows] = fmax(sum[rows], fabs(dlogits[i]));
    }
    return vkz_identity_equal(run, "dlogits", sum, zero, rows + 1, 4);
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dw and dscore doubles every gradient", NULL, check_linear},
    {"sum", "gradients of a softmax's logits add up to 0",
     "INPUT == INPUT.logits && SCORE == SCORE.softmax && experts > 1", check_sum},
    {0},
};

VKZ_OP(route_topk_backward) = {
    .name = "route_topk_backward",
    .family = "moe",
    .abi = 1,
    .forward = "route_topk",
    .title = "gradients of route_topk, the choice being fixed",
    .doc = "RENORM with z = Σ s[idx]: ds[idx] = (scale dw - Σ w dw) / z, else scale dw;\n"
           "+ dscore; topk_then_softmax with p = softmax(l[idx]):\n"
           "dl[idx] = p ∘ (scale dw - Σ p scale dw)\n"
           "sigmoid: dl = ds s (1 - s); sqrtsoftplus: dl = ds σ(l) / (2 s);\n"
           "softmax and cosine: dl = s ∘ (ds - Σ s ds) over all experts\n"
           "dx = dl wg, dwg = dlᵀ x, through the normalisation for cosine;\n"
           "NOISE: the same with dl ∘ eps_n σ(x wnᵀ) and wn\n"
           "\n"
           "Switch arXiv 2101.03961, DeepSeek-V3 2412.19437, Shazeer 1701.06538.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = ROUTE_VALID,
    .valid_reason = ROUTE_VALID_REASON,
    .flops = "3 * " ROUTE_PRODUCTS " + rows * experts * 8",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "INPUT == INPUT.x ? 1 : rows",
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
