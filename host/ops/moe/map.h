// SPDX-License-Identifier: MIT
// Token lists per expert: what dispatch_map computes and the ops after it take as inputs,
// and the loads that their fills make. Included by contract files only.
//
// The fills of idx, src, pos, start, tile_expert and args must fit together, and each is
// made alone: a routing is a function of the case's numbers, the same for every seed.
#ifndef VKZ_OPS_MOE_MAP_H
#define VKZ_OPS_MOE_MAP_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "zoo/op.h"

#define VKZ_MAP_DIMS \
    {"rows", "tokens", NULL}, {"topk", "experts of a token", NULL}, \
        {"experts", "experts", NULL}, {"bm", "rows of a tile", "16"}, \
        {"cap_total", "positions: every entry, and each expert's last tile filled up", \
         "ceildiv(rows * topk + min(experts, rows * topk) * (bm - 1), bm) * bm"}
#define VKZ_MAP_SCALARS \
    {"load", "0", \
     "the fill's routing: 0 uniform; 1 zipf(1.5); 2 one expert takes all; 3 one takes " \
     "none; 4 rows with -1 entries"}
#define VKZ_MAP_VALID \
    "cap_total == ceildiv(rows * topk + min(experts, rows * topk) * (bm - 1), bm) * bm && " \
    "load >= 0 && load <= 4 && load == floor(load)"
#define VKZ_MAP_VALID_REASON "cap_total follows from the other dims; load is one of 0..4"

#define VKZ_MAP_IDX \
    {"idx", VKZ_IN, "i32", "rows, topk", NULL, "op", "expert of each entry, -1: none"}
#define VKZ_MAP_SRC \
    {"src", VKZ_IN, "i32", "cap_total", NULL, "op", \
     "entry t * topk + x at each position, -1 in padding"}
#define VKZ_MAP_POS \
    {"pos", VKZ_IN, "i32", "rows, topk", NULL, "op", "position of each entry, -1: none"}

// Experts that a uniform routing takes on average: what of their weights is read.
#define VKZ_MAP_TAKEN \
    "(load == 2 ? 1 : experts * (1 - pow(1 - min(1, topk / experts), rows)))"

// A case's numbers, from a reference or from a fill.
struct map_case {
    int64_t rows, topk, experts, bm, cap_total, cap;
    int load;
};

#define ROUTE_CASE(c, value, from) \
    (c) = (struct map_case){ \
        .rows = (int64_t)value(from, "rows"), .topk = (int64_t)value(from, "topk"), \
        .experts = (int64_t)value(from, "experts"), .load = (int)value(from, "load")}
#define MAP_CASE(c, value, from) \
    ROUTE_CASE(c, value, from); \
    (c).bm = (int64_t)value(from, "bm"); \
    (c).cap_total = (int64_t)value(from, "cap_total"); \
    (c).cap = INT64_MAX

