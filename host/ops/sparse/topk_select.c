// SPDX-License-Identifier: MIT
// topk_select: the largest elements of a valid prefix of each row, contract and
// reference.
#include <math.h>
#include <stdlib.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"rows", "independent rows", NULL},
    {"n", "elements of a row", NULL},
    {"top", "how many are selected", NULL},
    {0},
};

static const struct vkz_axis axes[] = {
    {"VAL", "off on", "also write the selected values"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "f32", "rows, n", NULL, "normal(1)", "scores; -inf is never selected"},
    {"lens", VKZ_IN, "i32", "rows", NULL, "op", "how many elements of the row count"},
    {"idx", VKZ_OUT, "i32", "rows, top", NULL, NULL,
     "indices of the selected, ascending, then -1"},
    {"val", VKZ_OUT, "f32", "rows, top", "VAL == VAL.on", NULL,
     "their values, then -inf"},
    {0},
};

// lens: every fourth row is full, every 16th empty, the others anything between. x: what
// sorts badly: runs of equal values, zeros of both signs, subnormals, infinities.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    static const float hard[] = {0.0f, -0.0f, 1e-40f, -1e-40f, INFINITY, -INFINITY,
                                 -INFINITY, 1.0f, 1.0f, -2.5f, 3.0e38f, -3.0e38f};
    const int64_t count = vkz_fill_count(fill);
    if (tensor[0] == 'x') {
        float *x = vkz_fill_float(fill);
        for (int64_t i = 0; i < count; i++) {
            const double u = vkz_fill_uniform(fill, (uint64_t)i);
            const int64_t pick = (int64_t)(u * 16);
            x[i] = pick < 12 ? hard[pick] : (float)vkz_fill_normal(fill, (uint64_t)i);
        }
        return;
    }
    const int64_t n = (int64_t)vkz_fill_value(fill, "n");
    int32_t *lens = vkz_fill_int(fill);
    for (int64_t row = 0; row < count; row++) {
        const double u = vkz_fill_uniform(fill, (uint64_t)row);
        const int64_t any = (int64_t)(u * (double)n);
        lens[row] = (int32_t)(row % 4 == 0 ? n : row % 16 == 5 ? 0 : any);
    }
}

struct candidate {
    float value;
    int32_t index;
};

static int larger_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->value != y->value) {
        return x->value > y->value ? -1 : 1;
    }
    return x->index < y->index ? -1 : 1;
}

static int lower_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->index < y->index ? -1 : 1;
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t n = vkz_ref_dim(ref, "n"), top = vkz_ref_dim(ref, "top");
    const float *x = vkz_ref_in(ref, "x") + row * n;
    const int32_t len = vkz_ref_in_int(ref, "lens")[row];
    struct candidate *list = vkz_ref_temp(ref, (size_t)n * sizeof *list);
    int64_t count = 0;
    for (int32_t i = 0; i < len && i < n; i++) {
        if (x[i] > -INFINITY) {
            list[count++] = (struct candidate){x[i], i};
        }
    }
    qsort(list, (size_t)count, sizeof *list, larger_first);
    count = count < top ? count : top;
    qsort(list, (size_t)count, sizeof *list, lower_first);
    double *idx = vkz_ref_out(ref, "idx"), *val = vkz_ref_out(ref, "val");
    for (int64_t i = 0; i < top; i++) {
        idx[i] = i < count ? list[i].index : -1;
        if (val != NULL) {
            val[i] = i < count ? (double)list[i].value : -INFINITY;
        }
    }
}

// Doubling is exact (but for what overflows to infinity, which stays the largest).
static bool check_scale(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "fill.x=normal(1)");
    struct vkz_data *two = vkz_identity_inputs(run, "fill.x=normal(1)");
    float *x = vkz_identity_float(run, two, "x");
    for (int64_t i = 0; i < vkz_identity_count(two, "x"); i++) {
        x[i] *= 2;
    }
    return vkz_identity_equal(run, "idx", vkz_identity_output(run, one, "idx"),
                              vkz_identity_output(run, two, "idx"),
                              vkz_identity_count(one, "idx"), 1);
}

// The single largest of a row is among the selected, whatever their number.
static bool check_nested(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t top = vkz_identity_dim(run, "top");
    struct vkz_data *all = vkz_identity_inputs(run, NULL);
    struct vkz_data *one = vkz_identity_inputs(run, "top=1");
    const double *many = vkz_identity_output(run, all, "idx");
    const double *best = vkz_identity_output(run, one, "idx");
    double *found = vkz_identity_temp(run, rows);
    if (many == NULL || best == NULL || found == NULL) {
        return false;
    }
    for (int64_t i = 0; i < rows * top; i++) {
        if (i % top == 0) {
            found[i / top] = -2;
        }
        if (many[i] == best[i / top]) {
            found[i / top] = best[i / top];
        }
    }
    return vkz_identity_equal(run, "idx", best, found, rows, 1);
}

static const struct vkz_identity identities[] = {
    {"scale", "doubling the scores changes no choice", NULL, check_scale},
    {"nested", "the largest element is among the selected", NULL, check_nested},
    {0},
};

VKZ_OP(topk_select) = {
    .name = "topk_select",
    .family = "sparse",
    .abi = 1,
    .title = "indices of the largest elements of a valid prefix of each row",
    .doc = "idx = the top largest of x[0 .. len), ties to the lower index, in the order of\n"
           "the indices; -1 where there are fewer. -inf is never selected, NaN is not\n"
           "allowed, -0 equals +0.\n"
           "\n"
           "The token selector of sparse attention, DeepSeek-V3.2 arXiv 2512.02556.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "rows * n",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .fill = fill,
    .bitwise = true,
};
