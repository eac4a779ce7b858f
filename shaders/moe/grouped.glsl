// SPDX-License-Identifier: MIT
//
// What the kernels of grouped_gemm share: axes, push constants, buffers, loads, epilogue
//
// The hooks of product.glsl, and the two passes: `grid` writes the workgroups of `main` and
// clears the rows of y past the last tile.
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

MOE_LOADER(load_x, x, x4, VEC_K)
MOE_LOADER(load_w_k, w, w4, VEC_K)
MOE_LOADER(load_w_n, w, w4, VEC_N)
MOE_LOADER(load_dy, dy, dy4, VEC_N)
MOE_STORER(store_y, y, y4, VEC_N)
MOE_STORER_F32(store_dw, dw, dw4, VEC_K)

const bool PROD_TN = TRANS == TRANS_TN;
const bool PROD_NN = TRANS == TRANS_NN;
const bool PROD_GATED = SWIGLU;
#define PROD_K (TRANS == TRANS_TN ? pc.n : pc.k)
#define PROD_N (TRANS == TRANS_TN ? pc.k : pc.n)
#define PROD_BM pc.bm

uint prod_tiles()
{
    return args[0];
}

uint prod_expert(const uint tile)
{
    return uint(tile_expert[tile]);
}

uint prod_begin(const uint expert)
{
    return uint(start[expert]);
}

uint prod_end(const uint expert)
{
    return uint(start[expert + 1]);
}

int prod_from(const uint p)
{
    const int entry = src[p];
    return entry < 0 ? -1 : GATHER == GATHER_ON ? int(uint(entry) / pc.topk) : int(p);
}

vec4 prod_a(const uint p, const uint from, const uint i)
{
    return TRANS == TRANS_TN ? load_dy(p * pc.n, i, pc.n) : load_x(from * pc.k, i, pc.k);
}

float prod_a_one(const uint p, const uint from, const uint i)
{
    return vkz_load(dy[p * pc.n + min(i, pc.n - 1)]);
}

vec4 prod_b(const uint p, const uint from, const uint i)
{
    return load_x(from * pc.k, i, pc.k);
}

vec4 prod_w(const uint expert, const uint row, const uint i)
{
    if (TRANS == TRANS_NN) {
        return load_w_n((expert * pc.k + row) * pc.n, i, pc.n);
    }
    return load_w_k((expert * pc.n * (SWIGLU ? 2 : 1) + row) * pc.k, i, pc.k);
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

void prod_store(const uint expert, const uint p, const bool padding, const uint col,
                const vec4 gate, const vec4 sum)
{
    vec4 v = sum;
    if (SWIGLU) {
        v *= vec4(vkz_silu(gate.x), vkz_silu(gate.y), vkz_silu(gate.z), vkz_silu(gate.w));
    } else if (EPILOGUE >= EPILOGUE_BIAS) {
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            v[j] = finish(expert, p, min(col + j, pc.n - 1), sum[j]);
        }
    }
    store_y(p * pc.n, col, pc.n, padding ? vec4(0.0) : v);
}

void prod_store_expert(const uint expert, const uint row, const uint col, const vec4 sum)
{
    if (row < pc.n) {
        store_dw((expert * pc.n + row) * pc.k, col, pc.k, sum);
    }
}

#ifdef PASS_GRID
#define PRODUCT_GRID
#endif
#include "moe/product.glsl"

#ifdef PASS_GRID
void main()
{
    if (gl_GlobalInvocationID.x == 0) {
        const uvec3 groups = PROD_TN ? product_grid_expert(pc.n, pc.k, pc.experts)
                                     : product_grid(pc.n, args[0], SWIGLU);
        grid[0] = groups.x;
        grid[1] = groups.y;
        grid[2] = groups.z;
    }
    const uint quads = (pc.n + 3) / 4;
    if (TRANS != TRANS_TN) {
        for (uint p = args[0] * pc.bm + gl_WorkGroupID.x; p < pc.cap_total;
             p += gl_NumWorkGroups.x) {
            for (uint q = gl_LocalInvocationID.x; q < quads; q += gl_WorkGroupSize.x) {
                store_y(p * pc.n, 4 * q, pc.n, vec4(0.0));
            }
        }
    }
}
#else
void main()
{
    product_main();
}
#endif

#endif
