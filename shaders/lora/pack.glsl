// SPDX-License-Identifier: MIT
//
// Passes of an adapted layer on packed panels; see lora/layer.glsl for the hooks
//
//   pack  x, [W | e B] and A in the order of use:
//           px [rows / TILE_ROWS] [k / 4 + rank / 4] [TILE_ROWS] groups of four
//           pw [n / columns] [k + rank] [TILE_COLS] [LANES] groups of four columns
//           pa [rank / columns] [k] [TILE_COLS] [LANES]
//         zeros beyond the edges, k and rank rounded up to four
//   down  z = (x * drop) A^T, whose tiles are f z in the place px has for them
//   main  [x | f z] [W | e B]^T, one walk over the panels
//
// A tile of z leaves its lane as the next groups of four of px: the seam costs nothing.
// The includer defines LORA_Y, LORA_PX, LORA_PW, LORA_PA and, for an op that saves z,
// LORA_Z (bindings).
#include "lora/layer.glsl"

layout(local_size_x = 4, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_ROWS = 16;
layout(constant_id = 4) const uint TILE_COLS = 1;

uint pack_columns() { return 4 * gl_WorkGroupSize.x * TILE_COLS; }
uint pack_ceildiv(const uint x, const uint y) { return (x + y - 1) / y; }
uint quads_all() { return quads_k() + quads_r(); }

#ifdef PASS_PACK

layout(set = 0, binding = LORA_PX, std430) restrict writeonly buffer Px { vec4 px[]; };
layout(set = 0, binding = LORA_PW, std430) restrict writeonly buffer Pw { vec4 pw[]; };
layout(set = 0, binding = LORA_PA, std430) restrict writeonly buffer Pa { vec4 pa[]; };

// Where group q of column `col` goes in panels of `quads` groups a column.
uint panel_at(const uint col, const uint q, const uint quads)
{
    const uint width = gl_WorkGroupSize.x * TILE_COLS;
    return (col / 4 / width * 4 * quads + 4 * q) * width + col / 4 % width;
}

// A workgroup takes four rows of one matrix and runs along them.
void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint width = gl_WorkGroupSize.x * TILE_COLS;
    const uint strips_x = pack_ceildiv(pc.rows, TILE_ROWS) * (TILE_ROWS / 4);
    const uint strips_w = pack_ceildiv(pc.n, pack_columns()) * width;
    const uint strips_a = pack_ceildiv(pc.rank, pack_columns()) * width;
    for (uint u = gl_WorkGroupID.x; u < strips_x + strips_w + strips_a;
         u += gl_NumWorkGroups.x) {
        vec4 block[4];
        if (u < strips_x) {
            const uint row = 4 * u;
            for (uint q = lane; q < quads_k(); q += lanes) {
                block_x(row, 4 * q, block);
                const uint to = (row / TILE_ROWS * quads_all() + q) * TILE_ROWS
                                + row % TILE_ROWS;
                [[unroll]] for (uint i = 0; i < 4; ++i) {
                    px[to + i] = block[i];
                }
            }
        } else if (u < strips_x + strips_w) {
            const uint col = 4 * (u - strips_x);
            const vec4 e = lora_e4(col);
            for (uint q = lane; q < quads_k(); q += lanes) {
                block_w(col, 4 * q, block);
                lora_transpose(block);
                const uint to = panel_at(col, q, quads_all());
                [[unroll]] for (uint i = 0; i < 4; ++i) {
                    pw[to + i * width] = block[i];
                }
            }
            for (uint q = lane; q < quads_r(); q += lanes) {
                block_b(col, 4 * q, block);
                [[unroll]] for (uint i = 0; i < 4; ++i) {
                    block[i] *= e[i];
                }
                lora_transpose(block);
                const uint to = panel_at(col, quads_k() + q, quads_all());
                [[unroll]] for (uint i = 0; i < 4; ++i) {
                    pw[to + i * width] = block[i];
                }
            }
        } else {
            const uint col = 4 * (u - strips_x - strips_w);
            for (uint q = lane; q < quads_k(); q += lanes) {
                block_a(col, 4 * q, block);
                lora_transpose(block);
                const uint to = panel_at(col, q, quads_k());
                [[unroll]] for (uint i = 0; i < 4; ++i) {
                    pa[to + i * width] = block[i];
                }
            }
        }
    }
}

