// SPDX-License-Identifier: MIT
//
// Pooled keys and the blocks of tokens they count for
//
//   stripes of st tokens   |   |   |   |   |   |   |   |
//   pooled keys of lc        0-----  2-----
//                                1-----  ...
//   blocks of ls           0-------------- 1--------------
//
// The includer's push constants are `pc`, with len, lc, st and, for blocks, ls.
#ifndef VKZ_SPARSE_POOLED_GLSL
#define VKZ_SPARSE_POOLED_GLSL

uint pooled_count()
{
    return pc.len >= pc.lc ? (pc.len - pc.lc) / pc.st + 1u : 0u;
}

// Rows of a tensor that holds the pooled keys of one KV head.
uint pooled_rows()
{
    return max(pooled_count(), 1u);
}

// Pooled keys that query i sees: those of blocks that end at i or before.
uint pooled_visible(const uint i)
{
    return i + 1u >= pc.lc ? (i + 1u - pc.lc) / pc.st + 1u : 0u;
}

#ifdef POOLED_BLOCKS

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
uint pooled_block_key(const float importance, const uint j, const uint own)
{
    const bool forced = j == 0u || j == own || j + 1u == own;
    return floatBitsToUint(importance) + (forced ? 0x80000000u : 0x00800000u);
}

#endif

#endif
