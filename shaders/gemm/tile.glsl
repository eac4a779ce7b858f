// SPDX-License-Identifier: MIT
//
// Body of gemm_tile, batched_gemm_tile and gemm_f16; their front matter is the
// includer's, and TILE_V4 where tiles and products are not float
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_M = 64;
layout(constant_id = 4) const uint TILE_N = 64;
layout(constant_id = 5) const uint TILE_K = 16;
layout(constant_id = 6) const uint REG_M = 8;
layout(constant_id = 7) const uint REG_N = 4;
layout(constant_id = 8) const uint STAGES = 1;
layout(constant_id = 9) const uint PAD = 1;

#include "gemm/io.glsl"

const bool A_ALONG_K = TRANS != TRANS_TN;
const bool B_ALONG_K = TRANS == TRANS_NT;

#ifndef TILE_V4
#define TILE_V4 vec4
#else
void load_block_a(const uint row, const uint q, out TILE_V4 block[4])
{
    vec4 wide[4];
    load_block_a(row, q, wide);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        block[i] = TILE_V4(wide[i]);
    }
}

void load_block_b(const uint q, const uint col, out TILE_V4 block[4])
{
    vec4 wide[4];
    load_block_b(q, col, wide);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        block[i] = TILE_V4(wide[i]);
    }
}
#endif

shared TILE_V4 tile_a[STAGES * TILE_K * (TILE_M / 4 + PAD)];
shared TILE_V4 tile_b[STAGES * TILE_K * (TILE_N / 4 + PAD)];

#include "lib/tile.glsl"

void main()
{
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, (pc.k + 3) / 4);
}
