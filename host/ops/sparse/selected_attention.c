// SPDX-License-Identifier: MIT
// selected_attention: every token attends to the tokens of its selected blocks, contract and
// reference.
#include "ops/sparse/selected.h"

#include "ops/attention/identities.h"

static const struct vkz_dim dims[] = {VKZ_SELECTED_DIMS, {0}};
static const struct vkz_scalar scalars[] = {VKZ_SELECTED_SCALARS, {0}};

static const struct vkz_tensor tensors[] = {
    VKZ_SELECTED_TENSORS,
    {"o", VKZ_OUT, "T", SELECTED_O, NULL, NULL, "weighted sums of values"},
    {"lse", VKZ_OUT, "f32", "batch, heads, len", NULL, NULL,
     "natural log-sum-exp of each row"},
    {0},
};

static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // idx is the only one
    selected_fill(fill);
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const struct score s = selected_begin(ref, unit);
    int32_t *keys = vkz_ref_temp(ref, (size_t)s.kv_len * sizeof *keys);
    sparse_row(ref, &s, keys, selected_keys(ref, &s, keys), true);
}

// Reverses the blocks of every token.
static bool check_block_order(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    int32_t *idx = vkz_identity_int(run, two, "idx");
    const int64_t top = vkz_identity_dim(run, "top"), count = vkz_identity_count(two, "idx");
    for (int64_t row = 0; idx != NULL && row < count; row += top) {
        for (int64_t a = 0, b = top - 1; a < b; a++, b--) {
            const int32_t kept = idx[row + a];
            idx[row + a] = idx[row + b];
            idx[row + b] = kept;
        }
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

// With all blocks selected it does not matter how long they are: causal attention.
static bool check_all_blocks(struct vkz_identity_run *run)
{
    char settings[2][64];
    struct vkz_data *data[2];
    const int64_t len = vkz_identity_dim(run, "len");
    snprintf(settings[0], sizeof settings[0], "holes=0 ls=%lld top=1", (long long)len);
    snprintf(settings[1], sizeof settings[1], "holes=0 ls=%lld top=%lld",
             (long long)((len + 4) / 5), 5LL);
    for (int i = 0; i < 2; i++) {
        data[i] = vkz_identity_inputs(run, settings[i]);
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, data[0], "o"),
                              vkz_identity_output(run, data[1], "o"),
                              vkz_identity_count(data[0], "o"), 2);
}

static const struct vkz_identity identities[] = {
    IDENTITY_SCALE_VALUES,
    {"block_order", "the order of the blocks changes nothing", NULL, check_block_order},
    {"all_blocks", "all blocks selected is causal attention, however long a block is", NULL,
     check_all_blocks},
    {0},
};

VKZ_OP(selected_attention) = {
    .name = "selected_attention",
    .family = "sparse",
    .abi = 1,
    .title = "softmax attention of every token to the tokens of its selected blocks",
    .doc = "o_i = sum_j P_ij v_j,  P_i = softmax over the visible j of tau q_i·k_j,\n"
           "lse_i = ln sum_j exp(tau q_i·k_j);  j is visible iff j <= i and its block\n"
           "floor(j / ls) is one of idx of token i and the KV head. The heads of a group\n"
           "share their selection. A token with nothing to see gives o = 0, lse = -inf.\n"
           "\n"
           "Native sparse attention, arXiv 2502.11089.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = VKZ_SELECTED_VALID,
    .valid_reason = VKZ_SELECTED_VALID_REASON,
    .flops = "2 * batch * heads * (head_dim + v_dim) * " VKZ_SELECTED_PAIRS,
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .fill = fill,
    .bitwise = true,
};
