// SPDX-License-Identifier: MIT
//
// Inversion of a list: entries that name bins become bins that list their entries
//
//   bin of entry      2 0 - 2 1 0     (- none)
//   begin of bin      0 2 3 5         exclusive sums of the bins' counts
//   entries by bin    1 5 | 4 | 0 3   in each bin in the order of the entries: stable
//
// A histogram, a scan and a scatter, each a pass of its own. The entries are cut into
// `parts` of consecutive ones and a lane has a part to itself, with its own counter of
// every bin: no atomics, and the same order on every device. Counters lie bin-major,
//
//   counter of (bin, part) at bin * parts + part
//
// so that one exclusive scan over all of them gives every part the place of its first
// entry in every bin, and (bin, 0) the begin of the bin.
//
// The kernel declares before including this file:
//   uint invert_bin(uint entry)               bin of an entry, INVERT_NONE: in no list
//   uint invert_counter(uint at)              counters, in memory
//   void invert_counter_set(uint at, uint x)
//   void invert_place(uint at, uint entry)    entry is number `at` of the sorted ones
// and, when it defines INVERT_SCAN:
//   shared uint invert_share[gl_WorkGroupSize.x]
//
// The passes, a barrier between:
//   invert_count(part, parts, entries, bins)    every lane that has a part
//   invert_scan(bins * parts)                   one workgroup a list; returns the sum
//   invert_scatter(part, parts, entries)        every lane that has a part
// After the last, (bin, part) holds where the bin's entries of this part end: (bin, parts
// - 1) is the end of the bin, which is where the next one begins.
#ifndef VKZ_INVERT_GLSL
#define VKZ_INVERT_GLSL

const uint INVERT_NONE = 0xffffffffu;

void invert_count(const uint part, const uint parts, const uint entries, const uint bins)
{
    const uint per = (entries + parts - 1u) / parts;
    const uint begin = min(part * per, entries);
    const uint end = min(begin + per, entries);
    for (uint bin = 0; bin < bins; bin++) {
        invert_counter_set(bin * parts + part, 0u);
    }
    for (uint entry = begin; entry < end; entry++) {
        const uint bin = invert_bin(entry);
        if (bin != INVERT_NONE) {
            const uint at = bin * parts + part;
            invert_counter_set(at, invert_counter(at) + 1u);
        }
    }
}

void invert_scatter(const uint part, const uint parts, const uint entries)
{
    const uint per = (entries + parts - 1u) / parts;
    const uint begin = min(part * per, entries);
    const uint end = min(begin + per, entries);
    for (uint entry = begin; entry < end; entry++) {
        const uint bin = invert_bin(entry);
        if (bin != INVERT_NONE) {
            const uint at = bin * parts + part;
            const uint place = invert_counter(at);
            invert_counter_set(at, place + 1u);
            invert_place(place, entry);
        }
    }
}

#ifdef INVERT_SCAN

// Counters 0 .. count - 1 become the sums of those before them. A lane takes a run of
// consecutive ones, so two walks and one exchange are all.
uint invert_scan(const uint count)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    const uint per = (count + lanes - 1u) / lanes;
    const uint begin = min(lane * per, count);
    const uint end = min(begin + per, count);
    uint mine = 0u;
    for (uint i = begin; i < end; i++) {
        mine += invert_counter(i);
    }
    invert_share[lane] = mine;
    barrier();
    uint before = 0u;
    uint total = 0u;
    for (uint i = 0; i < lanes; i++) {
        before += i < lane ? invert_share[i] : 0u;
        total += invert_share[i];
    }
    for (uint i = begin; i < end; i++) {
        const uint x = invert_counter(i);
        invert_counter_set(i, before);
        before += x;
    }
    return total;
}

#endif

#endif
