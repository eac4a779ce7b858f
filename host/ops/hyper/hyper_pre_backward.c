// SPDX-License-Identifier: MIT
// hyper_pre_backward: gradients of hyper_pre.
#include "ops/hyper/hyper.h"

static const struct vkz_dim dims[] = {HYPER_STREAM_DIMS, {0}};
static const struct vkz_scalar scalars[] = {HYPER_SCALARS, {0}};
static const struct vkz_axis axes[] = {HYPER_AXES, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, streams, width", NULL, "normal(1)", "streams"},
    HYPER_INPUT_PARAMETERS("streams", "streams, streams"),
    HYPER_DYNAMIC_PARAMETERS("width", "streams, width", "width"),
    {"dh0", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "gradient of h0"},
    {"dy", VKZ_IN, "T", "rows, streams, width", NULL, "normal(1)", "gradient of y"},
    {"dbeta", VKZ_IN, "f32", "rows, streams", NULL, "normal(1)", "gradient of beta"},
    {"dx", VKZ_OUT, "T", "rows, streams, width", NULL, NULL, NULL},
    {"dam", VKZ_OUT, "f32", "streams", NULL, NULL, NULL},
    {"dar", VKZ_OUT, "f32", "streams, streams", NULL, NULL, NULL},
    {"dbs", VKZ_OUT, "f32", "streams", NULL, NULL, NULL},
    {"dwm", VKZ_OUT, "f32", "width", HYPER_WHEN, NULL, NULL},
    {"dwr", VKZ_OUT, "f32", "streams, width", HYPER_WHEN, NULL, NULL},
    {"dwb", VKZ_OUT, "f32", "width", HYPER_WHEN, NULL, NULL},
    {"dsa", VKZ_OUT, "f32", "1", HYPER_WHEN, NULL, NULL},
    {"dsb", VKZ_OUT, "f32", "1", HYPER_WHEN, NULL, NULL},
    {"dgamma", VKZ_OUT, "f32", "width", HYPER_WHEN, NULL, NULL},
    {0},
};

// An output that rows add to, and the magnitude of what they add.
struct total {
    real *value, *magnitude;
    int64_t count;
    const char *name;
};

static struct total total(struct vkz_ref *ref, const char *name, int64_t count)
{
    return (struct total){
        .value = vkz_ref_temp(ref, (size_t)count * sizeof(real)),
        .magnitude = vkz_ref_temp(ref, (size_t)count * sizeof(real)),
        .count = count,
        .name = name,
    };
}

static void total_add(struct total *to, int64_t i, real value, real magnitude)
{
    to->value[i] += value;
    to->magnitude[i] += magnitude;
}

static void total_store(struct vkz_ref *ref, const struct total *from)
{
    double *out = vkz_ref_out(ref, from->name), *scale = vkz_ref_scale(ref, from->name);
    for (int64_t i = 0; out != NULL && i < from->count; i++) {
        out[i] = (double)from->value[i];
        scale[i] = (double)from->magnitude[i];
    }
}

struct sums {
    struct total am, ar, bs, wm, wr, wb, sa, sb, gamma;
};

// One token: its streams, upstream gradients and the coefficients.
struct token {
    struct hyper_row h;
    const real *x, *dh0, *dy, *dbeta;
    real *dn, *dn_magnitude;   // gradient of n, a stream after another
    double *dx, *scale;
};

