// SPDX-License-Identifier: MIT
// What selected_attention and its backward op share: dims, tensors, the selection's fill and
// the keys that it shows. Included by contract files only.
#ifndef VKZ_OPS_SPARSE_SELECTED_H
#define VKZ_OPS_SPARSE_SELECTED_H

#include "ops/sparse/row.h"

#define VKZ_SELECTED_DIMS \
    {"batch", "independent sequences", NULL}, {"heads", "query heads", NULL}, \
        {"kv_heads", "key and value heads; each serves heads / kv_heads query heads", \
         "heads"}, \
        {"len", "tokens of a sequence", NULL}, \
        {"head_dim", "width of a query and a key", NULL}, \
        {"v_dim", "width of a value", "head_dim"}, \
        {"ls", "tokens of a block", "64"}, {"top", "blocks of a token", "16"}
#define VKZ_SELECTED_SCALARS \
    VKZ_ATTENTION_SCALAR_TAU, \
        {"holes", "0", "not 0: every seventh token of the fill selects nothing"}
#define SELECTED_Q "batch, heads, len, head_dim"
#define SELECTED_K "batch, kv_heads, len, head_dim"
#define SELECTED_V "batch, kv_heads, len, v_dim"
#define SELECTED_O "batch, heads, len, v_dim"
#define VKZ_SELECTED_TENSORS \
    {"q", VKZ_IN, "T", SELECTED_Q, NULL, "normal(1)", "queries"}, \
        {"k", VKZ_IN, "T", SELECTED_K, NULL, "normal(1)", "keys"}, \
        {"v", VKZ_IN, "T", SELECTED_V, NULL, "normal(1)", "values"}, \
        {"idx", VKZ_IN, "i32", "batch, kv_heads, len, top", NULL, "op", \
         "blocks of a token, none twice, in any order; -1: no block"}
#define VKZ_SELECTED_VALID "heads % kv_heads == 0"
#define VKZ_SELECTED_VALID_REASON "heads must be a multiple of kv_heads"
// Visible pairs of a head: all while the blocks suffice, then whole blocks and the own one's
// first half.
#define VKZ_SELECTED_PAIRS \
    "(min(len, top * ls) * (min(len, top * ls) + 1) / 2 + " \
    "max(0, len - top * ls) * ((top - 1) * ls + (ls + 1) / 2))"

// A token selects its own block and random earlier ones, shuffled; -1 where there are not
// enough.
static inline void selected_fill(struct vkz_fill *fill)
{
    const int64_t len = (int64_t)vkz_fill_value(fill, "len");
    const int64_t ls = (int64_t)vkz_fill_value(fill, "ls");
    const int64_t top = (int64_t)vkz_fill_value(fill, "top");
    const bool holes = vkz_fill_value(fill, "holes") != 0;
    const int64_t rows = vkz_fill_count(fill) / top;
    int32_t *idx = vkz_fill_int(fill);
    for (int64_t row = 0; row < rows; row++, idx += top) {
        const int64_t own = row % len / ls;
        const uint64_t base = (uint64_t)(row * (len / ls + 2 + top));
        const int64_t want = holes && row % 7 == 3 ? 0 : top < own + 1 ? top : own + 1;
        int64_t count = 0;
        for (int64_t j = own; j >= 0 && count < want; j--) {
            const double u = vkz_fill_uniform(fill, base + (uint64_t)j);
            if (j == own || u * (double)(j + 1) < (double)(want - count)) {
                idx[count++] = (int32_t)j;
            }
        }
        for (; count < top; count++) {
            idx[count] = -1;
        }
        for (int64_t i = top - 1; i > 0; i--) {
            const double u =
                vkz_fill_uniform(fill, base + (uint64_t)(len / ls + 2 + i));
            const int64_t j = (int64_t)(u * (double)(i + 1));
            const int32_t kept = idx[i];
            idx[i] = idx[j];
            idx[j] = kept;
        }
    }
}

static inline struct score selected_begin(struct vkz_ref *ref, int64_t row)
{
    return sparse_causal_begin(ref, row, vkz_ref_dim(ref, "kv_heads"),
                               vkz_ref_dim(ref, "v_dim"));
}

// Keys that a query sees, in the order of its blocks.
static inline int64_t selected_keys(struct vkz_ref *ref, const struct score *s,
                                    int32_t *keys)
{
    const int64_t ls = vkz_ref_dim(ref, "ls"), top = vkz_ref_dim(ref, "top");
    const int64_t kv_heads = vkz_ref_dim(ref, "kv_heads");
    const int64_t row = (s->batch * kv_heads + s->kv_head) * s->kv_len + s->query;
    const int32_t *idx = vkz_ref_in_int(ref, "idx") + row * top;
    int64_t count = 0;
    for (int64_t n = 0; n < top; n++) {
        for (int64_t j = idx[n] * ls; idx[n] >= 0 && j < (idx[n] + 1) * ls; j++) {
            if (j <= s->position) {
                keys[count++] = (int32_t)j;
            }
        }
    }
    return count;
}

#endif
