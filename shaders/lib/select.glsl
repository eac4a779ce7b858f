// SPDX-License-Identifier: MIT
//
// Selection of the largest elements of a row, ties to the lower index
//
//   order key     a uint that sorts as the value does; keys up to SELECT_NEVER (those of
//                 -inf, and of NaNs with the sign) are never selected
//   select_cut    what separates the selected: all keys above `key`, and of those equal to
//                 it the first `equal` in index order
//
//   select_key(x)                     order key of a float; -0 is +0
//   select_cut_lane(n, top)           a lane has a row to itself: bisection over the key's
//                                     bits. Nothing crosses lanes, no shared memory
//   select_next_lane(n, after)        the lane's best element after `after` = (key, index)
//                                     in descending order; .x == 0: none. For a few
//                                     elements, wanted in the order of their values
//   select_rank(n, i)                 how many elements are selected before element i. For a
//                                     lane that has one element of a short row
//   select_cut_group(n, top)          a workgroup has a row: histograms of 8 bits
//   select_compact_group(n, cut, per) calls the hook for what is selected, in index order
//
// Every function walks the row through a hook, so a row may lie in memory, in shared
// memory or in registers:
//
//   uint select_load(uint i)              order key of element i < n
//   void select_store(uint at, uint i)    element i is number `at` of the selected (group)
//
// The group forms exist when the kernel defines SELECT_GROUP before including this file.
// All lanes of the workgroup come there together. They need a constant SELECT_COPIES, a
// power of two that divides the workgroup's size, and
//
//   shared uint select_bins[256 * SELECT_COPIES];
//   shared uvec2 scan_shared[2 * gl_WorkGroupSize.x];   of lib/scan.glsl, which is included
//   shared uint select_found[4];
//
// Lanes that are SELECT_COPIES apart share counters, with atomics; with as many copies as
// lanes there are none: that is the shape for CPU drivers, where an atomic is dear.
#ifndef VKZ_SELECT_GLSL
#define VKZ_SELECT_GLSL

const uint SELECT_NEVER = 0x007fffffu; // the key of -inf

struct select_cut {
    uint key;
    uint equal;
};

uint select_key(const float x)
{
    const uint u = x == 0.0 ? 0u : floatBitsToUint(x);
    return (u & 0x80000000u) != 0u ? ~u : u | 0x80000000u;
}

// The value of a key that select_key made.
float select_value(const uint key)
{
    return uintBitsToFloat((key & 0x80000000u) != 0u ? key & 0x7fffffffu : ~key);
}

// True when an element with this key is selected and `before` of those before it had the
// key of the cut.
bool select_takes(const select_cut cut, const uint key, const uint before)
{
    return key > cut.key || (key == cut.key && before < cut.equal);
}

// --- a row a lane ---------------------------------------------------------------------

select_cut select_cut_lane(const uint n, const uint top)
{
    // Bits above the first in which any two keys differ need no step.
    uint most = 0u;
    uint least = 0xffffffffu;
    uint valid = 0u;
    for (uint i = 0; i < n; i++) {
        const uint key = select_load(i);
        const bool good = key > SELECT_NEVER;
        valid += good ? 1u : 0u;
        most = good ? max(most, key) : most;
        least = good ? min(least, key) : least;
    }
    select_cut cut;
    cut.key = SELECT_NEVER;
    cut.equal = 0u;
    if (valid <= top) {
        return cut;
    }
    // The largest key that `top` elements reach.
    uint above = 0u; // how many are larger than what is still possible
    const int first = findMSB(most ^ least);
    uint key = first < 0 ? most : first == 31 ? 0u : most & ~((2u << first) - 1u);
    for (int bit = first; bit >= 0; bit--) {
        const uint next = key | 1u << bit;
        uint count = 0u;
        for (uint i = 0; i < n; i++) {
            count += select_load(i) >= next ? 1u : 0u;
        }
        if (count >= top) {
            key = next;
        } else {
            above = count;
        }
    }
    cut.key = key;
    cut.equal = top - above;
    return cut;
}

uvec2 select_next_lane(const uint n, const uvec2 after)
{
    uvec2 best = uvec2(0u);
    for (uint i = 0; i < n; i++) {
        const uint key = select_load(i);
        const bool later = key < after.x || (key == after.x && i > after.y);
        const bool better = key > SELECT_NEVER && later && key > best.x;
        best = better ? uvec2(key, i) : best;
    }
    return best;
}

// Below `top` for exactly those that a selection of `top` takes.
uint select_rank(const uint n, const uint i)
{
    const uint mine = select_load(i);
    uint before = 0u;
    for (uint j = 0; j < n; j++) {
        const uint key = select_load(j);
        before += key > mine || (key == mine && j < i) ? 1u : 0u;
    }
    return before;
}

