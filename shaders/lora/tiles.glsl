// SPDX-License-Identifier: MIT
//
// The shapes of the tiles in shared memory: square ones, and thin ones for the products
// with as many columns as the rank
//
//   wide:  TILE_M x TILE_N of REG_M x REG_N a lane
//   thin:  (4 WG_SIZE) / (THIN_N / 4) x THIN_N of 4 x 4 a lane
//
// The includer defines LORA_THIN for a thin pass, then the loads and store_c4 of
// lib/tile.glsl, and includes that.
#ifndef VKZ_LORA_TILES_GLSL
#define VKZ_LORA_TILES_GLSL

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 5) const uint TILE_K = 16;
#ifdef LORA_THIN
layout(constant_id = 8) const uint THIN_N = 16;
const uint THIN_M = gl_WorkGroupSize.x * 16 / THIN_N;
#define TILE_M THIN_M
#define TILE_N THIN_N
#define REG_M 4
#define REG_N 4
#else
layout(constant_id = 3) const uint TILE_M = 64;
layout(constant_id = 4) const uint TILE_N = 64;
layout(constant_id = 6) const uint REG_M = 8;
layout(constant_id = 7) const uint REG_N = 4;
#endif
const uint STAGES = 1;
const uint PAD = 1;

shared vec4 tile_a[STAGES * TILE_K * (TILE_M / 4 + PAD)];
shared vec4 tile_b[STAGES * TILE_K * (TILE_N / 4 + PAD)];

// Part `part` of `parts` of the groups of four k: whole TILE_K but for the end.
uvec2 lora_span(const uint groups, const uint part, const uint parts)
{
    const uint step = TILE_K / 4;
    const uint tiles = (groups + step - 1) / step;
    const uint span = (tiles + parts - 1) / parts * step;
    const uint begin = min(part * span, groups);
    return uvec2(begin, min(begin + span, groups));
}

#endif
