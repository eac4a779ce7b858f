// SPDX-License-Identifier: MIT
//
// Lists of the tokens of each expert: histogram, scan, stable scatter
//
//   src, pos, start, count, tile_expert, args: see the contract
//
// Switch arXiv 2101.03961 (capacity), MegaBlocks 2211.15841 (padded tiles).
//
// Why this one: a lane counts and places a run of entries of its own, so the order is that
// of the entries without atomics, for any number of experts; nothing is read back to the
// host. Three dispatches; for few entries dispatch_map_single needs one.
//
//! kernel   dispatch_map_scan
//! op       dispatch_map/1
//! tier     T0
//! bind     0 idx         in  i32[rows, topk]
//! bind     1 count       out i32[experts]
//! bind     2 start       out i32[experts + 1]
//! bind     3 src         out i32[cap_total]
//! bind     4 pos         out i32[rows, topk]
//! bind     5 tile_expert out i32[cap_total / bm]
//! bind     6 args        out u32[3]
//! scratch  7 counters    u32[(parts+2)*experts+1]
//! push     rows:u32 topk:u32 experts:u32 bm:u32 cap_total:u32 parts:u32 cap:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     16 CAPACITY u32 0
//! let      parts min(ceildiv(rows*topk,64),is_cpu?max(16,min(128,ceildiv(rows*topk,8*experts))):1024)
//! shared   4*WG_SIZE
//! pass     count   groups ceildiv(parts,WG_SIZE)
//! pass     scan    groups 1
//! pass     scatter groups ceildiv(parts,WG_SIZE)
//! variant  i32 T=i32
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64, local_size_x_id = 0) in;

#include "moe/dispatch_map.glsl"

void main()
{
    const map_shape s = map_shape_of();
#if defined(PASS_COUNT)
    map_count(s, gl_GlobalInvocationID.x);
#elif defined(PASS_SCAN)
    map_scan(s);
#else
    map_scatter(s, gl_GlobalInvocationID.x, gl_NumWorkGroups.x * gl_WorkGroupSize.x);
#endif
}
