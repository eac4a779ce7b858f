// SPDX-License-Identifier: MIT
//
// Gradients of attention to selected blocks; a lane owns whole rows
//
//   delta           delta_i = do_i . o_i
//   count, scan, scatter   the inverse list: the tokens that selected each block, ascending
//   dq              the heads of a group at one token walk the token's blocks
//   dkv             the keys of a block walk the block's tokens, every head of the group
//   P_ij = exp(tau q_i.k_j - lse_i),  dS_ij = tau P_ij (do_i.v_j - delta_i)
//   dq_i = sum_j dS_ij k_j,  dk_j = sum_i dS_ij q_i,  dv_j = sum_i P_ij do_i
//
// Native sparse attention, arXiv 2502.11089; FlashAttention 2205.14135.
//
// Why this one: every output has one owner, so there are no atomics and the bits are the
// same every time. On GPUs it needs 3 to 4 head_dim registers a lane and loses to tiles in
// shared memory for wide heads.
//
//! kernel   selected_attention_backward_lane
//! op       selected_attention_backward/1
//! tier     T0
//! bind     0 q     in   T[batch, heads, len, head_dim]
//! bind     1 k     in   T[batch, kv_heads, len, head_dim]
//! bind     2 v     in   T[batch, kv_heads, len, v_dim]
//! bind     3 idx   in   i32[batch, kv_heads, len, top]
//! bind     4 o     in   T[batch, heads, len, v_dim]
//! bind     5 lse   in   f32[batch, heads, len]
//! bind     6 do    in   T[batch, heads, len, v_dim]
//! bind     7 dq    out  T[batch, heads, len, head_dim]
//! bind     8 dk    out  T[batch, kv_heads, len, head_dim]
//! bind     9 dv_   out  T[batch, kv_heads, len, v_dim]
//! scratch  10 delta  f32[batch, heads, len]
//! scratch  11 counts u32[batch * kv_heads, ceildiv(len, ls) * PARTS]
//! scratch  12 tokens u32[batch * kv_heads, len * top]
//! push     batch:u32 heads:u32 kv_heads:u32 len:u32 ls:u32 top:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 32   // lanes, each owns ROWS rows
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,8)   // lanes that hand elements round
//! spec     3 ROWS u32 1      // rows a lane
//! spec     4 ITEMS u32 2     // keys or queries a step
//! spec     5 EXP u32 5       // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory
//! spec     8 PARTS u32 16 = min(len,is_cpu ? 16 : 64)   // of a list, see lib/invert.glsl
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! shared   4*WG_SIZE
//! pass     delta groups ceildiv(batch*heads*len,WG_SIZE)
//! pass     count groups ceildiv(PARTS,WG_SIZE) batch*kv_heads
//! pass     scan  groups 1 batch*kv_heads
//! pass     scatter groups ceildiv(PARTS,WG_SIZE) batch*kv_heads
//! pass     dq    groups min(len,32768) kv_heads*ceildiv(heads/kv_heads,WG_SIZE*ROWS) batch*ceildiv(len,32768)
//! pass     dkv   groups ceildiv(len,ls)*ceildiv(ls,WG_SIZE*ROWS) kv_heads batch
//! variant  f32_shuffle  T=f32 tier=T1 FLASH_SHUFFLE=1
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1 FLASH_SHUFFLE=1
//! variant  bf16 T=bf16 tier=T1 FLASH_SHUFFLE=1
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 8) const uint PARTS = 16;

layout(push_constant, std430) uniform Push {
    uint batch, heads, kv_heads, len, ls, top;
    float tau;
} pc;

#if defined(PASS_COUNT) || defined(PASS_SCAN) || defined(PASS_SCATTER)

// Bins are blocks, entries are (token, place in idx): tokens ascend in every bin.
layout(set = 0, binding = 3, std430) restrict readonly buffer Idx { int idx[]; };
layout(set = 0, binding = 11, std430) restrict buffer Counts { uint counts[]; };
layout(set = 0, binding = 12, std430) restrict writeonly buffer Tokens { uint tokens[]; };

