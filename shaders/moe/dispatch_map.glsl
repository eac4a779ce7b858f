// SPDX-License-Identifier: MIT
//
// What the kernels of dispatch_map share: buffers, push constants and hooks of map.glsl
layout(constant_id = 16) const uint CAPACITY = 0;

layout(push_constant, std430) uniform Push {
    uint rows, topk, experts, bm, cap_total, parts;
    float cap;
} pc;

layout(std430, binding = 0) restrict readonly buffer Idx { int idx[]; };
layout(std430, binding = 1) restrict writeonly buffer Count { int count[]; };
layout(std430, binding = 2) restrict writeonly buffer Start { int start[]; };
layout(std430, binding = 3) restrict writeonly buffer Src { int src[]; };
layout(std430, binding = 4) restrict writeonly buffer Pos { int pos[]; };
layout(std430, binding = 5) restrict writeonly buffer TileExpert { int tile_expert[]; };
layout(std430, binding = 6) restrict writeonly buffer Args { uint args[]; };
layout(std430, binding = 7) restrict buffer Counters { uint counters[]; };

#define MAP_SCAN
shared uint map_share[gl_WorkGroupSize.x];

uint map_bin(const uint entry)
{
    return uint(idx[entry]); // -1 is past all experts
}

void map_put_expert(const uint bin, const uint entries, const uint begin)
{
    count[bin] = int(entries);
    start[bin] = int(begin);
}

void map_put_end(const uint end)
{
    start[pc.experts] = int(end);
    args[0] = end / pc.bm;
    args[1] = 1u;
    args[2] = 1u;
}

void map_put(const int place, const uint entry)
{
    if (place >= 0) {
        src[place] = int(entry);
    }
    pos[entry] = place;
}

void map_put_padding(const uint place)
{
    src[place] = -1;
}

void map_put_tile(const uint tile, const int bin)
{
    tile_expert[tile] = bin;
}

#include "moe/map.glsl"

map_shape map_shape_of()
{
    const uint entries = pc.rows * pc.topk;
    return map_shape(entries, pc.experts, pc.parts, pc.bm,
                     CAPACITY != 0 ? uint(min(pc.cap, float(entries))) : entries,
                     pc.cap_total);
}
