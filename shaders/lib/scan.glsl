// SPDX-License-Identifier: MIT
//
// Scans over the lanes of a workgroup, for any associative operator
//
//   uint   vkz_scan_lane()               where this lane stands in the order of the scan
//   SCAN_T vkz_scan_exclusive(x, total)  x_0 ∘ ... ∘ x_{lane-1}; total: of all lanes
//   SCAN_T vkz_scan_inclusive(x, total)  the same with the lane's own x
//
// The includer defines, before including this file,
//
//   #define SCAN_T vec2                          a scalar or vector of 32-bit components
//   SCAN_T scan_identity()                       identity ∘ x = x ∘ identity = x
//   SCAN_T scan_join(SCAN_T before, SCAN_T after)   associative, need not commute
//   shared SCAN_T scan_shared[2 * gl_WorkGroupSize.x];   with SCAN_SUBGROUP half of it
//
// and calls the functions where all lanes of the workgroup are: they have barriers. Calls
// may follow each other directly, the shared memory is used in two halves by turns.
//
// Plain form: shared memory, four values joined a step and one barrier a step; up to 16
// lanes all at once. With SCAN_SUBGROUP defined: log2 steps of shuffles inside
// subgroups, then their totals through shared memory when there are several; the order of
// lanes is that of subgroups, which need not be that of gl_LocalInvocationIndex. Where the
// workgroup is known to be one subgroup, SCAN_SINGLE may be defined as a constant true: no
// code with a barrier is left then, which costs CPU drivers much even where it is not run.
#ifndef VKZ_SCAN_GLSL
#define VKZ_SCAN_GLSL

#ifndef SCAN_SINGLE
#define SCAN_SINGLE false
#endif

uint vkz_scan_half_ = 0;

#ifdef SCAN_SUBGROUP

uint vkz_scan_lane()
{
    return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
}

SCAN_T vkz_scan_step_(const SCAN_T x, const uint distance)
{
    const uint lane = gl_SubgroupInvocationID;
    const SCAN_T before = subgroupShuffle(x, lane >= distance ? lane - distance : lane);
    return lane >= distance ? scan_join(before, x) : x;
}

SCAN_T vkz_scan_exclusive(const SCAN_T x, out SCAN_T total)
{
    const uint lane = gl_SubgroupInvocationID;
    const uint lanes = min(gl_SubgroupSize, gl_WorkGroupSize.x);
    SCAN_T sum = x;
    [[unroll]] for (uint i = 0; i < 7; i++) {
        if (lanes > (1u << i)) {
            sum = vkz_scan_step_(sum, 1u << i);
        }
    }
    const SCAN_T previous = subgroupShuffle(sum, lane > 0u ? lane - 1u : 0u);
    SCAN_T before = lane > 0u ? previous : scan_identity();
    total = subgroupShuffle(sum, lanes - 1u);
    if (!SCAN_SINGLE && gl_NumSubgroups > 1u) {
        const uint first = vkz_scan_half_ * gl_NumSubgroups;
        vkz_scan_half_ = 1u - vkz_scan_half_;
        if (lane == 0u) {
            scan_shared[first + gl_SubgroupID] = total;
        }
        barrier();
        SCAN_T all = scan_identity();
        SCAN_T earlier = all;
        for (uint i = 0; i < gl_NumSubgroups; i++) {
            earlier = i == gl_SubgroupID ? all : earlier;
            all = scan_join(all, scan_shared[first + i]);
        }
        before = scan_join(earlier, before);
        total = all;
    }
    return before;
}

#else // shared memory only

uint vkz_scan_lane()
{
    return gl_LocalInvocationIndex;
}

SCAN_T vkz_scan_exclusive(const SCAN_T x, out SCAN_T total)
{
    const uint lane = gl_LocalInvocationIndex;
    const uint lanes = gl_WorkGroupSize.x;
    SCAN_T sum = x;
    // Whoever reads this half from the call before has passed none of its barriers since;
    // so this call begins with the other one.
    uint first = vkz_scan_half_ * lanes;
    scan_shared[first + lane] = sum;
    barrier();
    if (lanes <= 16u) {
        SCAN_T before = scan_identity();
        total = before;
        for (uint i = 0; i < lanes; i++) {
            before = i == lane ? total : before;
            total = scan_join(total, scan_shared[first + i]);
        }
        vkz_scan_half_ = 1u - vkz_scan_half_;
        return before;
    }
    for (uint distance = 1; distance < lanes; distance *= 4u) {
        for (uint i = 1; i < 4u; i++) {
            if (lane >= i * distance) {
                sum = scan_join(scan_shared[first + lane - i * distance], sum);
            }
        }
        first = lanes - first;
        scan_shared[first + lane] = sum;
        barrier();
    }
    vkz_scan_half_ = first == 0u ? 1u : 0u;
    total = scan_shared[first + lanes - 1u];
    const SCAN_T previous = scan_shared[first + (lane > 0u ? lane - 1u : 0u)];
    return lane > 0u ? previous : scan_identity();
}

#endif

SCAN_T vkz_scan_inclusive(const SCAN_T x, out SCAN_T total)
{
    return scan_join(vkz_scan_exclusive(x, total), x);
}

#endif
