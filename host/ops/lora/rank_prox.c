// SPDX-License-Identifier: MIT
// rank_prox: soft threshold of rank factors, and the ranks that are left.
#include "ops/lora/lora.h"

static const struct vkz_dim dims[] = {
    {"rank", "of the side path", NULL},
    {"k", "inputs of the layer", "1"},
    {"n", "outputs of the layer", "1"},
    {0},
};
static const struct vkz_scalar scalars[] = {
    {"kappa", "0.5", "threshold"},
    {0},
};
static const struct vkz_axis axes[] = {
    {"COMPACT", "off on", "rows of A and columns of B of the active ranks are moved up"},
    {0},
};
#define COMPACT_ON "COMPACT == COMPACT.on"
static const struct vkz_tensor tensors[] = {
    {"wr", VKZ_INOUT, "f32", "rank", NULL, "normal(1)", "factors of the rank"},
    {"a", VKZ_IN, "T", "rank, k", COMPACT_ON, "linear_w", "down"},
    {"b", VKZ_IN, "T", "n, rank", COMPACT_ON, "normal(0.02)", "up"},
    {"count", VKZ_OUT, "i32", "1", NULL, NULL, "active ranks"},
    {"idx", VKZ_OUT, "i32", "rank", NULL, NULL, "their indices in order, then -1"},
    {"ac", VKZ_OUT, "T", "rank, k", COMPACT_ON, NULL, "rows of A in that order, then 0"},
    {"bc", VKZ_OUT, "T", "n, rank", COMPACT_ON, NULL, "columns of B in that order, then 0"},
    {0},
};

static void compact(struct vkz_ref *ref, const double *idx)
{
    const int64_t rank = vkz_ref_dim(ref, "rank");
    const int64_t k = vkz_ref_dim(ref, "k"), n = vkz_ref_dim(ref, "n");
    const float *a = vkz_ref_in(ref, "a"), *b = vkz_ref_in(ref, "b");
    double *ac = vkz_ref_out(ref, "ac"), *bc = vkz_ref_out(ref, "bc");
    for (int64_t i = 0; i < rank * k; i++) {
        const int64_t from = (int64_t)idx[i / k];
        ac[i] = from < 0 ? 0 : (double)a[from * k + i % k];
    }
    for (int64_t i = 0; i < n * rank; i++) {
        const int64_t from = (int64_t)idx[i % rank];
        bc[i] = from < 0 ? 0 : (double)b[i / rank * rank + from];
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit;
    const int64_t rank = vkz_ref_dim(ref, "rank");
    const real kappa = (real)(float)vkz_ref_value(ref, "kappa");
    const float *wr = vkz_ref_in(ref, "wr");
    double *out = vkz_ref_out(ref, "wr"), *scale = vkz_ref_scale(ref, "wr");
    double *idx = vkz_ref_out(ref, "idx");
    int64_t count = 0;
    for (int64_t j = 0; j < rank; j++) {
        const real left = fabs((real)wr[j]) - kappa;
        out[j] = left > 0 ? (double)copysign(left, (real)wr[j]) : 0;
        scale[j] = fabs((double)wr[j]) + (double)kappa;
        if (left > 0) {
            idx[count++] = (double)j;
        }
    }
    vkz_ref_out(ref, "count")[0] = (double)count;
    for (int64_t j = count; j < rank; j++) {
        idx[j] = -1;
    }
    if (vkz_ref_dim(ref, "COMPACT") != 0) {
        compact(ref, idx);
    }
}

static bool check_nothing(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "kappa=0");
    const float *wr = vkz_identity_float(run, data, "wr");
    const int64_t count = vkz_identity_count(data, "wr");
    double *before = vkz_identity_temp(run, count);
    for (int64_t j = 0; wr != NULL && before != NULL && j < count; j++) {
        before[j] = (double)wr[j];
    }
    return vkz_identity_equal(run, "wr", before, vkz_identity_output(run, data, "wr"), count,
                              2);
}

// Two thresholds in turn are one of their sum.
static bool check_twice(struct vkz_identity_run *run)
{
    struct vkz_data *once = vkz_identity_inputs(run, "kappa=0.75");
    struct vkz_data *first = vkz_identity_inputs(run, "kappa=0.5");
    struct vkz_data *second = vkz_identity_inputs(run, "kappa=0.25");
    const int64_t count = vkz_identity_count(once, "wr");
    const double *between = vkz_identity_output(run, first, "wr");
    float *wr = vkz_identity_float(run, second, "wr");
    for (int64_t j = 0; between != NULL && wr != NULL && j < count; j++) {
        wr[j] = (float)between[j];
    }
    return lora_same(run, "wr", once, second, 2);
}

static const struct vkz_identity identities[] = {
    {"nothing", "kappa = 0 changes nothing", NULL, check_nothing},
    {"twice", "two thresholds in turn are one of their sum", NULL, check_twice},
    {0},
};

VKZ_OP(rank_prox) = {
    .name = "rank_prox",
    .family = "lora",
    .abi = 1,
    .title = "soft threshold of rank factors, and the list of active ranks",
    .doc = "wr ← sign(wr) max(|wr| - κ, 0);  active: those with |wr| > κ before\n"
           "\n"
           "The proximal map of κ |wr|. COMPACT also gathers A and B for the active ranks.\n"
           "Dynamic rank-selective LoRA arXiv 2412.01004.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "kappa >= 0",
    .valid_reason = "a threshold is not negative",
    .flops = "3 * rank",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
