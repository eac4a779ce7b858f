// SPDX-License-Identifier: MIT
// randlora_delta: the update of RandLoRA as a matrix, for merging.
#include "ops/lora/randlora.h"

static const struct vkz_dim dims[] = {RANDLORA_SIZES, {0}};
static const struct vkz_scalar scalars[] = {RANDLORA_SCALAR, {0}};
static const struct vkz_axis axes[] = {RANDLORA_AXIS, {0}};
static const struct vkz_tensor tensors[] = {
    RANDLORA_BASES,
    {"dw", VKZ_OUT, "T", "n, k", NULL, NULL, "what merging adds to W"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct randlora r = randlora_of(ref);
    struct randlora_sum *dw = vkz_ref_temp(ref, (size_t)r.k * sizeof *dw);
    for (int64_t b = 0; b < r.nb; b++) {
        for (int64_t j = 0; j < r.rank; j++) {
            if (r.wide) { // row of Mᵀ: gam_b A[j, row] times column j of B_b
                const real x = (real)r.gam[b * r.dm + row] * randlora_a(&r, j, row);
                randlora_leave_b(&r, b, j, (struct randlora_sum){x, fabs(x)}, dw);
            } else {
                const real x = randlora_b(&r, b, row, j);
                randlora_leave_a(&r, b, j, (struct randlora_sum){x, fabs(x)}, dw);
            }
        }
    }
    double *out = vkz_ref_out(ref, "dw"), *scale = vkz_ref_scale(ref, "dw");
    for (int64_t c = 0; c < r.k; c++) {
        out[c] = (double)dw[c].value;
        scale[c] = (double)dw[c].magnitude;
    }
}

static bool check_order(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = randlora_reversed(run);
    return vkz_identity_equal(run, "dw", vkz_identity_output(run, one, "dw"),
                              vkz_identity_output(run, two, "dw"),
                              vkz_identity_count(one, "dw"), 2);
}

static bool check_double(struct vkz_identity_run *run)
{
    return randlora_doubled(run, "lam", "dw", 2) && randlora_doubled(run, "gam", "dw", 2);
}

// With the widths swapped the same factors give the transposed update.
static bool check_transpose(struct vkz_identity_run *run)
{
    const int64_t k = vkz_identity_dim(run, "k"), n = vkz_identity_dim(run, "n");
    char settings[64];
    snprintf(settings, sizeof settings, "k=%lld n=%lld", (long long)n, (long long)k);
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, settings);
    const double *dw = vkz_identity_output(run, one, "dw");
    const double *other = vkz_identity_output(run, two, "dw");
    double *turned = vkz_identity_temp(run, k * n);
    for (int64_t i = 0; dw != NULL && other != NULL && turned != NULL && i < k * n; i++) {
        turned[i] = other[i % k * n + i / k];
    }
    return vkz_identity_equal(run, "dw", dw, turned, vkz_identity_count(one, "dw"), 2);
}

static const struct vkz_identity identities[] = {
    {"order", "the order of the bases does not matter", "BASIS == BASIS.dense",
     check_order},
    {"double", "doubling lam or gam doubles the update", NULL, check_double},
    {"transpose", "swapping k and n transposes the update", "k != n", check_transpose},
    {0},
};

VKZ_OP(randlora_delta) = {
    .name = "randlora_delta",
    .family = "lora",
    .abi = 1,
    .title = "RandLoRA's update as a matrix, for merging it into W",
    .doc = "dm = min(k,n), dx = max(k,n), nb = ceil(dm/rank)\n"
           "M = Σ_b B_b diag(lam_b) A diag(gam_b)  [dx, dm]\n"
           "dw = s M  where k <= n,  dw = s Mᵀ  where k > n\n"
           "\n"
           "RandLoRA arXiv 2502.00987.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "2*k*n*" RANDLORA_COLUMNS,
    .sum_length = "2*min(k,n)",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "n",
    .sampled = true,
    .reference = reference,
    .fill = randlora_fill,
    .identities = identities,
    .bitwise = true,
};
