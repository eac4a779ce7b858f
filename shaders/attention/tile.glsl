// SPDX-License-Identifier: MIT
//
// The body of the *_attention_tile kernels: one file an op names the weight function
//
// The includer defines ATTENTION_WEIGHT to the number of a WEIGHT_ constant of
// lib/score.glsl; its //! lines say which buffers and push constants that leaves.
#include "attention/io.glsl"

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(constant_id = 3) const uint ROWS = 32;
layout(constant_id = 4) const uint KEYS = 32;
layout(constant_id = 7) const uint ACROSS = 16;
layout(constant_id = 8) const uint SLICE = 32;
layout(constant_id = 9) const uint SLAB = 32;

#include "attention/hooks.glsl"

#ifdef PASS_NORM
#include "attention/norm.glsl"
#else
shared vec4 flash_stage[(ROWS + KEYS) * (SLICE / 4u + 1u)];
shared float flash_w[ROWS * (KEYS + 4u)];
shared float flash_top[ROWS * ACROSS];

score_map tile_map;

float flash_finish(const uint row, const bool store, const float m, const float l)
{
    return io_finish_row(tile_map, row, store, m, l);
}

#include "lib/flash_tile.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    // Under a causal mask the last rows see the most keys: start with them.
    const uint begin = (gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x) * ROWS;
    const uint end = min(begin + ROWS, uint(IO_Q_LEN));
    const int delta = IO_KV_LEN - IO_Q_LEN;
    tile_map = io_score_map();
    flash_tile(tile_map, begin, end, int(begin) + delta, int(end) - 1 + delta);
}
#endif
