// SPDX-License-Identifier: MIT
//
// Indices of the largest elements of each row: radix selection, a workgroup a row
//
//   four histograms of 8 bits find the key that separates the selected from the others; a
//   last walk writes their indices in order. Of equal keys the first in index order
//
// DeepSeek-V3.2, arXiv 2512.02556 (the token selector of sparse attention).
//
// Why this one: five walks over the row whatever it holds, nothing but shared memory
// beside it, and no order that depends on timing.
//
//! kernel   topk_select_radix
//! op       topk_select/1
//! tier     T0
//! bind     0 x    in   f32[rows, n]
//! bind     1 lens in   i32[rows]
//! bind     2 idx  out  i32[rows, top]
//! bind     3 val  out  f32[rows, top]  when VAL == VAL.on
//! push     rows:u32 n:u32 top:u32
//! spec     0 WG_SIZE u32 128 = is_cpu ? subgroup_size : min(n>=16384?512:128,max_invocations)
//! spec     3 SELECT_COPIES u32 1 = is_cpu ? WG_SIZE : 4   // histograms side by side
//! spec     4 PER u32 4 = is_cpu ? ceildiv(n,WG_SIZE) : n >= 16384 ? 16 : 4   // elements a lane takes at a time, when it writes
//! spec     16 VAL u32 0
//! shared   4*(256*SELECT_COPIES+4*WG_SIZE+4)
//! pass     main  groups min(rows,65535) ceildiv(rows,65535)
//! variant  f32  T=f32
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(constant_id = 3) const uint SELECT_COPIES = 1;
layout(constant_id = 4) const uint PER = 4;
layout(constant_id = 16) const uint VAL = 0;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Lens { int lens[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer Idx { int idx[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Val { float val[]; };

layout(push_constant, std430) uniform Push {
    uint rows, n, top;
} pc;

shared uint select_bins[256 * SELECT_COPIES];
shared uvec2 scan_shared[2 * gl_WorkGroupSize.x];
shared uint select_found[4];

uint row;

#define SELECT_GROUP
uint select_load(const uint i);
void select_store(const uint at, const uint i);
#include "lib/select.glsl"

uint select_load(const uint i)
{
    return select_key(x[row * pc.n + i]);
}

void select_store(const uint at, const uint i)
{
    idx[row * pc.top + at] = int(i);
    if (VAL != 0) {
        val[row * pc.top + at] = x[row * pc.n + i];
    }
}

void main()
{
    row = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    if (row >= pc.rows) {
        return; // the whole workgroup
    }
    const uint len = uint(clamp(lens[row], 0, int(pc.n)));
    const select_cut cut = select_cut_group(len, pc.top);
    const uint count = select_compact_group(len, cut, PER);
    for (uint i = count + gl_LocalInvocationID.x; i < pc.top; i += gl_WorkGroupSize.x) {
        idx[row * pc.top + i] = -1;
        if (VAL != 0) {
            val[row * pc.top + i] = uintBitsToFloat(0xff800000u);
        }
    }
}
