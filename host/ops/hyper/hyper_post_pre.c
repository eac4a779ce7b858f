// SPDX-License-Identifier: MIT
// hyper_post_pre: hyper_post of a layer and hyper_pre of the next one, together.
#include "ops/hyper/hyper.h"

static const struct vkz_dim dims[] = {HYPER_STREAM_DIMS, {0}};
static const struct vkz_scalar scalars[] = {HYPER_SCALARS, {0}};
static const struct vkz_axis axes[] = {
    HYPER_AXES,
    {"SAVE", "off on", "whether the streams in between are stored, as a backward needs them"},
    {0},
};
static const struct vkz_tensor tensors[] = {
    {"f", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "output of the layer"},
    {"y", VKZ_IN, "T", "rows, streams, width", NULL, "normal(1)", "its mixed streams"},
    {"beta", VKZ_IN, "f32", "rows, streams", NULL, "normal(1)", "its depth weights"},
    HYPER_STREAM_PARAMETERS,
    {"h0", VKZ_OUT, "T", "rows, width", NULL, NULL, "input of the next layer"},
    {"y_next", VKZ_OUT, "T", "rows, streams, width", NULL, NULL, "its mixed streams"},
    {"beta_next", VKZ_OUT, "f32", "rows, streams", NULL, NULL, "its depth weights"},
    {"z", VKZ_OUT, "T", "rows, streams, width", "SAVE == SAVE.on", NULL,
     "streams between the layers"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct hyper_shape shape = hyper_streams(ref);
    const int64_t size = shape.s * shape.c;
    real *z = vkz_ref_temp(ref, (size_t)size * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)size * sizeof(real));
    hyper_post_row(ref, shape, row, z, magnitude);
    for (int64_t i = 0; i < size; i++) {
        z[i] = (real)vkz_ref_round(ref, "y", (double)z[i]);
    }
    hyper_pre_row(ref, shape, z, "y_next", "beta_next");
    if (vkz_ref_out(ref, "z") != NULL) {
        hyper_post_store(ref, shape, row);
    }
}

static void fill(struct vkz_fill *to, const char *tensor)
{
    hyper_fill(to, tensor, (int64_t)vkz_fill_value(to, "streams"), 1);
}

// A layer whose output counts nothing leaves hyper_pre of y: with initial values of the
// next one, y passes through.
static bool check_silent_layer(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(
        run, "KIND=static fill.f=normal(1) fill.y=normal(1) fill.beta=const(0) "
             "fill.am=op fill.ar=op fill.bs=op");
    const float *y = vkz_identity_float(run, data, "y");
    const int64_t count = vkz_identity_count(data, "y");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; y && expected && i < count; i++) {
        expected[i] = (double)y[i];
    }
    return vkz_identity_equal(run, "y_next", expected,
                              vkz_identity_output(run, data, "y_next"), count, 2);
}

static const struct vkz_identity identities[] = {
    {"silent_layer", "without the layer, initial values leave the streams", NULL,
     check_silent_layer},
    {0},
};

VKZ_OP(hyper_post_pre) = {
    .name = "hyper_post_pre",
    .family = "hyper",
    .abi = 1,
    .title = "hyper-connections between two layers: hyper_post and hyper_pre in one",
    .doc = "z_i = y_i + beta_i f, rounded to T, then hyper_pre of z\n"
           "\n"
           "The parameters are those of the next layer. Kernels named hyper_post_pre_row\n"
           "give the same bits as hyper_post_row and hyper_pre_row, and save a write and\n"
           "a read of all streams. Hyper-connections arXiv 2409.19606.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "rows * width * streams * (KIND == KIND.dynamic ? 2 * (streams + 2) +"
             " 2 * (streams + 1) + 6 : 2 * (streams + 1) + 2)",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
