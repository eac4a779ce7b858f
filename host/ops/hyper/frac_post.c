// SPDX-License-Identifier: MIT
// frac_post: the depth connection of frac-connections, after a layer.
#include "ops/hyper/hyper.h"

static const struct vkz_dim dims[] = {FRAC_DIMS, {0}};
static const struct vkz_tensor tensors[] = {
    {"f", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "output of the layer, m fractions"},
    {"y", VKZ_IN, "T", "rows, st, width", NULL, "normal(1)", "mixed fractions"},
    {"beta", VKZ_IN, "f32", "rows, st * m, m", NULL, "normal(1)", "depth weights"},
    {"z", VKZ_OUT, "T", "rows, st, width", NULL, NULL, "new streams"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct hyper_shape shape = hyper_fractions(ref);
    hyper_post_store(ref, shape, row);
}

static bool check_unit(struct vkz_identity_run *run)
{
    return hyper_check_unit_beta(run, vkz_identity_dim(run, "m"));
}

static const struct vkz_identity identities[] = {
    {"unit", "initial values add the layer's output to every stream", NULL, check_unit},
    {0},
};

VKZ_OP(frac_post) = {
    .name = "frac_post",
    .family = "hyper",
    .abi = 1,
    .title = "frac-connections after a layer: its output's fractions added to all",
    .doc = "z_i = y_i + Σ_f beta_if f_f for the st m fractions z_i of the streams\n"
           "\n"
           "y and beta are what frac_pre gives. Frac-connections arXiv 2503.14125.",
    .dims = dims,
    .tensors = tensors,
    .valid = "width % m == 0",
    .valid_reason = "fractions are of one length: width must be a multiple of m",
    .flops = "rows * width * st * m * 2",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
