// SPDX-License-Identifier: MIT
// frac_pre: the width connection of frac-connections, before a layer.
#include "ops/hyper/hyper_identities.h"

static const struct vkz_dim dims[] = {FRAC_DIMS, {0}};
static const struct vkz_scalar scalars[] = {HYPER_SCALARS, {0}};
static const struct vkz_axis axes[] = {HYPER_AXES, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, st, width", NULL, "normal(1)",
     "streams; [st m, width/m] fractions"},
    FRAC_PARAMETERS,
    {"h0", VKZ_OUT, "T", "rows, width", NULL, NULL, "input of the layer, m fractions"},
    {"y", VKZ_OUT, "T", "rows, st, width", NULL, NULL, "mixed fractions"},
    {"beta", VKZ_OUT, "f32", "rows, st * m, m", NULL, NULL, "depth weights"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct hyper_shape shape = hyper_fractions(ref);
    hyper_pre_row(ref, shape, hyper_load(ref, "x", row, shape.s * shape.c), "y", "beta");
}

static void fill(struct vkz_fill *to, const char *tensor)
{
    const int64_t m = (int64_t)vkz_fill_value(to, "m");
    hyper_fill(to, tensor, (int64_t)vkz_fill_value(to, "st") * m, m);
}

static const struct hyper_names names = {.streams = "st", .parts = "m"};

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
    {"initial", "initial values pass stream 0 to the layer and keep all fractions", NULL,
     check_initial},
    {"static", "dynamic with sa = sb = 0 is static", "KIND == KIND.dynamic", check_static},
    {"permute_streams", "streams in other order, with their parameters, give the same",
     "st > 1", check_permute_streams},
    {0},
};

VKZ_OP(frac_pre) = {
    .name = "frac_pre",
    .family = "hyper",
    .abi = 1,
    .title = "frac-connections before a layer: its input, and the fractions mixed",
    .doc = "hyper_pre on the st m fractions of st streams, each width/m long, with one\n"
           "input of the layer a fraction: n_i = norm(x_i) ∘ gamma\n"
           "alpha_if = am_if + sa tanh(n_i · wm_f)\n"
           "rho_ij = ar_ij + sa tanh(n_i · wr_j)\n"
           "beta_if = bs_if + sb tanh(n_i · wb_f)\n"
           "h0_f = Σ_i alpha_if x_i,  y_j = Σ_i rho_ij x_i\n"
           "\n"
           "KIND=static: the first terms only. The fill \"op\" gives the initial values.\n"
           "Frac-connections arXiv 2503.14125.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "width % m == 0",
    .valid_reason = "fractions are of one length: width must be a multiple of m",
    .flops = "rows * width * st * (KIND == KIND.dynamic ? 2 * (st * m + 2 * m) +"
             " 2 * (st * m + m) + 4 : 2 * (st * m + m))",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
