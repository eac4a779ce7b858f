// SPDX-License-Identifier: MIT
//
// Gradients of attention over lists of key tiles; a lane owns whole rows
//
//   delta   delta_i = do_i . o_i
//   dq      a lane owns queries and walks the key tiles of their list
//   dkv     a lane owns keys and walks the query tiles of the column list, head by head
//   P_ij = exp(tau q_i.k_j - lse_i),  dS_ij = tau P_ij (do_i.v_j - delta_i)
//   dq_i = sum_j dS_ij k_j,  dk_j = sum_i dS_ij q_i,  dv_j = sum_i P_ij do_i
//
// FlashAttention, arXiv 2205.14135, 2307.08691.
//
// Why this one: every output has one owner, so there are no atomics and the bits are the
// same every time; nothing crosses lanes but what all of them read. On GPUs it needs
// 3 to 4 head_dim registers a lane and loses to tiles in shared memory for wide heads.
//
//! kernel   block_sparse_attention_backward_lane
//! op       block_sparse_attention_backward/1
//! tier     T0
//! bind     0 q      in   T[batch, heads, q_len, head_dim]
//! bind     1 k      in   T[batch, kv_heads, kv_len, head_dim]
//! bind     2 v      in   T[batch, kv_heads, kv_len, v_dim]
//! bind     3 start  in   i32[list_batch, list_heads, ceildiv(q_len, br) + 1]
//! bind     4 cols   in   i32[nnz]
//! bind     5 flags  in   u32[nnz]
//! bind     6 seg    in   i32[batch, kv_len]  when MASK == MASK.doc
//! bind     7 o      in   T[batch, heads, q_len, v_dim]
//! bind     8 lse    in   f32[batch, heads, q_len]
//! bind     9 do     in   T[batch, heads, q_len, v_dim]
//! bind     10 startT in  i32[list_batch, list_heads, ceildiv(kv_len, bc) + 1]
//! bind     11 colsT in   i32[nnz]
//! bind     12 flagsT in  u32[nnz]
//! bind     13 dq    out  T[batch, heads, q_len, head_dim]
//! bind     14 dk    out  T[batch, kv_heads, kv_len, head_dim]
//! bind     15 dv_   out  T[batch, kv_heads, kv_len, v_dim]
//! scratch  16 delta f32[batch, heads, q_len]
//! push     batch:u32 heads:u32 kv_heads:u32 q_len:i32 kv_len:i32 wl:i32 wr:i32 np:i32 tau:f32
//! push     br:u32 bc:u32 list_batch:u32 list_heads:u32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 64   // lanes, each owns ROWS rows
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,8)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = is_cpu && WG_SIZE <= 8 && head_dim+v_dim <= 160 && min(br,bc) >= 2*WG_SIZE ? 2 : 1   // rows a lane
//! spec     4 ITEMS u32 2    // keys or queries a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 && v_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory
//! spec     16 MASK u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = v_dim
//! pass     delta groups ceildiv(batch*heads*q_len,WG_SIZE)
//! pass     dq    groups ceildiv(q_len,br)*ceildiv(br,WG_SIZE*ROWS) heads batch
//! pass     dkv   groups ceildiv(kv_len,bc)*ceildiv(bc,WG_SIZE*ROWS) kv_heads batch
//! variant  f32_shuffle  T=f32 tier=T1 FLASH_SHUFFLE=1
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1 FLASH_SHUFFLE=1
//! variant  bf16 T=bf16 tier=T1 FLASH_SHUFFLE=1
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 32, local_size_x_id = 0) in;

#define IO_BIND_O 7
#define IO_BIND_LSE 8
#define IO_BIND_DO 9
#define IO_BIND_DQ 13
#define IO_BIND_DK 14
#define IO_BIND_DV 15
#define IO_BIND_DELTA 16
#include "sparse/backward_io.glsl"

layout(push_constant, std430) uniform Push {
    uint batch, heads, kv_heads;
    int q_len, kv_len;
    int wl, wr, np;
    float tau;
    uint br, bc, list_batch, list_heads;
} pc;

#ifdef PASS_DELTA

void main()
{
    io_delta(pc.batch * pc.heads * uint(pc.q_len));
}

#else

layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint ITEMS = 2;
layout(constant_id = 7) const uint ROLL = 0;
layout(constant_id = 16) const uint MASK = 0;
const uint BIAS = 0;
const uint CAP = 0;
const uint WEIGHT = 0;

