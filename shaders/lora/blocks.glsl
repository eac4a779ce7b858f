// SPDX-License-Identifier: MIT
//
// Matrices read as blocks of 4 x 4, for products whose sums run over several matrices
//
//   LORA_MATRIX(f, x, x4, VEC, rows, cols)
//       defines void f(row, col, out vec4 b[4]): b[i] = X[row + i, col .. col + 3], zeros
//       outside, of a matrix of T declared twice, as T x[] and as W4 x4[] (see
//       lib/words.glsl); VEC is 4 where cols is a multiple of four. col is one always.
//   LORA_SCRATCH(f, x4, rows, quads)
//       the same of a matrix of float with rows of `quads` groups of four, as vec4 x4[]
//   lora_transpose(b)
#ifndef VKZ_LORA_BLOCKS_GLSL
#define VKZ_LORA_BLOCKS_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "lib/num.glsl"
#include "lib/words.glsl"

// ROLLED: rows are loaded in a loop and not side by side. CPU drivers make much code of a
// load and take long to compile it; GPUs want all addresses at once.
layout(constant_id = 11) const uint ROLLED = 0;

#define LORA_ROWS(block, call)                                                          \
    if (ROLLED != 0) {                                                                  \
        [[dont_unroll]] for (uint i = 0; i < 4; ++i) {                                  \
            block[i] = call;                                                            \
        }                                                                               \
    } else {                                                                            \
        [[unroll]] for (uint i = 0; i < 4; ++i) {                                       \
            block[i] = call;                                                            \
        }                                                                               \
    }

// Indices beyond the edge are clamped and what was loaded there replaced: a load without a
// branch is less code.
#define LORA_MATRIX(name, one, x4, VEC, rows, cols)                                     \
    vec4 name##_row_(const uint row, const uint col)                                    \
    {                                                                                   \
        const bvec4 inside = lessThan(col + uvec4(0, 1, 2, 3), uvec4(cols));            \
        const uint base = min(row, (rows) - 1) * (cols);                                \
        vec4 v;                                                                         \
        if (VEC == 4) {                                                                 \
            v = vkz_load_w4(x4[(base + min(col, (cols) - 4)) / 4]);                     \
        } else {                                                                        \
            const uvec4 at = base + min(col + uvec4(0, 1, 2, 3), uvec4((cols) - 1));    \
            v = vec4(vkz_load(one[at.x]), vkz_load(one[at.y]), vkz_load(one[at.z]),     \
                     vkz_load(one[at.w]));                                              \
        }                                                                               \
        return mix(vec4(0.0), v, row < (rows) ? inside : bvec4(false));                 \
    }                                                                                   \
    void name(const uint row, const uint col, out vec4 block[4])                        \
    {                                                                                   \
        LORA_ROWS(block, name##_row_(row + i, col))                                     \
    }

#define LORA_SCRATCH(name, x4, rows, quads)                                             \
    vec4 name##_row_(const uint row, const uint col)                                    \
    {                                                                                   \
        const uint at = min(row, (rows) - 1) * (quads) + min(col / 4, (quads) - 1);     \
        return mix(vec4(0.0), x4[at], bvec4(row < (rows) && col / 4 < (quads)));        \
    }                                                                                   \
    void name(const uint row, const uint col, out vec4 block[4])                        \
    {                                                                                   \
        LORA_ROWS(block, name##_row_(row + i, col))                                     \
    }

void lora_transpose(inout vec4 block[4])
{
    const mat4 turned = transpose(mat4(block[0], block[1], block[2], block[3]));
    block[0] = turned[0];
    block[1] = turned[1];
    block[2] = turned[2];
    block[3] = turned[3];
}

// Four elements of a row that ends at `end`; the rest is dropped.
#define LORA_STORE(x, x4, VEC, base, col, end, v)                                       \
    if (VEC == 4) {                                                                     \
        x4[((base) + (col)) / 4] = vkz_store_w4(v);                                     \
    } else {                                                                            \
        [[unroll]] for (uint c_ = 0; c_ < 4; ++c_) {                                    \
            if ((col) + c_ < (end)) {                                                   \
                x[(base) + (col) + c_] = vkz_store((v)[c_]);                            \
            }                                                                           \
        }                                                                               \
    }

#endif
