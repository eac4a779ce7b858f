// SPDX-License-Identifier: MIT
// randlora_linear_backward: gradients of the input and of what is trained, W and the
// bases being frozen.
#include "ops/lora/randlora.h"

static const struct vkz_dim dims[] = {{"rows", "tokens", NULL}, RANDLORA_SIZES, {0}};
static const struct vkz_scalar scalars[] = {RANDLORA_SCALAR, {0}};
static const struct vkz_axis axes[] = {RANDLORA_AXIS, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, k", NULL, "normal(1)", NULL},
    {"w", VKZ_IN, "T", "n, k", NULL, "linear_w", "frozen"},
    RANDLORA_BASES,
    {"dy", VKZ_IN, "T", "rows, n", NULL, "normal(1)", "gradient of y"},
    {"dx", VKZ_OUT, "T", "rows, k", NULL, NULL, NULL},
    {"dlam", VKZ_OUT, "f32", "ceildiv(min(k,n),rank), rank", NULL, NULL, NULL},
    {"dgam", VKZ_OUT, "f32", "ceildiv(min(k,n),rank), min(k,n)", NULL, NULL, NULL},
    {0},
};

// One row's share of everything, for one column of one basis. `at_a` and `at_b` are the
// row of x and the row of dy, whichever is dm and dx long.
static void column_gradients(const struct randlora *r, const float *at_a,
                             const float *at_b, int64_t b, int64_t j,
                             struct randlora_sum *dx, struct randlora_sum *dlam,
                             struct randlora_sum *dgam)
{
    const struct randlora_sum za = randlora_meet_a(r, at_a, b, j);
    const struct randlora_sum zb = randlora_meet_b(r, at_b, b, j);
    const real factor = r->s * (real)r->lam[b * r->rank + j];
    dlam->value += r->s * za.value * zb.value;
    dlam->magnitude += fabs(r->s) * za.magnitude * zb.magnitude;
    for (int64_t c = 0; c < r->dm; c++) {
        const real x = (real)at_a[c] * randlora_a(r, j, c);
        randlora_add(&dgam[b * r->dm + c], factor * x, zb.value, zb.magnitude);
    }
    if (r->wide) {
        randlora_leave_b(r, b, j, za, dx);
    } else {
        randlora_leave_a(r, b, j, zb, dx);
    }
}

static void store(struct vkz_ref *ref, const char *name, const struct randlora_sum *sum,
                  int64_t first, int64_t count)
{
    double *out = vkz_ref_out(ref, name), *scale = vkz_ref_scale(ref, name);
    for (int64_t i = 0; i < count; i++) {
        out[first + i] = (double)sum[i].value;
        scale[first + i] = (double)sum[i].magnitude;
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // dlam and dgam are sums over all rows
    const struct randlora r = randlora_of(ref);
    const int64_t rows = vkz_ref_dim(ref, "rows");
    const float *w = vkz_ref_in(ref, "w");
    struct randlora_sum *dx = vkz_ref_temp(ref, (size_t)r.k * sizeof *dx);
    struct randlora_sum *dlam =
        vkz_ref_temp(ref, (size_t)(r.nb * r.rank) * sizeof *dlam);
    struct randlora_sum *dgam = vkz_ref_temp(ref, (size_t)(r.nb * r.dm) * sizeof *dgam);
    for (int64_t i = 0; i < rows; i++) {
        const float *x = vkz_ref_in(ref, "x") + i * r.k;
        const float *dy = vkz_ref_in(ref, "dy") + i * r.n;
        memset(dx, 0, (size_t)r.k * sizeof *dx);
        for (int64_t o = 0; o < r.n; o++) {
            for (int64_t c = 0; c < r.k; c++) {
                randlora_add(&dx[c], (real)dy[o], (real)w[o * r.k + c],
                             fabs((real)w[o * r.k + c]));
            }
        }
        for (int64_t b = 0; b < r.nb; b++) {
            for (int64_t j = 0; j < r.rank; j++) {
                column_gradients(&r, r.wide ? dy : x, r.wide ? x : dy, b, j, dx,
                                 &dlam[b * r.rank + j], dgam);
            }
        }
        store(ref, "dx", dx, i * r.k, r.k);
    }
    store(ref, "dlam", dlam, 0, r.nb * r.rank);
    store(ref, "dgam", dgam, 0, r.nb * r.dm);
}

static bool check_linear(struct vkz_identity_run *run)
{
    return randlora_doubled(run, "dy", "dx", 2) &&
           randlora_doubled(run, "dy", "dlam", 2) &&
           randlora_doubled(run, "dy", "dgam", 2);
}

// The side path is linear in lam and in gam: Σ lam dlam = Σ gam dgam.
static bool check_same_degree(struct vkz_identity_run *run)
{
    static const char *const trained[] = {"lam", "gam"};
    static const char *const gradients[] = {"dlam", "dgam"};
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    double *sums = vkz_identity_temp(run, 4); // a sum, and the size of what cancels
    for (int i = 0; i < 2; i++) {
        const float *value = vkz_identity_float(run, data, trained[i]);
        const double *gradient = vkz_identity_output(run, data, gradients[i]);
        if (value == NULL || gradient == NULL || sums == NULL) {
            return false;
        }
        for (int64_t j = 0; j < vkz_identity_count(data, trained[i]); j++) {
            sums[2 * i] += (double)value[j] * gradient[j];
            sums[1] += fabs((double)value[j] * gradient[j]);
        }
    }
    sums[3] = sums[1];
    return vkz_identity_equal(run, "dlam", sums, sums + 2, 2, 2);
}

static bool check_order(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = randlora_reversed(run);
    return vkz_identity_equal(run, "dx", vkz_identity_output(run, one, "dx"),
                              vkz_identity_output(run, two, "dx"),
                              vkz_identity_count(one, "dx"), 2);
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dy doubles every gradient", NULL, check_linear},
    {"same_degree", "sum lam dlam = sum gam dgam", NULL, check_same_degree},
    {"order", "the order of the bases does not matter to dx", "BASIS == BASIS.dense",
     check_order},
    {0},
};

VKZ_OP(randlora_linear_backward) = {
    .name = "randlora_linear_backward",
    .family = "lora",
    .abi = 1,
    .forward = "randlora_linear",
    .title = "gradients of randlora_linear: input, lam and gam",
    .doc = "With X_a the one of x, dy that has dm columns, and X_b the other:\n"
           "Za_b = (X_a ∘ gam_b) Aᵀ,  Zb_b = X_b B_b\n"
           "dlam_b = s Σ_rows Za_b ∘ Zb_b\n"
           "dgam_b = s Σ_rows X_a ∘ ((Zb_b ∘ lam_b) A)\n"
           "dx = dy W + s Σ_b gam_b ∘ ((Zb_b ∘ lam_b) A)  where k <= n,\n"
           "dx = dy W + s Σ_b (Za_b ∘ lam_b) B_bᵀ         where k > n\n"
           "\n"
           "RandLoRA arXiv 2502.00987.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "2*rows*k*n + 2*rows*" RANDLORA_COLUMNS "*(k+n+2*min(k,n))",
    .sum_length = "k + n + rows",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "1",
    .reference = reference,
    .fill = randlora_fill,
    .identities = identities,
    .bitwise = true,
};
