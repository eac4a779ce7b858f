// SPDX-License-Identifier: MIT
// delta_rule_backward: gradients of delta_rule, contract and reference.
#include "ops/linear/delta_tensors.h"

static const struct vkz_dim dims[] = {VKZ_DELTA_DIMS, {0}};
static const struct vkz_scalar scalars[] = {VKZ_STATE_TAU, {0}};
static const struct vkz_axis axes[] = {VKZ_DELTA_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    VKZ_DELTA_INPUTS,
    {"do", VKZ_IN, "T", "batch, heads, len, v_dim", NULL, "normal(1)",
     "gradient of the outputs"},
    {"dst", VKZ_IN, "f32", VKZ_STATE_SHAPE, "FINAL == FINAL.on", "normal(1)",
     "gradient of the last state"},
    {"dq", VKZ_OUT, "T", "batch, kv_heads, len, head_dim", NULL, NULL,
     "gradient of q, summed over the heads that share it"},
    {"dk", VKZ_OUT, "T", "batch, kv_heads, len, head_dim", NULL, NULL,
     "gradient of k, summed over the heads that share it"},
    {"dv_", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL, "gradient of v"},
    {"dbeta", VKZ_OUT, "f32", "batch, heads, len", NULL, NULL, "gradient of beta"},
    {"dg", VKZ_OUT, "f32", "batch, heads, len, GATE == GATE.vector ? head_dim : 1",
     "GATE != GATE.none", NULL, "gradient of g"},
    {"ds0", VKZ_OUT, "f32", VKZ_STATE_SHAPE, "INIT == INIT.on", NULL, "gradient of s0"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    rule_backward(ref, unit, true);
}

static const struct vkz_identity identities[] = {RECURRENCE_GRADIENTS, {0}};

VKZ_OP(delta_rule_backward) = {
    .name = "delta_rule_backward",
    .family = "linear",
    .abi = 1,
    .title = "gradients of the delta rule",
    .doc = "From the last token to the first, dS beginning as dst or 0, with\n"
           "Sd = e^g ∘ S_{t-1} and e = v - Sdᵀ k:\n"
           "\n"
           "dS += tau q ⊗ do;  dq = tau S_t do;  w = dSᵀ k;  dv = beta w;  dbeta = w·e\n"
           "dk = beta (dS e - Sd w);  dS <- dS - beta k ⊗ w\n"
           "dg = rowsum(dS ∘ Sd), for a scalar gate over the columns too;\n"
           "dS <- e^g ∘ dS;  ds0 = dS\n"
           "\n" VKZ_DELTA_DOC
           "\n"
           "DeltaNet arXiv 2406.06484; Gated DeltaNet 2412.06464.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_DELTA_VALID,
    .valid_reason = VKZ_DELTA_VALID_REASON,
    .flops = "20 * batch * heads * len * head_dim * v_dim",
    .sum_length = "len",
    .forward = "delta_rule",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * kv_heads",
    .sampled = true,
    .reference = reference,
    .fill = delta_fill,
    .identities = identities,
    .bitwise = true,
};
