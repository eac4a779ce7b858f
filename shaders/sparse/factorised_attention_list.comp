// SPDX-License-Identifier: MIT
//
// Factorised attention: a list of key tiles, built first, and the flash tile on it
//
//   count, scan, fill   as block_list_scan, tiles of ROWS queries and KEYS keys
//   main                o_i = sum_j p_ij v_j over the listed tiles, pairs of flagged ones
//                       masked
//
// Sparse Transformers, arXiv 1904.10509; FlashAttention 2205.14135.
//
// Why this one: works for every pattern, with coalesced loads and whole tiles; for window and
// fixed patterns nearly all of a tile is visible. A stride has a visible pair in every
// tile that is wider than it: factorised_attention_transposed is for that.
//
//! kernel   factorised_attention_list
//! op       factorised_attention/1
//! tier     T0
//! bind     0 q     in   T[batch, heads, len, head_dim]
//! bind     1 k     in   T[batch, heads, len, head_dim]
//! bind     2 v     in   T[batch, heads, len, head_dim]
//! bind     3 o     out  T[batch, heads, len, head_dim]
//! scratch  4 start i32[lists, ceildiv(len, ROWS) + 1]
//! scratch  5 cols  i32[nnz]
//! scratch  6 flags u32[nnz]
//! scratch  7 counts u32[units + 1]
//! push     heads:u32 kv_heads:u32 len:i32 tau:f32 l:i32 cw:i32 nv:i32 lists:u32
//! let      kv_heads heads
//! let      lists PATTERN==PATTERN.fixed?heads:1
//! let      rows ceildiv(len,ROWS)
//! let      tiles ceildiv(len,KEYS)
//! let      nnz lists*rows*(PATTERN==PATTERN.local?min(tiles,ceildiv(ROWS+l,KEYS)+1):tiles)
//! let      units lists*rows*ceildiv(tiles,CHUNK)
//! spec     0 WG_SIZE u32 128
//! spec     3 ROWS u32 32     // query rows of a workgroup, a multiple of WG_SIZE / ACROSS
//! spec     4 KEYS u32 32     // keys of a tile, a multiple of ACROSS
//! spec     5 EXP u32 5 = is_cpu ? 5 : 0   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ACROSS u32 16   // lanes along keys and columns
//! spec     8 SLICE u32 32    // elements of queries and keys staged together
//! spec     9 SLAB u32 32 = min(KEYS,prev_pow2(floordiv((ROWS+KEYS)*(SLICE/4+1),ceildiv(head_dim,4))))   // keys whose values are staged together
//! spec     10 CHUNK u32 64 = is_cpu ? 65536 : 64   // tiles of a unit, see list_build.glsl
//! spec     16 PATTERN u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = head_dim
//! shared   4*((ROWS+KEYS)*(SLICE+4)+ROWS*(KEYS+4)+ROWS*ACROSS)
//! tuning   wide   WG_SIZE=256 ROWS=64 KEYS=64
//! tuning   small  WG_SIZE=64 ROWS=16 KEYS=32
//! pass     count groups ceildiv(units,WG_SIZE)
//! pass     scan  groups 1
//! pass     fill  groups ceildiv(units,WG_SIZE)
//! pass     main  groups rows heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define ATTENTION_WEIGHT 0 // softmax
#define ATTENTION_PLAIN
#define IO_MASK 1 // causal
#define IO_BIND_O 3
#define IO_PUSH_MORE int l, cw, nv; uint lists;
#include "attention/io.glsl"

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(constant_id = 3) const uint ROWS = 32;
layout(constant_id = 4) const uint KEYS = 32;
layout(constant_id = 7) const uint ACROSS = 16;
layout(constant_id = 8) const uint SLICE = 32;
layout(constant_id = 9) const uint SLAB = 32;
layout(constant_id = 10) const uint CHUNK = 64;
layout(constant_id = 16) const uint PATTERN = 0;

layout(set = 0, binding = 4, std430) restrict buffer Start { int start[]; };
layout(set = 0, binding = 5, std430) restrict buffer Cols { int cols[]; };
layout(set = 0, binding = 6, std430) restrict buffer Flags { uint flags[]; };
layout(set = 0, binding = 7, std430) restrict buffer Counts { uint counts[]; };

#include "sparse/pattern.glsl"

pattern list_pattern(const uint list)
{
    return pattern_of(pc.l, pc.cw, pc.nv, 0, 0, int(list));
}

#ifdef PASS_MAIN

shared vec4 flash_stage[(ROWS + KEYS) * (SLICE / 4u + 1u)];
shared float flash_w[ROWS * (KEYS + 4u)];
shared float flash_top[ROWS * ACROSS];

ivec2 tile_list;
pattern tile_pattern;
score_map tile_map;

#define FLASH_LIST
#define FLASH_VISIBLE

ivec2 flash_list()
{
    return tile_list;
}

ivec3 flash_list_span(const int n)
{
    const int first = cols[n] * int(KEYS);
    return ivec3(first, min(first + int(KEYS), pc.len), int(flags[n]));
}

bool flash_visible(const uint row, const int p, const uint key)
{
    return pattern_sees(tile_pattern, p, int(key));
}

float flash_finish(const uint row, const bool store, const float m, const float l)
{
    return io_finish_row(tile_map, row, store, m, l);
}

#include "attention/hooks.glsl"
#include "lib/flash_tile.glsl"

void main()
{
    const uint head = gl_WorkGroupID.y;
    io_begin(head, gl_WorkGroupID.z);
    // The last rows see the most keys: start with them.
    const uint row = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x;
    const uint list = min(head, pc.lists - 1u);
    const uint at = list * (gl_NumWorkGroups.x + 1u) + row;
    tile_list = ivec2(start[at], start[at + 1u]);
    tile_pattern = list_pattern(head);
    tile_map = io_score_map();
    const uint end = min(row * ROWS + ROWS, uint(pc.len));
    flash_tile(tile_map, row * ROWS, end, int(row * ROWS), int(end) - 1);
}

#else

uint list_counter(const uint at)
{
    return counts[at];
}

void list_counter_set(const uint at, const uint x)
{
    counts[at] = x;
}

void list_put(const uint at, const int col, const uint flag)
{
    cols[at] = col;
    flags[at] = flag;
}

void list_start(const uint at, const uint n)
{
    start[at] = int(n);
}

#ifdef PASS_SCAN
#define LIST_SCAN
shared uint invert_share[gl_WorkGroupSize.x];
#endif
#include "sparse/list_build.glsl"

void main()
{
    list_shape s;
    s.q_len = pc.len;
    s.kv_len = pc.len;
    s.br = int(ROWS);
    s.bc = int(KEYS);
    s.lists = pc.lists;
    s.rows = (uint(pc.len) + ROWS - 1u) / ROWS;
    s.tiles = (uint(pc.len) + KEYS - 1u) / KEYS;
    s.chunk = CHUNK;
    s.nr = 0;
#if defined(PASS_COUNT)
    list_count(s, gl_GlobalInvocationID.x);
#elif defined(PASS_SCAN)
    list_scan(s);
#else
    list_fill(s, gl_GlobalInvocationID.x);
#endif
}

#endif