static inline uint64_t map_random(int64_t row, int64_t draw)
{
    uint64_t x = (uint64_t)row * 0x9e3779b97f4a7c15u +
                 (uint64_t)draw * 0xc2b2ae3d27d4eb4fu + 0x27d4eb2f165667c5u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

// One draw among `experts`; `sums` are cumulative probabilities, or NULL: uniform.
static inline int32_t map_draw(const double *sums, int64_t experts, uint64_t bits)
{
    if (sums == NULL) {
        return (int32_t)(bits % (uint64_t)experts);
    }
    const double u = (double)(bits >> 11) * 0x1p-53 * sums[experts - 1];
    int64_t low = 0, high = experts - 1;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (sums[middle] > u) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return (int32_t)low;
}

static inline bool map_taken(const int32_t *chosen, int64_t count, int32_t expert)
{
    for (int64_t x = 0; x < count; x++) {
        if (chosen[x] == expert) {
            return true;
        }
    }
    return false;
}

// Which experts the tokens go to. As of a router, no expert twice in a row while there are
// enough of them, but for the load in which one takes all.
static inline void map_route(const struct map_case *c, int32_t *idx)
{
    double *sums = c->load == 1 ? malloc((size_t)c->experts * sizeof *sums) : NULL;
    for (int64_t e = 0; sums != NULL && e < c->experts; e++) {
        sums[e] = (e > 0 ? sums[e - 1] : 0) + pow((double)(e + 1), -1.5);
    }
    const int32_t special = (int32_t)(c->experts / 2);
    const bool spare = c->load == 3 && c->experts > 1; // `special` is never chosen
    for (int64_t row = 0; row < c->rows; row++) {
        int32_t *chosen = idx + row * c->topk;
        int64_t draws = 0;
        for (int64_t x = 0; x < c->topk; x++) {
            int32_t expert = map_draw(sums, c->experts, map_random(row, draws++));
            const bool distinct = x < c->experts - spare;
            for (int tries = 0; distinct && tries < 64 &&
                 (map_taken(chosen, x, expert) || (spare && expert == special)); tries++) {
                expert = map_draw(sums, c->experts, map_random(row, draws++));
            }
            while ((distinct && map_taken(chosen, x, expert)) ||
                   (spare && expert == special)) {
                expert = (int32_t)((expert + 1) % c->experts);
            }
            chosen[x] = c->load == 2 ? special : expert;
        }
        // After the choice, so that -1 takes no expert's place.
        for (int64_t x = 0; x < c->topk && c->load == 4; x++) {
            const bool none = row % 5 == 2 || (row + x) % 7 == 3;
            chosen[x] = none ? -1 : chosen[x];
        }
    }
    free(sums);
}

// The map, each array NULL or of its contract's size.
struct map_arrays {
    int32_t *count, *start, *src, *pos, *tile_expert, *args;
};

// Lists of the experts, entries in ascending order; those past `cap` are dropped.
static inline void map_build(const struct map_case *c, const int32_t *idx,
                             const struct map_arrays *to)
{
    const int64_t entries = c->rows * c->topk;
    int32_t *count = calloc((size_t)c->experts + 1, sizeof *count);
    int32_t *next = calloc((size_t)c->experts + 1, sizeof *next);
    if (count == NULL || next == NULL) {
        abort();
    }
    for (int64_t i = 0; i < entries; i++) {
        if (idx[i] >= 0 && count[idx[i]] < c->cap) {
            count[idx[i]]++;
        }
    }
    for (int64_t e = 0; e < c->experts; e++) {
        next[e + 1] = (int32_t)(next[e] + (count[e] + c->bm - 1) / c->bm * c->bm);
    }
    const int64_t tiles = next[c->experts] / c->bm;
    for (int64_t i = 0; to->tile_expert != NULL && i < c->cap_total / c->bm; i++) {
        to->tile_expert[i] = -1;
    }
    for (int64_t e = 0; e <= c->experts; e++) {
        if (to->start != NULL) {
            to->start[e] = next[e];
        }
        if (to->count != NULL && e < c->experts) {
            to->count[e] = count[e];
        }
        for (int64_t i = next[e] / c->bm; to->tile_expert != NULL && e < c->experts &&
             i < next[e + 1] / c->bm; i++) {
            to->tile_expert[i] = (int32_t)e;
        }
    }
    if (to->args != NULL) {
        to->args[0] = (int32_t)tiles;
        to->args[1] = 1;
        to->args[2] = 1;
    }
    for (int64_t p = 0; to->src != NULL && p < c->cap_total; p++) {
        to->src[p] = -1;
    }
    memset(count, 0, (size_t)c->experts * sizeof *count);
    for (int64_t i = 0; i < entries; i++) {
        int32_t place = -1;
        if (idx[i] >= 0 && count[idx[i]] < c->cap) {
            count[idx[i]]++;
            place = next[idx[i]]++;
            if (to->src != NULL) {
                to->src[place] = (int32_t)i;
            }
        }
        if (to->pos != NULL) {
            to->pos[i] = place;
        }
    }
    free(count);
    free(next);
}

// The fill of contracts that take a map.
static inline void map_fill(struct vkz_fill *fill, const char *tensor)
{
    struct map_case c;
    MAP_CASE(c, vkz_fill_value, fill);
    int32_t *out = vkz_fill_int(fill);
    if (strcmp(tensor, "idx") == 0) {
        map_route(&c, out);
        return;
    }
    int32_t *idx = malloc((size_t)(c.rows * c.topk) * sizeof *idx);
    if (idx == NULL) {
        abort();
    }
    map_route(&c, idx);
    struct map_arrays arrays = {0};
    if (strcmp(tensor, "src") == 0) {
        arrays.src = out;
    } else if (strcmp(tensor, "pos") == 0) {
        arrays.pos = out;
    } else if (strcmp(tensor, "start") == 0) {
        arrays.start = out;
    } else if (strcmp(tensor, "tile_expert") == 0) {
        arrays.tile_expert = out;
    } else {
        arrays.args = out;
    }
    map_build(&c, idx, &arrays);
    free(idx);
}

#endif
