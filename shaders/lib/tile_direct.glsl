// SPDX-License-Identifier: MIT
//
// A register tile of a matrix product, operands straight from global memory
//
//             col .. col+3   col + stride .. +3
//           +--------------+--------------+
//   row     |  sums of     |              |   A is read at addresses that all lanes of a
//   row + 1 |  this lane   |              |   workgroup share (a broadcast), B at each
//   ...     |              |              |   lane's own columns, four k at a time.
//           +--------------+--------------+
//
// The includer defines, before it includes this:
//   TILE_ROWS, TILE_COLS        constants: rows, and groups of four columns, a lane
//   load_a4(row, q)             A[row, 4q .. 4q+3]           vec4
//   load_b4x4(q, col, out b)    b[x] = B[4q+x, col .. col+3] vec4[4]
//   load_a(row, kk)  load_b4(kk, col)    for the last k % 4 steps
//   store_c4(row, col, sum)     four sums
// Loads get rows and columns beyond the edge too and may return anything finite there.
//
// No shared memory, no barrier: what CPU drivers like. On a GPU it leans on the caches.
#ifndef VKZ_TILE_DIRECT_GLSL
#define VKZ_TILE_DIRECT_GLSL

#extension GL_EXT_control_flow_attributes : require

// Sums over k in [4 * q_begin, k_end); k_end is the end of the matrix or a multiple of 4.
// Columns are col + 4 * stride * j for j < TILE_COLS.
void vkz_tile_direct(const uint row, const uint col, const uint stride,
                     const uint q_begin, const uint k_end)
{
    vec4 acc[TILE_ROWS * TILE_COLS];
    [[unroll]] for (uint i = 0; i < TILE_ROWS * TILE_COLS; ++i) {
        acc[i] = vec4(0.0);
    }
    const uint q_end = k_end / 4;
    for (uint q = q_begin; q < q_end; ++q) {
        vec4 b[4 * TILE_COLS];
        [[unroll]] for (uint j = 0; j < TILE_COLS; ++j) {
            vec4 block[4];
            load_b4x4(q, col + 4 * stride * j, block);
            [[unroll]] for (uint x = 0; x < 4; ++x) {
                b[4 * j + x] = block[x];
            }
        }
        [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
            const vec4 a = load_a4(row + i, q);
            [[unroll]] for (uint j = 0; j < TILE_COLS; ++j) {
                vec4 sum = acc[i * TILE_COLS + j];
                sum += a.x * b[4 * j];
                sum += a.y * b[4 * j + 1];
                sum += a.z * b[4 * j + 2];
                sum += a.w * b[4 * j + 3];
                acc[i * TILE_COLS + j] = sum;
            }
        }
    }
    for (uint kk = max(q_begin, q_end) * 4; kk < k_end; ++kk) {
        vec4 b[TILE_COLS];
        [[unroll]] for (uint j = 0; j < TILE_COLS; ++j) {
            b[j] = load_b4(kk, col + 4 * stride * j);
        }
        [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
            const float a = load_a(row + i, kk);
            [[unroll]] for (uint j = 0; j < TILE_COLS; ++j) {
                acc[i * TILE_COLS + j] += a * b[j];
            }
        }
    }
    [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
        [[unroll]] for (uint j = 0; j < TILE_COLS; ++j) {
            store_c4(row + i, col + 4 * stride * j, acc[i * TILE_COLS + j]);
        }
    }
}

#endif
