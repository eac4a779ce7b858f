// SPDX-License-Identifier: MIT
//
// What the native_sparse_attention kernels share: buffers, passes, and the hooks of the
// tiles
//
//   pool      means of blocks of keys and values
//   compress  attention to the means:         part = g_0 o, lse
//   select    importance of blocks, from lse: sel
//   main      attention to selected and near tokens, in turn: part += g_1 o;
//             o = part + g_2 o
//
// In pass compress rows are queries of one head, in pass main heads of one query's group.
#ifndef VKZ_SPARSE_NATIVE_IO_GLSL
#define VKZ_SPARSE_NATIVE_IO_GLSL

#ifdef PASS_COMPRESS
#define ATTEND_MASK 1 // causal in units of pooled keys
#endif
#include "sparse/attend.glsl"

layout(constant_id = 16) const uint SHARED_KV = 0; // off, on
layout(constant_id = 17) const uint IDX = 0;       // compute, given

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K2 { W2 k2[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { W4 k4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V2 { W2 v2[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { W4 v4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer KCmp { T k_cmp[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer KCmp4 { W4 k_cmp4[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer VCmp { T v_cmp[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer VCmp4 { W4 v_cmp4[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer KWin { T k_win[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer KWin2 { W2 k_win2[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer KWin4 { W4 k_win4[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer VWin { T v_win[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer VWin2 { W2 v_win2[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer VWin4 { W4 v_win4[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer Gate { float gate[]; };
layout(set = 0, binding = 8, std430) restrict readonly buffer Idx { int idx[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer O4 { W4 o4[]; };
#ifdef PASS_POOL
layout(set = 0, binding = 10, std430) restrict writeonly buffer MeanK { vec4 mean_k[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer MeanV { vec4 mean_v[]; };
#else
layout(set = 0, binding = 10, std430) restrict readonly buffer MeanK2 { vec2 mean_k2[]; };
layout(set = 0, binding = 10, std430) restrict readonly buffer MeanK { vec4 mean_k[]; };
layout(set = 0, binding = 11, std430) restrict readonly buffer MeanV2 { vec2 mean_v2[]; };
layout(set = 0, binding = 11, std430) restrict readonly buffer MeanV { vec4 mean_v[]; };
#endif
layout(set = 0, binding = 12, std430) restrict buffer Part { vec4 part[]; };
layout(set = 0, binding = 13, std430) restrict buffer Lse { float lse[]; }; // base 2
layout(set = 0, binding = 14, std430) restrict buffer Sel { int sel[]; };

layout(push_constant, std430) uniform Push {
    uint heads, kv_heads, len, lc, st, ls, top, wl;
    float tau;
} pc;

#define POOLED_BLOCKS
#include "sparse/pooled.glsl"

// Means and unfinished outputs are kept in rows of whole quads.
const uint IO_D4 = (HEAD_DIM + 3u) / 4u;
const uint IO_V4 = (V_DIM + 3u) / 4u;

uint io_group() // query heads of a KV head
{
    return pc.heads / pc.kv_heads;
}

// --- pass pool ------------------------------------------------------------------------

#ifdef PASS_POOL

vec4 io_pool_k(const uint row, const uint c)
{
    if (SHARED_KV != 0) {
        ATTEND_LOAD4(k, k4, row * HEAD_DIM, HEAD_DIM, c);
    }
    ATTEND_LOAD4(k_cmp, k_cmp4, row * HEAD_DIM, HEAD_DIM, c);
}

vec4 io_pool_v(const uint row, const uint c)
{
    if (SHARED_KV != 0) {
        ATTEND_LOAD4(v, v4, row * V_DIM, V_DIM, c);
    }
    ATTEND_LOAD4(v_cmp, v_cmp4, row * V_DIM, V_DIM, c);
}

// A lane takes four columns of one pooled key or value.
void main()
{
    const uint at = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    const uint kv = gl_WorkGroupID.y;
    const uint block = at / (IO_D4 + IO_V4);
    const uint c = at % (IO_D4 + IO_V4);
    if (block >= pooled_count()) {
        return;
    }
    const uint first = kv * pc.len + block * pc.st;
    const uint to = kv * pooled_rows() + block;
    vec4 sum = vec4(0.0);
    if (c < IO_D4) {
        for (uint j = 0; j < pc.lc; j++) {
            sum += io_pool_k(first + j, c);
        }
        mean_k[to * IO_D4 + c] = sum / float(pc.lc);
    } else {
        for (uint j = 0; j < pc.lc; j++) {
            sum += io_pool_v(first + j, c - IO_D4);
        }
        mean_v[to * IO_V4 + c - IO_D4] = sum / float(pc.lc);
    }
}

#endif

// --- pass compress --------------------------------------------------------------------

#ifdef PASS_COMPRESS

#define FLASH_POSITION

uint io_row; // row of q of the head's first query
uint io_key; // row of the means of its KV head

void io_begin(const uint head, const uint batch)
{
    io_row = (batch * pc.heads + head) * pc.len;
    io_key = (batch * pc.kv_heads + head / io_group()) * pooled_rows();
}

uint io_out(const uint row)
{
    return io_row + row;
}

// The last pooled key that a query sees, -1: none.
int flash_row_position(const uint row)
{
    return row + 1u >= pc.lc ? int((row + 1u - pc.lc) / pc.st) : -1;
}

vec4 flash_k(const uint key, const uint c)
{
    return mean_k[(io_key + key) * IO_D4 + c];
}

vec2 flash_k2(const uint key, const uint c)
{
    return mean_k2[(io_key + key) * (2u * IO_D4) + min(c, 2u * IO_D4 - 1u)];
}

vec4 flash_v(const uint key, const uint c)
{
    return mean_v[(io_key + key) * IO_V4 + c];
}

vec2 flash_v2(const uint key, const uint c)
{
    return mean_v2[(io_key + key) * (2u * IO_V4) + min(c, 2u * IO_V4 - 1u)];
}

void flash_store(const uint row, const uint c, const vec4 x)
{
    part[(io_row + row) * IO_V4 + c] = x;
}

float io_finish(const uint row, const bool store, const float m, const float l)
{
    if (store) {
        lse[io_row + row] = l == 0.0 ? SCORE_LOWEST : m + vkz_log2(l);
    }
    return attend_factor(l) * gate[3u * (io_row + row)];
}

#endif

// --- pass select ----------------------------------------------------------------------

#ifdef PASS_SELECT

uint io_query; // row of q of the group's first head
uint io_key;
uint io_list;  // element of sel

void io_begin(const uint i, const uint kv)
{
    io_query = kv * io_group() * pc.len + i;
    io_key = kv * pooled_rows();
    io_list = (kv * pc.len + i) * pc.top;
}

uint io_out(const uint head)
{
    return io_query + head * pc.len;
}

vec4 block_q_row_(const uint row, const uint c)
{
    ATTEND_LOAD4(q, q4, row * HEAD_DIM, HEAD_DIM, c);
}

vec4 block_q(const uint head, const uint c)
{
    return block_q_row_(io_out(head), c) * (pc.tau * VKZ_LOG2E);
}

vec4 block_k(const uint key, const uint c)
{
    return mean_k[(io_key + key) * IO_D4 + c];
}

vec2 block_k2(const uint key, const uint c)
{
    return mean_k2[(io_key + key) * (2u * IO_D4) + min(c, 2u * IO_D4 - 1u)];
}

vec2 block_stats(const uint head)
{
    return vec2(lse[io_out(head)], 1.0);
}

void block_store(const uint at, const int j)
{
    sel[io_list + at] = j;
}

#endif

// --- pass main ------------------------------------------------------------------------

#ifdef PASS_MAIN

#define FLASH_LIST
#define FLASH_POSITION

const uint BRANCH_SELECTED = 0;
const uint BRANCH_NEAR = 1;

uint io_branch;
uint io_query; // row of q of the group's first head
uint io_key;   // row of the KV head's first key
uint io_list;  // element of sel or idx
int io_i;

void io_begin(const uint i, const uint kv)
{
    io_i = int(i);
    io_query = kv * io_group() * pc.len + i;
    io_key = kv * pc.len;
    io_list = (kv * pc.len + i) * pc.top;
}

uint io_out(const uint head)
{
    return io_query + head * pc.len;
}

ivec2 flash_list()
{
    return ivec2(0, io_branch == BRANCH_NEAR ? 1 : int(pc.top));
}

// Cut off after the query, so that no pair is hidden.
ivec3 flash_list_span(const int n)
{
    if (io_branch == BRANCH_NEAR) {
        return ivec3(max(io_i - int(pc.wl), 0), io_i + 1, 0);
    }
    const int block = IDX != 0 ? idx[io_list + n] : sel[io_list + n];
    return block < 0 ? ivec3(0)
                     : ivec3(block * int(pc.ls),
                             min((block + 1) * int(pc.ls), io_i + 1), 0);
}

int flash_row_position(const uint row)
{
    return io_i;
}

vec4 flash_k(const uint key, const uint c)
{
    if (SHARED_KV == 0 && io_branch == BRANCH_NEAR) {
        ATTEND_LOAD4(k_win, k_win4, (io_key + key) * HEAD_DIM, HEAD_DIM, c);
    }
    ATTEND_LOAD4(k, k4, (io_key + key) * HEAD_DIM, HEAD_DIM, c);
}

vec2 flash_k2(const uint key, const uint c)
{
    if (SHARED_KV == 0 && io_branch == BRANCH_NEAR) {
        ATTEND_LOAD2(k_win, k_win2, (io_key + key) * HEAD_DIM, HEAD_DIM, c);
    }
    ATTEND_LOAD2(k, k2, (io_key + key) * HEAD_DIM, HEAD_DIM, c);
}

vec4 flash_v(const uint key, const uint c)
{
    if (SHARED_KV == 0 && io_branch == BRANCH_NEAR) {
        ATTEND_LOAD4(v_win, v_win4, (io_key + key) * V_DIM, V_DIM, c);
    }
    ATTEND_LOAD4(v, v4, (io_key + key) * V_DIM, V_DIM, c);
}

vec2 flash_v2(const uint key, const uint c)
{
    if (SHARED_KV == 0 && io_branch == BRANCH_NEAR) {
        ATTEND_LOAD2(v_win, v_win2, (io_key + key) * V_DIM, V_DIM, c);
    }
    ATTEND_LOAD2(v, v2, (io_key + key) * V_DIM, V_DIM, c);
}

void io_store_o(const uint row, const uint c, const vec4 x)
{
    ATTEND_STORE4(o, o4, row * V_DIM, V_DIM, c, x);
}

// A lane stores the same elements in both branches, so it reads what it wrote itself.
void flash_store(const uint row, const uint c, const vec4 x)
{
    const uint at = io_out(row) * IO_V4 + c;
    const vec4 sum = part[at] + x;
    if (io_branch == BRANCH_NEAR) {
        io_store_o(io_out(row), c, sum);
    } else {
        part[at] = sum;
    }
}

float io_finish(const uint row, const bool store, const float m, const float l)
{
    return attend_factor(l) * gate[3u * io_out(row) + 1u + io_branch];
}

#endif

// --- what both attention passes share -------------------------------------------------

#if defined(PASS_COMPRESS) || defined(PASS_MAIN)

vec4 flash_q(const uint row, const uint c)
{
    ATTEND_LOAD4(q, q4, io_out(row) * HEAD_DIM, HEAD_DIM, c);
}

float flash_key_scale(const uint key)
{
    return 1.0;
}

float flash_row_scale(const uint row, const float norm2)
{
    return 1.0;
}

#endif

#endif