// --- a row a workgroup ----------------------------------------------------------------

#ifdef SELECT_GROUP

#define SCAN_T uvec2

uvec2 scan_identity()
{
    return uvec2(0u);
}

uvec2 scan_join(const uvec2 before, const uvec2 after)
{
    return before + after;
}

#include "lib/scan.glsl"

void select_count_(const uint digit)
{
    const uint at = digit * SELECT_COPIES + gl_LocalInvocationID.x % SELECT_COPIES;
    if (SELECT_COPIES >= gl_WorkGroupSize.x) {
        select_bins[at]++;
    } else {
        atomicAdd(select_bins[at], 1u);
    }
}

// The digit in which the need-th largest of the counted falls: (digit, how many are in
// higher ones, how many are in it); .z == 0: fewer than `need` have been counted.
uvec3 select_digit_(const uint need)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    // Lane l looks at `per` digits, lane 0 at the highest.
    const uint per = (256u + lanes - 1u) / lanes;
    const uint end = 256u - min(256u, lane * per);
    const uint begin = end - min(end, per);
    uint sum = 0u;
    for (uint d = begin; d < end; d++) {
        for (uint c = 0; c < SELECT_COPIES; c++) {
            sum += select_bins[d * SELECT_COPIES + c];
        }
    }
    uvec2 total;
    uint above = vkz_scan_exclusive(uvec2(sum, 0u), total).x;
    if (lane == 0u) {
        select_found[2] = 0u;
    }
    barrier();
    if (above < need && above + sum >= need) {
        for (uint d = end; d-- > begin;) {
            uint count = 0u;
            for (uint c = 0; c < SELECT_COPIES; c++) {
                count += select_bins[d * SELECT_COPIES + c];
            }
            if (above + count >= need) {
                select_found[0] = d;
                select_found[1] = above;
                select_found[2] = count;
                break;
            }
            above += count;
        }
    }
    barrier();
    return uvec3(select_found[0], select_found[1], select_found[2]);
}

select_cut select_cut_group(const uint n, const uint top)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    uint key = 0u;
    uint need = top;
    select_cut cut;
    cut.key = SELECT_NEVER;
    cut.equal = 0u;
    for (int shift = 24; shift >= 0; shift -= 8) {
        // What is still possible has the digits of `key` above this one.
        const uint known = shift == 24 ? 0u : 0xffffffffu << (shift + 8);
        barrier();
        for (uint i = lane; i < 256u * SELECT_COPIES; i += lanes) {
            select_bins[i] = 0u;
        }
        barrier();
        for (uint i = lane; i < n; i += lanes) {
            const uint x = select_load(i);
            if (x > SELECT_NEVER && ((x ^ key) & known) == 0u) {
                select_count_((x >> shift) & 0xffu);
            }
        }
        barrier();
        const uvec3 found = select_digit_(need);
        if (found.z == 0u) {
            return cut; // in the first round only: there are not `top` to select
        }
        key |= found.x << shift;
        need -= found.y;
        if (need == found.z) {
            // All that begin so are selected: the other digits do not matter.
            cut.key = max(key, SELECT_NEVER + 1u) - 1u;
            return cut;
        }
    }
    cut.key = key;
    cut.equal = need;
    return cut;
}

// A lane takes `per` consecutive elements at a time. Returns how many were selected.
uint select_compact_group(const uint n, const select_cut cut, const uint per)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    uvec2 done = uvec2(0u); // above the cut; equal to it
    for (uint base = 0u; base < n; base += lanes * per) {
        const uint begin = min(base + lane * per, n);
        const uint end = min(begin + per, n);
        uvec2 mine = uvec2(0u);
        for (uint i = begin; i < end; i++) {
            const uint key = select_load(i);
            mine.x += key > cut.key ? 1u : 0u;
            mine.y += key == cut.key ? 1u : 0u;
        }
        uvec2 total;
        const uvec2 before = done + vkz_scan_exclusive(mine, total);
        if (mine.x + mine.y > 0u) {
            uint above = before.x;
            uint equal = before.y;
            for (uint i = begin; i < end; i++) {
                const uint key = select_load(i);
                if (select_takes(cut, key, equal)) {
                    select_store(above + min(equal, cut.equal), i);
                }
                above += key > cut.key ? 1u : 0u;
                equal += key == cut.key ? 1u : 0u;
            }
        }
        done += total;
    }
    return done.x + min(done.y, cut.equal);
}

#endif

#endif
