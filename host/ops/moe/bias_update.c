// SPDX-License-Identifier: MIT
// bias_update: loss-free balancing of experts, contract and reference.
#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {{"experts", "experts", NULL}, {0}};

static const struct vkz_scalar scalars[] = {
    {"gamma", "1e-3", "how far a bias moves"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"count", VKZ_IN, "i32", "experts", NULL, "range(0,20)", "tokens of each expert"},
    {"bias", VKZ_INOUT, "f32", "experts", NULL, "normal(1)", "bias of the choice"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit;
    const int64_t experts = vkz_ref_dim(ref, "experts");
    const int32_t *count = vkz_ref_in_int(ref, "count");
    const float *bias = vkz_ref_in(ref, "bias");
    const float gamma = (float)vkz_ref_value(ref, "gamma");
    double *out = vkz_ref_out(ref, "bias");
    int64_t total = 0;
    for (int64_t e = 0; e < experts; e++) {
        total += count[e];
    }
    // In float: one sum, rounded once.
    for (int64_t e = 0; e < experts; e++) {
        const int64_t mine = count[e] * experts;
        const float moved = mine < total   ? bias[e] + gamma
                            : mine > total ? bias[e] - gamma
                                           : bias[e];
        out[e] = (double)moved;
    }
}

// Doubled counts are as far from balance.
static bool check_scale(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    int32_t *count = vkz_identity_int(run, two, "count");
    const int64_t experts = vkz_identity_count(two, "count");
    for (int64_t e = 0; count != NULL && e < experts; e++) {
        count[e] *= 2;
    }
    return vkz_identity_equal(run, "bias", vkz_identity_output(run, one, "bias"),
                              vkz_identity_output(run, two, "bias"), experts, 1);
}

static const struct vkz_identity identities[] = {
    {"scale", "doubled counts move the biases the same way", NULL, check_scale},
    {0},
};

VKZ_OP(bias_update) = {
    .name = "bias_update",
    .family = "moe",
    .abi = 1,
    .title = "moves experts' biases towards equal loads",
    .doc = "bias_e += gamma sign(mean(count) - count_e), sign(0) = 0\n"
           "\n"
           "Counts are not negative and add up to less than 2^32; the mean is exact.\n"
           "Loss-free balancing arXiv 2408.15664, DeepSeek-V3 2412.19437.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .flops = "experts * 4",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_BYTES,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
