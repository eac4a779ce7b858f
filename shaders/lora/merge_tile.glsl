// SPDX-License-Identifier: MIT
//
// The body of a merge on tiles in shared memory: lora_merge_tile and relora_reset_radix
//
// The includer defines what lora/merge.glsl asks for.
#include "lora/merge.glsl"
#include "lora/tiles.glsl"

const bool A_ALONG_K = true;
const bool B_ALONG_K = false;

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    block_b(row, 4 * q, block);
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    block_a(4 * q, col, block);
}

#define store_c4 merge_store
#include "lib/tile.glsl"

void main()
{
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, (pc.rank + 3) / 4);
}
