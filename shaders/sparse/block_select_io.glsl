// SPDX-License-Identifier: MIT
//
// What the block_select kernels share: buffers and the rows of a query
#ifndef VKZ_SPARSE_BLOCK_SELECT_IO_GLSL
#define VKZ_SPARSE_BLOCK_SELECT_IO_GLSL

#include "lib/num.glsl"
#include "lib/words.glsl"
#include "lib/exp.glsl"

layout(constant_id = 5) const uint EXP = 5;
layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 16) const uint STATS = 0; // own, given
layout(constant_id = 32) const uint HEAD_DIM = 64;
layout(constant_id = 33) const uint BLOCKS = 16; // at least as many as there are

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Kc { T kc[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Kc4 { W4 kc4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Lse { float lse[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Idx { int idx[]; };

layout(push_constant, std430) uniform Push {
    uint heads, kv_heads, len, lc, st, ls, top;
    float tau;
} pc;

#define POOLED_BLOCKS
#include "sparse/pooled.glsl"

#define SELECT_LOAD4(name, name4, row, c)                                                \
    if (VEC == 4) {                                                                      \
        return vkz_load_w4(name4[(row) * (HEAD_DIM / 4u) + (c)]);                        \
    }                                                                                    \
    const uint at = (row) * HEAD_DIM + 4u * (c);                                         \
    vec4 x = vec4(vkz_load(name[at]), 0.0, 0.0, 0.0);                                    \
    if (4u * (c) + 1u < HEAD_DIM) {                                                      \
        x.y = vkz_load(name[at + 1u]);                                                   \
    }                                                                                    \
    if (4u * (c) + 2u < HEAD_DIM) {                                                      \
        x.z = vkz_load(name[at + 2u]);                                                   \
    }                                                                                    \
    if (4u * (c) + 3u < HEAD_DIM) {                                                      \
        x.w = vkz_load(name[at + 3u]);                                                   \
    }                                                                                    \
    return x

vec4 select_q(const uint row, const uint c)
{
    SELECT_LOAD4(q, q4, row, c);
}

vec4 select_k(const uint row, const uint c)
{
    SELECT_LOAD4(kc, kc4, row, c);
}

uint io_query; // row of q of the group's first head
uint io_key;   // row of kc
uint io_list;  // element of idx

void io_begin(const uint i, const uint kv)
{
    io_query = kv * (pc.heads / pc.kv_heads) * pc.len + i;
    io_key = kv * pooled_rows();
    io_list = (kv * pc.len + i) * pc.top;
}

// --- hooks of block_group.glsl and block_rows.glsl ------------------------------------

vec4 block_q(const uint head, const uint c)
{
    return select_q(io_query + head * pc.len, c) * (pc.tau * VKZ_LOG2E);
}

vec4 block_k(const uint key, const uint c)
{
    return select_k(io_key + key, c);
}

vec2 block_stats(const uint head)
{
    return vec2(STATS != 0 ? lse[io_query + head * pc.len] * VKZ_LOG2E : 0.0, 1.0);
}

void block_store(const uint at, const int j)
{
    idx[io_list + at] = j;
}

#endif
