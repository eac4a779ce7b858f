// SPDX-License-Identifier: MIT
//
// Lists of the key tiles that a pattern shows, in ascending order, without atomics
//
//   count   units of `chunk` tiles of a row of tiles: how many are shown
//   scan    exclusive sums of the counts, by one workgroup
//   fill    every unit writes its tiles where its sum says
//   pad     what no list needs
//
// A unit is a lane's: on a CPU a whole row of tiles, on a GPU a part of one. Neighbouring
// units are neighbouring parts of a row, so their sums are the places of an ascending list.
//
// The kernel includes sparse/pattern.glsl and declares
//   uint list_counter(uint at)          counters: a sum a unit, and the total
//   void list_counter_set(uint at, uint x)
//   void list_put(uint at, int col, uint flag)   entry `at`, if there is room for it
//   void list_start(uint at, uint n)             element of start
//   pattern list_pattern(uint list)     and whatever the pattern's hooks need of the list
// and, when it defines LIST_SCAN, shared uint invert_share[gl_WorkGroupSize.x].
#ifndef VKZ_SPARSE_LIST_BUILD_GLSL
#define VKZ_SPARSE_LIST_BUILD_GLSL

#include "lib/philox.glsl"

struct list_shape {
    int q_len, kv_len, br, bc;
    uint lists;
    uint rows, tiles; // of a list
    uint chunk;       // tiles of a unit
    int nr;           // bigbird: random tiles of a row
};

uint list_chunks(const list_shape s)
{
    return (s.tiles + s.chunk - 1u) / s.chunk;
}

uint list_units(const list_shape s)
{
    return s.lists * s.rows * list_chunks(s);
}

#ifndef LIST_SCAN

const uint LIST_RANDOM_MAX = 16;
const uvec2 LIST_KEY = uvec2(0x62696762u, 0x69726421u);
uint list_random_[LIST_RANDOM_MAX];

// The random tiles of a row, each once; returns how many.
uint list_draw_(const list_shape s, const uint row)
{
    const uint count = min(uint(s.nr), s.tiles);
    for (uint n = 0; n < count; n++) {
        uint tile = vkz_philox(uvec4(row, n, 0u, 0u), LIST_KEY).x % s.tiles;
        for (uint i = 0; i < n;) {
            const bool drawn = list_random_[i] == tile;
            tile = drawn ? (tile + 1u) % s.tiles : tile;
            i = drawn ? 0u : i + 1u;
        }
        list_random_[n] = tile;
    }
    return count;
}

// Counts the tiles of a unit, or writes them from place `at` on.
uint list_walk_(const list_shape s, const uint unit, const bool write, uint at)
{
    const uint chunks = list_chunks(s);
    const uint row = unit / chunks % s.rows;
    const pattern x = list_pattern(unit / chunks / s.rows);
    const int delta = s.kv_len - s.q_len;
    const int i0 = int(row) * s.br + delta;
    const int i1 = min(i0 + s.br, s.kv_len) - 1;
    const uvec2 range = pattern_tiles(x, i0, i1, s.bc, s.tiles);
    const uint begin = max(range.x, unit % chunks * s.chunk);
    const uint end = min(range.y, unit % chunks * s.chunk + s.chunk);
    const uint draws = PATTERN == PATTERN_BIGBIRD ? list_draw_(s, row) : 0u;
    for (uint tile = begin; tile < end; tile++) {
        const int j0 = int(tile) * s.bc;
        const int j1 = min(j0 + s.bc, s.kv_len) - 1;
        uint seen = pattern_tile(x, row, tile, i0, i1, j0, j1);
        for (uint n = 0; n < draws; n++) {
            seen = list_random_[n] == tile ? PATTERN_ALL : seen;
        }
        if (seen != PATTERN_NONE) {
            if (write) {
                list_put(at, int(tile), seen == PATTERN_ALL ? 0u : 1u);
            }
            at++;
        }
    }
    return at;
}

void list_count(const list_shape s, const uint unit)
{
    if (unit < list_units(s)) {
        list_counter_set(unit, list_walk_(s, unit, false, 0u));
    }
}

void list_fill(const list_shape s, const uint unit)
{
    if (unit < list_units(s)) {
        const uint chunks = list_chunks(s);
        const uint list = unit / chunks / s.rows;
        const uint row = unit / chunks % s.rows;
        const uint at = list_counter(unit);
        list_walk_(s, unit, true, at);
        if (unit % chunks == 0u) {
            list_start(list * (s.rows + 1u) + row, at);
            if (row == s.rows - 1u) {
                // Where the next list begins; after the last one, the total.
                list_start(list * (s.rows + 1u) + s.rows, list_counter(unit + chunks));
            }
        }
    }
}

#else

#define INVERT_SCAN
uint invert_bin(const uint entry)
{
    return 0u;
}
uint invert_counter(const uint at)
{
    return list_counter(at);
}
void invert_counter_set(const uint at, const uint x)
{
    list_counter_set(at, x);
}
void invert_place(const uint at, const uint entry)
{
}
#include "lib/invert.glsl"

// All lanes of one workgroup come here.
void list_scan(const list_shape s)
{
    const uint total = invert_scan(list_units(s));
    if (gl_LocalInvocationID.x == 0u) {
        list_counter_set(list_units(s), total);
    }
}

#endif

#endif
