// SPDX-License-Identifier: MIT
//
// Passes of an adapted layer on tiles in shared memory; see lora/layer.glsl for the hooks
//
//   down    parts of z = (x * drop) A^T, the sums split over workgroups
//   factor  p = f z, and z where it is wanted
//   main    [x | p] [W | e B]^T: one product whose sums run over k and then over the rank
// or, with LORA_UNFUSED, in the place of main
//   base    x W^T in float
//   up      p (e B)^T added to it
//
// The includer defines LORA_Y, LORA_P, LORA_PART (bindings) and, for an op that saves z,
// LORA_Z, with LORA_UNFUSED LORA_SUM; and has `parts`, the split of `down`, in LORA_PUSH.
#include "lora/layer.glsl"

#if defined(PASS_DOWN)

#define LORA_THIN
#include "lora/tiles.glsl"

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;

layout(set = 0, binding = LORA_PART, std430) restrict writeonly buffer Part { vec4 part[]; };

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    block_xd(row, 4 * q, block);
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    block_a(col, 4 * q, block);
    lora_transpose(block);
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.rows && col / 4 < quads_r()) {
        part[(gl_WorkGroupID.z * pc.rows + row) * quads_r() + col / 4] = sum;
    }
}

#include "lib/tile.glsl"

void main()
{
    const uvec2 span = lora_span(quads_k(), gl_WorkGroupID.z, pc.parts);
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             span.x, span.y);
}

#elif defined(PASS_FACTOR)

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(set = 0, binding = LORA_PART, std430) restrict readonly buffer Part { vec4 part[]; };
layout(set = 0, binding = LORA_P, std430) restrict writeonly buffer P { vec4 p4[]; };
#ifdef LORA_Z
layout(constant_id = 19) const uint SAVE = 0;
layout(set = 0, binding = LORA_Z, std430) restrict writeonly buffer Z { float z[]; };
#endif

void main()
{
    const uint count = pc.rows * quads_r();
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < count; i += step) {
        vec4 sum = part[i];
        for (uint s = 1; s < pc.parts; ++s) {
            sum += part[s * count + i];
        }
        const uint j = 4 * (i % quads_r());
        p4[i] = lora_f4(j) * sum;
#ifdef LORA_Z
        if (SAVE != 0) {
            [[unroll]] for (uint c = 0; c < 4; ++c) {
                if (j + c < pc.rank) {
                    z[i / quads_r() * pc.rank + j + c] = sum[c];
                }
            }
        }
#endif
    }
}

#else // PASS_MAIN, PASS_BASE, PASS_UP

#include "lora/tiles.glsl"

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;

#ifdef PASS_BASE
layout(set = 0, binding = LORA_SUM, std430) restrict writeonly buffer Sum { vec4 sum4[]; };
#else
layout(set = 0, binding = LORA_P, std430) restrict readonly buffer P { vec4 p4[]; };
layout(set = 0, binding = LORA_Y, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = LORA_Y, std430) restrict writeonly buffer Y4 { W4 y4[]; };
LORA_SCRATCH(block_p, p4, pc.rows, quads_r())
#endif
#ifdef PASS_UP
layout(set = 0, binding = LORA_SUM, std430) restrict readonly buffer Sum { vec4 sum4[]; };
#endif

// Groups of four of the sums that run over k.
uint seam()
{
#ifdef PASS_UP
    return 0;
#else
    return quads_k();
#endif
}

uint groups()
{
#ifdef PASS_BASE
    return quads_k();
#else
    return seam() + quads_r();
#endif
}

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
#ifndef PASS_UP
    if (q < seam()) {
        block_x(row, 4 * q, block);
        return;
    }
#endif
#ifndef PASS_BASE
    block_p(row, 4 * (q - seam()), block);
#else
    block[0] = block[1] = block[2] = block[3] = vec4(0.0);
#endif
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
#ifndef PASS_UP
    if (q < seam()) {
        block_w(col, 4 * q, block);
        lora_transpose(block);
        return;
    }
#endif
#ifndef PASS_BASE
    block_b(col, 4 * (q - seam()), block);
    lora_transpose(block);
    const vec4 e = lora_e4(col);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        block[i] *= e;
    }
#else
    block[0] = block[1] = block[2] = block[3] = vec4(0.0);
#endif
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row >= pc.rows || col >= pc.n) {
        return;
    }
#ifdef PASS_BASE
    sum4[row * quads_n() + col / 4] = sum;
#else
    vec4 v = sum;
#ifdef PASS_UP
    v += sum4[row * quads_n() + col / 4];
#endif
    v = lora_u4(col) * v + lora_bias4(col);
    LORA_STORE(y, y4, VEC_N, row * pc.n, col, pc.n, v)
#endif
}

#include "lib/tile.glsl"

void main()
{
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, groups());
}

#endif
