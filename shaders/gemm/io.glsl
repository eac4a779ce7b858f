// SPDX-License-Identifier: MIT
//
// What the kernels of gemm and batched_gemm share: axes, push constants, buffers, loads,
// epilogue
//
//   load_a(row, kk)  load_b(kk, col)    one element of op(A), op(B)
//   load_a4(row, q)                     A[row, 4q .. 4q+3]
//   load_b4(kk, col)                    B[kk, col .. col+3]
//   load_b4x4(q, col, out b[4])         b[x] = B[4q+x, col .. col+3]
//   load_block_a(row, q, out a[4])      a[i] = A[row+i, 4q .. 4q+3], and
//   load_block_b(q, col, out b[4])      the same as load_b4x4: zeros beyond all edges
//   store_c(row, col, sum)  store_c4    epilogue and store, nothing beyond the edge
//
// Rows and columns beyond the edge are clamped to the last one: what is loaded there is
// some number of the matrix and its sums are never stored. Only blocks may exceed k.
// The includer defines GEMM_BATCHED for batched_gemm, where workgroup z is the product's
// number, and GEMM_SCALAR when it loads and stores single elements only.
#ifndef VKZ_GEMM_IO_GLSL
#define VKZ_GEMM_IO_GLSL

#include "lib/activation.glsl"
#include "lib/num.glsl"
#include "lib/words.glsl"

#ifdef GEMM_SCALAR
const uint VEC_C = 1;
#else
layout(constant_id = 12) const uint VEC_A = 1; // elements a load, along the memory
layout(constant_id = 13) const uint VEC_B = 1;
layout(constant_id = 14) const uint VEC_C = 1;
#endif
layout(constant_id = 16) const uint TRANS = 0;
layout(constant_id = 17) const uint EPILOGUE = 0;
layout(constant_id = 18) const uint HAS_C0 = 0;

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

layout(push_constant, std430) uniform Push {
    uint m, n, k;
    float alpha, beta;
} pc;

// Each matrix twice: by element, and by aligned groups of four.
layout(std430, binding = 0) restrict readonly buffer BufferA { T a[]; };
layout(std430, binding = 0) restrict readonly buffer BufferA4 { W4 a4[]; };
layout(std430, binding = 1) restrict readonly buffer BufferB { T b[]; };
layout(std430, binding = 1) restrict readonly buffer BufferB4 { W4 b4[]; };
layout(std430, binding = 2) restrict readonly buffer BufferC0 { T c0[]; };
layout(std430, binding = 3) restrict readonly buffer BufferBias { float bias[]; };
layout(std430, binding = 4) restrict readonly buffer BufferScale { float scale[]; };
layout(std430, binding = 5) restrict writeonly buffer BufferC { T c[]; };
layout(std430, binding = 5) restrict writeonly buffer BufferC4 { W4 c4[]; };

// --- where this product's matrices begin ----------------------------------------------

#ifdef GEMM_BATCHED
layout(constant_id = 19) const uint SHARED_B = 0;

uint base_a() { return gl_WorkGroupID.z * (pc.m * pc.k); }
uint base_b() { return SHARED_B != 0 ? 0 : gl_WorkGroupID.z * (pc.n * pc.k); }
uint base_c() { return gl_WorkGroupID.z * (pc.m * pc.n); }
#else
uint base_a() { return 0; }
uint base_b() { return 0; }
uint base_c() { return 0; }
#endif

// --- loads ----------------------------------------------------------------------------

float load_a(const uint row, const uint kk)
{
    const uint r = min(row, pc.m - 1);
    return vkz_load(a[base_a() + (TRANS == TRANS_TN ? kk * pc.m + r : r * pc.k + kk)]);
}

float load_b(const uint kk, const uint col)
{
    const uint j = min(col, pc.n - 1);
    return vkz_load(b[base_b() + (TRANS == TRANS_NT ? j * pc.k + kk : kk * pc.n + j)]);
}

#ifndef GEMM_SCALAR
vec4 load_a4(const uint row, const uint q)
{
    if (TRANS != TRANS_TN && VEC_A == 4) {
        return vkz_load_w4(a4[base_a() / 4 + min(row, pc.m - 1) * (pc.k / 4) + q]);
    }
    return vec4(load_a(row, 4 * q), load_a(row, 4 * q + 1), load_a(row, 4 * q + 2),
                load_a(row, 4 * q + 3));
}

vec4 load_b4(const uint kk, const uint col)
{
    if (TRANS != TRANS_NT && VEC_B == 4) {
        return vkz_load_w4(b4[base_b() / 4 + kk * (pc.n / 4) + min(col, pc.n - 4) / 4]);
    }
    return vec4(load_b(kk, col), load_b(kk, col + 1), load_b(kk, col + 2),
                load_b(kk, col + 3));
}

