// SPDX-License-Identifier: MIT
//
// What the gathered_attention kernels share: buffers, the list of a query, and the hooks
// of lib/flash*.glsl. Rows are heads, keys are places in the query's list.
#ifndef VKZ_SPARSE_GATHERED_IO_GLSL
#define VKZ_SPARSE_GATHERED_IO_GLSL

#include "sparse/attend.glsl"

layout(constant_id = 16) const uint VALUE = 0; // own, prefix_of_key
layout(constant_id = 17) const uint LSE = 0;

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K2 { W2 k2[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { W4 k4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V2 { W2 v2[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { W4 v4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Idx { int idx[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer O4 { W4 o4[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer Lse { float lse[]; };

layout(push_constant, std430) uniform Push {
    uint heads, q_len, kv_len, top;
    float tau;
} pc;

uint io_batch;
uint io_query;
int io_position; // of the query among the tokens
uint io_list;    // element of idx where its list begins
int io_full;     // the list's first places, all of them visible
int io_end;      // after the last visible place

void io_begin(const uint query, const uint batch)
{
    io_batch = batch;
    io_query = query;
    io_position = int(query + pc.kv_len) - int(pc.q_len);
    io_list = (batch * pc.q_len + query) * pc.top;
}

bool io_visible(const uint place)
{
    const int token = idx[io_list + place];
    return token >= 0 && token <= io_position;
}

// How far this lane's share of the list is visible: io_full and io_end are the least and
// the largest over all lanes.
ivec2 io_walk(const uint lane, const uint lanes)
{
    ivec2 found = ivec2(pc.top, 0);
    for (uint i = lane; i < pc.top; i += lanes) {
        const bool seen = io_visible(i);
        found.x = seen ? found.x : min(found.x, int(i));
        found.y = seen ? int(i) + 1 : found.y;
    }
    return found;
}

// Token at a place; where there is none, any.
uint io_token(const uint place)
{
    return io_batch * pc.kv_len +
           uint(clamp(idx[io_list + place], 0, int(pc.kv_len) - 1));
}

uint io_row(const uint head)
{
    return (io_batch * pc.heads + head) * pc.q_len + io_query;
}

// --- hooks ----------------------------------------------------------------------------

#define FLASH_LIST
#define FLASH_POSITION
#define FLASH_VISIBLE

// Places that are all visible, then those that need a look.
ivec2 flash_list()
{
    return ivec2(0, 2);
}

ivec3 flash_list_span(const int n)
{
    return n == 0 ? ivec3(0, io_full, 0) : ivec3(io_full, io_end, 1);
}

int flash_row_position(const uint row)
{
    return io_position;
}

bool flash_visible(const uint row, const int p, const uint key)
{
    return io_visible(key);
}

vec4 flash_q(const uint row, const uint c)
{
    ATTEND_LOAD4(q, q4, io_row(row) * HEAD_DIM, HEAD_DIM, c);
}

vec4 flash_k(const uint key, const uint c)
{
    ATTEND_LOAD4(k, k4, io_token(key) * HEAD_DIM, HEAD_DIM, c);
}

vec2 flash_k2(const uint key, const uint c)
{
    ATTEND_LOAD2(k, k2, io_token(key) * HEAD_DIM, HEAD_DIM, c);
}

vec4 flash_v(const uint key, const uint c)
{
    if (VALUE != 0) {
        ATTEND_LOAD4(k, k4, io_token(key) * HEAD_DIM, V_DIM, c);
    }
    ATTEND_LOAD4(v, v4, io_token(key) * V_DIM, V_DIM, c);
}

vec2 flash_v2(const uint key, const uint c)
{
    if (VALUE != 0) {
        ATTEND_LOAD2(k, k2, io_token(key) * HEAD_DIM, V_DIM, c);
    }
    ATTEND_LOAD2(v, v2, io_token(key) * V_DIM, V_DIM, c);
}

float flash_key_scale(const uint key)
{
    return 1.0;
}

float flash_row_scale(const uint row, const float norm2)
{
    return 1.0;
}

void flash_store(const uint row, const uint c, const vec4 x)
{
    ATTEND_STORE4(o, o4, io_row(row) * V_DIM, V_DIM, c, x);
}

float io_finish(const uint row, const bool store, const float m, const float l)
{
    if (LSE != 0 && store) {
        lse[io_row(row)] = attend_lse(m, l);
    }
    return attend_factor(l);
}

#endif
