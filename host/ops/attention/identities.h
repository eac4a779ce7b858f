// SPDX-License-Identifier: MIT
// Identities that several attention contracts share: what must hold whatever the numbers.
// Included by contract files only; see zoo/identity.h for what a check sees.
#ifndef VKZ_OPS_ATTENTION_IDENTITIES_H
#define VKZ_OPS_ATTENTION_IDENTITIES_H

#include <stdio.h>
#include <string.h>

#include "ops/attention/score.h"
#include "zoo/identity.h"

#define IDENTITY_SCALE_VALUES \
    {"scale_values", "doubling v doubles o", NULL, check_scale_values}
// Where no key has a place: neither mask nor bias looks at j.
#define KEYS_HAVE_NO_ORDER \
    "MASK == MASK.none && (BIAS == BIAS.none || BIAS == BIAS.tensor)"
#define IDENTITY_PERMUTE_KEYS \
    {"permute_keys", "reversing (k, v) pairs, and bias with them, changes nothing", \
     KEYS_HAVE_NO_ORDER, check_permute_keys}
#define IDENTITY_PREFIX \
    {"prefix", "the first queries of a causal case do not see what comes after them", \
     "(MASK == MASK.causal || MASK == MASK.doc) && q_len == kv_len && q_len > 1", \
     check_prefix}

static inline void scale_floats(float *values, int64_t count, float factor)
{
    for (int64_t i = 0; values != NULL && i < count; i++) {
        values[i] *= factor;
    }
}

static inline void scale_doubles(double *values, int64_t count, double factor)
{
    for (int64_t i = 0; values != NULL && i < count; i++) {
        values[i] *= factor;
    }
}

// to[block][i] = from[block][first + i] for rows i < taken of `width` elements: cuts
// tensors along a middle dim. NULL tensors (absent in the case) are left alone.
static inline void cut_rows(float *to, const float *from, int64_t blocks, int64_t rows,
                            int64_t first, int64_t taken, int64_t width)
{
    for (int64_t x = 0; to != NULL && from != NULL && x < blocks; x++) {
        memcpy(to + x * taken * width, from + (x * rows + first) * width,
               (size_t)(taken * width) * sizeof *to);
    }
}

static inline void cut_double_rows(double *to, const double *from, int64_t blocks,
                                   int64_t rows, int64_t taken, int64_t width)
{
    for (int64_t x = 0; to != NULL && from != NULL && x < blocks; x++) {
        memcpy(to + x * taken * width, from + x * rows * width,
               (size_t)(taken * width) * sizeof *to);
    }
}

// Reverses the rows of each block in place.
static inline void reverse_rows(float *values, int64_t blocks, int64_t rows,
                                int64_t width)
{
    for (int64_t x = 0; values != NULL && x < blocks; x++) {
        float *block = values + x * rows * width;
        for (int64_t i = 0; i < rows / 2; i++) {
            for (int64_t c = 0; c < width; c++) {
                const float kept = block[i * width + c];
                block[i * width + c] = block[(rows - 1 - i) * width + c];
                block[(rows - 1 - i) * width + c] = kept;
            }
        }
    }
}

static inline bool check_scale_values(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    scale_floats(vkz_identity_float(run, two, "v"), vkz_identity_count(two, "v"), 2);
    const int64_t count = vkz_identity_count(one, "o");
    double *o = vkz_identity_output(run, one, "o");
    scale_doubles(o, count, 2);
    return vkz_identity_equal(run, "o", o, vkz_identity_output(run, two, "o"), count, 2);
}

