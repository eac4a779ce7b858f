// SPDX-License-Identifier: MIT
// token_mask: replaces a fraction of a sequence's tokens by a mask token.
#include <stddef.h>
#include <stdlib.h>

#include "zoo/fill.h"
#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"batch", "sequences", NULL},
    {"len", "tokens of the longest sequence", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"ratio", "0.15", "fraction of the tokens that is replaced, 0 to 1"},
    {"key", "1", "key of the random words"},
    {"mask_id", "3", "the token that stands for a masked one"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"ids", VKZ_IN, "i32", "batch, len", NULL, "range(4,30000)", "tokens"},
    {"lens", VKZ_IN, "i32", "batch", NULL, "op", "tokens of each sequence"},
    {"y", VKZ_OUT, "i32", "batch, len", NULL, NULL, "tokens, some of them masked"},
    {"hit", VKZ_OUT, "u32", "batch, ceildiv(len, 32)", NULL, NULL,
     "bit t % 32 of word t / 32: token t was masked"},
    {0},
};

// Sequences of every length: of eight, one is empty and one has a single token.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor;
    const int64_t len = (int64_t)vkz_fill_value(fill, "len");
    int32_t *lens = vkz_fill_int(fill);
    for (int64_t i = 0; i < vkz_fill_count(fill); i++) {
        const double u = vkz_fill_uniform(fill, (uint64_t)i);
        const int64_t any = (int64_t)(u * (double)(len + 1));
        lens[i] = (int32_t)(i % 8 == 0 ? len : i % 8 == 3 ? 0 : i % 8 == 5 ? 1 : any);
    }
}

struct candidate {
    uint32_t word;
    int32_t position;
};

static int compare(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->word != y->word) {
        return x->word < y->word ? -1 : 1;
    }
    return x->position < y->position ? -1 : 1;
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t len = vkz_ref_dim(ref, "len");
    const uint32_t key[2] = {(uint32_t)vkz_ref_dim(ref, "key"), 0};
    const int32_t *ids = vkz_ref_in_int(ref, "ids") + row * len;
    const int32_t valid = vkz_ref_in_int(ref, "lens")[row];
    // In float, as everywhere: another rounding could give another count.
    const float wanted = (float)vkz_ref_value(ref, "ratio") * (float)valid;
    struct candidate *order = vkz_ref_temp(ref, (size_t)len * sizeof *order);
    double *y = vkz_ref_out(ref, "y"), *hit = vkz_ref_out(ref, "hit");
    for (int32_t t = 0; t < len; t++) {
        const uint32_t counter[4] = {(uint32_t)t, (uint32_t)row, 0, 0};
        uint32_t words[4];
        vkz_philox(key, counter, words);
        order[t] = (struct candidate){words[0], t};
        y[t] = ids[t];
        hit[t / 32] = 0;
    }
    qsort(order, (size_t)valid, sizeof *order, compare);
    for (int32_t i = 0; i < (int32_t)wanted && i < valid; i++) {
        const int32_t t = order[i].position;
        y[t] = vkz_ref_value(ref, "mask_id");
        hit[t / 32] += (double)(1u << t % 32);
    }
}

// Exactly floor(ratio lens) tokens of a sequence are masked, those whose bit is set; the
// others are as they were.
static bool check_count(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t batch = vkz_identity_dim(run, "batch"), words = (len + 31) / 32;
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const int32_t *ids = vkz_identity_int(run, data, "ids");
    const int32_t *lens = vkz_identity_int(run, data, "lens");
    const double *y = vkz_identity_output(run, data, "y");
    const double *hit = vkz_identity_output(run, data, "hit");
    double *expected = vkz_identity_temp(run, batch * len + batch);
    double *got = vkz_identity_temp(run, batch * len + batch);
    if (ids == NULL || lens == NULL || y == NULL || hit == NULL || got == NULL ||
        expected == NULL) {
        return false;
    }
    for (int64_t i = 0; i < batch * len; i++) {
        const int64_t row = i / len, t = i % len;
        const uint32_t word = (uint32_t)hit[row * words + t / 32];
        const bool masked = word >> t % 32 & 1;
        got[i] = y[i];
        expected[i] = masked ? vkz_identity_value(run, "mask_id") : ids[i];
        got[batch * len + row] += masked;
    }
    for (int64_t row = 0; row < batch; row++) {
        expected[batch * len + row] =
            (int32_t)((float)vkz_identity_value(run, "ratio") * (float)lens[row]);
    }
    return vkz_identity_equal(run, "y", expected, got, batch * len + batch, 1);
}

// A larger ratio masks what a smaller one masks, and more.
static bool check_nested(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "ratio=0.25");
    struct vkz_data *two = vkz_identity_inputs(run, "ratio=0.75");
    const double *few = vkz_identity_output(run, one, "hit");
    const double *many = vkz_identity_output(run, two, "hit");
    const int64_t count = vkz_identity_count(one, "hit");
    double *both = vkz_identity_temp(run, count), *first = vkz_identity_temp(run, count);
    for (int64_t i = 0; few != NULL && many != NULL && both != NULL && i < count; i++) {
        both[i] = (uint32_t)few[i] & (uint32_t)many[i];
        first[i] = few[i];
    }
    return vkz_identity_equal(run, "hit", both, first, count, 1);
}

static const struct vkz_identity identities[] = {
    {"count", "exactly floor(ratio lens) tokens change, those whose bit is set", NULL,
     check_count},
    {"nested", "a larger ratio masks what a smaller one does, and more", NULL,
     check_nested},
    {0},
};

VKZ_OP(token_mask) = {
    .name = "token_mask",
    .family = "sparse",
    .abi = 1,
    .title = "masks a fixed fraction of every sequence's tokens at random",
    .doc = "y_t = mask_id for the floor(ratio · lens) positions of a row with the smallest\n"
           "random words, lower positions first where words are equal; else ids_t.\n"
           "\n"
           "The word of position t in row r is the first of Philox4x32-10 with the counter\n"
           "(t, r, 0, 0) and the key (key, 0). The product ratio · lens is rounded to\n"
           "float. Masked-input next-token prediction, arXiv 2502.07490.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = "ratio >= 0 && ratio <= 1 && key >= 0 && key == floor(key) && "
             "key < 4294967296 && mask_id >= 0 && mask_id == floor(mask_id) && "
             "mask_id < 2147483648",
    .valid_reason = "ratio is a fraction, key and mask_id are whole numbers of 32 bits",
    .flops = "batch * len * 100",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
