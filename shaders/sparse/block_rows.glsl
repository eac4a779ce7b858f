// SPDX-License-Identifier: MIT
//
// Block-sparse attention: lists of key tiles, and which rows a workgroup has
//
//   a row of tiles is br queries; a workgroup takes `rows` of them, so that a row of tiles is
//   ceil(br / rows) workgroups that walk the same list
//
// Defines FLASH_LIST; include lib/flash*.glsl after it.
#ifndef VKZ_SPARSE_BLOCK_ROWS_GLSL
#define VKZ_SPARSE_BLOCK_ROWS_GLSL

#define ATTENTION_WEIGHT 0 // softmax
#define ATTENTION_PLAIN
#define IO_BIND_O 7
#define IO_BIND_LSE 8
#define IO_PUSH_MORE uint br, bc, list_batch, list_heads;
#define FLASH_LIST
#include "attention/io.glsl"

layout(set = 0, binding = 3, std430) restrict readonly buffer Start { int start[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Cols { int cols[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Flags { uint flags[]; };

ivec2 block_list_; // entries of the workgroup's row of tiles

// Rows [x, y) of this workgroup, none when y <= x, which is the same for all its lanes.
uvec2 block_rows(const uint rows)
{
    const uint head = gl_WorkGroupID.y;
    const uint batch = gl_WorkGroupID.z;
    io_begin(head, batch);
    const uint parts = (pc.br + rows - 1u) / rows;
    // Under a causal mask the last rows have the longest lists: start with them.
    const uint group = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x;
    const uint row = group / parts;
    const uint begin = row * pc.br + group % parts * rows;
    const uint end = min(min(begin + rows, (row + 1u) * pc.br), uint(pc.q_len));
    const uint list = min(batch, pc.list_batch - 1u) * pc.list_heads +
                      min(head, pc.list_heads - 1u);
    const uint at = list * ((uint(pc.q_len) + pc.br - 1u) / pc.br + 1u) + row;
    block_list_ = ivec2(start[at], start[at + 1u]);
    return uvec2(begin, end);
}

ivec2 flash_list()
{
    return block_list_;
}

ivec3 flash_list_span(const int n)
{
    const int first = cols[n] * int(pc.bc);
    return ivec3(first, min(first + int(pc.bc), pc.kv_len), int(flags[n]));
}

#endif
