// SPDX-License-Identifier: MIT
//
// Lists of the tokens of each expert, by one workgroup in one dispatch
//
//   src, pos, start, count, tile_expert, args: see the contract
//
// Switch arXiv 2101.03961 (capacity), MegaBlocks 2211.15841 (padded tiles).
//
// Why this one: of a few thousand entries the dispatches cost more than the work.
//
//! kernel   dispatch_map_single
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
//! when     rows * topk <= 8192 : serves up to 8192 entries
//! spec     0 WG_SIZE u32 128 = is_cpu ? subgroup_size : 128
//! spec     16 CAPACITY u32 0
//! let      parts min(rows*topk,WG_SIZE)
//! shared   4*WG_SIZE
//! pass     main  groups 1
//! variant  i32 T=i32
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 128, local_size_x_id = 0) in;

#include "moe/dispatch_map.glsl"

void main()
{
    const map_shape s = map_shape_of();
    map_count(s, gl_LocalInvocationID.x);
    memoryBarrierBuffer();
    barrier();
    map_scan(s);
    memoryBarrierBuffer();
    barrier();
    map_scatter(s, gl_LocalInvocationID.x, gl_WorkGroupSize.x);
}
