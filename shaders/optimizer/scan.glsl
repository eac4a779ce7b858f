// SPDX-License-Identifier: MIT
//
// The bodies of the scan_row and scan_blocks kernels; their front matter is the includer's
//
// A tile is WG_SIZE lanes of QUADS * 4 consecutive elements. A lane folds its elements,
// the lanes' totals are scanned, and the lane folds again from what stands before it,
// storing on the way: two joins an element, one scan of the workgroup a tile. What a tile
// leaves is the next one's start.
//
//   lane     0            1            2
//   tile   | a b c d e f g h | ...
//            fold -> total -> exclusive scan -> fold and store
#extension GL_EXT_control_flow_attributes : require
#ifdef SCAN_SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif

#include "lib/words.glsl"
#include "lib/exp.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
#ifdef SCAN_SUBGROUP
layout(constant_id = 1) const uint SINGLE = 0;    // 1: a workgroup is one subgroup
#endif
layout(constant_id = 3) const uint QUADS = 1;     // groups of four a lane
layout(constant_id = 4) const uint VEC = 1;       // elements a load
layout(constant_id = 16) const uint OP = 0;
layout(constant_id = 17) const uint EXCLUSIVE = 0;
layout(constant_id = 18) const uint SEGMENTED = 0;

layout(set = 0, binding = 0, std430) restrict readonly buffer BufferX { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer BufferX4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer BufferA { T a[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer BufferA4 { W4 a4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer BufferFlag { uint flag[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer BufferY { T y[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer BufferY4 { W4 y4[]; };

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    float h0;
#ifdef SCAN_BLOCKS
    uint block; // elements of a block, whole tiles
#endif
} pc;

#include "optimizer/scan_ops.glsl"

#ifdef SCAN_SUBGROUP
shared SCAN_T scan_shared[gl_WorkGroupSize.x];
#else
shared SCAN_T scan_shared[2 * gl_WorkGroupSize.x];
#endif

#define SCAN_SINGLE (SINGLE != 0)
#include "lib/scan.glsl"

const uint TILE = gl_WorkGroupSize.x * QUADS * 4;

vec4 held_x[QUADS];
vec4 held_a[QUADS];
uint held_flag[QUADS]; // four bits each

// Elements first .. first + 3 of a row; those from `end` on are not touched. `whole` is a
// constant where it is used: the tile has no end in it.
vec4 load_x(const uint base, const uint first, const uint end, const bool whole)
{
    if (VEC == 4 && (whole || first + 4 <= end)) {
        return vkz_load_w4(x4[(base + first) / 4]);
    }
    vec4 held = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (whole || first + i < end) {
            held[i] = vkz_load(x[base + first + i]);
        }
    }
    return held;
}

vec4 load_a(const uint base, const uint first, const uint end, const bool whole)
{
    if (VEC == 4 && (whole || first + 4 <= end)) {
        return vkz_load_w4(a4[(base + first) / 4]);
    }
    vec4 held = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (whole || first + i < end) {
            held[i] = vkz_load(a[base + first + i]);
        }
    }
    return held;
}

void store_y(const uint base, const uint first, const uint end, const bool whole,
             const vec4 value)
{
    if (VEC == 4 && (whole || first + 4 <= end)) {
        y4[(base + first) / 4] = vkz_store_w4(value);
        return;
    }
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (whole || first + i < end) {
            y[base + first + i] = vkz_store(value[i]);
        }
    }
}

SCAN_T held(const uint q, const uint i)
{
    return scan_element(held_x[q][i], OP == OP_AFFINE ? held_a[q][i] : 0.0,
                        SEGMENTED != 0 && (held_flag[q] >> i & 1u) != 0);
}

// Loads the lane's elements and joins those before `end`.
SCAN_T fold(const uint base, const uint flags, const uint first, const uint end,
            const bool whole)
{
    SCAN_T sum = scan_identity();
    [[unroll]] for (uint q = 0; q < QUADS; q++) {
        held_x[q] = load_x(base, first + 4 * q, end, whole);
        if (OP == OP_AFFINE) {
            held_a[q] = load_a(base, first + 4 * q, end, whole);
        }
        if (SEGMENTED != 0) {
            const uint at = min(first + 4 * q, pc.cols - 1);
            held_flag[q] = flag[flags + at / 32] >> (first + 4 * q) % 32;
        }
        [[unroll]] for (uint i = 0; i < 4; i++) {
            const SCAN_T next = scan_join(sum, held(q, i));
            sum = whole || first + 4 * q + i < end ? next : sum;
        }
    }
    return sum;
}

void store_from(const uint base, const uint first, const uint end, const bool whole,
                SCAN_T sum)
{
    [[unroll]] for (uint q = 0; q < QUADS; q++) {
        vec4 value;
        [[unroll]] for (uint i = 0; i < 4; i++) {
            const SCAN_T element = held(q, i);
            // At a segment's head nothing stands before.
            const SCAN_T before = element.z != 0.0 ? scan_identity() : sum;
            sum = scan_join(sum, element);
            value[i] = scan_value(EXCLUSIVE != 0 ? before : sum, pc.h0);
        }
        store_y(base, first + 4 * q, end, whole, value);
    }
}

uint flags_of(const uint row)
{
    return row * ((pc.cols + 31) / 32);
}

SCAN_T scan_tile(const uint row, const uint at, const uint end, const bool whole,
                 const SCAN_T carry)
{
    const uint base = row * pc.cols;
    const uint first = at + vkz_scan_lane() * QUADS * 4;
    SCAN_T total;
    const SCAN_T mine = fold(base, flags_of(row), first, end, whole);
    const SCAN_T before = vkz_scan_exclusive(mine, total);
    store_from(base, first, end, whole, scan_join(carry, before));
    return scan_join(carry, total);
}

// Elements begin .. end - 1 of a row after `carry`; begin is a multiple of four.
void scan_stretch(const uint row, const uint begin, const uint end, SCAN_T carry)
{
    uint at = begin;
    for (; at + TILE <= end; at += TILE) {
        carry = scan_tile(row, at, end, true, carry);
    }
    if (at < end) {
        scan_tile(row, at, end, false, carry);
    }
}

#ifdef SCAN_BLOCKS

#ifdef PASS_CARRY
layout(set = 0, binding = 8, std430) restrict buffer BufferSums { float sums[]; };
#elif defined(PASS_SUMS)
layout(set = 0, binding = 8, std430) restrict writeonly buffer BufferSums { float sums[]; };
#else
layout(set = 0, binding = 8, std430) restrict readonly buffer BufferSums { float sums[]; };
#endif

#ifdef PASS_SUMS


void main()
{
    const uint row = gl_WorkGroupID.y;
    const uint begin = gl_WorkGroupID.x * pc.block;
    const uint end = min(begin + pc.block, pc.cols);
    // Where the order does not matter a lane joins what it sees, and lanes meet once.
    const bool commutes = OP != OP_AFFINE && SEGMENTED == 0;
    SCAN_T sum = scan_identity();
    SCAN_T total;
    for (uint at = begin; at < end; at += TILE) {
        const uint first = at + vkz_scan_lane() * QUADS * 4;
        const SCAN_T mine = fold(row * pc.cols, flags_of(row), first, end, false);
        if (commutes) {
            sum = scan_join(sum, mine);
        } else {
            vkz_scan_exclusive(mine, total);
            sum = scan_join(sum, total);
        }
    }
    if (commutes) {
        vkz_scan_exclusive(sum, total);
        sum = total;
    }
    if (vkz_scan_lane() == 0) {
        const uint to = 3 * (row * gl_NumWorkGroups.x + gl_WorkGroupID.x);
        sums[to] = sum.x;
        sums[to + 1] = sum.y;
        sums[to + 2] = sum.z;
    }
}

#elif defined(PASS_CARRY)

// The totals of a row become what stands before and at each: an inclusive scan.
void main()
{
    const uint blocks = (pc.cols + pc.block - 1) / pc.block;
    const uint row = gl_WorkGroupID.x;
    SCAN_T carry = scan_identity();
    for (uint at = 0; at < blocks; at += gl_WorkGroupSize.x) {
        const uint i = at + vkz_scan_lane();
        const uint from = 3 * (row * blocks + i);
        SCAN_T mine = scan_identity();
        SCAN_T total;
        if (i < blocks) {
            mine = vec3(sums[from], sums[from + 1], sums[from + 2]);
        }
        const SCAN_T sum = scan_join(carry, vkz_scan_inclusive(mine, total));
        if (i < blocks) {
            sums[from] = sum.x;
            sums[from + 1] = sum.y;
            sums[from + 2] = sum.z;
        }
        carry = scan_join(carry, total);
    }
}

#else

void main()
{
    const uint row = gl_WorkGroupID.y;
    const uint block = gl_WorkGroupID.x;
    const uint begin = block * pc.block;
    SCAN_T carry = scan_identity();
    if (block > 0) {
        const uint from = 3 * (row * gl_NumWorkGroups.x + block - 1);
        carry = vec3(sums[from], sums[from + 1], sums[from + 2]);
    }
    scan_stretch(row, begin, min(begin + pc.block, pc.cols), carry);
}

#endif

#else // whole rows

void main()
{
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        scan_stretch(row, 0, pc.cols, scan_identity());
    }
}

#endif