void load_b4x4(const uint q, const uint col, out vec4 block[4])
{
    if (TRANS == TRANS_NT && VEC_B == 4) {
        vec4 by_col[4];
        [[unroll]] for (uint y = 0; y < 4; ++y) {
            const uint j = min(col + y, pc.n - 1);
            by_col[y] = vkz_load_w4(b4[base_b() / 4 + j * (pc.k / 4) + q]);
        }
        [[unroll]] for (uint x = 0; x < 4; ++x) {
            block[x] = vec4(by_col[0][x], by_col[1][x], by_col[2][x], by_col[3][x]);
        }
    } else {
        [[unroll]] for (uint x = 0; x < 4; ++x) {
            block[x] = load_b4(4 * q + x, col);
        }
    }
}

// Zeros where an index first .. first + 3 is beyond the end, whatever x is there.
vec4 inside_or_zero(const vec4 x, const uint first, const uint end)
{
    return mix(vec4(0.0), x, lessThan(first + uvec4(0, 1, 2, 3), uvec4(end)));
}

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    const uint last = pc.k - 1;
    if (TRANS == TRANS_TN && VEC_A == 4) {
        const uint group = min(row, pc.m - 4) / 4;
        vec4 by_k[4];
        [[unroll]] for (uint x = 0; x < 4; ++x) {
            const uint kk = min(4 * q + x, last);
            by_k[x] = vkz_load_w4(a4[base_a() / 4 + kk * (pc.m / 4) + group]);
        }
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            block[i] = vec4(by_k[0][i], by_k[1][i], by_k[2][i], by_k[3][i]);
        }
    } else if (VEC_A == 4) {
        const uint inside = min(q, pc.k / 4 - 1);
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            block[i] = load_a4(row + i, inside);
        }
    } else {
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            block[i] = vec4(load_a(row + i, min(4 * q, last)),
                            load_a(row + i, min(4 * q + 1, last)),
                            load_a(row + i, min(4 * q + 2, last)),
                            load_a(row + i, min(4 * q + 3, last)));
        }
    }
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        block[i] = row + i < pc.m ? inside_or_zero(block[i], 4 * q, pc.k) : vec4(0.0);
    }
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    if (TRANS == TRANS_NT && VEC_B == 4) {
        load_b4x4(min(q, pc.k / 4 - 1), col, block);
    } else {
        [[unroll]] for (uint x = 0; x < 4; ++x) {
            block[x] = load_b4(min(4 * q + x, pc.k - 1), col);
        }
    }
    [[unroll]] for (uint x = 0; x < 4; ++x) {
        block[x] = 4 * q + x < pc.k ? inside_or_zero(block[x], col, pc.n) : vec4(0.0);
    }
}
#endif

// --- epilogue -------------------------------------------------------------------------

float finish(const uint row, const uint col, const float sum)
{
    const uint i = base_c() + row * pc.n + col;
    float v = pc.alpha * sum;
    if (HAS_C0 != 0 && EPILOGUE != EPILOGUE_RESIDUAL) {
        v += pc.beta * vkz_load(c0[i]);
    }
    if (EPILOGUE == EPILOGUE_SCALE_ROW) {
        v *= scale[row];
    } else if (EPILOGUE == EPILOGUE_SCALE_COL) {
        v *= scale[col];
    } else if (EPILOGUE == EPILOGUE_RESIDUAL) {
        v += vkz_load(c0[i]);
    } else if (EPILOGUE >= EPILOGUE_BIAS && EPILOGUE <= EPILOGUE_BIAS_SILU) {
        v += bias[col];
    }
    if (EPILOGUE == EPILOGUE_BIAS_RELU) {
        v = vkz_relu(v);
    } else if (EPILOGUE == EPILOGUE_BIAS_GELU) {
        v = vkz_gelu(v);
    } else if (EPILOGUE == EPILOGUE_BIAS_SILU) {
        v = vkz_silu(v);
    }
    return v;
}

void store_c(const uint row, const uint col, const float sum)
{
    if (row < pc.m && col < pc.n) {
        c[base_c() + row * pc.n + col] = vkz_store(finish(row, col, sum));
    }
}

// col is a multiple of 4.
void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (VEC_C == 4) {
        if (row < pc.m && col < pc.n) {
            const vec4 v = vec4(finish(row, col, sum.x), finish(row, col + 1, sum.y),
                                finish(row, col + 2, sum.z), finish(row, col + 3, sum.w));
            c4[(base_c() + row * pc.n + col) / 4] = vkz_store_w4(v);
        }
    } else {
        store_c(row, col, sum.x);
        store_c(row, col + 1, sum.y);
        store_c(row, col + 2, sum.z);
        store_c(row, col + 3, sum.w);
    }
}

#endif