layout(set = 0, binding = 6, std430) restrict readonly buffer Seg { int seg[]; };
// Lists of the rows' tiles: of key tiles for queries, of query tiles for keys.
#ifdef PASS_DQ
const bool BACK_KEYS = false;
layout(set = 0, binding = 3, std430) restrict readonly buffer Start { int start[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Cols { int cols[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Flags { uint flags[]; };
#else
const bool BACK_KEYS = true;
layout(set = 0, binding = 10, std430) restrict readonly buffer Start { int startT[]; };
layout(set = 0, binding = 11, std430) restrict readonly buffer Cols { int colsT[]; };
layout(set = 0, binding = 12, std430) restrict readonly buffer Flags { uint flagsT[]; };
#define start startT
#define cols colsT
#define flags flagsT
#endif

uint back_q_row; // where the head's queries begin
uint back_k_row; // where the KV head's keys begin
uint back_seg;   // where the batch's segments begin
ivec2 back_list;

float back_scale;
float back_tau;

float score_bias_load(const uint row, const uint key)
{
    return 0.0;
}

int score_segment_load(const uint key)
{
    return seg[back_seg + key];
}

#define FLASH_LIST

ivec2 flash_list()
{
    return back_list;
}

ivec3 flash_list_span(const int n)
{
    const int width = int(BACK_KEYS ? pc.br : pc.bc);
    const int length = BACK_KEYS ? pc.q_len : pc.kv_len;
    const int first = cols[n] * width;
    return ivec3(first, min(first + width, length), int(flags[n]));
}

#include "lib/score.glsl"

vec4 back_row_a(const uint row, const uint c)
{
    return BACK_KEYS ? io_k(back_k_row + row, c) : io_q(back_q_row + row, c);
}
vec4 back_row_b(const uint row, const uint c)
{
    return BACK_KEYS ? io_v(back_k_row + row, c) : io_do(back_q_row + row, c);
}
vec4 back_item_a(const uint item, const uint c)
{
    return BACK_KEYS ? io_q(back_q_row + item, c) : io_k(back_k_row + item, c);
}
vec4 back_item_b(const uint item, const uint c)
{
    return BACK_KEYS ? io_do(back_q_row + item, c) : io_v(back_k_row + item, c);
}
vec2 back_item_a2(const uint item, const uint c)
{
    return BACK_KEYS ? io_q2(back_q_row + item, c) : io_k2(back_k_row + item, c);
}
vec2 back_item_b2(const uint item, const uint c)
{
    return BACK_KEYS ? io_do2(back_q_row + item, c) : io_v2(back_k_row + item, c);
}

vec2 back_stats(const uint query)
{
    return io_stats(back_q_row + query);
}

bool back_visible(const uint row, const uint item)
{
    const uint query = BACK_KEYS ? item : row;
    const uint key = BACK_KEYS ? row : item;
    const int p = int(query) + pc.kv_len - pc.q_len;
    score_map s;
    s.wl = pc.wl;
    s.wr = pc.wr;
    s.np = pc.np;
    const int segment = MASK == MASK_DOC ? score_segment_load(uint(max(p, 0))) : 0;
    return score_visible(s, p, int(key), segment);
}

void back_store_x(const uint row, const uint c, const vec4 x)
{
#ifdef PASS_DQ
    io_store_dq(back_q_row + row, c, x);
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
    const uint batch = gl_WorkGroupID.z;
    const uint lanes = gl_WorkGroupSize.x;
    const uint group = pc.heads / pc.kv_heads;
    const uint kv_head = gl_WorkGroupID.y / (BACK_KEYS ? 1u : group);
    const uint tile = BACK_KEYS ? pc.bc : pc.br;
    const uint length = uint(BACK_KEYS ? pc.kv_len : pc.q_len);
    const uint tiles = (length + tile - 1u) / tile;
    const uint parts = (tile + lanes * ROWS - 1u) / (lanes * ROWS);
    const uint at = gl_WorkGroupID.x / parts;
    const uint begin = at * tile + gl_WorkGroupID.x % parts * lanes * ROWS;
    const uint end = min(min(begin + lanes * ROWS, (at + 1u) * tile), length);
    const uint first = begin + gl_LocalInvocationID.x;
    back_k_row = (batch * pc.kv_heads + kv_head) * uint(pc.kv_len);
    back_seg = batch * uint(pc.kv_len);
    back_tau = pc.tau;
    back_scale = pc.tau * VKZ_LOG2E;
    if (begin < end) {
        // A query's head is the workgroup's; a key serves a group of heads.
        const uint heads = BACK_KEYS ? group : 1u;
        for (uint n = 0; n < heads; n++) {
            const uint head = BACK_KEYS ? kv_head * group + n : gl_WorkGroupID.y;
            const uint list = min(batch, pc.list_batch - 1u) * pc.list_heads +
                              min(head, pc.list_heads - 1u);
            const uint entry = list * (tiles + 1u) + at;
            back_q_row = (batch * pc.heads + head) * uint(pc.q_len);
            back_list = ivec2(start[entry], start[entry + 1u]);
            if (n == 0u) {
                back_begin(first, lanes, end);
            }
            back_walk();
        }
        back_end(first, lanes, end);
    }
}

#endif
