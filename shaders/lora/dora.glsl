// SPDX-License-Identifier: MIT
//
// The row norms of dora_linear and its gradient
//
//   u = m / c                                    the hook lora_u of lora/layer.glsl
//   pass gram  A A^T and W A^T, thin products
//   pass norm  c_o^2 = |W_o|^2 + 2 s <(W A^T)_o, B_o> + s^2 B_o (A A^T) B_o^T
//
// The includer defines DORA_M, DORA_C0, DORA_C (bindings) and, with the passes, DORA_GRAM
// and DORA_WSQ.
#ifndef VKZ_LORA_DORA_GLSL
#define VKZ_LORA_DORA_GLSL

layout(constant_id = 16) const uint NORM = 0;
const uint NORM_CACHED = 1;
const uint NORM_GIVEN = 2;

layout(set = 0, binding = DORA_M, std430) restrict readonly buffer M { float m[]; };
layout(set = 0, binding = DORA_C0, std430) restrict readonly buffer C0 { float c0[]; };
#ifdef DORA_WSQ
layout(set = 0, binding = DORA_C, std430) restrict buffer C { float c[]; };
#else
layout(set = 0, binding = DORA_C, std430) restrict readonly buffer C { float c[]; };
#endif

float dora_c(const uint o) { return NORM == NORM_GIVEN ? c0[o] : c[o]; }

#define LORA_U
float lora_u(const uint o) { return m[o] / dora_c(o); }

#if defined(DORA_WSQ) && defined(PASS_GRAM)

#define LORA_THIN
#include "lora/layer.glsl"
#include "lora/tiles.glsl"

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;

layout(set = 0, binding = DORA_GRAM, std430) restrict writeonly buffer Gram { vec4 gram[]; };

bool second; // W A^T, not A A^T

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    if (second) {
        block_w(row, 4 * q, block);
    } else {
        block_a(row, 4 * q, block);
    }
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    block_a(col, 4 * q, block);
    lora_transpose(block);
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < (second ? pc.n : pc.rank) && col / 4 < quads_r()) {
        gram[((second ? pc.rank : 0) + row) * quads_r() + col / 4] = sum;
    }
}

#include "lib/tile.glsl"

void main()
{
    second = gl_WorkGroupID.z == 1;
    if (NORM == NORM_GIVEN || gl_WorkGroupID.y * TILE_M >= (second ? pc.n : pc.rank)) {
        return; // the whole workgroup
    }
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, quads_k());
}

#elif defined(DORA_WSQ) && defined(PASS_NORM)

#include "lora/layer.glsl"

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(set = 0, binding = DORA_WSQ, std430) restrict readonly buffer Wsq { float wsq[]; };
layout(set = 0, binding = DORA_GRAM, std430) restrict readonly buffer Gram { float gram[]; };

shared vec4 rows_part[gl_WorkGroupSize.x];
#define ROWS_SUM
#include "linear/row_sums.glsl"

// A workgroup a row.
void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    const uint r4 = 4 * quads_r();
    for (uint o = gl_WorkGroupID.x; NORM != NORM_GIVEN && o < pc.n; o += gl_NumWorkGroups.x) {
        vec4 sums = vec4(0.0);
        for (uint i = lane; NORM != NORM_CACHED && i < pc.k; i += lanes) {
            const float v = vkz_load(w[o * pc.k + i]);
            sums.x = fma(v, v, sums.x);
        }
        for (uint j = lane; j < pc.rank; j += lanes) {
            float row = 0.0;
            for (uint i = 0; i < pc.rank; ++i) {
                row = fma(gram[i * r4 + j], vkz_load(b[o * pc.rank + i]), row);
            }
            const float own = vkz_load(b[o * pc.rank + j]);
            sums.y = fma(gram[(pc.rank + o) * r4 + j], own, sums.y);
            sums.z = fma(row, own, sums.z);
        }
        sums = rows_sum(sums);
        if (lane == 0) {
            const float base = NORM == NORM_CACHED ? wsq[o] : sums.x;
            c[o] = sqrt(max(base + 2.0 * pc.s * sums.y + pc.s * pc.s * sums.z, 0.0));
        }
    }
}

#endif

#endif