uint blocks()
{
    return (pc.len + pc.ls - 1u) / pc.ls;
}

uint invert_bin(const uint entry)
{
    const int block = idx[gl_WorkGroupID.y * pc.len * pc.top + entry];
    return block < 0 ? 0xffffffffu : uint(block);
}

uint invert_counter(const uint at)
{
    return counts[gl_WorkGroupID.y * blocks() * PARTS + at];
}

void invert_counter_set(const uint at, const uint x)
{
    counts[gl_WorkGroupID.y * blocks() * PARTS + at] = x;
}

void invert_place(const uint at, const uint entry)
{
    tokens[gl_WorkGroupID.y * pc.len * pc.top + at] = entry / pc.top;
}

#ifdef PASS_SCAN
#define INVERT_SCAN
shared uint invert_share[gl_WorkGroupSize.x];
#endif
#include "lib/invert.glsl"

void main()
{
#ifdef PASS_SCAN
    invert_scan(blocks() * PARTS);
#else
    const uint part = gl_GlobalInvocationID.x;
    if (part < PARTS) {
#ifdef PASS_COUNT
        invert_count(part, PARTS, pc.len * pc.top, blocks());
#else
        invert_scatter(part, PARTS, pc.len * pc.top);
#endif
    }
#endif
}

#else

#define IO_BIND_O 4
#define IO_BIND_LSE 5
#define IO_BIND_DO 6
#define IO_BIND_DQ 7
#define IO_BIND_DK 8
#define IO_BIND_DV 9
#define IO_BIND_DELTA 10
#include "sparse/backward_io.glsl"

#ifdef PASS_DELTA

void main()
{
    io_delta(pc.batch * pc.heads * pc.len);
}

#else

layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint ITEMS = 2;
layout(constant_id = 7) const uint ROLL = 0;
const uint MASK = 0;
const uint BIAS = 0;
const uint CAP = 0;
const uint WEIGHT = 0;

#ifdef PASS_DQ
const bool BACK_KEYS = false;
layout(set = 0, binding = 3, std430) restrict readonly buffer Idx { int idx[]; };
#else
const bool BACK_KEYS = true;
layout(set = 0, binding = 11, std430) restrict readonly buffer Counts { uint counts[]; };
layout(set = 0, binding = 12, std430) restrict readonly buffer Tokens { uint tokens[]; };
#endif

uint back_q_row; // where the group's queries begin
uint back_k_row; // where the KV head's keys begin
uint back_list;  // dq: where the token's blocks begin; dkv: where the list's tokens do
uint back_token; // dq: the workgroup's token
ivec2 back_entries;
uint back_group; // heads of a KV head

float back_scale;
float back_tau;

float score_bias_load(const uint row, const uint key)
{
    return 0.0;
}

int score_segment_load(const uint key)
{
    return 0;
}

#define FLASH_LIST

ivec2 flash_list()
{
    return BACK_KEYS ? ivec2(0, 1) : ivec2(0, int(pc.top));
}

ivec3 flash_list_span(const int n)
{
#ifdef PASS_DQ
    const int block = idx[back_list + uint(n)];
    const int first = max(block, 0) * int(pc.ls);
    const int last = min(first + int(pc.ls), int(back_token) + 1);
    return ivec3(first, block < 0 ? first : last, 0);
#else
    // Items are (entry, head).
    return ivec3(back_entries * int(back_group), 1);
#endif
}

// The row of q, do and lse of a row (dq) or an item (dkv).
uint back_query(const uint i)
{
#ifdef PASS_DQ
    return back_q_row + i * pc.len + back_token;
#else
    return back_q_row + i % back_group * pc.len + tokens[back_list + i / back_group];
#endif
}

