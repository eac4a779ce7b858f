// SPDX-License-Identifier: MIT
// vera_linear_backward: gradients of vera_linear but for what is frozen.
#include "ops/lora/lora.h"

static const struct vkz_dim dims[] = {LORA_DIMS, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, k", NULL, "normal(1)", "tokens"},
    {"w", VKZ_IN, "T", "n, k", NULL, "linear_w", "frozen weights"},
    {"a", VKZ_IN, "T", "rank, k", NULL, "linear_w", "down, frozen"},
    {"b", VKZ_IN, "T", "n, rank", NULL, "linear_w", "up, frozen"},
    {"dvec", VKZ_IN, "f32", "rank", NULL, "uniform(-1,1)", "factors of the rank"},
    {"bvec", VKZ_IN, "f32", "n", NULL, "normal(0.3)", "factors of the columns"},
    {"dy", VKZ_IN, "T", "rows, n", NULL, "normal(1)", "gradient of y"},
    {"dx", VKZ_OUT, "T", "rows, k", NULL, NULL, NULL},
    {"ddvec", VKZ_OUT, "f32", "rank", NULL, NULL, NULL},
    {"dbvec", VKZ_OUT, "f32", "n", NULL, NULL, NULL},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // sums over all rows
    struct lora l = lora_open(ref);
    l.diag = vkz_ref_in(ref, "dvec");
    l.column = vkz_ref_in(ref, "bvec");
    const struct lora_gradients to = lora_gradients(ref, &l);
    lora_backward(ref, &l, lora_all_weights(ref, &l), &to);
    const struct lora_sums column = lora_sums(ref, l.n);
    for (int64_t i = 0; i < l.n * l.rank; i++) {
        lora_add(column, i / l.rank, to.g.value[i] * (real)l.b[i],
                 to.g.magnitude[i] * (real)l.b[i]);
    }
    lora_store(ref, "dx", to.dx, l.rows * l.k);
    lora_store(ref, "ddvec", to.zh, l.rank);
    lora_store(ref, "dbvec", column, l.n);
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const outputs[] = {"dx", "ddvec", "dbvec", NULL};
    return lora_check_linear(run, outputs);
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dy doubles every gradient", NULL, check_linear},
    {0},
};

VKZ_OP(vera_linear_backward) = {
    .name = "vera_linear_backward",
    .family = "lora",
    .forward = "vera_linear",
    .abi = 1,
    .title = "gradients of vera_linear",
    .doc = "h = (bvec ∘ dy) B,  dx = dy W + (dvec ∘ h) A\n"
           "ddvec = Σ_rows (x Aᵀ) ∘ h,  dbvec = Σ_rows dy ∘ ((dvec ∘ (x Aᵀ)) Bᵀ)\n"
           "\n"
           "VeRA arXiv 2310.11454.",
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
