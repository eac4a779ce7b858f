// SPDX-License-Identifier: MIT
// stream_expand: one hidden vector, copied to every residual stream.
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"rows", "tokens", NULL},
    {"streams", "residual streams", NULL},
    {"width", "elements of a stream", NULL},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"h", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "hidden vectors"},
    {"x", VKZ_OUT, "T", "rows, streams, width", NULL, NULL, "streams, all alike"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t streams = vkz_ref_dim(ref, "streams"), width = vkz_ref_dim(ref, "width");
    const float *h = vkz_ref_in(ref, "h") + row * width;
    double *x = vkz_ref_out(ref, "x");
    for (int64_t i = 0; i < streams * width; i++) {
        x[i] = (double)h[i % width];
    }
}

// On numbers of its own, where sums of copies are exact.
static bool check_copies(struct vkz_identity_run *run)
{
    const int64_t streams = vkz_identity_dim(run, "streams");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const float *h = vkz_identity_float(run, data, "h");
    const int64_t count = vkz_identity_count(data, "x");
    double *expected = vkz_identity_temp(run, count);
    if (h == NULL || expected == NULL) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        expected[i] = (double)h[i / (streams * width) * width + i % width];
    }
    return vkz_identity_equal(run, "x", expected, vkz_identity_output(run, data, "x"),
                              count, 2);
}

static const struct vkz_identity identities[] = {
    {"copies", "every stream is the hidden vector, bit for bit", NULL, check_copies},
    {0},
};

VKZ_OP(stream_expand) = {
    .name = "stream_expand",
    .family = "hyper",
    .abi = 1,
    .title = "a hidden vector copied to every residual stream",
    .doc = "x_i = h for i < streams\n"
           "\n"
           "What a model with hyper-connections begins with; the gradient of h is the sum\n"
           "that stream_reduce computes.\n"
           "Hyper-connections arXiv 2409.19606, mHC arXiv 2512.24880.",
    .dims = dims,
    .tensors = tensors,
    .flops = "rows * streams * width",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
