// SPDX-License-Identifier: MIT
// selected_attention_backward: gradients of attention to selected blocks, contract and
// reference.
#include "ops/sparse/selected.h"


static const struct vkz_dim dims[] = {VKZ_SELECTED_DIMS, {0}};
static const struct vkz_scalar scalars[] = {VKZ_SELECTED_SCALARS, {0}};

static const struct vkz_tensor tensors[] = {
    VKZ_SELECTED_TENSORS,
    {"o", VKZ_IN, "T", SELECTED_O, NULL, "forward", "the forward op's outputs"},
    {"lse", VKZ_IN, "f32", "batch, heads, len", NULL, "forward",
     "natural log-sum-exp of each row"},
    {"do", VKZ_IN, "T", SELECTED_O, NULL, "normal(1)", "gradient of o"},
    {"dq", VKZ_OUT, "T", SELECTED_Q, NULL, NULL, "gradient of q"},
    {"dk", VKZ_OUT, "T", SELECTED_K, NULL, NULL, "gradient of k"},
    {"dv_", VKZ_OUT, "T", SELECTED_V, NULL, NULL, "gradient of v"},
    {0},
};

static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // idx is the only one
    selected_fill(fill);
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    sparse_backward(ref, unit, vkz_ref_dim(ref, "len"), selected_begin, selected_keys);
}

static const struct vkz_identity identities[] = {
    SPARSE_IDENTITY_SCALE_GRADIENT,
    {0},
};

VKZ_OP(selected_attention_backward) = {
    .name = "selected_attention_backward",
    .family = "sparse",
    .forward = "selected_attention",
    .abi = 1,
    .title = "gradients of attention to selected blocks",
    .doc = "P_ij = exp(tau q_i·k_j - lse_i),  dS_ij = tau P_ij (do_i·v_j - do_i·o_i)\n"
           "dq_i = sum_j dS_ij k_j,  dk_j = sum_i dS_ij q_i,  dv_j = sum_i P_ij do_i\n"
           "over the pairs that selected_attention shows; a key sums over the heads it\n"
           "serves.\n"
           "\n"
           "Native sparse attention, arXiv 2502.11089; FlashAttention 2205.14135.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = VKZ_SELECTED_VALID,
    .valid_reason = VKZ_SELECTED_VALID_REASON,
    .flops = "5 * batch * heads * (head_dim + v_dim) * " VKZ_SELECTED_PAIRS,
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * kv_heads",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .fill = fill,
    .bitwise = true,
};
