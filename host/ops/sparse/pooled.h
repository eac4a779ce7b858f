// SPDX-License-Identifier: MIT
// Blocks of tokens as the contracts of native sparse attention see them: how many there
// are, and how much each counts. Included by contract files only.
#ifndef VKZ_OPS_SPARSE_POOLED_H
#define VKZ_OPS_SPARSE_POOLED_H

#include "ops/sparse/listed.h"

#define VKZ_POOLED_DIMS_HEADS \
    {"batch", "independent sequences", NULL}, {"heads", "query heads", NULL}, \
        {"kv_heads", "key and value heads; each serves heads / kv_heads query heads", \
         "heads"}, \
        {"len", "tokens of a sequence", NULL}, \
        {"head_dim", "width of a query and a key", NULL}
#define VKZ_POOLED_DIM_V {"v_dim", "width of a value", "head_dim"}
#define VKZ_POOLED_DIMS_BLOCKS \
    {"lc", "tokens that are pooled to one key", "32"}, \
        {"st", "tokens from one pooled block to the next", "16"}

// Pooled keys of a sequence, and the rows of a tensor that holds them: never none.
#define VKZ_POOLED_COUNT "(len >= lc ? floordiv(len - lc, st) + 1 : 0)"
#define VKZ_POOLED_ROWS "max(1, " VKZ_POOLED_COUNT ")"
// Pairs of one head that see each other: pooled key c is visible to len - c st - lc + 1
// queries.
#define VKZ_POOLED_PAIRS \
    "(" VKZ_POOLED_COUNT " * (len - lc + 1) - st * " VKZ_POOLED_COUNT " * (" \
    VKZ_POOLED_COUNT " - 1) / 2)"

#define VKZ_POOLED_VALID "heads % kv_heads == 0 && lc >= 1 && st >= 1"

static inline int64_t pooled_rows(int64_t len, int64_t lc, int64_t st)
{
    return len >= lc ? (len - lc) / st + 1 : 1;
}

// Pooled keys that query i sees: those of blocks that end at i or before.
static inline int64_t pooled_visible(int64_t i, int64_t lc, int64_t st)
{
    return i + 1 >= lc ? (i + 1 - lc) / st + 1 : 0;
}

// importance[j] += p shared out: pooled key c counts once for every stripe of st tokens
// that it shares with block j of ls tokens.
static inline void pooled_share(real *importance, int64_t blocks, const real *p,
                                int64_t visible, int64_t lc, int64_t st, int64_t ls)
{
    for (int64_t j = 0; j < blocks; j++) {
        for (int64_t m = 0; m < ls / st; m++) {
            for (int64_t n = 0; n < lc / st; n++) {
                const int64_t c = ls / st * j + m - n;
                importance[j] += c >= 0 && c < visible ? p[c] : (real)0;
            }
        }
    }
}

static inline bool pooled_forced(int64_t j, int64_t own)
{
    return j == 0 || j == own || j == own - 1;
}

// True when block a is chosen before block b.
static inline bool pooled_before(const real *importance, int64_t own, int64_t a,
                                 int64_t b)
{
    if (pooled_forced(a, own) != pooled_forced(b, own)) {
        return pooled_forced(a, own);
    }
    if (importance[a] != importance[b]) {
        return importance[a] > importance[b];
    }
    return a < b;
}

// The blocks 0 .. own that query of block `own` selects, ascending; returns how many.
// *gap is the difference of the importance that decided who was last, relative to the
// largest: infinite when nothing had to be decided, or only by rank or index.
static inline int64_t pooled_select(const real *importance, int64_t own, int64_t top,
                                    int32_t *idx, real *gap)
{
    int64_t count = 0, worst = -1, best = -1;
    real most = 0;
    for (int64_t j = 0; j <= own; j++) {
        int64_t rank = 0;
        for (int64_t other = 0; other <= own; other++) {
            rank += pooled_before(importance, own, other, j);
        }
        most = importance[j] > most ? importance[j] : most;
        worst = rank == top - 1 ? j : worst;
        best = rank == top ? j : best;
        if (rank < top) {
            idx[count++] = (int32_t)j;
        }
    }
    *gap = (real)INFINITY;
    if (worst >= 0 && best >= 0 && importance[worst] != importance[best] &&
        pooled_forced(worst, own) == pooled_forced(best, own)) {
        *gap = (importance[worst] - importance[best]) / most;
    }
    return count;
}

#endif