// A coefficient (i, j) of a family whose gradient is `d`: what it adds to the gradients of
// its static part, its weights, their factor, and to dn_i.
static void coefficient(struct vkz_ref *ref, struct token *t, const struct hyper_mix *mix,
                        int64_t i, int64_t j, real d, real magnitude,
                        struct total *fixed, struct total *weights, struct total *factor,
                        const char *weights_name, const char *factor_name)
{
    const int64_t c = t->h.shape.c, at = i * mix->columns + j;
    total_add(fixed, at, d, magnitude);
    if (!t->h.dynamic) {
        return;
    }
    const float *w = vkz_ref_in(ref, weights_name) + j * c;
    const float *gamma = vkz_ref_in(ref, "gamma");
    const real a = (real)vkz_ref_in(ref, factor_name)[0], th = mix->tanh[at];
    const real flat = (real)1 - th * th;
    const real u = a * d * flat;
    const real u_magnitude =
        fabs(a) * magnitude * ((real)1 + (real)2 * fabs(th) * flat * mix->argument[at]);
    total_add(factor, 0, d * th, magnitude * (fabs(th) + flat * mix->argument[at]));
    for (int64_t l = 0; l < c; l++) {
        const real n = t->h.xn[i * c + l] * (real)gamma[l];
        const real n_magnitude = t->h.xn_magnitude[i * c + l] * fabs((real)gamma[l]);
        total_add(weights, j * c + l, u * n, u_magnitude * n_magnitude);
        t->dn[i * c + l] += u * (real)w[l];
        t->dn_magnitude[i * c + l] += u_magnitude * fabs((real)w[l]);
    }
}

static void dot(const real *a, const real *b, int64_t count, real *sum, real *magnitude)
{
    *sum = *magnitude = 0;
    for (int64_t l = 0; l < count; l++) {
        *sum += a[l] * b[l];
        *magnitude += fabs(a[l] * b[l]);
    }
}

// dx_i: through the mixes, and through the norm.
static void stream_gradient(struct vkz_ref *ref, struct token *t, int64_t i,
                            struct total *dgamma)
{
    const int64_t s = t->h.shape.s, c = t->h.shape.c;
    const bool layer = vkz_ref_dim(ref, "NORM") == NORM_LAYER;
    const real *xn = t->h.xn + i * c, *xm = t->h.xn_magnitude + i * c;
    real mean = 0, mean_magnitude = 0, along = 0, along_magnitude = 0;
    for (int64_t l = 0; t->h.dynamic && l < c; l++) {
        const real gamma = (real)vkz_ref_in(ref, "gamma")[l];
        const real g = t->dn[i * c + l] * gamma;
        const real g_magnitude = t->dn_magnitude[i * c + l] * fabs(gamma);
        along += g * xn[l] / (real)c;
        along_magnitude += g_magnitude * xm[l] / (real)c;
        mean += layer ? g / (real)c : (real)0;
        mean_magnitude += layer ? g_magnitude / (real)c : (real)0;
        total_add(dgamma, l, t->dn[i * c + l] * xn[l], t->dn_magnitude[i * c + l] * xm[l]);
    }
    for (int64_t l = 0; l < c; l++) {
        real sum = t->h.alpha.value[i] * t->dh0[l];
        real magnitude = t->h.alpha.magnitude[i] * fabs(t->dh0[l]);
        for (int64_t j = 0; j < s; j++) {
            sum += t->h.rho.value[i * s + j] * t->dy[j * c + l];
            magnitude += t->h.rho.magnitude[i * s + j] * fabs(t->dy[j * c + l]);
        }
        if (t->h.dynamic) {
            const real gamma = (real)vkz_ref_in(ref, "gamma")[l];
            sum += t->h.r[i] * (t->dn[i * c + l] * gamma - mean - xn[l] * along);
            magnitude += t->h.r[i] * (t->dn_magnitude[i * c + l] * fabs(gamma) +
                                      mean_magnitude + xm[l] * along_magnitude);
        }
        t->dx[i * c + l] = (double)sum;
        t->scale[i * c + l] = (double)magnitude;
    }
}

