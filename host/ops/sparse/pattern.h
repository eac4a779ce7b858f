// SPDX-License-Identifier: MIT
// Sparsity patterns: which pairs of a query and a key each of them shows. Included by
// contract files only.
#ifndef VKZ_OPS_SPARSE_PATTERN_H
#define VKZ_OPS_SPARSE_PATTERN_H

#include "zoo/fill.h"
#include "zoo/op.h"

// An op lists a prefix of these, so the numbers agree between ops.
#define VKZ_PATTERN_FACTORISED "local strided strided_merged fixed"
#define VKZ_PATTERN_VALUES VKZ_PATTERN_FACTORISED " longformer bigbird doc bitmap"

enum {
    PATTERN_LOCAL,
    PATTERN_STRIDED,
    PATTERN_STRIDED_MERGED,
    PATTERN_FIXED,
    PATTERN_LONGFORMER,
    PATTERN_BIGBIRD,
    PATTERN_DOC,
    PATTERN_BITMAP,
};

enum { PATTERN_RANDOM_MAX = 16 }; // random tiles of a row

struct pattern {
    int kind;
    int64_t l, cw, nv;      // stride, width of a summary, vertical variants
    int64_t wl, ng;         // longformer
    const int32_t *seg;     // doc: of this batch
    int64_t low, high;      // fixed: the head's summary columns [low, high) of a stride
};

static inline void pattern_head(struct pattern *x, int64_t head)
{
    const int64_t v = head % x->nv;
    x->low = x->l - x->cw * (v + 1) < 0 ? 0 : x->l - x->cw * (v + 1);
    x->high = x->l - x->cw * v;
}

// Whether the query at position p sees key j; random tiles and bit maps are the caller's.
static inline bool pattern_sees(const struct pattern *x, int64_t p, int64_t j)
{
    switch (x->kind) {
    case PATTERN_LOCAL:
        return p - x->l < j && j <= p;
    case PATTERN_STRIDED:
        return j <= p && (p - j) % x->l == 0;
    case PATTERN_STRIDED_MERGED:
        return j <= p && (p - j < x->l || (p - j) % x->l == 0);
    case PATTERN_FIXED:
        return j <= p && (p / x->l == j / x->l ||
                          (x->low <= j % x->l && j % x->l < x->high));
    case PATTERN_LONGFORMER:
    case PATTERN_BIGBIRD:
        return (p - j <= x->wl && j - p <= x->wl) || p < x->ng || j < x->ng;
    case PATTERN_DOC:
        return j <= p && x->seg[p] == x->seg[j];
    default:
        return j <= p;
    }
}

// The tiles that bigbird adds to a row of tiles: draw n is word 0 of Philox4x32-10 with key
// (0x62696762, 0x69726421) and counter (row, n, 0, 0), modulo the number of tiles, then the
// next tile that is not drawn yet. Returns how many, at most the number of tiles.
static inline int64_t pattern_random(int64_t row, int64_t nr, int64_t tiles,
                                     int64_t drawn[PATTERN_RANDOM_MAX])
{
    static const uint32_t key[2] = {0x62696762u, 0x69726421u};
    const int64_t count = nr < tiles ? nr : tiles;
    for (int64_t n = 0; n < count; n++) {
        const uint32_t counter[4] = {(uint32_t)row, (uint32_t)n, 0, 0};
        uint32_t words[4];
        vkz_philox(key, counter, words);
        int64_t tile = (int64_t)words[0] % tiles;
        for (int64_t i = 0; i < n;) {
            if (drawn[i] == tile) {
                tile = (tile + 1) % tiles;
                i = 0;
            } else {
                i++;
            }
        }
        drawn[n] = tile;
    }
    return count;
}

#endif