static inline bool check_permute_keys(struct vkz_identity_run *run)
{
    const int64_t kv_len = vkz_identity_dim(run, "kv_len");
    const int64_t batch = vkz_identity_dim(run, "batch");
    const int64_t blocks = batch * vkz_identity_dim(run, "kv_heads");
    const int64_t rows =
        batch * vkz_identity_dim(run, "heads") * vkz_identity_dim(run, "q_len");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    reverse_rows(vkz_identity_float(run, two, "k"), blocks, kv_len,
                 vkz_identity_dim(run, "head_dim"));
    reverse_rows(vkz_identity_float(run, two, "v"), blocks, kv_len,
                 vkz_identity_dim(run, "v_dim"));
    reverse_rows(vkz_identity_float(run, two, "bias"), rows, kv_len, 1);
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

// The bias tensor of the first `taken` queries and keys of a square case.
static inline void cut_bias(float *to, const float *from, int64_t blocks, int64_t length,
                            int64_t taken)
{
    for (int64_t x = 0; to != NULL && from != NULL && x < blocks; x++) {
        cut_rows(to + x * taken * taken, from + x * length * length, taken, length, 0,
                 taken, 1);
    }
}

// `has_bias`: the contract has a tensor named bias. `settings` fixes what would follow
// kv_len by default.
static inline bool check_prefix_of(struct vkz_identity_run *run, bool has_bias,
                                   const char *settings)
{
    const int64_t length = vkz_identity_dim(run, "q_len"), taken = length / 2;
    const int64_t batch = vkz_identity_dim(run, "batch");
    const int64_t q_blocks = batch * vkz_identity_dim(run, "heads");
    const int64_t kv_blocks = batch * vkz_identity_dim(run, "kv_heads");
    const int64_t head_dim = vkz_identity_dim(run, "head_dim");
    const int64_t v_dim = vkz_identity_dim(run, "v_dim");
    char shorter[128];
    snprintf(shorter, sizeof shorter, "q_len=%lld kv_len=%lld %s", (long long)taken,
             (long long)taken, settings);
    struct vkz_data *whole = vkz_identity_inputs(run, settings);
    struct vkz_data *part = vkz_identity_inputs(run, shorter);
    cut_rows(vkz_identity_float(run, part, "q"), vkz_identity_float(run, whole, "q"),
             q_blocks, length, 0, taken, head_dim);
    cut_rows(vkz_identity_float(run, part, "k"), vkz_identity_float(run, whole, "k"),
             kv_blocks, length, 0, taken, head_dim);
    cut_rows(vkz_identity_float(run, part, "v"), vkz_identity_float(run, whole, "v"),
             kv_blocks, length, 0, taken, v_dim);
    if (has_bias) {
        cut_bias(vkz_identity_float(run, part, "bias"),
                 vkz_identity_float(run, whole, "bias"), q_blocks, length, taken);
    }
    if (vkz_identity_dim(run, "MASK") == MASK_DOC) {
        int32_t *seg = vkz_identity_int(run, part, "seg");
        const int32_t *all = vkz_identity_int(run, whole, "seg");
        for (int64_t i = 0; seg != NULL && all != NULL && i < batch * taken; i++) {
            seg[i] = all[i / taken * length + i % taken];
        }
    }
    const int64_t count = vkz_identity_count(part, "o");
    double *expected = vkz_identity_temp(run, count);
    cut_double_rows(expected, vkz_identity_output(run, whole, "o"), q_blocks, length,
                    taken, v_dim);
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, part, "o"),
                              count, 2);
}

static inline bool check_prefix(struct vkz_identity_run *run)
{
    return check_prefix_of(run, true, "");
}

// Inputs of a case that has only keys [first, first + taken) of `whole`. `settings` as
// for vkz_identity_inputs. NULL after trouble.
static inline struct vkz_data *cut_keys(struct vkz_identity_run *run,
                                        struct vkz_data *whole, int64_t first,
                                        int64_t taken, const char *settings)
{
    const int64_t kv_len = vkz_identity_dim(run, "kv_len");
    const int64_t batch = vkz_identity_dim(run, "batch");
    const int64_t blocks = batch * vkz_identity_dim(run, "kv_heads");
    const int64_t rows = batch * vkz_identity_dim(run, "heads") *
                         vkz_identity_dim(run, "q_len");
    char text[128];
    snprintf(text, sizeof text, "kv_len=%lld %s", (long long)taken, settings);
    struct vkz_data *part = vkz_identity_inputs(run, text);
    float *q = vkz_identity_float(run, part, "q");
    const float *all = vkz_identity_float(run, whole, "q");
    if (q == NULL || all == NULL) {
        return NULL;
    }
    memcpy(q, all, (size_t)vkz_identity_count(part, "q") * sizeof *q);
    cut_rows(vkz_identity_float(run, part, "k"), vkz_identity_float(run, whole, "k"),
             blocks, kv_len, first, taken, vkz_identity_dim(run, "head_dim"));
    cut_rows(vkz_identity_float(run, part, "v"), vkz_identity_float(run, whole, "v"),
             blocks, kv_len, first, taken, vkz_identity_dim(run, "v_dim"));
    cut_rows(vkz_identity_float(run, part, "bias"),
             vkz_identity_float(run, whole, "bias"), rows, kv_len, first, taken, 1);
    return part;
}

#endif
