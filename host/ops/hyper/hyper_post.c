// SPDX-License-Identifier: MIT
// hyper_post: the depth connection of hyper-connections, after a layer.
#include "ops/hyper/hyper.h"

static const struct vkz_dim dims[] = {HYPER_STREAM_DIMS, {0}};
static const struct vkz_tensor tensors[] = {
    {"f", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "output of the layer"},
    {"y", VKZ_IN, "T", "rows, streams, width", NULL, "normal(1)", "mixed streams"},
    {"beta", VKZ_IN, "f32", "rows, streams", NULL, "normal(1)", "depth weights"},
    {"z", VKZ_OUT, "T", "rows, streams, width", NULL, NULL, "new streams"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct hyper_shape shape = hyper_streams(ref);
    hyper_post_store(ref, shape, row);
}

static bool check_unit(struct vkz_identity_run *run)
{
    return hyper_check_unit_beta(run, 1);
}

static const struct vkz_identity identities[] = {
    {"unit", "beta = 1 adds the layer's output to every stream", NULL, check_unit},
    {0},
};

VKZ_OP(hyper_post) = {
    .name = "hyper_post",
    .family = "hyper",
    .abi = 1,
    .title = "hyper-connections after a layer: its output added to every stream",
    .doc = "z_i = y_i + beta_i f\n"
           "\n"
           "y and beta are what hyper_pre gives. Hyper-connections arXiv 2409.19606.",
    .dims = dims,
    .tensors = tensors,
    .flops = "rows * width * streams * 2",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
