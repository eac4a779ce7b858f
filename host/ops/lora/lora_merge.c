// SPDX-License-Identifier: MIT
// lora_merge: a low-rank update added to frozen weights, or taken out again.
#include <string.h>

#include "ops/lora/merge.h"

static const struct vkz_dim dims[] = {
    {"k", "inputs of the layer", NULL},
    {"n", "outputs of the layer", NULL},
    {"rank", "of the update", NULL},
    {0},
};
static const struct vkz_scalar scalars[] = {
    {"s", "2", "factor: alpha / rank, or alpha / sqrt(rank)"},
    {0},
};
static const struct vkz_axis axes[] = {
    {"SIGN", "merge unmerge", "added or subtracted"},
    {"MASTER", "off on", "the weights are kept in f32, and their rounded copy is written"},
    {0},
};
static const struct vkz_tensor tensors[] = {
    {"w", VKZ_INOUT, "T", "n, k", "MASTER == MASTER.off", "linear_w", "weights"},
    {"a", VKZ_IN, "T", "rank, k", NULL, "linear_w", "down"},
    {"b", VKZ_IN, "T", "n, rank", NULL, "normal(0.02)", "up"},
    {"master", VKZ_INOUT, "f32", "n, k", "MASTER == MASTER.on", "linear_w", "weights"},
    {"wt", VKZ_OUT, "T", "n, k", "MASTER == MASTER.on", NULL, "master, rounded"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const char *name = vkz_ref_dim(ref, "MASTER") != 0 ? "master" : "w";
    const int64_t k = vkz_ref_dim(ref, "k");
    const real s = (real)vkz_ref_value(ref, "s");
    double *out = vkz_ref_out(ref, name), *scale = vkz_ref_scale(ref, name);
    merge_row(ref, vkz_ref_in(ref, name) + row * k,
              vkz_ref_dim(ref, "SIGN") != 0 ? -s : s, row, out, scale);
    if (vkz_ref_dim(ref, "MASTER") != 0) {
        memcpy(vkz_ref_out(ref, "wt"), out, (size_t)k * sizeof *out);
        memcpy(vkz_ref_scale(ref, "wt"), scale, (size_t)k * sizeof *scale);
    }
}

static const char *weights_of(struct vkz_identity_run *run)
{
    return vkz_identity_dim(run, "MASTER") != 0 ? "master" : "w";
}

// There and back.
static bool check_unmerge(struct vkz_identity_run *run)
{
    const char *name = weights_of(run);
    struct vkz_data *one = vkz_identity_inputs(run, "SIGN=merge");
    struct vkz_data *two = vkz_identity_inputs(run, "SIGN=unmerge");
    const int64_t count = vkz_identity_count(one, name);
    const float *from = vkz_identity_float(run, one, name);
    float *to = vkz_identity_float(run, two, name);
    double *before = vkz_identity_temp(run, count);
    for (int64_t i = 0; from != NULL && before != NULL && i < count; i++) {
        before[i] = (double)from[i];
    }
    const double *merged = vkz_identity_output(run, one, name);
    for (int64_t i = 0; merged != NULL && to != NULL && i < count; i++) {
        to[i] = (float)merged[i];
    }
    return vkz_identity_equal(run, name, before, vkz_identity_output(run, two, name), count,
                              4);
}

static bool check_nothing(struct vkz_identity_run *run)
{
    const char *name = weights_of(run);
    struct vkz_data *data = vkz_identity_inputs(run, "fill.b=zero");
    const int64_t count = vkz_identity_count(data, name);
    const float *from = vkz_identity_float(run, data, name);
    double *before = vkz_identity_temp(run, count);
    for (int64_t i = 0; from != NULL && before != NULL && i < count; i++) {
        before[i] = (double)from[i];
    }
    return vkz_identity_equal(run, name, before, vkz_identity_output(run, data, name), count,
                              2);
}

static const struct vkz_identity identities[] = {
    {"unmerge", "what was merged can be taken out again", NULL, check_unmerge},
    {"nothing", "B = 0 changes nothing", NULL, check_nothing},
    {0},
};

VKZ_OP(lora_merge) = {
    .name = "lora_merge",
    .family = "lora",
    .abi = 1,
    .title = "low-rank update added to weights in place",
    .doc = "W ← W ± s B A\n"
           "\n"
           "SIGN unmerge subtracts: without a master the weights come back to a rounding of\n"
           "T. With MASTER the sum is kept in f32 and W is its rounded copy.\n"
           "LoRA arXiv 2106.09685.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "2 * n * k * rank",
    .sum_length = "rank + 1",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "n",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
