// SPDX-License-Identifier: MIT
//
// Operands of randlora_linear as 4 x 4 blocks, zeros beyond the end of every sum
//
//   block_x(row, c, m)       m[i] = x[row + i, c .. c+3]
//   block_p(row, f, m)       m[i] = P[row + i, f .. f+3]
//   base_block(q, col, m)    m[i] = W^T[4q + i, col .. col+3]
//   down_block(q, f, m)      m[i] = D[4q + i, f .. f+3]
//   up_block(q, col, m)      m[i] = U[4q + i, col .. col+3]
//   (RAND_PACKED: no P)
//   store_y(row, col, sum)   nothing beyond the edge
#ifndef VKZ_LORA_RANDLORA_FORWARD_GLSL
#define VKZ_LORA_RANDLORA_FORWARD_GLSL

#include "lora/randlora.glsl"

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer W { T w[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Words { W4 w4[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Y4 { W4 y4[]; };
#ifndef RAND_PACKED
layout(set = 0, binding = 9, std430) restrict buffer P { vec4 p[]; };
#endif

LORA_MATRIX(block_x, x, x4, VEC_K, pc.rows, pc.k)
LORA_MATRIX(block_w, w, w4, VEC_K, pc.n, pc.k)
#ifndef RAND_PACKED
LORA_SCRATCH(block_p, p, pc.rows, rand_columns() / 4)
#endif

uint base_groups() { return (pc.k + 3) / 4; }

void base_block(const uint q, const uint col, out vec4 m[4])
{
    block_w(col, 4 * q, m);
    lora_transpose(m);
}

void down_block(const uint q, const uint f, out vec4 m[4])
{
    if (WIDE != 0) {
        block_b(f, 4 * q, m);
    } else {
        block_a(f, 4 * q, m);
        lora_transpose(m);
    }
}

void up_block(const uint q, const uint col, out vec4 m[4])
{
    if (WIDE != 0) {
        block_a(4 * q, col, m);
    } else {
        block_b(4 * q, col, m);
        lora_transpose(m);
    }
}

void store_y(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.rows && col < pc.n) {
        LORA_STORE(y, y4, VEC_N, row * pc.n, col, pc.n, sum)
    }
}

#endif
