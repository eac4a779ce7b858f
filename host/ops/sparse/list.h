// SPDX-License-Identifier: MIT
// Lists of key tiles: what block_sparse_attention and its backward op share, and the lists
// that their fills make. Included by contract files only.
//
// The fills of start, cols and flags must fit together, and each is made alone: a list is a
// function of the case's numbers, the same for every seed.
#ifndef VKZ_OPS_SPARSE_LIST_H
#define VKZ_OPS_SPARSE_LIST_H

#include <string.h>

#include "ops/sparse/row.h"

#define VKZ_LIST_DIMS \
    {"br", "queries of a tile", "64"}, {"bc", "keys of a tile", "64"}, \
        {"list_batch", "lists along the batch: 1, shared, or batch", "1"}, \
        {"list_heads", "lists along the heads: 1, shared, or heads", "1"}, \
        {"nnz", "room for list entries", \
         "list_batch * list_heads * ceildiv(q_len, br) * ceildiv(kv_len, bc)"}
#define VKZ_LIST_SCALARS \
    {"density", "0.25", "part of the tiles that the fill lists"}, \
        {"list", "0", \
         "the fill's lists: 0 random; 1 the diagonal; 2 every third row full, others " \
         "random; 3 every third row empty, others random; 4 full"}
#define VKZ_LIST_START "list_batch, list_heads, ceildiv(q_len, br) + 1"
#define VKZ_LIST_TENSORS \
    {"start", VKZ_IN, "i32", VKZ_LIST_START, NULL, "op", \
     "where the list of each row of tiles begins; the last element: where the last ends"}, \
        {"cols", VKZ_IN, "i32", "nnz", NULL, "op", \
         "key tiles, no tile twice in a list; -1 past the last list"}, \
        {"flags", VKZ_IN, "u32", "nnz", NULL, "op", \
         "0: every pair of the tile is visible, whatever MASK says; else: MASK decides"}
#define VKZ_LIST_VALID \
    "(list_batch == 1 || list_batch == batch) && (list_heads == 1 || list_heads == heads)" \
    " && density >= 0 && density <= 1 && list >= 0 && list <= 4 && list == floor(list)"
#define VKZ_LIST_VALID_REASON \
    "; lists are shared or one a batch, and one a head; density lies in 0..1, list is one " \
    "of 0..4"
// Visible pairs of a head, as the fill makes them: exact without a mask, a half with one.
#define LIST_TILES "ceildiv(kv_len, bc)"
#define VKZ_LIST_PAIRS \
    "(q_len * kv_len * (MASK == MASK.none ? 1 : 0.5) * (list == 4 ? 1 : list == 1 ? 1 / " \
    LIST_TILES " : max(1, round(density * " LIST_TILES ")) / " LIST_TILES "))"

// A case's numbers, from a reference or from a fill.
struct list_case {
    int64_t q_len, kv_len, br, bc, rows, tiles, list_batch, list_heads, nnz;
    int kind, mask;
    double density;
};

#define LIST_CASE(c, value, from) \
    (c) = (struct list_case){ \
        .q_len = (int64_t)value(from, "q_len"), .kv_len = (int64_t)value(from, "kv_len"), \
        .br = (int64_t)value(from, "br"), .bc = (int64_t)value(from, "bc"), \
        .list_batch = (int64_t)value(from, "list_batch"), \
        .list_heads = (int64_t)value(from, "list_heads"), \
        .nnz = (int64_t)value(from, "nnz"), .kind = (int)value(from, "list"), \
        .mask = (int)value(from, "MASK"), .density = value(from, "density")}; \
    (c).rows = ((c).q_len + (c).br - 1) / (c).br; \
    (c).tiles = ((c).kv_len + (c).bc - 1) / (c).bc

static inline double list_random(int64_t list, int64_t row, int64_t col)
{
    uint64_t x = (uint64_t)list * 0x9e3779b97f4a7c15u + (uint64_t)row * 0xc2b2ae3d27d4eb4fu +
                 (uint64_t)col * 0x165667b19e3779f9u + 0x27d4eb2f165667c5u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (double)((x ^ x >> 31) >> 11) * 0x1p-53;
}

// Tiles of a row that the fill chooses from: under a causal mask those with a visible pair.
static inline int64_t list_width(const struct list_case *c, int64_t row)
{
    if (c->mask != MASK_CAUSAL) {
        return c->tiles;
    }
    const int64_t last = (row + 1) * c->br < c->q_len ? (row + 1) * c->br : c->q_len;
    const int64_t keys = last + c->kv_len - c->q_len; // positions up to the last query's
    return keys <= 0 ? 0 : (keys + c->bc - 1) / c->bc;
}

// How many of them it lists.
static inline int64_t list_count(const struct list_case *c, int64_t row)
{
    const int64_t width = list_width(c, row);
    if (c->kind == 4 || (c->kind == 2 && row % 3 == 1)) {
        return width;
    }
    if (width == 0 || (c->kind == 3 && row % 3 == 1)) {
        return 0;
    }
    const int64_t part = c->kind == 1 ? 1 : (int64_t)(c->density * (double)width + 0.5);
    return part < 1 ? 1 : part > width ? width : part;
}

