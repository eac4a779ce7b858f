// SPDX-License-Identifier: MIT
//
// A register tile of a matrix product whose operands were packed for it
//
//   B panel: [k][TILE_COLS][LANES] groups of four columns: each lane reads its own
//   A panel: [k / 4][TILE_ROWS] groups of four k: lane l reads row l of every LANES rows,
//            then hands it to all lanes in turn
//
// A CPU driver reads an address that all lanes share with a bounds check for every
// element; one load a lane and a broadcast cost a third of that. All of the workgroup
// must be in one subgroup: LANES invocations, no more than the smallest subgroup.
//
// The includer defines, before it includes this:
//   LANES                        constant: the workgroup's size
//   TILE_ROWS, TILE_COLS         constants: rows, multiple of LANES; groups of 4 columns
//   load_a_panel(q, row)         A[row of this tile, 4q .. 4q+3]           vec4
//   load_b_panel(kk, j)          B[kk, this lane's columns of group j]      vec4
//   store_tile(row, j, sum)      four sums of row `row` of this tile
// Panels are padded with zeros to whole tiles and to a multiple of four k.
#ifndef VKZ_TILE_LANES_GLSL
#define VKZ_TILE_LANES_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

// Sums over the groups of four k in [q_begin, q_end).
void vkz_tile_lanes(const uint lane, const uint q_begin, const uint q_end)
{
    vec4 acc[TILE_ROWS * TILE_COLS];
    [[unroll]] for (uint i = 0; i < TILE_ROWS * TILE_COLS; ++i) {
        acc[i] = vec4(0.0);
    }
    for (uint q = q_begin; q < q_end; ++q) {
        vec4 b[4 * TILE_COLS];
        [[unroll]] for (uint x = 0; x < 4; ++x) {
            [[unroll]] for (uint j = 0; j < TILE_COLS; ++j) {
                b[x * TILE_COLS + j] = load_b_panel(4 * q + x, j);
            }
        }
        [[unroll]] for (uint g = 0; g < TILE_ROWS; g += LANES) {
            const vec4 mine = load_a_panel(q, g + lane);
            [[unroll]] for (uint l = 0; l < LANES; ++l) {
                const vec4 a = subgroupShuffle(mine, l);
                [[unroll]] for (uint j = 0; j < TILE_COLS; ++j) {
                    vec4 sum = acc[(g + l) * TILE_COLS + j];
                    sum += a.x * b[j];
                    sum += a.y * b[TILE_COLS + j];
                    sum += a.z * b[2 * TILE_COLS + j];
                    sum += a.w * b[3 * TILE_COLS + j];
                    acc[(g + l) * TILE_COLS + j] = sum;
                }
            }
        }
    }
    [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
        [[unroll]] for (uint j = 0; j < TILE_COLS; ++j) {
            store_tile(i, j, acc[i * TILE_COLS + j]);
        }
    }
}

#endif
