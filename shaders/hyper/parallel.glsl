// SPDX-License-Identifier: MIT
//
// The operands of parallel_block's products, for the tile engines
//
//   PART input    A = norm(x) [rows, width],  B = w [na + nf, width]
//   PART output   A = [a | g],  B = [wo | wd], both parts padded with zeros to whole groups
//                 of four, so that none has elements of both
//
// pc.m, pc.n, pc.k are the product's extents, k a multiple of four. Pass `norm` leaves mean
// and 1 / sqrt(mean square + eps) of every row of x in `stat`.
#ifndef VKZ_HYPER_PARALLEL_GLSL
#define VKZ_HYPER_PARALLEL_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "lib/num.glsl"
#include "lib/words.glsl"

layout(constant_id = 12) const uint VEC_K = 1; // 4: rows of all operands are whole groups
layout(constant_id = 13) const uint VEC_N = 1; // 4: rows of outputs, and of x
layout(constant_id = 16) const uint PART = 0;
layout(constant_id = 17) const uint NORM = 0;
layout(constant_id = 18) const uint BIAS = 0;

const uint PART_INPUT = 0;
const uint NORM_LAYER = 1;

layout(push_constant, std430) uniform Push {
    uint m, n, k, width, na, nf, ka, kf;
    float eps;
} pc;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Wi { T w[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Wi4 { W4 w4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer A { T a[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer A4 { W4 a4[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer G { T g[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer G4 { W4 g4[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Wo { T wo[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Wo4 { W4 wo4[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Wd { T wd[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Wd4 { W4 wd4[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer Qkv { T qkv[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer Qkv4 { W4 qkv4[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Ffn { T ffn[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Ffn4 { W4 ffn4[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer Y4 { W4 y4[]; };

// Group q of a row, zeros past its end; the row must exist.
#define PARALLEL_ROW(name, b, b4, size)                                                 \
    vec4 name(const uint row, const uint q)                                             \
    {                                                                                   \
        if (VEC_K == 4) {                                                               \
            return vkz_load_w4(b4[row * ((size) / 4u) + q]);                            \
        }                                                                               \
        vec4 four = vec4(0.0);                                                          \
        [[unroll]] for (uint i = 0; i < 4u; i++) {                                      \
            if (4u * q + i < (size)) {                                                  \
                four[i] = vkz_load(b[row * (size) + 4u * q + i]);                       \
            }                                                                           \
        }                                                                               \
        return four;                                                                    \
    }

PARALLEL_ROW(row_x, x, x4, pc.width)
PARALLEL_ROW(row_w, w, w4, pc.width)
PARALLEL_ROW(row_a, a, a4, pc.ka)
PARALLEL_ROW(row_g, g, g4, pc.kf)
PARALLEL_ROW(row_wo, wo, wo4, pc.ka)
PARALLEL_ROW(row_wd, wd, wd4, pc.kf)

#ifdef PASS_NORM

layout(set = 0, binding = 10, std430) restrict writeonly buffer Stat { vec2 stat[]; };
shared vec4 rows_part[gl_WorkGroupSize.x];
const uint VEC = 1;
#define ROWS_SUM
#include "linear/row_sums.glsl"

// x less its mean, zeros past the end.
vec4 centred(const uint row, const uint q, const float mean)
{
    return mix(vec4(0.0), row_x(row, q) - mean,
               lessThan(4u * q + uvec4(0, 1, 2, 3), uvec4(pc.width)));
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint quads = (pc.width + 3u) / 4u;
    for (uint row = gl_WorkGroupID.x; PART == PART_INPUT && row < pc.m;
         row += gl_NumWorkGroups.x) {
        float mean = 0.0;
        if (NORM == NORM_LAYER) {
            float sum = 0.0;
            for (uint q = lane; q < quads; q += lanes) {
                sum += dot(row_x(row, q), vec4(1.0));
            }
            mean = rows_sum(vec4(sum)).x / float(pc.width);
        }
        float square = 0.0;
        for (uint q = lane; q < quads; q += lanes) {
            const vec4 v = NORM == NORM_LAYER ? centred(row, q, mean) : row_x(row, q);
            square += dot(v, v);
        }
        square = rows_sum(vec4(square)).x / float(pc.width);
        if (lane == 0u) {
            stat[row] = vec2(mean, 1.0 / sqrt(square + pc.eps));
        }
    }
}

#else

layout(set = 0, binding = 10, std430) restrict readonly buffer Stat { vec2 stat[]; };

vec4 load_a4(const uint row, const uint q)
{
    const uint r = min(row, pc.m - 1u);
    if (PART == PART_INPUT) {
        vec4 v = row_x(r, q);
        const vec2 s = stat[r];
        if (NORM == NORM_LAYER) {
            v -= s.x;
            if (VEC_K != 4) {
                v = mix(vec4(0.0), v, lessThan(4u * q + uvec4(0, 1, 2, 3), uvec4(pc.width)));
            }
        }
        return v * s.y;
    }
    const uint first = (pc.ka + 3u) / 4u;
    if (q < first) {
        return row_a(r, q);
    }
    return row_g(r, q - first);
}

// Group q of the weights of one column.
vec4 load_w4_(const uint col, const uint q)
{
    const uint j = min(col, pc.n - 1u);
    if (PART == PART_INPUT) {
        return row_w(j, q);
    }
    const uint first = (pc.ka + 3u) / 4u;
    if (q < first) {
        return row_wo(j, q);
    }
    return row_wd(j, q - first);
}

void load_b4x4(const uint q, const uint col, out vec4 block[4])
{
    vec4 by_col[4];
    [[unroll]] for (uint c = 0; c < 4; c++) {
        by_col[c] = load_w4_(col + c, q);
    }
    [[unroll]] for (uint i = 0; i < 4; i++) {
        block[i] = vec4(by_col[0][i], by_col[1][i], by_col[2][i], by_col[3][i]);
    }
}

// Blocks past the edges are zeros, as the packed and the shared tile want them.
void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const vec4 v = load_a4(row + i, min(q, pc.k / 4u - 1u));
        block[i] = row + i < pc.m && 4u * q < pc.k ? v : vec4(0.0);
    }
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    load_b4x4(min(q, pc.k / 4u - 1u), col, block);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const bvec4 inside = lessThan(col + uvec4(0, 1, 2, 3), uvec4(pc.n));
        block[i] = 4u * q < pc.k ? mix(vec4(0.0), block[i], inside) : vec4(0.0);
    }
}

void store_c(const uint row, const uint col, const float sum)
{
    if (row >= pc.m || col >= pc.n) {
        return;
    }
    if (PART != PART_INPUT) {
        y[row * pc.n + col] = vkz_store(sum + vkz_load(x[row * pc.n + col]));
        return;
    }
    const float v = BIAS != 0 ? sum + bias[col] : sum;
    if (col < pc.na) {
        qkv[row * pc.na + col] = vkz_store(v);
    } else {
        ffn[row * pc.nf + col - pc.na] = vkz_store(v);
    }
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (VEC_N != 4) {
        store_c(row, col, sum.x);
        store_c(row, col + 1u, sum.y);
        store_c(row, col + 2u, sum.z);
        store_c(row, col + 3u, sum.w);
    } else if (row < pc.m && col < pc.n) {
        if (PART != PART_INPUT) {
            const uint at = (row * pc.n + col) / 4u;
            y4[at] = vkz_store_w4(sum + vkz_load_w4(x4[at]));
        } else {
            vec4 v = sum;
            if (BIAS != 0) {
                v += vec4(bias[col], bias[col + 1u], bias[col + 2u], bias[col + 3u]);
            }
            if (col < pc.na) {
                qkv4[(row * pc.na + col) / 4u] = vkz_store_w4(v);
            } else {
                ffn4[(row * pc.nf + col - pc.na) / 4u] = vkz_store_w4(v);
            }
        }
    }
}

#endif

#endif
