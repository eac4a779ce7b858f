// SPDX-License-Identifier: MIT
// vera_linear: a frozen linear layer with a side path of frozen random matrices.
#include "ops/lora/lora.h"

static const struct vkz_dim dims[] = {LORA_DIMS, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, k", NULL, "normal(1)", "tokens"},
    {"w", VKZ_IN, "T", "n, k", NULL, "linear_w", "frozen weights"},
    {"a", VKZ_IN, "T", "rank, k", NULL, "linear_w", "down, frozen"},
    {"b", VKZ_IN, "T", "n, rank", NULL, "linear_w", "up, frozen"},
    {"dvec", VKZ_IN, "f32", "rank", NULL, "uniform(-1,1)", "factors of the rank"},
    {"bvec", VKZ_IN, "f32", "n", NULL, "normal(0.3)", "factors of the columns"},
    {"y", VKZ_OUT, "T", "rows, n", NULL, NULL, NULL},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    struct lora l = lora_open(ref);
    l.diag = vkz_ref_in(ref, "dvec");
    l.column = vkz_ref_in(ref, "bvec");
    lora_row(ref, &l, row, vkz_ref_out(ref, "y"), vkz_ref_scale(ref, "y"), NULL, NULL);
}

static bool check_base(struct vkz_identity_run *run)
{
    return lora_check_off(run, "bvec");
}

static const struct vkz_identity identities[] = {
    {"base", "with bvec = 0, A does not matter", NULL, check_base},
    {"balance", "A times 2 and B times 1/2 change nothing", NULL, lora_check_balance},
    {"split", "the adapters of both halves of the rank add up", "rank > 1",
     lora_check_split},
    {0},
};

VKZ_OP(vera_linear) = {
    .name = "vera_linear",
    .family = "lora",
    .abi = 1,
    .title = "linear layer with a side path of frozen random matrices",
    .doc = "y = x Wᵀ + bvec ∘ ((dvec ∘ (x Aᵀ)) Bᵀ)\n"
           "\n"
           "A and B are random, frozen and shared by layers; dvec and bvec are learned.\n"
           "VeRA arXiv 2310.11454.",
    .dims = dims,
    .tensors = tensors,
    .flops = "2 * rows * k * n + 2 * rows * rank * (k + n)",
    .sum_length = "k + rank",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
