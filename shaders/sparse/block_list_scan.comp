// SPDX-License-Identifier: MIT
//
// Lists of the key tiles that a pattern shows: count, scan, fill
//
//   start, cols, flags: see the contract
//
// Sparse Transformers arXiv 1904.10509; Longformer 2004.05150; BigBird 2007.14062.
//
// Why this one: a tile is judged in closed form, not pair by pair, and ordered places come
// from a scan of counts, so that the list is the same on every device. The only method.
//
//! kernel   block_list_scan
//! op       block_list/1
//! tier     T0
//! bind     0 seg   in   i32[batch, kv_len]  when PATTERN == PATTERN.doc
//! bind     1 bits  in   u32[batch, heads, rows, ceildiv(tiles, 32)]  when PATTERN == PATTERN.bitmap
//! bind     2 start out  i32[by_batch, by_head, rows + 1]
//! bind     3 cols  out  i32[nnz]
//! bind     4 flags out  u32[nnz]
//! scratch  5 counts u32[lists * rows * ceildiv(tiles, CHUNK) + 1]
//! push     heads:u32 q_len:i32 kv_len:i32 br:i32 bc:i32 nnz:u32 lists:u32
//! push     l:i32 cw:i32 nv:i32 wl:i32 ng:i32 nr:i32
//! let      rows ceildiv(q_len,br)
//! let      tiles ceildiv(kv_len,bc)
//! let      by_batch PATTERN==PATTERN.doc||PATTERN==PATTERN.bitmap?batch:1
//! let      by_head PATTERN==PATTERN.fixed||PATTERN==PATTERN.bitmap?heads:1
//! let      lists by_batch*by_head
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 CHUNK u32 32 = is_cpu ? 65536 : 32   // tiles of a unit, see list_build.glsl
//! spec     4 PAD u32 16     // entries a lane pads
//! spec     16 PATTERN u32 0
//! shared   4*WG_SIZE
//! tuning   fine   CHUNK=8
//! pass     count groups ceildiv(lists*rows*ceildiv(tiles,CHUNK),WG_SIZE)
//! pass     scan  groups 1
//! pass     fill  groups ceildiv(lists*rows*ceildiv(tiles,CHUNK),WG_SIZE)
//! pass     pad   groups min(ceildiv(nnz,WG_SIZE*PAD),65535)
//! variant  i32 T=i32
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(constant_id = 3) const uint CHUNK = 32;
layout(constant_id = 4) const uint PAD = 16;
layout(constant_id = 16) const uint PATTERN = 0;

#if defined(PASS_COUNT) || defined(PASS_FILL)
layout(set = 0, binding = 0, std430) restrict readonly buffer Seg { int seg[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Bits { uint bits[]; };
#endif
#ifdef PASS_FILL
layout(set = 0, binding = 2, std430) restrict writeonly buffer Start { int start[]; };
#endif
#if defined(PASS_FILL) || defined(PASS_PAD)
layout(set = 0, binding = 3, std430) restrict writeonly buffer Cols { int cols[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer Flags { uint flags[]; };
#endif
layout(set = 0, binding = 5, std430) restrict buffer Counts { uint counts[]; };

layout(push_constant, std430) uniform Push {
    uint heads;
    int q_len, kv_len, br, bc;
    uint nnz, lists;
    int l, cw, nv, wl, ng, nr;
} pc;

uint list_; // the list of this unit

#if defined(PASS_COUNT) || defined(PASS_FILL)
int pattern_segment(const int key)
{
    return seg[int(list_) * pc.kv_len + key];
}

bool pattern_bit(const uint row, const uint tile)
{
    const uint rows = (uint(pc.q_len) + uint(pc.br) - 1u) / uint(pc.br);
    const uint tiles = (uint(pc.kv_len) + uint(pc.bc) - 1u) / uint(pc.bc);
    const uint word = bits[(list_ * rows + row) * ((tiles + 31u) / 32u) + tile / 32u];
    return (word >> (tile % 32u) & 1u) != 0u;
}

#define PATTERN_SEG
#define PATTERN_BITS
#endif
#include "sparse/pattern.glsl"

uint list_counter(const uint at)
{
    return counts[at];
}

void list_counter_set(const uint at, const uint x)
{
    counts[at] = x;
}

#ifdef PASS_FILL
void list_put(const uint at, const int col, const uint flag)
{
    if (at < pc.nnz) {
        cols[at] = col;
        flags[at] = flag;
    }
}

void list_start(const uint at, const uint n)
{
    start[at] = int(n);
}
#elif !defined(PASS_SCAN)
void list_put(const uint at, const int col, const uint flag) {}
void list_start(const uint at, const uint n) {}
#endif

pattern list_pattern(const uint list)
{
    list_ = list;
    const int head = PATTERN == PATTERN_FIXED ? int(list % pc.heads) : 0;
    return pattern_of(pc.l, pc.cw, pc.nv, pc.wl, pc.ng, head);
}

#ifdef PASS_SCAN
#define LIST_SCAN
shared uint invert_share[gl_WorkGroupSize.x];
#endif
#include "sparse/list_build.glsl"

list_shape shape()
{
    list_shape s;
    s.q_len = pc.q_len;
    s.kv_len = pc.kv_len;
    s.br = pc.br;
    s.bc = pc.bc;
    s.lists = pc.lists;
    s.rows = (uint(pc.q_len) + uint(pc.br) - 1u) / uint(pc.br);
    s.tiles = (uint(pc.kv_len) + uint(pc.bc) - 1u) / uint(pc.bc);
    s.chunk = CHUNK;
    s.nr = pc.nr;
    return s;
}

void main()
{
    const list_shape s = shape();
#if defined(PASS_COUNT)
    list_count(s, gl_GlobalInvocationID.x);
#elif defined(PASS_SCAN)
    list_scan(s);
#elif defined(PASS_FILL)
    list_fill(s, gl_GlobalInvocationID.x);
#else
    const uint lanes = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    const uint used = list_counter(list_units(s));
    for (uint at = used + gl_GlobalInvocationID.x; at < pc.nnz; at += lanes) {
        cols[at] = -1;
        flags[at] = 0u;
    }
#endif
}
