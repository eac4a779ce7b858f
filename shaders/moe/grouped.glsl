// SPDX-License-Identifier: MIT
//
// What the kernels of grouped_gemm share: axes, push constants, buffers, loads, epilogue
//
//   x_row(p)              row of x at a position, -1 in padding
//   load_x(r, i)          x[r, i .. i+3]
//   load_w(e, row, i)     row `row` of expert e's W as stored, columns i .. i+3
//   load_dy(p, i)         dy[p, i .. i+3]
//   store_y4(e, p, i, v)  epilogue and store of four columns; 0 where p is padding
//   store_dw4(e, j, i, v) dW_e[j, i .. i+3]
//   grid_set(x, y, z)     the pass grid: workgroups of the pass main
//   clear_rest()          the pass grid: rows of y past the last tile
//
// Nothing is stored past the edges; loads past the end of a row are 0.
#ifndef VKZ_MOE_GROUPED_GLSL
#define VKZ_MOE_GROUPED_GLSL

#include "lib/activation.glsl"
#include "moe/loads.glsl"

layout(constant_id = 12) const uint VEC_K = 1;
layout(constant_id = 13) const uint VEC_N = 1;
layout(constant_id = 16) const uint TRANS = 0;
layout(constant_id = 17) const uint EPILOGUE = 0;
layout(constant_id = 18) const uint GATHER = 0;

const uint TRANS_NT = 0;
const uint TRANS_NN = 1;
const uint TRANS_TN = 2;
const uint EPILOGUE_BIAS = 1;
const uint EPILOGUE_BIAS_RELU = 2;
const uint EPILOGUE_BIAS_GELU = 3;
const uint EPILOGUE_BIAS_SILU = 4;
const uint EPILOGUE_RESIDUAL = 5;
const uint EPILOGUE_SCALE_ROW = 6;
const uint EPILOGUE_SCALE_COL = 7;
const bool SWIGLU = EPILOGUE == 8;
const uint GATHER_ON = 0;

layout(push_constant, std430) uniform Push {
    uint topk, experts, bm, cap_total, n, k;
} pc;

layout(std430, binding = 0) restrict readonly buffer X { T x[]; };
layout(std430, binding = 0) restrict readonly buffer X4 { W4 x4[]; };
layout(std430, binding = 1) restrict readonly buffer W { T w[]; };
layout(std430, binding = 1) restrict readonly buffer Wide { W4 w4[]; };
layout(std430, binding = 2) restrict readonly buffer Dy { T dy[]; };
layout(std430, binding = 2) restrict readonly buffer Dy4 { W4 dy4[]; };
layout(std430, binding = 3) restrict readonly buffer Src { int src[]; };
layout(std430, binding = 4) restrict readonly buffer TileExpert { int tile_expert[]; };
layout(std430, binding = 5) restrict readonly buffer Start { int start[]; };
layout(std430, binding = 6) restrict readonly buffer Args { uint args[]; };
layout(std430, binding = 7) restrict readonly buffer C0 { T c0[]; };
layout(std430, binding = 8) restrict readonly buffer Bias { float bias[]; };
layout(std430, binding = 9) restrict readonly buffer Scale { float scale[]; };
layout(std430, binding = 10) restrict writeonly buffer Y { T y[]; };
layout(std430, binding = 10) restrict writeonly buffer Y4 { W4 y4[]; };
layout(std430, binding = 11) restrict writeonly buffer Dw { float dw[]; };
layout(std430, binding = 11) restrict writeonly buffer Dw4 { vec4 dw4[]; };
#ifdef PASS_GRID
layout(std430, binding = 12) restrict writeonly buffer Grid { uint grid[]; };
#endif

MOE_LOADER(load_x_, x, x4, VEC_K)
MOE_LOADER(load_w_k_, w, w4, VEC_K)
MOE_LOADER(load_w_n_, w, w4, VEC_N)
MOE_LOADER(load_dy_, dy, dy4, VEC_N)
MOE_STORER(store_y_, y, y4, VEC_N)
MOE_STORER_F32(store_dw_, dw, dw4, VEC_K)

const uint W_FACTOR = SWIGLU ? 2 : 1;

int x_row(const uint p)
{
    const int entry = src[p];
    return entry < 0 ? -1 : GATHER == GATHER_ON ? int(uint(entry) / pc.topk) : int(p);
}

vec4 load_x(const uint row, const uint i)
{
    return load_x_(row * pc.k, i, pc.k);
}

vec4 load_w(const uint expert, const uint row, const uint i)
{
    if (TRANS == TRANS_NN) {
        return load_w_n_((expert * pc.k + row) * pc.n, i, pc.n);
    }
    return load_w_k_((expert * pc.n * W_FACTOR + row) * pc.k, i, pc.k);
}

vec4 load_dy(const uint p, const uint i)
{
    return load_dy_(p * pc.n, i, pc.n);
}

float finish(const uint expert, const uint p, const uint col, const float sum)
{
    float v = sum;
    if (EPILOGUE == EPILOGUE_SCALE_ROW) {
        v *= scale[p];
    } else if (EPILOGUE == EPILOGUE_SCALE_COL) {
        v *= scale[expert * pc.n + col];
    } else if (EPILOGUE == EPILOGUE_RESIDUAL) {
        v += vkz_load(c0[p * pc.n + col]);
    } else if (EPILOGUE >= EPILOGUE_BIAS && EPILOGUE <= EPILOGUE_BIAS_SILU) {
        v += bias[expert * pc.n + col];
    }
    return EPILOGUE == EPILOGUE_BIAS_RELU   ? vkz_relu(v)
           : EPILOGUE == EPILOGUE_BIAS_GELU ? vkz_gelu(v)
           : EPILOGUE == EPILOGUE_BIAS_SILU ? vkz_silu(v)
                                            : v;
}

void store_y4(const uint expert, const uint p, const bool padding, const uint col,
              const vec4 sum)
{
    vec4 v = sum;
    if (EPILOGUE >= EPILOGUE_BIAS && !SWIGLU) {
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            v[j] = finish(expert, p, min(col + j, pc.n - 1), sum[j]);
        }
    }
    store_y_(p * pc.n, col, pc.n, padding ? vec4(0.0) : v);
}

void store_dw4(const uint expert, const uint row, const uint col, const vec4 sum)
{
    if (row < pc.n) {
        store_dw_((expert * pc.n + row) * pc.k, col, pc.k, sum);
    }
}

#ifdef PASS_GRID
void grid_set(const uvec3 groups)
{
    if (gl_GlobalInvocationID.x == 0) {
        grid[0] = groups.x;
        grid[1] = groups.y;
        grid[2] = groups.z;
    }
}

void clear_rest()
{
    const uint quads = (pc.n + 3) / 4;
    if (TRANS != TRANS_TN) {
        for (uint p = args[0] * pc.bm + gl_WorkGroupID.x; p < pc.cap_total;
             p += gl_NumWorkGroups.x) {
            for (uint q = gl_LocalInvocationID.x; q < quads; q += gl_WorkGroupSize.x) {
                store_y_(p * pc.n, 4 * q, pc.n, vec4(0.0));
            }
        }
    }
}
#endif

#endif