#else

const uint LANES = gl_WorkGroupSize.x;

#ifdef PASS_DOWN

layout(set = 0, binding = LORA_PX, std430) restrict buffer Px { vec4 px[]; };
layout(set = 0, binding = LORA_PA, std430) restrict readonly buffer Pa { vec4 pa[]; };
#ifdef LORA_Z
layout(constant_id = 19) const uint SAVE = 0;
layout(set = 0, binding = LORA_Z, std430) restrict writeonly buffer Z { float z[]; };
#endif

vec4 load_a_panel(const uint q, const uint row)
{
    const vec4 v = px[(gl_WorkGroupID.x * quads_all() + q) * TILE_ROWS + row];
#ifdef LORA_DROP
    if (DROPMASK != 0) {
        return v * lora_drop4(gl_WorkGroupID.x * TILE_ROWS + row, 4 * q);
    }
#endif
    return v;
}

vec4 load_b_panel(const uint kk, const uint j)
{
    const uint group = (gl_WorkGroupID.y * 4 * quads_k() + kk) * TILE_COLS + j;
    return pa[group * LANES + gl_LocalInvocationID.x];
}

void store_tile(const uint row, const uint j, const vec4 sum)
{
    const uint group = (gl_WorkGroupID.y * TILE_COLS + j) * LANES + gl_LocalInvocationID.x;
    if (group < quads_r()) {
        px[(gl_WorkGroupID.x * quads_all() + quads_k() + group) * TILE_ROWS + row]
            = lora_f4(4 * group) * sum;
#ifdef LORA_Z
        if (SAVE != 0 && gl_WorkGroupID.x * TILE_ROWS + row < pc.rows) {
            [[unroll]] for (uint c = 0; c < 4; ++c) {
                if (4 * group + c < pc.rank) {
                    z[(gl_WorkGroupID.x * TILE_ROWS + row) * pc.rank + 4 * group + c] = sum[c];
                }
            }
        }
#endif
    }
}

#else // PASS_MAIN

layout(set = 0, binding = LORA_PX, std430) restrict readonly buffer Px { vec4 px[]; };
layout(set = 0, binding = LORA_PW, std430) restrict readonly buffer Pw { vec4 pw[]; };
layout(set = 0, binding = LORA_Y, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = LORA_Y, std430) restrict writeonly buffer Y4 { W4 y4[]; };

vec4 load_a_panel(const uint q, const uint row)
{
    return px[(gl_WorkGroupID.x * quads_all() + q) * TILE_ROWS + row];
}

vec4 load_b_panel(const uint kk, const uint j)
{
    const uint group = (gl_WorkGroupID.y * 4 * quads_all() + kk) * TILE_COLS + j;
    return pw[group * LANES + gl_LocalInvocationID.x];
}

void store_tile(const uint row, const uint j, const vec4 sum)
{
    const uint at = gl_WorkGroupID.x * TILE_ROWS + row;
    const uint col = gl_WorkGroupID.y * pack_columns()
                     + 4 * (j * LANES + gl_LocalInvocationID.x);
    if (at < pc.rows && col < pc.n) {
        const vec4 v = lora_u4(col) * sum + lora_bias4(col);
        LORA_STORE(y, y4, VEC_N, at * pc.n, col, pc.n, v)
    }
}

#endif

#include "lib/tile_lanes.glsl"

void main()
{
#ifdef PASS_DOWN
    vkz_tile_lanes(gl_LocalInvocationID.x, 0, quads_k());
#else
    vkz_tile_lanes(gl_LocalInvocationID.x, 0, quads_all());
#endif
}

#endif
