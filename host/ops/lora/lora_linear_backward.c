// SPDX-License-Identifier: MIT
// lora_linear_backward: gradients of lora_linear but for the frozen weights.
#include "ops/lora/lora_linear.h"

static const struct vkz_dim dims[] = {LORA_DIMS, {0}};
static const struct vkz_scalar scalars[] = {LORA_LINEAR_SCALARS, {0}};
static const struct vkz_axis axes[] = {
    LORA_WTYPE_AXIS,
    LORA_DROPMASK_AXIS,
    LORA_SAVE_AXIS,
    {0},
};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, k", NULL, "normal(1)", "tokens"},
    LORA_W_TENSOR,
    LORA_A_TENSOR,
    LORA_B_TENSOR,
    LORA_WQ_TENSORS,
    {"z", VKZ_IN, "f32", "rows, rank", "SAVE == SAVE.on", "forward", "x Aᵀ"},
    {"dy", VKZ_IN, "T", "rows, n", NULL, "normal(1)", "gradient of y"},
    {"dx", VKZ_OUT, "T", "rows, k", NULL, NULL, NULL},
    {"da", VKZ_OUT, "f32", "rank, k", NULL, NULL, NULL},
    {"db", VKZ_OUT, "f32", "n, rank", NULL, NULL, NULL},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // da and db are sums over all rows
    const struct lora l = lora_linear_open(ref);
    struct lora_gradients to = lora_gradients(ref, &l);
    to.z = vkz_ref_in(ref, "z");
    lora_backward(ref, &l, lora_all_weights(ref, &l), &to);
    lora_store(ref, "dx", to.dx, l.rows * l.k);
    lora_store(ref, "da", to.da, l.rank * l.k);
    lora_store(ref, "db", to.g, l.n * l.rank);
}

static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // drop is the only one
    lora_fill_drop(fill);
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const outputs[] = {"dx", "da", "db", NULL};
    return lora_check_linear(run, outputs);
}

// Without x there is nothing for A and B to learn.
static bool check_no_input(struct vkz_identity_run *run)
{
    static const char *const outputs[] = {"da", "db"};
    for (int o = 0; o < 2; o++) {
        struct vkz_data *data = vkz_identity_inputs(run, "SAVE=off fill.x=zero");
        const int64_t count = vkz_identity_count(data, outputs[o]);
        double *zero = vkz_identity_temp(run, count);
        if (!vkz_identity_equal(run, outputs[o], vkz_identity_output(run, data, outputs[o]),
                                zero, count, 2)) {
            return false;
        }
    }
    return true;
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dy doubles every gradient", NULL, check_linear},
    {"no_input", "with x = 0, dA and dB are 0", NULL, check_no_input},
    {0},
};

VKZ_OP(lora_linear_backward) = {
    .name = "lora_linear_backward",
    .family = "lora",
    .forward = "lora_linear",
    .abi = 1,
    .title = "gradients of a linear layer with a low-rank side path",
    .doc = "dZ = s dy B,  dB = s dyᵀ z,  dA = dZᵀ (x ∘ drop),  dx = dy W + drop ∘ (dZ A)\n"
           "\n"
           "W is frozen and has no gradient. SAVE takes z = x Aᵀ from lora_linear.\n"
           "LoRA arXiv 2106.09685.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "p < 1",
    .valid_reason = "what is kept is divided by 1 - p",
    .flops = "2 * rows * k * n + 4 * rows * rank * (k + n)",
    .sum_length = "max(rows, n + rank)",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "1",
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
