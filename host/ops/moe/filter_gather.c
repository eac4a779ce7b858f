// SPDX-License-Identifier: MIT
// filter_gather: the filters that hold a share of an image's score, contract and
// reference.
#include <math.h>
#include <stdlib.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"batch", "images", NULL},
    {"n", "filters", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"ratio", "0.7", "share of the score to keep, 0 to 1"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"h", VKZ_IN, "f32", "batch, n", NULL, "uniform(0,1)", "scores, not negative"},
    {"count", VKZ_OUT, "i32", "batch", NULL, NULL, "filters kept, at least one"},
    {"idx", VKZ_OUT, "i32", "batch, n", NULL, NULL, "the kept, the best first; then -1"},
    {0},
};

struct candidate {
    float value;
    int64_t filter;
};

static int better_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->value != y->value) {
        return x->value > y->value ? -1 : 1;
    }
    return x->filter < y->filter ? -1 : 1;
}

static void reference(struct vkz_ref *ref, int64_t image)
{
    const int64_t n = vkz_ref_dim(ref, "n");
    const real ratio = (real)vkz_ref_value(ref, "ratio");
    const float *h = vkz_ref_in(ref, "h") + image * n;
    double *idx = vkz_ref_out(ref, "idx");
    struct candidate *list = vkz_ref_temp(ref, (size_t)n * sizeof *list);
    real total = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        list[i] = (struct candidate){h[i], i};
        total += (real)h[i];
    }
    qsort(list, (size_t)n, sizeof *list, better_first);
    int64_t count = 0;
    while (count < n && (count == 0 || sum < ratio * total)) {
        sum += (real)list[count++].value;
        // A sum in another order may reach the share a filter earlier or later.
        if (count < n && total > 0 &&
            fabs(sum - ratio * total) < 4 * (real)0x1p-24 * sqrt((real)n) * total) {
            vkz_ref_ambiguous(ref);
        }
    }
    vkz_ref_out(ref, "count")[0] = (double)count;
    for (int64_t i = 0; i < n; i++) {
        idx[i] = i < count ? (double)list[i].filter : -1;
    }
}

// Doubling is exact.
static bool check_scale(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *h = vkz_identity_float(run, two, "h");
    const int64_t count = vkz_identity_count(two, "h");
    for (int64_t i = 0; i < count; i++) {
        h[i] *= 2;
    }
    return vkz_identity_equal(run, "idx", vkz_identity_output(run, one, "idx"),
                              vkz_identity_output(run, two, "idx"), count, 1);
}

static const struct vkz_identity identities[] = {
    {"scale", "doubled scores keep the same filters", NULL, check_scale},
    {0},
};

VKZ_OP(filter_gather) = {
    .name = "filter_gather",
    .family = "moe",
    .abi = 1,
    .title = "the filters that hold a share of an image's score",
    .doc = "Scores in descending order, ties to the lower index; count = the fewest, at least\n"
           "one, whose sum reaches ratio Σ h; idx = those, then -1. Scores are not negative.\n"
           "\n"
           "Dynamic filter pruning, fire together wire together, arXiv 2110.08232.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = "ratio >= 0 && ratio < 1",
    .valid_reason = "ratio is a share below 1: all of a rounded sum cannot be told",
    .flops = "batch * n * 2",
    .tolerance = VKZ_TOL_TOPK,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
