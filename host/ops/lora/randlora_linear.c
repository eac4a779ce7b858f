// SPDX-License-Identifier: MIT
// randlora_linear: a frozen linear layer and an update of full rank from random bases.
#include "ops/lora/randlora.h"

static const struct vkz_dim dims[] = {{"rows", "tokens", NULL}, RANDLORA_SIZES, {0}};
static const struct vkz_scalar scalars[] = {RANDLORA_SCALAR, {0}};
static const struct vkz_axis axes[] = {RANDLORA_AXIS, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, k", NULL, "normal(1)", NULL},
    {"w", VKZ_IN, "T", "n, k", NULL, "linear_w", "frozen"},
    RANDLORA_BASES,
    {"y", VKZ_OUT, "T", "rows, n", NULL, NULL, NULL},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct randlora r = randlora_of(ref);
    const float *x = vkz_ref_in(ref, "x") + row * r.k, *w = vkz_ref_in(ref, "w");
    struct randlora_sum *y = vkz_ref_temp(ref, (size_t)r.n * sizeof *y);
    for (int64_t o = 0; o < r.n; o++) {
        for (int64_t c = 0; c < r.k; c++) {
            randlora_add(&y[o], (real)x[c], (real)w[o * r.k + c],
                         fabs((real)w[o * r.k + c]));
        }
    }
    for (int64_t b = 0; b < r.nb; b++) {
        for (int64_t j = 0; j < r.rank; j++) {
            if (r.wide) {
                randlora_leave_a(&r, b, j, randlora_meet_b(&r, x, b, j), y);
            } else {
                randlora_leave_b(&r, b, j, randlora_meet_a(&r, x, b, j), y);
            }
        }
    }
    double *out = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    for (int64_t o = 0; o < r.n; o++) {
        out[o] = (double)y[o].value;
        scale[o] = (double)y[o].magnitude;
    }
}

static bool check_base(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "fill.lam=const(0)");
    struct vkz_data *two = vkz_identity_inputs(run, "s=0");
    return vkz_identity_equal(run, "y", vkz_identity_output(run, one, "y"),
                              vkz_identity_output(run, two, "y"),
                              vkz_identity_count(one, "y"), 2);
}

static bool check_order(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = randlora_reversed(run);
    return vkz_identity_equal(run, "y", vkz_identity_output(run, one, "y"),
                              vkz_identity_output(run, two, "y"),
                              vkz_identity_count(one, "y"), 2);
}

static bool check_double(struct vkz_identity_run *run)
{
    return randlora_doubled(run, "x", "y", 2);
}

static const struct vkz_identity identities[] = {
    {"base", "lam = 0 leaves the frozen layer", NULL, check_base},
    {"order", "the order of the bases does not matter", "BASIS == BASIS.dense",
     check_order},
    {"double", "doubling x doubles y", NULL, check_double},
    {0},
};

VKZ_OP(randlora_linear) = {
    .name = "randlora_linear",
    .family = "lora",
    .abi = 1,
    .title = "linear layer with a full-rank update from shared random bases",
    .doc = "dm = min(k,n), dx = max(k,n), nb = ceil(dm/rank)\n"
           "M = Σ_b B_b diag(lam_b) A diag(gam_b)  [dx, dm]\n"
           "y = x Wᵀ + s x Mᵀ  where k <= n,  y = x Wᵀ + s x M  where k > n\n"
           "\n"
           "A and all B_b are frozen; flat index b·rank + j of both factors.\n"
           "RandLoRA arXiv 2502.00987.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "2*rows*k*n + 2*rows*" RANDLORA_COLUMNS "*(k+n)",
    .sum_length = "k + n",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = randlora_fill,
    .identities = identities,
    .bitwise = true,
};
