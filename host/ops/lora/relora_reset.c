// SPDX-License-Identifier: MIT
// relora_reset: merges an adapter, starts a new one and prunes its optimiser's moments.
#include <stdlib.h>
#include <string.h>

#include "ops/lora/merge.h"
#include "zoo/fill.h"

static const struct vkz_dim dims[] = {
    {"k", "inputs of the layer", NULL},
    {"n", "outputs of the layer", NULL},
    {"rank", "of the adapter", NULL},
    {0},
};
static const struct vkz_scalar scalars[] = {
    {"s", "2", "factor of the adapter"},
    {"ratio", "0.999", "fraction of the moments that is pruned, random and magnitude"},
    {"key", "1", "key of the random words"},
    {0},
};
static const struct vkz_axis axes[] = {
    {"PRUNE", "zero random magnitude", "what becomes of the moments"},
    {0},
};
static const struct vkz_tensor tensors[] = {
    {"w", VKZ_INOUT, "T", "n, k", NULL, "linear_w", "weights"},
    {"a", VKZ_INOUT, "T", "rank, k", NULL, "linear_w", "down"},
    {"b", VKZ_INOUT, "T", "n, rank", NULL, "normal(0.02)", "up"},
    {"ma", VKZ_INOUT, "f32", "rank, k", NULL, "normal(1)", "first moments of A"},
    {"va", VKZ_INOUT, "f32", "rank, k", NULL, "uniform(0,1)", "second moments of A"},
    {"mb", VKZ_INOUT, "f32", "n, rank", NULL, "normal(1)", "first moments of B"},
    {"vb", VKZ_INOUT, "f32", "n, rank", NULL, "uniform(0,1)", "second moments of B"},
    {0},
};

enum { PRUNE_ZERO, PRUNE_RANDOM, PRUNE_MAGNITUDE };
// Streams of random words: those of the masks are 0 to 3, then what A begins with.
enum { STREAM_A = 4 };

static uint32_t random_word(const struct vkz_ref *ref, uint32_t i, uint32_t stream)
{
    const uint32_t key[2] = {(uint32_t)vkz_ref_dim(ref, "key"), 0};
    const uint32_t counter[4] = {i, stream, 0, 0};
    uint32_t words[4];
    vkz_philox(key, counter, words);
    return words[0];
}

static int compare(const void *a, const void *b)
{
    const real x = *(const real *)a, y = *(const real *)b;
    return (x > y) - (x < y);
}

// The quantile of the magnitudes, interpolated between order statistics.
static real quantile(struct vkz_ref *ref, const float *x, int64_t count)
{
    const double at = vkz_ref_value(ref, "ratio") * (double)(count - 1);
    const int64_t low = (int64_t)at, high = low + 1 < count ? low + 1 : low;
    real *sorted = vkz_ref_temp(ref, (size_t)count * sizeof(real));
    for (int64_t i = 0; i < count; i++) {
        sorted[i] = fabs((real)x[i]);
    }
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    return sorted[low] + (real)(at - (double)low) * (sorted[high] - sorted[low]);
}

