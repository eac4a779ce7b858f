// SPDX-License-Identifier: MIT
// rank_select_linear: a frozen linear layer with a low-rank side path of weighed ranks.
#include "ops/lora/lora.h"

static const struct vkz_dim dims[] = {LORA_DIMS, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, k", NULL, "normal(1)", "tokens"},
    {"w", VKZ_IN, "T", "n, k", NULL, "linear_w", "frozen weights"},
    {"a", VKZ_IN, "T", "rank, k", NULL, "linear_w", "down"},
    {"b", VKZ_IN, "T", "n, rank", NULL, "normal(0.02)", "up"},
    {"wr", VKZ_IN, "f32", "rank", NULL, "normal(1)", "factors of the rank"},
    {"y", VKZ_OUT, "T", "rows, n", NULL, NULL, NULL},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    struct lora l = lora_open(ref);
    l.diag = vkz_ref_in(ref, "wr");
    lora_row(ref, &l, row, vkz_ref_out(ref, "y"), vkz_ref_scale(ref, "y"), NULL, NULL);
}

static bool check_base(struct vkz_identity_run *run)
{
    return lora_check_off(run, "wr");
}

// A factor may as well stand in A. Factors of few bits: exact in every type.
static bool check_absorbed(struct vkz_identity_run *run)
{
    const int64_t k = vkz_identity_dim(run, "k");
    struct vkz_data *one = vkz_identity_inputs(run, "fill.wr=dyadic fill.a=dyadic");
    struct vkz_data *two = vkz_identity_inputs(run, "fill.wr=dyadic fill.a=dyadic");
    float *a = vkz_identity_float(run, two, "a"), *wr = vkz_identity_float(run, two, "wr");
    for (int64_t i = 0; a != NULL && i < vkz_identity_count(two, "a"); i++) {
        a[i] *= wr[i / k];
    }
    for (int64_t j = 0; wr != NULL && j < vkz_identity_count(two, "wr"); j++) {
        wr[j] = 1;
    }
    return lora_same(run, "y", one, two, 2);
}

static const struct vkz_identity identities[] = {
    {"base", "with wr = 0, A does not matter", NULL, check_base},
    {"absorbed", "with wr in A it is LoRA", NULL, check_absorbed},
    {"balance", "A times 2 and B times 1/2 change nothing", NULL, lora_check_balance},
    {"split", "the adapters of both halves of the rank add up", "rank > 1",
     lora_check_split},
    {0},
};

VKZ_OP(rank_select_linear) = {
    .name = "rank_select_linear",
    .family = "lora",
    .abi = 1,
    .title = "linear layer with a low-rank side path of weighed ranks",
    .doc = "y = x Wᵀ + (wr ∘ (x Aᵀ)) Bᵀ\n"
           "\n"
           "wr is learned and shrunk by rank_prox until some ranks are gone.\n"
           "Dynamic rank-selective LoRA arXiv 2412.01004.",
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
