// SPDX-License-Identifier: MIT
//
// What the block_select kernels share: buffers, how pooled keys count for blocks, and the
// order in which blocks are chosen
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

const uint D4 = (HEAD_DIM + 3u) / 4u;
const float LOWEST = -3.0e38;

#define SELECT_LOAD4(name, name4, row, c)                                                 \
    if (VEC == 4) {                                                                       \
        return vkz_load_w4(name4[(row) * (HEAD_DIM / 4u) + (c)]);                         \
    }                                                                                     \
    const uint at = (row) * HEAD_DIM + 4u * (c);                                          \
    vec4 x = vec4(vkz_load(name[at]), 0.0, 0.0, 0.0);                                     \
    if (4u * (c) + 1u < HEAD_DIM) {                                                       \
        x.y = vkz_load(name[at + 1u]);                                                    \
    }                                                                                     \
    if (4u * (c) + 2u < HEAD_DIM) {                                                       \
        x.z = vkz_load(name[at + 2u]);                                                    \
    }                                                                                     \
    if (4u * (c) + 3u < HEAD_DIM) {                                                       \
        x.w = vkz_load(name[at + 3u]);                                                    \
    }                                                                                     \
    return x

vec4 select_q(const uint row, const uint c)
{
    SELECT_LOAD4(q, q4, row, c);
}

vec4 select_k(const uint row, const uint c)
{
    SELECT_LOAD4(kc, kc4, row, c);
}

// Rows of kc that a KV head has.
uint pooled_rows()
{
    return pc.len >= pc.lc ? (pc.len - pc.lc) / pc.st + 1u : 1u;
}

// Pooled keys that query i sees.
uint pooled_visible(const uint i)
{
    return i + 1u >= pc.lc ? (i + 1u - pc.lc) / pc.st + 1u : 0u;
}

// Stripes of st tokens that pooled key c shares with block j.
float pooled_shares(const uint c, const uint j)
{
    const uint stripes = pc.ls / pc.st;
    const int begin = max(int(c), int(j * stripes));
    const int end = min(int(c + pc.lc / pc.st), int((j + 1u) * stripes));
    return float(max(end - begin, 0));
}

// Pooled keys [x, y) that share a stripe with block j and are visible.
uvec2 pooled_of_block(const uint j, const uint visible)
{
    const uint stripes = pc.ls / pc.st;
    const uint before = pc.lc / pc.st - 1u;
    const uint begin = j * stripes;
    return uvec2(begin - min(begin, before), min((j + 1u) * stripes, visible));
}

// Order key of block j for a query in block `own`. Importances are not negative, so their
// bits sort as they do; forced blocks have the upper half of the keys to themselves, and
// all keys are above SELECT_NEVER.
uint block_key(const float importance, const uint j, const uint own)
{
    const bool forced = j == 0u || j == own || j + 1u == own;
    return floatBitsToUint(importance) + (forced ? 0x80000000u : 0x00800000u);
}

#endif
