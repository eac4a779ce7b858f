// SPDX-License-Identifier: MIT
//
// W <- W + f B A: operands and the update of four weights
//
//   block_a(j, i, b)  block_b(o, j, b)     see lora/blocks.glsl
//   merge_store(o, i, sum)                 nothing beyond the edge
//   merge_load(o, i)  merge_add(o, i, before, sum)   the same in two steps
//
// Tensors w, a, b have the bindings 0 to 2. The includer declares the push block with n, k
// and rank, and defines MERGE_FACTOR, the factor f, before including this; and
// MERGE_MASTER when the weights may be kept in f32 (tensors master and wt, 3 and 4).
#ifndef VKZ_LORA_MERGE_GLSL
#define VKZ_LORA_MERGE_GLSL

#include "lora/blocks.glsl"

layout(constant_id = 12) const uint VEC_K = 1; // 4: k is a multiple of four
layout(constant_id = 14) const uint VEC_R = 1;

layout(set = 0, binding = 0, std430) restrict buffer W { T w[]; };
layout(set = 0, binding = 0, std430) restrict buffer Wx4 { W4 w4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer A { T a[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer A4 { W4 a4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer B { T b[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer B4 { W4 b4[]; };

LORA_MATRIX(block_a, a, a4, VEC_K, pc.rank, pc.k)
LORA_MATRIX(block_b, b, b4, VEC_R, pc.n, pc.rank)

#ifdef MERGE_MASTER
layout(constant_id = 17) const uint MASTER = 0;
layout(set = 0, binding = 3, std430) restrict buffer Master { float master[]; };
layout(set = 0, binding = 3, std430) restrict buffer Master4 { vec4 master4[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer Wt { T wt[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer Wt4 { W4 wt4[]; };
#else
const uint MASTER = 0;
#endif

// Four weights; beyond the edge whatever is within.
vec4 merge_load(const uint row, const uint col)
{
    const uint base = min(row, pc.n - 1) * pc.k;
    vec4 v;
    if (VEC_K == 4) {
        const uint at = (base + min(col, pc.k - 4)) / 4;
#ifdef MERGE_MASTER
        if (MASTER != 0) {
            return master4[at];
        }
#endif
        return vkz_load_w4(w4[at]);
    }
    [[unroll]] for (uint c = 0; c < 4; ++c) {
        const uint at = base + min(col + c, pc.k - 1);
#ifdef MERGE_MASTER
        if (MASTER != 0) {
            v[c] = master[at];
            continue;
        }
#endif
        v[c] = vkz_load(w[at]);
    }
    return v;
}

// What merge_load gave, and a sum.
void merge_add(const uint row, const uint col, const vec4 before, const vec4 sum)
{
    if (row >= pc.n || col >= pc.k) {
        return;
    }
    const uint at = row * pc.k + col;
    const vec4 v = before + MERGE_FACTOR * sum;
#ifdef MERGE_MASTER
    if (MASTER != 0) {
        if (VEC_K == 4) {
            master4[at / 4] = v;
            wt4[at / 4] = vkz_store_w4(v);
        } else {
            [[unroll]] for (uint c = 0; c < 4; ++c) {
                if (col + c < pc.k) {
                    master[at + c] = v[c];
                    wt[at + c] = vkz_store(v[c]);
                }
            }
        }
        return;
    }
#endif
    if (VEC_K == 4) {
        w4[at / 4] = vkz_store_w4(v);
    } else {
        [[unroll]] for (uint c = 0; c < 4; ++c) {
            if (col + c < pc.k) {
                w[at + c] = vkz_store(v[c]);
            }
        }
    }
}

void merge_store(const uint row, const uint col, const vec4 sum)
{
    merge_add(row, col, merge_load(row, col), sum);
}

#endif