vec4 back_row_a(const uint row, const uint c)
{
    return BACK_KEYS ? io_k(back_k_row + row, c) : io_q(back_query(row), c);
}
vec4 back_row_b(const uint row, const uint c)
{
    return BACK_KEYS ? io_v(back_k_row + row, c) : io_do(back_query(row), c);
}
vec4 back_item_a(const uint item, const uint c)
{
    return BACK_KEYS ? io_q(back_query(item), c) : io_k(back_k_row + item, c);
}
vec4 back_item_b(const uint item, const uint c)
{
    return BACK_KEYS ? io_do(back_query(item), c) : io_v(back_k_row + item, c);
}
vec2 back_item_a2(const uint item, const uint c)
{
    return BACK_KEYS ? io_q2(back_query(item), c) : io_k2(back_k_row + item, c);
}
vec2 back_item_b2(const uint item, const uint c)
{
    return BACK_KEYS ? io_do2(back_query(item), c) : io_v2(back_k_row + item, c);
}

vec2 back_stats(const uint i)
{
    return io_stats(back_query(i));
}

bool back_visible(const uint row, const uint item)
{
#ifdef PASS_DQ
    return true;
#else
    return row <= tokens[back_list + item / back_group];
#endif
}

void back_store_x(const uint row, const uint c, const vec4 x)
{
#ifdef PASS_DQ
    io_store_dq(back_query(row), c, x);
#else
    io_store_dk(back_k_row + row, c, x);
#endif
}

void back_store_y(const uint row, const uint c, const vec4 y)
{
#ifdef PASS_DKV
    io_store_dv(back_k_row + row, c, y);
#endif
}

#include "lib/flash_backward.glsl"

void main()
{
#ifdef PASS_DQ
    // Tokens from 32768 on in further z: a grid has 65535 groups along x at least.
    const uint folds = (pc.len + 32767u) / 32768u;
    const uint batch = gl_WorkGroupID.z / folds;
#else
    const uint batch = gl_WorkGroupID.z;
#endif
    const uint rows = gl_WorkGroupSize.x * ROWS;
    back_group = pc.heads / pc.kv_heads;
    back_tau = pc.tau;
    back_scale = pc.tau * VKZ_LOG2E;
#ifdef PASS_DQ
    const uint parts = (back_group + rows - 1u) / rows;
    const uint kv_head = gl_WorkGroupID.y / parts;
    const uint begin = gl_WorkGroupID.y % parts * rows;
    const uint place = gl_WorkGroupID.x + gl_WorkGroupID.z % folds * 32768u;
    const uint end = place < pc.len ? min(begin + rows, back_group) : begin;
    back_token = min(place, pc.len - 1u);
    back_k_row = (batch * pc.kv_heads + kv_head) * pc.len;
    back_list = (back_k_row + back_token) * pc.top;
#else
    const uint parts = (pc.ls + rows - 1u) / rows;
    const uint kv_head = gl_WorkGroupID.y;
    const uint block = gl_WorkGroupID.x / parts;
    const uint begin = block * pc.ls + gl_WorkGroupID.x % parts * rows;
    const uint end = min(min(begin + rows, (block + 1u) * pc.ls), pc.len);
    const uint list = batch * pc.kv_heads + kv_head;
    const uint blocks = (pc.len + pc.ls - 1u) / pc.ls;
    const uint last = (list * blocks + block) * PARTS + PARTS - 1u;
    back_k_row = list * pc.len;
    back_list = list * pc.len * pc.top;
    // After the scatter a counter is where its entries end.
    back_entries.x = block == 0u ? 0 : int(counts[last - PARTS]);
    back_entries.y = int(counts[last]);
#endif
    back_q_row = (batch * pc.heads + kv_head * back_group) * pc.len;
    if (begin < end) {
        const uint first = begin + gl_LocalInvocationID.x;
        back_begin(first, gl_WorkGroupSize.x, end);
        back_walk();
        back_end(first, gl_WorkGroupSize.x, end);
    }
}

#endif
#endif