// The diagonal's tile: the one of the row's last query.
static inline int64_t list_diagonal(const struct list_case *c, int64_t row)
{
    const int64_t last = (row + 1) * c->br < c->q_len ? (row + 1) * c->br : c->q_len;
    const int64_t p = last - 1 + c->kv_len - c->q_len;
    return p < 0 ? 0 : p / c->bc;
}

// Writes the row's tiles, ascending, and returns how many.
static inline int64_t list_row(const struct list_case *c, int64_t list, int64_t row,
                               int32_t *cols)
{
    const int64_t width = list_width(c, row), count = list_count(c, row);
    int64_t need = count;
    if (c->kind == 1) {
        cols[0] = (int32_t)list_diagonal(c, row);
        return count;
    }
    for (int64_t col = 0; col < width && need > 0; col++) {
        if (list_random(list, row, col) * (double)(width - col) < (double)need) {
            cols[count - need--] = (int32_t)col;
        }
    }
    return count;
}

static inline int32_t list_flag(const struct list_case *c, int64_t row, int64_t col)
{
    if (c->mask == MASK_CAUSAL) {
        return (col + 1) * c->bc - 1 > row * c->br + c->kv_len - c->q_len;
    }
    // Tiles that are shown whole though MASK would hide pairs of them.
    return c->kind == 4 || c->mask == MASK_NONE || list_random(-1, row, col) < 0.75;
}

// Walks all lists in order and hands (list, row, entries before, tiles, count) to `visit`.
static inline void list_walk(const struct list_case *c, int32_t *cols,
                             void (*visit)(void *context, int64_t list, int64_t row,
                                           int64_t before, const int32_t *cols,
                                           int64_t count),
                             void *context)
{
    int64_t before = 0;
    for (int64_t list = 0; list < c->list_batch * c->list_heads; list++) {
        for (int64_t row = 0; row < c->rows; row++) {
            int64_t count = list_row(c, list, row, cols);
            count = before + count > c->nnz ? c->nnz - before : count;
            visit(context, list, row, before, cols, count);
            before += count;
        }
    }
}

struct list_writer {
    const struct list_case *c;
    int32_t *out;
    char what; // s start, c cols, f flags
};

static inline void list_write(void *context, int64_t list, int64_t row, int64_t before,
                              const int32_t *cols, int64_t count)
{
    const struct list_writer *w = context;
    if (w->what == 's') {
        w->out[list * (w->c->rows + 1) + row] = (int32_t)before;
        w->out[list * (w->c->rows + 1) + row + 1] = (int32_t)(before + count);
        return;
    }
    for (int64_t n = 0; n < count; n++) {
        w->out[before + n] = w->what == 'c' ? cols[n] : list_flag(w->c, row, cols[n]);
    }
}

enum { LIST_TILES_MAX = 1 << 16 };

// The fill of start, cols and flags.
static inline void list_fill(struct vkz_fill *fill, const char *tensor)
{
    static _Thread_local int32_t cols[LIST_TILES_MAX];
    struct list_case c;
    LIST_CASE(c, vkz_fill_value, fill);
    struct list_writer writer = {&c, vkz_fill_int(fill), tensor[0]};
    for (int64_t i = 0; i < vkz_fill_count(fill); i++) {
        writer.out[i] = tensor[0] == 'c' ? -1 : 0;
    }
    if (c.tiles <= LIST_TILES_MAX) {
        list_walk(&c, cols, list_write, &writer);
    }
}

static inline struct score list_begin(struct vkz_ref *ref, int64_t row)
{
    return score_begin(ref, row, false, false);
}

// Keys that a query sees, in the order of its list.
static inline int64_t list_keys(struct vkz_ref *ref, const struct score *s, int32_t *keys)
{
    const int64_t br = vkz_ref_dim(ref, "br"), bc = vkz_ref_dim(ref, "bc");
    const int64_t q_len = vkz_ref_dim(ref, "q_len");
    const int64_t list_batch = vkz_ref_dim(ref, "list_batch");
    const int64_t list_heads = vkz_ref_dim(ref, "list_heads");
    const int64_t list = (list_batch > 1 ? s->batch : 0) * list_heads +
                         (list_heads > 1 ? s->head : 0);
    const int32_t *start = vkz_ref_in_int(ref, "start") + list * ((q_len + br - 1) / br + 1);
    const int32_t *cols = vkz_ref_in_int(ref, "cols");
    const int32_t *flags = vkz_ref_in_int(ref, "flags");
    int64_t count = 0;
    for (int32_t n = start[s->query / br]; n < start[s->query / br + 1]; n++) {
        for (int64_t j = cols[n] * bc; j < (cols[n] + 1) * bc && j < s->kv_len; j++) {
            if (flags[n] == 0 || score_visible(s, j)) {
                keys[count++] = (int32_t)j;
            }
        }
    }
    return count;
}

#endif
