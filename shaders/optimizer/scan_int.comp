// SPDX-License-Identifier: MIT
//
// Scans of 32-bit integers, a workgroup a row
//
//   y_c = x_0 ∘ ... ∘ x_c over sum (which wraps), max or min
//
// Blelloch, Prefix Sums and Their Applications, 1990.
//
// Why this one: the only one for integers; exact, so a plain walk is enough: a lane takes
// PER consecutive elements, the lanes' totals are scanned. One row is one workgroup's.
//
//! kernel   scan_int
//! op       scan/1
//! tier     T0
//! bind     2 flag in   u32[rows, ceildiv(cols, 32)]  when SEGMENTED == SEGMENTED.on
//! bind     3 xi   in   i32[rows, cols]  when TYPE == TYPE.int
//! bind     4 xu   in   u32[rows, cols]  when TYPE == TYPE.uint
//! bind     6 yi   out  i32[rows, cols]  when TYPE == TYPE.int
//! bind     7 yu   out  u32[rows, cols]  when TYPE == TYPE.uint
//! push     rows:u32 cols:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 128
//! spec     3 PER u32 4 = is_cpu ? 16 : 8   // elements a lane
//! spec     16 OP u32 0
//! spec     17 EXCLUSIVE u32 0
//! spec     18 SEGMENTED u32 0
//! spec     19 TYPE u32 1
//! when     TYPE != TYPE.float : floats are the other kernels'
//! shared   16*WG_SIZE
//! pass     main  groups min(rows,65535)
//! variant  i32  T=i32
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint PER = 4;
layout(constant_id = 16) const uint OP = 0;
layout(constant_id = 17) const uint EXCLUSIVE = 0;
layout(constant_id = 18) const uint SEGMENTED = 0;
layout(constant_id = 19) const uint TYPE = 1;

const uint OP_SUM = 0;
const uint OP_MAX = 1;
const uint TYPE_INT = 1;

layout(set = 0, binding = 2, std430) restrict readonly buffer BufferFlag { uint flag[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer BufferXi { int xi[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer BufferXu { uint xu[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer BufferYi { int yi[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer BufferYu { uint yu[]; };

layout(push_constant, std430) uniform Push {
    uint rows, cols;
} pc;

// The bits of a running value, and whether a segment begins in what it was made of.
#define SCAN_T uvec2

SCAN_T scan_identity()
{
    const uint lowest = TYPE == TYPE_INT ? 0x80000000u : 0u;
    return uvec2(OP == OP_SUM ? 0u : OP == OP_MAX ? lowest : ~lowest, 0u);
}

SCAN_T scan_join(const SCAN_T before, const SCAN_T after)
{
    const bool less = TYPE == TYPE_INT ? int(before.x) < int(after.x) : before.x < after.x;
    uint both = before.x + after.x;
    if (OP != OP_SUM) {
        both = (OP == OP_MAX) == less ? after.x : before.x;
    }
    return uvec2(after.y != 0u ? after.x : both, before.y | after.y);
}

shared SCAN_T scan_shared[2 * gl_WorkGroupSize.x];
#include "lib/scan.glsl"

SCAN_T element(const uint row, const uint c)
{
    const uint at = row * pc.cols + c;
    uvec2 e = uvec2(0u);
    if (TYPE == TYPE_INT) {
        e.x = uint(xi[at]);
    } else {
        e.x = xu[at];
    }
    if (SEGMENTED != 0) {
        e.y = flag[row * ((pc.cols + 31u) / 32u) + c / 32u] >> c % 32u & 1u;
    }
    return e;
}

void store(const uint at, const uint value)
{
    if (TYPE == TYPE_INT) {
        yi[at] = int(value);
    } else {
        yu[at] = value;
    }
}

void main()
{
    const uint tile = gl_WorkGroupSize.x * PER;
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        SCAN_T carry = scan_identity();
        for (uint at = 0; at < pc.cols; at += tile) {
            const uint first = at + vkz_scan_lane() * PER;
            const uint end = min(first + PER, pc.cols);
            SCAN_T mine = scan_identity();
            for (uint c = first; c < end; c++) {
                mine = scan_join(mine, element(row, c));
            }
            SCAN_T total;
            SCAN_T sum = scan_join(carry, vkz_scan_exclusive(mine, total));
            for (uint c = first; c < end; c++) {
                const SCAN_T x = element(row, c);
                const SCAN_T before = x.y != 0u ? scan_identity() : sum;
                sum = scan_join(sum, x);
                store(row * pc.cols + c, EXCLUSIVE != 0 ? before.x : sum.x);
            }
            carry = scan_join(carry, total);
        }
    }
}
