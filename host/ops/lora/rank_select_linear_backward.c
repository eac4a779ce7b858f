// SPDX-License-Identifier: MIT
// rank_select_linear_backward: gradients of rank_select_linear but for what is frozen.
#include "ops/lora/lora.h"

static const struct vkz_dim dims[] = {LORA_DIMS, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, k", NULL, "normal(1)", "tokens"},
    {"w", VKZ_IN, "T", "n, k", NULL, "linear_w", "frozen weights"},
    {"a", VKZ_IN, "T", "rank, k", NULL, "linear_w", "down"},
    {"b", VKZ_IN, "T", "n, rank", NULL, "normal(0.02)", "up"},
    {"wr", VKZ_IN, "f32", "rank", NULL, "normal(1)", "factors of the rank"},
    {"dy", VKZ_IN, "T", "rows, n", NULL, "normal(1)", "gradient of y"},
    {"dx", VKZ_OUT, "T", "rows, k", NULL, NULL, NULL},
    {"da", VKZ_OUT, "f32", "rank, k", NULL, NULL, NULL},
    {"db", VKZ_OUT, "f32", "n, rank", NULL, NULL, NULL},
    {"dwr", VKZ_OUT, "f32", "rank", NULL, NULL, NULL},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // sums over all rows
    struct lora l = lora_open(ref);
    l.diag = vkz_ref_in(ref, "wr");
    const struct lora_gradients to = lora_gradients(ref, &l);
    lora_backward(ref, &l, lora_all_weights(ref, &l), &to);
    lora_store(ref, "dx", to.dx, l.rows * l.k);
    lora_store(ref, "da", to.da, l.rank * l.k);
    lora_store(ref, "db", to.g, l.n * l.rank);
    lora_store(ref, "dwr", to.zh, l.rank);
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const outputs[] = {"dx", "da", "db", "dwr", NULL};
    return lora_check_linear(run, outputs);
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dy doubles every gradient", NULL, check_linear},
    {0},
};

VKZ_OP(rank_select_linear_backward) = {
    .name = "rank_select_linear_backward",
    .family = "lora",
    .forward = "rank_select_linear",
    .abi = 1,
    .title = "gradients of rank_select_linear",
    .doc = "h = dy B,  dx = dy W + (wr ∘ h) A\n"
           "dA = (wr ∘ h)ᵀ x,  dB = dyᵀ (wr ∘ (x Aᵀ)),  dwr = Σ_rows (x Aᵀ) ∘ h\n"
           "\n"
           "Dynamic rank-selective LoRA arXiv 2412.01004.",
    .dims = dims,
    .tensors = tensors,
    .flops = "2 * rows * k * n + 4 * rows * rank * (k + n)",
    .sum_length = "max(rows, n + rank)",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