static void prune(struct vkz_ref *ref, const char *name, int64_t count, uint32_t stream)
{
    const int how = (int)vkz_ref_dim(ref, "PRUNE");
    const float *x = vkz_ref_in(ref, name);
    double *out = vkz_ref_out(ref, name), *scale = vkz_ref_scale(ref, name);
    const double cut = vkz_ref_value(ref, "ratio") * 0x1p32;
    const real above = how == PRUNE_MAGNITUDE ? quantile(ref, x, count) : 0;
    for (int64_t i = 0; i < count; i++) {
        const bool kept =
            how == PRUNE_RANDOM ? (double)random_word(ref, (uint32_t)i, stream) > cut
                                : how == PRUNE_MAGNITUDE && fabs((real)x[i]) > above;
        out[i] = kept ? (double)x[i] : 0;
        scale[i] = fabs((double)x[i]);
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit;
    const int64_t k = vkz_ref_dim(ref, "k"), n = vkz_ref_dim(ref, "n");
    const int64_t rank = vkz_ref_dim(ref, "rank");
    for (int64_t o = 0; o < n; o++) {
        merge_row(ref, vkz_ref_in(ref, "w") + o * k, (real)vkz_ref_value(ref, "s"), o,
                  vkz_ref_out(ref, "w") + o * k, vkz_ref_scale(ref, "w") + o * k);
    }
    const real bound = (real)1 / sqrt((real)k);
    for (int64_t i = 0; i < rank * k; i++) {
        const uint32_t word = random_word(ref, (uint32_t)i, STREAM_A);
        const real u = (real)(word >> 8) * (real)0x1p-23 - (real)1;
        vkz_ref_out(ref, "a")[i] = (double)(bound * u);
        vkz_ref_scale(ref, "a")[i] = (double)bound;
    }
    for (int64_t i = 0; i < n * rank; i++) {
        vkz_ref_out(ref, "b")[i] = 0;
    }
    prune(ref, "ma", rank * k, 0);
    prune(ref, "va", rank * k, 1);
    prune(ref, "mb", n * rank, 2);
    prune(ref, "vb", n * rank, 3);
}

// The layer's effective weights W + s B A are what they were.
static bool check_effective(struct vkz_identity_run *run)
{
    const int64_t k = vkz_identity_dim(run, "k"), n = vkz_identity_dim(run, "n");
    const int64_t rank = vkz_identity_dim(run, "rank");
    const double s = vkz_identity_value(run, "s");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const float *w = vkz_identity_float(run, data, "w");
    const float *a = vkz_identity_float(run, data, "a");
    const float *b = vkz_identity_float(run, data, "b");
    double *before = vkz_identity_temp(run, n * k);
    for (int64_t i = 0; before != NULL && w != NULL && i < n * k; i++) {
        before[i] = (double)w[i];
        for (int64_t j = 0; j < rank; j++) {
            before[i] += s * (double)b[i / k * rank + j] * (double)a[j * k + i % k];
        }
    }
    double *after = vkz_identity_output(run, data, "w");
    const double *a_new = vkz_identity_output(run, data, "a");
    const double *b_new = vkz_identity_output(run, data, "b");
    for (int64_t i = 0; after != NULL && a_new != NULL && b_new != NULL && i < n * k; i++) {
        for (int64_t j = 0; j < rank; j++) {
            after[i] += s * b_new[i / k * rank + j] * a_new[j * k + i % k];
        }
    }
    return vkz_identity_equal(run, "w", before, after, n * k, 2);
}

// What a larger ratio keeps, a smaller one keeps too.
static bool check_nested(struct vkz_identity_run *run)
{
    static const char *const moments[] = {"ma", "va", "mb", "vb"};
    struct vkz_data *one = vkz_identity_inputs(run, "ratio=0.75");
    struct vkz_data *two = vkz_identity_inputs(run, "ratio=0.25");
    for (int m = 0; m < 4; m++) {
        const int64_t count = vkz_identity_count(one, moments[m]);
        double *few = vkz_identity_output(run, one, moments[m]);
        const double *many = vkz_identity_output(run, two, moments[m]);
        double *both = vkz_identity_temp(run, count);
        for (int64_t i = 0; few != NULL && many != NULL && both != NULL && i < count; i++) {
            both[i] = few[i] != 0 ? many[i] : 0;
        }
        if (!vkz_identity_equal(run, moments[m], few, both, count, 2)) {
            return false;
        }
    }
    return true;
}

static const struct vkz_identity identities[] = {
    {"effective", "W + s B A is the same before and after", NULL, check_effective},
    {"nested", "what a larger ratio keeps, a smaller one keeps too", NULL, check_nested},
    {0},
};

VKZ_OP(relora_reset) = {
    .name = "relora_reset",
    .family = "lora",
    .abi = 1,
    .title = "merge of an adapter and the start of the next, optimiser state pruned",
    .doc = "W ← W + s B A,  A ← uniform(-1/√k, 1/√k),  B ← 0\n"
           "m, v ← what PRUNE keeps of them, else 0; each of the four tensors by itself:\n"
           "random keeps where a random word is above ratio · 2³², magnitude where |m| is\n"
           "above the quantile `ratio` of |m|, interpolated between order statistics.\n"
           "\n"
           "Word i of tensor t is the first of Philox 4x32-10 with the counter (i, t, 0, 0)\n"
           "and the key (key, 0): t is 0 to 3 for ma, va, mb, vb; 4 for A, whose elements\n"
           "are (2 u - 1) / √k with u the upper 24 bits as a fraction.\n"
           "ReLoRA arXiv 2307.05695.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "ratio >= 0 && ratio < 1 && key >= 0 && key == floor(key) && key < 4294967296",
    .valid_reason = "ratio is a fraction below 1, key a whole number of 32 bits",
    .flops = "2 * n * k * rank",
    .sum_length = "rank + 1",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
