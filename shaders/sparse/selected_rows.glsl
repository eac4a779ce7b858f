// SPDX-License-Identifier: MIT
//
// Attention to selected blocks: the rows of a workgroup are heads of one group at one token
//
//   workgroup   x token, y (KV head, part of its group), z batch; tokens from 32768 on in
//               further z, because a grid has 65535 groups along x at least
//   row r       query head kv_head * group + r, the token's query
//   list        the token's entries of idx; of a block the keys up to the token
//
// Defines FLASH_LIST; include lib/flash*.glsl after it.
#ifndef VKZ_SPARSE_SELECTED_ROWS_GLSL
#define VKZ_SPARSE_SELECTED_ROWS_GLSL

#define ATTENTION_WEIGHT 0 // softmax
#define ATTENTION_PLAIN
#define IO_MASK 0 // none: a list holds visible keys only
#define IO_BIND_O 4
#define IO_BIND_LSE 5
#define IO_LSE 1
#define IO_PUSH_MORE int ls; uint top;
#define FLASH_LIST
#include "attention/io.glsl"

layout(set = 0, binding = 3, std430) restrict readonly buffer Idx { int idx[]; };

uint selected_list_; // where the token's blocks begin
int selected_token_;

const uint SELECTED_FOLD = 32768;

// Rows [x, y) of this workgroup, none when y <= x, which is the same for all its lanes.
uvec2 selected_rows(const uint rows)
{
    const uint group = pc.heads / pc.kv_heads;
    const uint parts = (group + rows - 1u) / rows;
    const uint kv_head = gl_WorkGroupID.y / parts;
    const uint begin = gl_WorkGroupID.y % parts * rows;
    const uint len = uint(pc.len);
    const uint folds = (len + SELECTED_FOLD - 1u) / SELECTED_FOLD;
    const uint place = gl_WorkGroupID.x + gl_WorkGroupID.z % folds * SELECTED_FOLD;
    // The last tokens see the most keys: start with them.
    const uint token = len - 1u - min(place, len - 1u);
    io_begin(kv_head * group, gl_WorkGroupID.z / folds);
    io_q_row += token;
    selected_list_ = (io_k_row + token) * pc.top;
    selected_token_ = int(token);
    return uvec2(begin, place < len ? min(begin + rows, group) : begin);
}

score_map selected_map()
{
    score_map s = io_score_map();
    s.q_len = int(pc.heads / pc.kv_heads);
    return s;
}

ivec2 flash_list()
{
    return ivec2(0, int(pc.top));
}

ivec3 flash_list_span(const int n)
{
    const int block = idx[selected_list_ + uint(n)];
    const int first = max(block, 0) * pc.ls;
    return ivec3(first, block < 0 ? first : min(first + pc.ls, selected_token_ + 1), 0);
}

// Heads are `len` rows apart.
vec4 flash_q(const uint row, const uint c)
{
    return io_q(row * uint(pc.len), c);
}

vec4 flash_k(const uint key, const uint c)
{
    return io_k(key, c);
}

vec4 flash_v(const uint key, const uint c)
{
    return io_v(key, c);
}

vec2 flash_k2(const uint key, const uint c)
{
    return io_k2(key, c);
}

vec2 flash_v2(const uint key, const uint c)
{
    return io_v2(key, c);
}

float flash_key_scale(const uint key)
{
    return 1.0;
}

float flash_row_scale(const uint row, const float norm2)
{
    return 1.0;
}

void flash_store(const uint row, const uint c, const vec4 o)
{
    io_store_o(row * uint(pc.len), c, o);
}

float selected_finish(const uint row, const bool store, const float m, const float l)
{
    return io_finish_row(selected_map(), row * uint(pc.len), store, m, l);
}

#endif
