// SPDX-License-Identifier: MIT
//
// What the kernels of gemm_int8 share: push constants, buffers of words, loads, store
//
//   load_a(row, q)  load_b(col, q)   elements 4q .. 4q+3 of a row as one word, element 4q
//                                    in the lowest byte; zeros beyond the end of k
//   store_c(row, col, sum)           nothing beyond the edge
//
// Rows beyond the edge are clamped to the last one. When k is not a multiple of 4, a row
// begins within a word and a group of four straddles two.
#ifndef VKZ_GEMM_INT8_GLSL
#define VKZ_GEMM_INT8_GLSL

#include "lib/num.glsl"

layout(constant_id = 12) const uint VEC = 1;

layout(push_constant, std430) uniform Push {
    uint m, n, k;
} pc;

layout(std430, binding = 0) restrict readonly buffer BufferA { uint a[]; };
layout(std430, binding = 1) restrict readonly buffer BufferB { uint b[]; };
layout(std430, binding = 2) restrict writeonly buffer BufferC { int c[]; };

uint groups_k() { return (pc.k + 3) / 4; }

// Bytes first .. first + 3 of the pair (low, high), where first < 4.
uint straddle(const uint low, const uint high, const uint first)
{
    return first == 0 ? low : (low >> (8 * first)) | (high << (32 - 8 * first));
}

// The word's bytes that belong to elements below the end of k.
uint below_end(const uint word, const uint q)
{
    const uint left = pc.k - 4 * q;
    return left >= 4 ? word : bitfieldExtract(word, 0, int(8 * left));
}

uint load_a(const uint row, const uint q)
{
    const uint r = min(row, pc.m - 1);
    if (VEC == 4) {
        return a[r * (pc.k / 4) + q];
    }
    const uint last = (pc.m * pc.k - 1) / 4;
    const uint at = r * pc.k + 4 * q;
    return below_end(straddle(a[at / 4], a[min(at / 4 + 1, last)], at % 4), q);
}

uint load_b(const uint col, const uint q)
{
    const uint j = min(col, pc.n - 1);
    if (VEC == 4) {
        return b[j * (pc.k / 4) + q];
    }
    const uint last = (pc.n * pc.k - 1) / 4;
    const uint at = j * pc.k + 4 * q;
    return below_end(straddle(b[at / 4], b[min(at / 4 + 1, last)], at % 4), q);
}

void store_c(const uint row, const uint col, const int sum)
{
    if (row < pc.m && col < pc.n) {
        c[row * pc.n + col] = sum;
    }
}

#endif
