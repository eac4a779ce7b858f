// SPDX-License-Identifier: MIT
// stream_reduce: the residual streams of a token, added to one hidden vector.
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

enum { KIND_SUM, KIND_MEAN };

static const struct vkz_dim dims[] = {
    {"rows", "tokens", NULL},
    {"streams", "residual streams", NULL},
    {"width", "elements of a stream", NULL},
    {0},
};

static const struct vkz_axis axes[] = {
    {"KIND", "sum mean", "mean divides by the number of streams"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, streams, width", NULL, "normal(1)", "streams"},
    {"h", VKZ_OUT, "T", "rows, width", NULL, NULL, "their sum"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t streams = vkz_ref_dim(ref, "streams"), width = vkz_ref_dim(ref, "width");
    const float *x = vkz_ref_in(ref, "x") + row * streams * width;
    double *h = vkz_ref_out(ref, "h"), *scale = vkz_ref_scale(ref, "h");
    const real share =
        vkz_ref_dim(ref, "KIND") == KIND_MEAN ? (real)1 / (real)streams : (real)1;
    for (int64_t c = 0; c < width; c++) {
        real sum = 0, magnitude = 0;
        for (int64_t i = 0; i < streams; i++) {
            sum += (real)x[i * width + c];
            magnitude += fabs((real)x[i * width + c]);
        }
        h[c] = (double)(sum * share);
        scale[c] = (double)(magnitude * share);
    }
}

static bool check_permute_streams(struct vkz_identity_run *run)
{
    const int64_t streams = vkz_identity_dim(run, "streams");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    const float *from = vkz_identity_float(run, one, "x");
    float *to = vkz_identity_float(run, two, "x");
    for (int64_t i = 0; from && to && i < vkz_identity_count(one, "x"); i++) {
        const int64_t stream = i / width % streams;
        to[i + (streams - 1 - 2 * stream) * width] = from[i];
    }
    return vkz_identity_equal(run, "h", vkz_identity_output(run, one, "h"),
                              vkz_identity_output(run, two, "h"),
                              vkz_identity_count(one, "h"), 2);
}

static const struct vkz_identity identities[] = {
    {"permute_streams", "the order of the streams does not matter", "streams > 1",
     check_permute_streams},
    {0},
};

VKZ_OP(stream_reduce) = {
    .name = "stream_reduce",
    .family = "hyper",
    .abi = 1,
    .title = "sum or mean of a token's residual streams",
    .doc = "h = Σ_i x_i, divided by streams when KIND=mean\n"
           "\n"
           "What a model with hyper-connections ends with; the gradient of x is the copy\n"
           "that stream_expand makes.\n"
           "Hyper-connections arXiv 2409.19606.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "rows * streams * width",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
