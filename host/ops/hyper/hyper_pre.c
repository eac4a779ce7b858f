// SPDX-License-Identifier: MIT
// hyper_pre: the width connection of hyper-connections, before a layer.
#include "ops/hyper/hyper_identities.h"

static const struct vkz_dim dims[] = {HYPER_STREAM_DIMS, {0}};
static const struct vkz_scalar scalars[] = {HYPER_SCALARS, {0}};
static const struct vkz_axis axes[] = {HYPER_AXES, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, streams, width", NULL, "normal(1)", "streams"},
    HYPER_STREAM_PARAMETERS,
    {"h0", VKZ_OUT, "T", "rows, width", NULL, NULL, "input of the layer"},
    {"y", VKZ_OUT, "T", "rows, streams, width", NULL, NULL, "mixed streams"},
    {"beta", VKZ_OUT, "f32", "rows, streams", NULL, NULL, "depth weights"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct hyper_shape shape = hyper_streams(ref);
    hyper_pre_row(ref, shape, hyper_load(ref, "x", row, shape.s * shape.c), "y", "beta");
}

static void fill(struct vkz_fill *to, const char *tensor)
{
    hyper_fill(to, tensor, (int64_t)vkz_fill_value(to, "streams"), 1);
}

static const struct hyper_names names = {.streams = "streams", .parts = NULL};

static bool check_initial(struct vkz_identity_run *run)
{
    return hyper_check_initial(run, &names);
}

static bool check_static(struct vkz_identity_run *run)
{
    return hyper_check_static(run);
}

static bool check_permute_streams(struct vkz_identity_run *run)
{
    return hyper_check_permute(run, &names);
}

static const struct vkz_identity identities[] = {
    {"initial", "initial values pass stream 0 to the layer and keep the streams", NULL,
     check_initial},
    {"static", "dynamic with sa = sb = 0 is static", "KIND == KIND.dynamic", check_static},
    {"permute_streams", "streams in other order, with their parameters, give the same",
     "streams > 1", check_permute_streams},
    {0},
};

VKZ_OP(hyper_pre) = {
    .name = "hyper_pre",
    .family = "hyper",
    .abi = 1,
    .title = "hyper-connections before a layer: its input, and the streams mixed",
    .doc = "n_i = norm(x_i) ∘ gamma\n"
           "alpha_i = am_i + sa tanh(n_i · wm)\n"
           "rho_ij = ar_ij + sa tanh(n_i · wr_j)\n"
           "beta_i = bs_i + sb tanh(n_i · wb)\n"
           "h0 = Σ_i alpha_i x_i,  y_j = Σ_i rho_ij x_i\n"
           "\n"
           "KIND=static: the first terms only. The fill \"op\" gives the initial values.\n"
           "Hyper-connections arXiv 2409.19606.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "rows * width * streams * (KIND == KIND.dynamic ? 2 * (streams + 2) +"
             " 2 * (streams + 1) + 4 : 2 * (streams + 1))",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
