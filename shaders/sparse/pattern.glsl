// SPDX-License-Identifier: MIT
//
// Sparsity patterns: which pairs they show, and what that makes of a tile of pairs
//
//   pattern_sees(x, p, j)                whether the query at position p sees key j
//   pattern_tile(x, row, i0, i1, j0, j1) what queries at positions i0..i1 see of keys j0..j1
//
// A tile's answer is in closed form, not by its pairs: along the diagonals p - j it is an
// interval, and so is what a pattern shows. Definitions: host/ops/sparse/pattern.h.
//
// The kernel declares, before including this file, the constant PATTERN and, for those that
// have them (PATTERN_SEG, PATTERN_BITS defined),
//   int pattern_segment(int key)            document of a key of this batch
//   bool pattern_bit(uint row, uint tile)   the bit of this batch and head
#ifndef VKZ_SPARSE_PATTERN_GLSL
#define VKZ_SPARSE_PATTERN_GLSL

const uint PATTERN_LOCAL = 0;
const uint PATTERN_STRIDED = 1;
const uint PATTERN_STRIDED_MERGED = 2;
const uint PATTERN_FIXED = 3;
const uint PATTERN_LONGFORMER = 4;
const uint PATTERN_BIGBIRD = 5;
const uint PATTERN_DOC = 6;
const uint PATTERN_BITMAP = 7;

const uint PATTERN_NONE = 0; // nothing of a tile is visible, all of it, some of it
const uint PATTERN_ALL = 1;
const uint PATTERN_SOME = 2;

struct pattern {
    int l;
    int low, high; // fixed: summary columns [low, high) of a stride
    int wl, ng;
};

// The summary columns of a head.
pattern pattern_of(const int l, const int cw, const int nv, const int wl, const int ng,
                   const int head)
{
    pattern x;
    x.l = l;
    x.high = l - cw * (head % nv);
    x.low = max(x.high - cw, 0);
    x.wl = wl;
    x.ng = ng;
    return x;
}

bool pattern_sees(const pattern x, const int p, const int j)
{
    switch (PATTERN) {
    case PATTERN_LOCAL:
        return p - x.l < j && j <= p;
    case PATTERN_STRIDED:
        return j <= p && (p - j) % x.l == 0;
    case PATTERN_STRIDED_MERGED:
        return j <= p && (p - j < x.l || (p - j) % x.l == 0);
    case PATTERN_FIXED:
        return j <= p && (p / x.l == j / x.l || (x.low <= j % x.l && j % x.l < x.high));
    default:
        return j <= p;
    }
}

// Whether all of keys first..last are summary columns; true for none.
bool pattern_summary_all_(const pattern x, const int first, const int last)
{
    const int m = first % x.l;
    return last < first || (x.low == 0 && x.high == x.l) ||
           (m >= x.low && m + (last - first) < x.high);
}

// Whether one of them is.
bool pattern_summary_some_(const pattern x, const int first, const int last)
{
    const int m = first % x.l;
    const int next = m < x.low ? first + x.low - m : m < x.high ? first
                                                                : first + x.l - m + x.low;
    return x.low < x.high && next <= last;
}

uint pattern_fixed_(const pattern x, const int i0, const int i1, const int j0, const int j1)
{
    const int last = min(j1, i1);
    if (last < j0) {
        return PATTERN_NONE;
    }
    // A stride that the queries and the keys have in common, j <= p in it.
    const int stride = max(max(i0, 0) / x.l, j0 / x.l);
    const bool same = stride <= min(i1, last) / x.l;
    if (!same && !pattern_summary_some_(x, j0, last)) {
        return PATTERN_NONE;
    }
    bool all = false;
    if (j1 <= i0) {
        // Of queries in one stride, keys of the same stride need not be summaries.
        const int own = i0 / x.l == i1 / x.l ? i0 / x.l * x.l : j1 + 1;
        all = pattern_summary_all_(x, j0, min(j1, own - 1));
    }
    return all ? PATTERN_ALL : PATTERN_SOME;
}

#ifdef PATTERN_SEG
uint pattern_doc_(const int i0, const int i1, const int j0, const int j1)
{
    if (i1 < j0) {
        return PATTERN_NONE;
    }
    // Documents are consecutive: what lies between two tokens of one belongs to it. Below
    // the diagonal the nearest pair decides; a tile on the diagonal shows that.
    const int near = max(i0, 0);
    if (j1 < near && pattern_segment(j1) != pattern_segment(near)) {
        return PATTERN_NONE;
    }
    const bool all = j1 <= i0 && pattern_segment(j0) == pattern_segment(i1);
    return all ? PATTERN_ALL : PATTERN_SOME;
}
#endif

uint pattern_tile(const pattern x, const uint row, const uint tile, const int i0,
                  const int i1, const int j0, const int j1)
{
    // Of p - j over the tile.
    const int low = i0 - j1;
    const int high = i1 - j0;
    bool some = high >= 0;
    bool all = low >= 0;
    switch (PATTERN) {
    case PATTERN_LOCAL:
        some = some && low < x.l;
        all = all && high < x.l;
        break;
    case PATTERN_STRIDED:
        some = some && high / x.l * x.l >= max(low, 0);
        all = all && (x.l == 1 || (low == high && low % x.l == 0));
        break;
    case PATTERN_STRIDED_MERGED:
        some = some && (low < x.l || high / x.l * x.l >= low);
        all = all && (high < x.l || x.l == 1 ||
                      (max(low, x.l) == high && high % x.l == 0));
        break;
    case PATTERN_FIXED:
        return pattern_fixed_(x, i0, i1, j0, j1);
    case PATTERN_LONGFORMER:
    case PATTERN_BIGBIRD: {
        some = (low <= x.wl && high >= -x.wl) || i0 < x.ng || j0 < x.ng;
        // Pairs of which neither is global.
        const int i = max(i0, x.ng);
        const int j = max(j0, x.ng);
        all = i > i1 || j > j1 || (i - j1 >= -x.wl && i1 - j <= x.wl);
        break;
    }
#ifdef PATTERN_SEG
    case PATTERN_DOC:
        return pattern_doc_(i0, i1, j0, j1);
#endif
#ifdef PATTERN_BITS
    case PATTERN_BITMAP:
        some = some && pattern_bit(row, tile);
        break;
#endif
    }
    return !some ? PATTERN_NONE : all ? PATTERN_ALL : PATTERN_SOME;
}

// Key tiles [x, y) outside of which queries at positions i0..i1 see nothing.
uvec2 pattern_tiles(const pattern x, const int i0, const int i1, const int bc,
                    const uint tiles)
{
    uvec2 range = uvec2(0u, tiles);
    if (PATTERN != PATTERN_LONGFORMER && PATTERN != PATTERN_BIGBIRD) {
        range.y = i1 < 0 ? 0u : min(tiles, uint(i1 / bc) + 1u);
    }
    if (PATTERN == PATTERN_LOCAL) {
        range.x = uint(max(i0 - x.l + 1, 0) / bc);
    }
    return range;
}

#endif
