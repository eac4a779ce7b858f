// SPDX-License-Identifier: MIT
//
// Body of gemm_direct and batched_gemm_direct; their front matter is the includer's
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_ROWS = 8;
layout(constant_id = 4) const uint TILE_COLS = 1;

#include "gemm/io.glsl"
#include "lib/tile_direct.glsl"

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint col = 4 * (gl_WorkGroupID.x * lanes * TILE_COLS + gl_LocalInvocationID.x);
    vkz_tile_direct(gl_WorkGroupID.y * TILE_ROWS, col, lanes, 0, pc.k);
}