static void row_gradients(struct vkz_ref *ref, int64_t row, struct sums *sums)
{
    const struct hyper_shape shape = hyper_streams(ref);
    const int64_t s = shape.s, c = shape.c;
    const size_t size = (size_t)(s * c) * sizeof(real);
    const real *x = hyper_load(ref, "x", row, s * c);
    struct token t = {
        .h = hyper_row(ref, shape, x, NULL),
        .x = x,
        .dh0 = hyper_load(ref, "dh0", row, c),
        .dy = hyper_load(ref, "dy", row, s * c),
        .dbeta = hyper_load(ref, "dbeta", row, s),
        .dn = vkz_ref_temp(ref, size),
        .dn_magnitude = vkz_ref_temp(ref, size),
        .dx = vkz_ref_out(ref, "dx") + row * s * c,
        .scale = vkz_ref_scale(ref, "dx") + row * s * c,
    };
    for (int64_t i = 0; i < s; i++) {
        real d, magnitude;
        dot(x + i * c, t.dh0, c, &d, &magnitude);
        coefficient(ref, &t, &t.h.alpha, i, 0, d, magnitude, &sums->am, &sums->wm,
                    &sums->sa, "wm", "sa");
        coefficient(ref, &t, &t.h.beta, i, 0, t.dbeta[i], fabs(t.dbeta[i]), &sums->bs,
                    &sums->wb, &sums->sb, "wb", "sb");
        for (int64_t j = 0; j < s; j++) {
            dot(x + i * c, t.dy + j * c, c, &d, &magnitude);
            coefficient(ref, &t, &t.h.rho, i, j, d, magnitude, &sums->ar, &sums->wr,
                        &sums->sa, "wr", "sa");
        }
        stream_gradient(ref, &t, i, &sums->gamma);
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // parameters' gradients are sums over all rows
    const struct hyper_shape shape = hyper_streams(ref);
    const int64_t s = shape.s, c = shape.c;
    struct sums sums = {
        .am = total(ref, "dam", s),
        .ar = total(ref, "dar", s * s),
        .bs = total(ref, "dbs", s),
        .wm = total(ref, "dwm", c),
        .wr = total(ref, "dwr", s * c),
        .wb = total(ref, "dwb", c),
        .sa = total(ref, "dsa", 1),
        .sb = total(ref, "dsb", 1),
        .gamma = total(ref, "dgamma", c),
    };
    for (int64_t row = 0; row < vkz_ref_dim(ref, "rows"); row++) {
        row_gradients(ref, row, &sums);
    }
    const struct total *const all[] = {&sums.am, &sums.ar, &sums.bs, &sums.wm,   &sums.wr,
                                       &sums.wb, &sums.sa, &sums.sb, &sums.gamma};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        total_store(ref, all[i]);
    }
}

static void fill(struct vkz_fill *to, const char *tensor)
{
    hyper_fill(to, tensor, (int64_t)vkz_fill_value(to, "streams"), 1);
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"dh0", "dy", "dbeta", NULL};
    static const char *const outputs[] = {"dx", "dam", "dar", "dbs", "dwr", "dgamma", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dh0, dy and dbeta doubles every gradient", NULL, check_linear},
    {0},
};

VKZ_OP(hyper_pre_backward) = {
    .name = "hyper_pre_backward",
    .family = "hyper",
    .abi = 1,
    .forward = "hyper_pre",
    .title = "gradients of hyper_pre",
    .doc = "dalpha_i = x_i · dh0,  drho_ij = x_i · dy_j,  dbeta_i given\n"
           "u = (sa or sb) d (1 - tanh²) of every dynamic coefficient\n"
           "dn_i = um_i wm + ub_i wb + Σ_j ur_ij wr_j,  g = dn ∘ gamma\n"
           "dx_i = alpha_i dh0 + Σ_j rho_ij dy_j + r_i (g_i - x_i r_i² mean(g_i ∘ x_i))\n"
           "dam, dar, dbs: sums of d over tokens;  dsa, dsb: of d tanh\n"
           "dwm = Σ um_i n_i,  dwr_j = Σ ur_ij n_i,  dwb = Σ ub_i n_i,\n"
           "dgamma = Σ dn_i ∘ norm(x_i)   over streams and tokens\n"
           "\n"
           "NORM=layer takes the means off x and g. Hyper-connections arXiv 2409.19606.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "rows * width * streams * (KIND == KIND.dynamic ? 10 * (streams + 2) + 8 :"
             " 4 * (streams + 1))",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "1",
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
