// SPDX-License-Identifier: MIT
// attention_decode: softmax attention of a few queries over a long cache, contract and
// reference. The same mathematics as attention; its rate is the bytes of keys and values.
#include "ops/attention/softmax.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"heads", "query heads", NULL},
    {"kv_heads", "key and value heads; each serves heads / kv_heads query heads",
     "heads"},
    {"q_len", "queries of a sequence, 1 to 16, the last tokens of the cache", "1"},
    {"kv_len", "keys in the cache", NULL},
    {"head_dim", "width of a query and a key", NULL},
    {"v_dim", "width of a value", "head_dim"},
    {0},
};

static const struct vkz_scalar scalars[] = {
    VKZ_ATTENTION_SCALAR_TAU,
    {"cap", "30", "CAP: scores stay within (-cap, cap)"},
    VKZ_ATTENTION_SCALAR_SLOPE,
    {"wl", "-1", "window: keys visible before the query; -1: all"},
    {"wr", "0", "window: keys visible after the query; -1: all"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"MASK", "none causal window", "which keys a query sees"},
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
    VKZ_ATTENTION_TENSOR_O,
    {"lse", VKZ_OUT, "f32", "batch, heads, q_len", "LSE == LSE.on", NULL,
     "natural log-sum-exp of each row"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    softmax_row(ref, unit);
}

static const struct vkz_identity identities[] = {
    SOFTMAX_IDENTITIES,
    {0},
};

VKZ_OP(attention_decode) = {
    .name = "attention_decode",
    .family = "attention",
    .abi = 1,
    .title = "softmax attention of a few queries over a long cache",
    .doc = VKZ_SOFTMAX_DOC
           "\n"
           "One token at a time: q_len is at most 16 and the keys are split between\n"
           "workgroups, whose partial results are merged (FlashAttention arXiv\n"
           "2307.08691, flash-decoding). Must equal attention on the same tensors.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "q_len <= 16 && heads % kv_heads == 0 && " VALID_WINDOW,
    .valid_reason = "attention_decode serves up to 16 queries (use attention for more), "
                    "heads must be a multiple of kv_heads, wl and wr whole numbers of "
                    "at least -1",
    .flops = "2 * batch * heads * (head_dim + v_dim) * " VKZ_ATTENTION_PAIRS3,
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch * heads * q_len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
