// SPDX-License-Identifier: MIT
//
// Softmax attention of a few queries against a long cache, keys split over workgroups
//
//   partial   every workgroup walks its share of the keys: unfinished o, maximum, sum
//   combine   o = sum_s 2^(m_s - m) o_s / l
//
// Flash-decoding; the queries of all heads that share a KV head are one tile of rows.
//
// Why this one: with one query a row of the grid has little to do, so the keys make the
// work. Every element of the cache is read once for all rows of its KV head.
//
//! kernel   attention_decode_splitkv
//! op       attention_decode/1
//! tier     T0
//! bind     0 q     in   T[batch, heads, q_len, head_dim]
//! bind     1 k     in   T[batch, kv_heads, kv_len, head_dim]
//! bind     2 v     in   T[batch, kv_heads, kv_len, v_dim]
//! bind     3 bias  in   T[batch, heads, q_len, kv_len]  when BIAS == BIAS.tensor
//! bind     4 rpar  in   f32[heads, 2]  when BIAS == BIAS.kerple_log || BIAS == BIAS.kerple_power
//! bind     5 sink  in   f32[heads]  when SINK == SINK.learned
//! bind     7 o     out  T[batch, heads, q_len, v_dim]
//! bind     8 lse   out  f32[batch, heads, q_len]  when LSE == LSE.on
//! scratch  9 part f32[batch, heads, nsplit, q_len, v_dim + 2]
//! push     heads:u32 kv_heads:u32 q_len:i32 kv_len:i32 wl:i32 wr:i32 tau:f32 slope0:f32 cap:f32 nsplit:u32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64
//! spec     3 ROWS u32 1 = min(heads/kv_heads*q_len,v_dim<=128?8:4)   // rows a workgroup
//! spec     4 KEYS u32 2 = 4   // keys that a group of lanes takes a step
//! spec     5 EXP u32 5   // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     8 LANES u32 1 = min(next_pow2(ceildiv(max(head_dim,v_dim),4)),subgroup_size)   // lanes that share a key
//! spec     9 SPLIT u32 0   // shares of the keys; 0: enough for two workgroups a compute unit
//! spec     16 MASK u32 0
//! spec     17 BIAS u32 0
//! spec     18 CAP u32 0
//! spec     19 SINK u32 0
//! spec     20 LSE u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! let      blocks ceildiv(heads/kv_heads*q_len,ROWS)
//! let      wanted ceildiv(2*max(compute_units,is_cpu?2:64),batch*kv_heads*blocks)
//! let      nsplit SPLIT > 0 ? SPLIT : max(1,min(min(wanted,ceildiv(kv_len,128)),64))
//! shared   4*(WG_SIZE*ROWS*max(KEYS,2)+WG_SIZE/LANES*V_DIM)
//! pass     partial  groups nsplit kv_heads*blocks batch
//! pass     combine  groups ceildiv(v_dim,WG_SIZE) heads*q_len batch
//! variant  f32  T=f32
//! variant  f32_shuffle T=f32 SHUFFLE=1 tier=T1
//! variant  f16  T=f16 SHUFFLE=1 tier=T1
//! variant  bf16 T=bf16 SHUFFLE=1 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SHUFFLE
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define FLASH_SHUFFLE
#endif

#define ATTENTION_WEIGHT 0 // softmax
#define ATTENTION_DECODE
#include "attention/io.glsl"

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 2;
layout(constant_id = 7) const uint ROLL = 0;
layout(constant_id = 8) const uint LANES = 1;
layout(constant_id = 9) const uint SPLIT = 0; // for the host

#ifdef PASS_PARTIAL
layout(set = 0, binding = 9, std430) restrict writeonly buffer Part { float part[]; };
#else
layout(set = 0, binding = 9, std430) restrict readonly buffer Part { float part[]; };
#endif

// Rows are counted through the heads of a KV head: head * q_len + query. nsplit shares of
// a row's head lie together, then the queries.
uint part_row(const uint row, const uint split, const uint splits)
{
    const uint q_len = uint(pc.q_len);
    const uint head = io_q_row / q_len + row / q_len;
    return ((head * splits + split) * q_len + row % q_len) * (V_DIM + 2u);
}

#ifdef PASS_PARTIAL
shared float flash_share[gl_WorkGroupSize.x * ROWS * (KEYS > 1u ? KEYS : 2u)];
shared float flash_out[gl_WorkGroupSize.x / LANES * V_DIM];

vec4 flash_q(const uint row, const uint c)
{
    return io_q(row, c);
}

vec4 flash_k(const uint key, const uint c)
{
    return io_k(key, c);
}

vec4 flash_v(const uint key, const uint c)
{
    return io_v(key, c);
}

void flash_store(const uint row, const uint column, const float x)
{
    part[part_row(row, gl_WorkGroupID.x, gl_NumWorkGroups.x) + column] = x;
}

void flash_store_sums(const uint row, const float m, const float l)
{
    const uint at = part_row(row, gl_WorkGroupID.x, gl_NumWorkGroups.x) + V_DIM;
    part[at] = m;
    part[at + 1u] = l;
}

#include "lib/flash_keys.glsl"

void main()
{
    const uint shared_by = pc.heads / pc.kv_heads;
    const uint kv_head = gl_WorkGroupID.y % pc.kv_heads;
    const uint end = shared_by * uint(pc.q_len);
    const uint first = gl_WorkGroupID.y / pc.kv_heads * ROWS;
    io_begin(kv_head * shared_by, gl_WorkGroupID.z);

    int p_low = pc.kv_len;
    int p_high = 0;
    const uint head = io_head;
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = min(first + r, end - 1u);
        io_head = head + row / uint(pc.q_len);
        flash_map[r] = io_score_map();
        flash_position[r] = int(row % uint(pc.q_len)) + pc.kv_len - pc.q_len;
        p_low = min(p_low, flash_position[r]);
        p_high = max(p_high, flash_position[r]);
    }
    io_head = head;

    // This workgroup's share of the keys that any of its rows sees.
    ivec2 keys = score_key_range(flash_map[0], p_low, p_high);
    const int share = (max(keys.y - keys.x, 0) + int(gl_NumWorkGroups.x) - 1) /
                      int(gl_NumWorkGroups.x);
    keys.x += share * int(gl_WorkGroupID.x);
    keys.y = min(keys.y, keys.x + share);
    flash_keys(first, end, keys);
}
#endif

#ifdef PASS_COMBINE
// A lane takes one column of a row.
void main()
{
    const uint q_len = uint(pc.q_len);
    io_begin(gl_WorkGroupID.y / q_len, gl_WorkGroupID.z);
    const uint row = gl_WorkGroupID.y % q_len;
    const uint column = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (column >= V_DIM) {
        return;
    }
    const uint splits = pc.nsplit;
    const score_map s = io_score_map();

    float m = SCORE_LOWEST;
    for (uint i = 0; i < splits; i++) {
        m = max(m, part[part_row(row, i, splits) + V_DIM]);
    }
    float l = 0.0;
    float x = 0.0;
    for (uint i = 0; i < splits; i++) {
        const uint at = part_row(row, i, splits);
        const float factor = vkz_exp2(part[at + V_DIM] - m, EXP);
        l = fma(part[at + V_DIM + 1u], factor, l);
        x = fma(part[at + column], factor, x);
    }
    const float factor = io_finish_row(s, row, column == 0u, m, l);
    o[(io_q_row + row) * V_DIM + column] = vkz_store(x * factor);
}
#endif
