// SPDX-License-Identifier: MIT
// gated_linear_attention: a matrix state with a decay for every key column, contract and
// reference.
#include "ops/linear/recurrence_identities.h"
#include "ops/linear/state_rule.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"heads", "heads", NULL},
    {"len", "tokens of a sequence", NULL},
    {"head_dim", "width of a query and a key", NULL},
    {"v_dim", "width of a value", "head_dim"},
    {0},
};

static const struct vkz_scalar scalars[] = {VKZ_STATE_TAU, {0}};
static const struct vkz_axis axes[] = {VKZ_STATE_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "queries"},
    {"k", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "keys"},
    {"v", VKZ_IN, "T", "batch, heads, len, v_dim", NULL, "normal(1)", "values"},
    {"g", VKZ_IN, "f32", "batch, heads, len, head_dim", NULL, "logdecay(16)",
     "log decay of every key column, at most 0"},
    VKZ_STATE_TENSOR_S0,
    {"o", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL, "outputs"},
    {"st", VKZ_OUT, "f32", VKZ_STATE_SHAPE, "FINAL == FINAL.on", NULL, "the last state"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    rule_forward(ref, unit, false);
}

static const struct vkz_identity identities[] = {
    RECURRENCE_PREFIX(""), RECURRENCE_SPLIT(""), RECURRENCE_LINEAR,
    RECURRENCE_RESET(""),  RECURRENCE_COLUMNS,   {0},
};

VKZ_OP(gated_linear_attention) = {
    .name = "gated_linear_attention",
    .family = "linear",
    .abi = 1,
    .title = "linear attention whose state decays by key column",
    .doc = "S_t = diag(e^g_t) S_{t-1} + k_t ⊗ v_t;  o_t = tau q_tᵀ S_t\n"
           "\n"
           "S is [head_dim, v_dim] and begins as s0 or 0. g is a log decay: at most 0.\n"
           "\n"
           "GLA arXiv 2312.06635; HGRN2 2404.07904 (k = 1 - alpha, g = ln alpha).",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "4 * batch * heads * len * head_dim * v_dim",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
