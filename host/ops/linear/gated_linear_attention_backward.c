// SPDX-License-Identifier: MIT
// gated_linear_attention_backward: gradients of gated_linear_attention, contract and
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
    {"do", VKZ_IN, "T", "batch, heads, len, v_dim", NULL, "normal(1)",
     "gradient of the outputs"},
    {"dst", VKZ_IN, "f32", VKZ_STATE_SHAPE, "FINAL == FINAL.on", "normal(1)",
     "gradient of the last state"},
    {"dq", VKZ_OUT, "T", "batch, heads, len, head_dim", NULL, NULL, "gradient of q"},
    {"dk", VKZ_OUT, "T", "batch, heads, len, head_dim", NULL, NULL, "gradient of k"},
    {"dv_", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL, "gradient of v"},
    {"dg", VKZ_OUT, "f32", "batch, heads, len, head_dim", NULL, NULL, "gradient of g"},
    {"ds0", VKZ_OUT, "f32", VKZ_STATE_SHAPE, "INIT == INIT.on", NULL, "gradient of s0"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    rule_backward(ref, unit, false);
}

static const struct vkz_identity identities[] = {RECURRENCE_GRADIENTS, {0}};

VKZ_OP(gated_linear_attention_backward) = {
    .name = "gated_linear_attention_backward",
    .family = "linear",
    .abi = 1,
    .title = "gradients of gated linear attention",
    .doc = "From the last token to the first, dS beginning as dst or 0:\n"
           "\n"
           "dS += tau q_t ⊗ do_t;  dq_t = tau S_t do_t;  dk_t = dS v_t;  dv_t = dSᵀ k_t\n"
           "dg_t = e^g_t ∘ rowsum(dS ∘ S_{t-1});  dS <- diag(e^g_t) dS;  ds0 = dS\n"
           "\n"
           "also dg_t = Σ_{s >= t}(q_s ∘ dq_s - k_s ∘ dk_s) + rowsum(st ∘ dst).\n"
           "\n"
           "GLA arXiv 2312.06635.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "10 * batch * heads * len * head_dim * v_dim",
    .sum_length = "len",
    .forward = "gated_linear_attention",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
