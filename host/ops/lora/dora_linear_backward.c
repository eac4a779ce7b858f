// SPDX-License-Identifier: MIT
// dora_linear_backward: gradients of dora_linear but for the frozen weights.
#include "ops/lora/dora.h"

static const struct vkz_dim dims[] = {LORA_DIMS, {0}};
static const struct vkz_scalar scalars[] = {DORA_SCALARS, {0}};
static const struct vkz_axis axes[] = {DORA_NORM_AXIS, {0}};
static const struct vkz_tensor tensors[] = {
    DORA_TENSORS,
    {"c", VKZ_IN, "f32", "n", "NORM != NORM.given", "forward", "row norms of W + s B A"},
    {"dy", VKZ_IN, "T", "rows, n", NULL, "normal(1)", "gradient of y"},
    {"dx", VKZ_OUT, "T", "rows, k", NULL, NULL, NULL},
    {"da", VKZ_OUT, "f32", "rank, k", NULL, NULL, NULL},
    {"db", VKZ_OUT, "f32", "n, rank", NULL, NULL, NULL},
    {"dm", VKZ_OUT, "f32", "n", NULL, NULL, NULL},
    {0},
};

// Σ_rows dy (x Vᵀ)_o / c_o.
static struct lora_sums magnitudes(struct vkz_ref *ref, const struct lora *l,
                                   struct lora_sums v, const float *c)
{
    const float *dy = vkz_ref_in(ref, "dy");
    const struct lora_sums dm = lora_sums(ref, l->n);
    for (int64_t row = 0; row < l->rows; row++) {
        for (int64_t o = 0; o < l->n; o++) {
            const real d = (real)dy[row * l->n + o] / (real)c[o];
            for (int64_t i = 0; i < l->k; i++) {
                const real x = d * (real)l->x[row * l->k + i];
                lora_add(dm, o, x * v.value[o * l->k + i], x * v.magnitude[o * l->k + i]);
            }
        }
    }
    return dm;
}

// The part of dA and dB through c: -s Bᵀ diag(q) V and -s diag(q) V Aᵀ, q = u dm / c.
static void through_norm(const struct lora *l, struct lora_sums v, struct lora_sums dm,
                         const float *c, const struct lora_gradients *to)
{
    for (int64_t o = 0; o < l->n; o++) {
        const real q = l->u[o] * dm.value[o] / (real)c[o];
        const real q_size = l->u[o] * dm.magnitude[o] / (real)c[o];
        for (int64_t j = 0; j < l->rank; j++) {
            for (int64_t i = 0; i < l->k; i++) {
                const real b = -l->s * (real)l->b[o * l->rank + j];
                const real a = -l->s * (real)l->a[j * l->k + i];
                const int64_t at = o * l->k + i;
                lora_add(to->da, j * l->k + i, b * q * v.value[at],
                         b * q_size * v.magnitude[at]);
                lora_add(to->g, o * l->rank + j, a * q * v.value[at],
                         a * q_size * v.magnitude[at]);
            }
        }
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // sums over all rows
    struct lora l = lora_open(ref);
    l.s = (real)vkz_ref_value(ref, "s");
    const bool given = vkz_ref_dim(ref, "NORM") == NORM_GIVEN;
    const float *c = vkz_ref_in(ref, given ? "c0" : "c"), *m = vkz_ref_in(ref, "m");
    real *u = vkz_ref_temp(ref, (size_t)l.n * sizeof(real));
    for (int64_t o = 0; o < l.n; o++) {
        u[o] = (real)m[o] / (real)c[o];
    }
    l.u = u;
    const struct lora_gradients to = lora_gradients(ref, &l);
    const struct lora_sums v = dora_weights(ref, &l);
    const struct lora_sums dm = magnitudes(ref, &l, v, c);
    lora_backward(ref, &l, lora_all_weights(ref, &l), &to);
    if (!given) {
        through_norm(&l, v, dm, c, &to);
    }
    lora_store(ref, "dx", to.dx, l.rows * l.k);
    lora_store(ref, "da", to.da, l.rank * l.k);
    lora_store(ref, "db", to.g, l.n * l.rank);
    lora_store(ref, "dm", dm, l.n);
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const outputs[] = {"dx", "da", "db", "dm", NULL};
    return lora_check_linear(run, outputs);
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dy doubles every gradient", NULL, check_linear},
    {0},
};

VKZ_OP(dora_linear_backward) = {
    .name = "dora_linear_backward",
    .family = "lora",
    .forward = "dora_linear",
    .abi = 1,
    .title = "gradients of dora_linear",
    .doc = "u = m / c,  dm_o = Σ_rows dy_o (x Vᵀ)_o / c_o,  q = u ∘ dm / c\n"
           "dx = (u ∘ dy) V\n"
           "dA = s ((u ∘ dy) B)ᵀ x - s Bᵀ diag(q) V\n"
           "dB = s (u ∘ dy)ᵀ (x Aᵀ) - s diag(q) V Aᵀ\n"
           "\n"
           "NORM given leaves out the terms with q: c is a constant then. V = W + s B A is\n"
           "not formed. DoRA arXiv 2402.09353.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "4 * rows * k * n + 4 * rows * rank * (k + n) + "
             "(NORM == NORM.given ? 0 : 4 * n * k * rank)",
    .sum_length = "max(rows + max(k, n), n + rank)",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
