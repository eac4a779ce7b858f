// SPDX-License-Identifier: MIT
// attention: softmax attention with every common modifier, contract and reference.
#include "ops/attention/softmax.h"

static const struct vkz_dim dims[] = {VKZ_ATTENTION_DIMS, {0}};

static const struct vkz_scalar scalars[] = {
    VKZ_ATTENTION_SCALAR_TAU,
    {"cap", "30", "CAP: scores stay within (-cap, cap)"},
    VKZ_ATTENTION_SCALAR_SLOPE,
    VKZ_ATTENTION_SCALARS_MASK,
    {0},
};

static const struct vkz_axis axes[] = {
    {"MASK", VKZ_ATTENTION_MASK_VALUES, "which keys a query sees"},
    {"BIAS", VKZ_ATTENTION_BIAS_VALUES, "what is added to the scores"},
    {"CAP", "off on", "soft cap of the scores, before the bias"},
    {"SINK", VKZ_ATTENTION_SINK_VALUES, "an extra key whose value is 0"},
    {"LSE", "off on", "also write the log-sum-exp of each row"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    VKZ_ATTENTION_TENSORS_QKV,
    VKZ_ATTENTION_TENSOR_BIAS,
    VKZ_ATTENTION_TENSOR_RPAR,
    VKZ_ATTENTION_TENSOR_SINK,
    VKZ_ATTENTION_TENSOR_SEG,
    VKZ_ATTENTION_TENSOR_O,
    {"lse", VKZ_OUT, "f32", "batch, heads, q_len", "LSE == LSE.on", NULL,
     "natural log-sum-exp of each row"},
    {0},
};

static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // seg is the only one
    score_fill_seg(fill);
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    softmax_row(ref, unit);
}

static const struct vkz_identity identities[] = {
    SOFTMAX_IDENTITIES,
    IDENTITY_PREFIX,
    {0},
};

VKZ_OP(attention) = {
    .name = "attention",
    .family = "attention",
    .abi = 1,
    .title = "softmax attention with masks, biases, cap and sinks",
    .doc = VKZ_SOFTMAX_DOC
           "\n"
           "FlashAttention arXiv 2205.14135, 2307.08691; ALiBi 2108.12409; KERPLE\n"
           "2205.09921; softmax with one more in the sum 2410.17174; learned sinks\n"
           "2508.10925.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_ATTENTION_VALID,
    .valid_reason = VKZ_ATTENTION_VALID_REASON,
    .flops = "2 * batch * heads * (head_dim + v_dim) * " VKZ_ATTENTION_PAIRS5,
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * q_len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .fill = fill,
    .bitwise = true,
};
