// SPDX-License-Identifier: MIT
//
// Lists of the entries that each expert takes: a stable counting sort with padded lists
//
//   map_count     a lane has a part of the entries and counts them by expert
//   map_scan      one workgroup: counts become the experts' begins, rounded up to whole
//                 tiles, and those of every part in them
//   map_scatter   every lane walks its part again and places its entries in order
//
// A barrier between. Counters lie part by part: lanes of the scan, an expert each, read
// side by side, and a lane that counts has its own to itself. Behind them lie the counts
// and the begins of the experts.
//
//   counters   [parts][experts] counts, then places · [experts] · [experts + 1]
//
// The kernel declares before including this file:
//   uint counters[]                        that buffer
//   uint map_bin(uint entry)               expert of an entry, bins or more: in no list
//   map_shape map_shape_of()               see below
//   void map_put_expert(bin, count, begin) the scan, every expert
//   void map_put_end(end)                  the scan, once: where the last list ends
//   void map_put(int place, uint entry)    the scatter, every entry; -1: no place
//   void map_put_padding(uint place)       the scatter, every other place
//   void map_put_tile(uint tile, int bin)  the scatter, every tile; -1: past the end
// and, when it defines MAP_SCAN for the scan,
//   shared uint map_share[gl_WorkGroupSize.x]
// Passes that do not call a function may leave its hooks empty.
#ifndef VKZ_MOE_MAP_GLSL
#define VKZ_MOE_MAP_GLSL

#extension GL_EXT_control_flow_attributes : require

struct map_shape {
    uint entries, bins, parts;
    uint bm;        // rows of a tile
    uint cap;       // entries an expert keeps
    uint positions; // a multiple of bm
};

uint map_counts(const map_shape s)
{
    return s.parts * s.bins;
}

uint map_begins(const map_shape s)
{
    return (s.parts + 1u) * s.bins;
}

// Experts of entries first .. first + 3, read side by side; in no list from `end` on.
uvec4 map_bins(const uint first, const uint end)
{
    uvec4 bins;
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        const uint bin = map_bin(min(first + i, end - 1u));
        bins[i] = first + i < end ? bin : 0xffffffffu;
    }
    return bins;
}

void map_count(const map_shape s, const uint part)
{
    if (part < s.parts) {
        const uint per = (s.entries + s.parts - 1u) / s.parts;
        const uint begin = min(part * per, s.entries);
        const uint end = min(begin + per, s.entries);
        const uint own = part * s.bins;
        for (uint bin = 0; bin < s.bins; bin++) {
            counters[own + bin] = 0u;
        }
        for (uint first = begin; first < end; first += 4u) {
            const uvec4 four = map_bins(first, end);
            [[unroll]] for (uint i = 0; i < 4u; i++) {
                const uint bin = four[i];
                if (bin < s.bins) {
                    counters[own + bin] += 1u;
                }
            }
        }
    }
}

#ifdef MAP_SCAN

// A lane takes a run of consecutive experts, so that two walks and one exchange are all.
void map_scan(const map_shape s)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    const uint per = (s.bins + lanes - 1u) / lanes;
    const uint begin = min(lane * per, s.bins);
    const uint end = min(begin + per, s.bins);
    uint mine = 0u;
    for (uint bin = begin; bin < end; bin++) {
        uint count = 0u;
        for (uint part = 0; part < s.parts; part++) {
            count += counters[part * s.bins + bin];
        }
        count = min(count, s.cap);
        counters[map_counts(s) + bin] = count;
        mine += (count + s.bm - 1u) / s.bm * s.bm;
    }
    map_share[lane] = mine;
    barrier();
    uint before = 0u;
    uint total = 0u;
    for (uint i = 0; i < lanes; i++) {
        before += i < lane ? map_share[i] : 0u;
        total += map_share[i];
    }
    for (uint bin = begin; bin < end; bin++) {
        const uint count = counters[map_counts(s) + bin];
        counters[map_begins(s) + bin] = before;
        map_put_expert(bin, count, before);
        uint place = before;
        for (uint part = 0; part < s.parts; part++) {
            const uint at = part * s.bins + bin;
            const uint here = counters[at];
            counters[at] = place;
            place += here;
        }
        before += (count + s.bm - 1u) / s.bm * s.bm;
    }
    if (lane == 0u) {
        counters[map_begins(s) + s.bins] = total;
        map_put_end(total);
    }
}

#endif

// `lanes` lanes share what is no entry's.
void map_scatter(const map_shape s, const uint part, const uint lanes)
{
    for (uint bin = part; bin < s.bins; bin += lanes) {
        const uint begin = counters[map_begins(s) + bin];
        const uint end = counters[map_begins(s) + bin + 1u];
        for (uint at = begin + counters[map_counts(s) + bin]; at < end; at++) {
            map_put_padding(at);
        }
        for (uint tile = begin / s.bm; tile < end / s.bm; tile++) {
            map_put_tile(tile, int(bin));
        }
    }
    const uint used = counters[map_begins(s) + s.bins];
    for (uint at = used + part; at < s.positions; at += lanes) {
        map_put_padding(at);
    }
    for (uint tile = used / s.bm + part; tile < s.positions / s.bm; tile += lanes) {
        map_put_tile(tile, -1);
    }
    if (part < s.parts) {
        const uint per = (s.entries + s.parts - 1u) / s.parts;
        const uint begin = min(part * per, s.entries);
        const uint end = min(begin + per, s.entries);
        const uint own = part * s.bins;
        for (uint first = begin; first < end; first += 4u) {
            const uvec4 four = map_bins(first, end);
            [[unroll]] for (uint i = 0; i < 4u; i++) {
                const uint bin = four[i];
                int to = -1;
                if (bin < s.bins) {
                    const uint place = counters[own + bin];
                    counters[own + bin] = place + 1u;
                    const uint last = s.cap < s.entries
                                          ? counters[map_begins(s) + bin] + s.cap
                                          : s.positions;
                    to = place < last ? int(place) : -1;
                }
                if (first + i < end) {
                    map_put(to, first + i);
                }
            }
        }
    }
}

#endif
