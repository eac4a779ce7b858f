// SPDX-License-Identifier: MIT
//
// Both passes of gemm_pack and batched_gemm_pack; their front matter is the includer's
//
// Pass pack: four rows (or columns) and four k at a time, the 4x4 block that is
// contiguous in both layouts after a transposition in registers. Lanes run along the
// memory.
//
// Other ops' products define PACK_IO, having what stands in for gemm/io.glsl (TRANS, pc.m,
// n and k, load_block_a, load_block_b, store_c4), and PACK_BIND, the panels' first binding.
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 4, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_ROWS = 16;
layout(constant_id = 4) const uint TILE_COLS = 1;

#ifndef PACK_IO
#include "gemm/io.glsl"
#endif
#ifndef PACK_BIND
#define PACK_BIND 6
#endif

const uint PACK_CHUNK = 2; // groups of four k that a workgroup packs at a time

uint groups_k() { return (pc.k + 3) / 4; }
uint ceildiv(const uint x, const uint y) { return (x + y - 1) / y; }
uint panel_columns() { return 4 * gl_WorkGroupSize.x * TILE_COLS; }
uint base_pa()
{
    return gl_WorkGroupID.z * ceildiv(pc.m, TILE_ROWS) * TILE_ROWS * groups_k();
}
#ifdef GEMM_BATCHED
uint base_pb()
{
    const uint item = SHARED_B != 0 ? 0 : gl_WorkGroupID.z;
    return item * ceildiv(pc.n, panel_columns()) * panel_columns() * groups_k();
}
#else
uint base_pb() { return 0; }
#endif

#ifdef PASS_PACK

layout(std430, binding = PACK_BIND) restrict writeonly buffer BufferPa { vec4 pa[]; };
layout(std430, binding = PACK_BIND + 1) restrict writeonly buffer BufferPb { vec4 pb[]; };

void pack_a(const uint strip, const uint q)
{
    const uint row = 4 * strip;
    vec4 block[4];
    load_block_a(row, q, block);
    const uint to = base_pa() + (row / TILE_ROWS * groups_k() + q) * TILE_ROWS
                    + row % TILE_ROWS;
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        pa[to + i] = block[i];
    }
}

// Strip `first` + `lane`, both in one panel: what all lanes share is computed once.
void pack_b(const uint first, const uint lane, const uint q)
{
    const uint width = gl_WorkGroupSize.x * TILE_COLS;
    vec4 block[4];
    load_block_b(q, 4 * (first + lane), block);
    const uint to = base_pb() + (first / width * 4 * groups_k() + 4 * q) * width
                    + first % width + lane;
    [[unroll]] for (uint x = 0; x < 4; ++x) {
        pb[to + x * width] = block[x];
    }
}

// One workgroup takes a strip and all of k when k is contiguous, else all strips and a
// chunk of k: whole rows of memory either way.
uint units(const uint strips, const bool along_k)
{
    return along_k ? strips : ceildiv(groups_k(), PACK_CHUNK);
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint strips_a = ceildiv(pc.m, TILE_ROWS) * (TILE_ROWS / 4);
    const uint strips_b = ceildiv(pc.n, panel_columns()) * lanes * TILE_COLS;
    const uint units_a = units(strips_a, TRANS != TRANS_TN);
    const uint units_b = units(strips_b, TRANS == TRANS_NT);
    for (uint u = gl_WorkGroupID.x; u < units_a; u += gl_NumWorkGroups.x) {
        if (TRANS != TRANS_TN) {
            for (uint q = lane; q < groups_k(); q += lanes) {
                pack_a(u, q);
            }
        } else {
            const uint end = min((u + 1) * PACK_CHUNK, groups_k());
            for (uint q = u * PACK_CHUNK; q < end; ++q) {
                for (uint strip = lane; strip < strips_a; strip += lanes) {
                    pack_a(strip, q);
                }
            }
        }
    }
#ifdef GEMM_BATCHED
    if (SHARED_B != 0 && gl_WorkGroupID.z > 0) {
        return;
    }
#endif
    for (uint u = gl_WorkGroupID.x; u < units_b; u += gl_NumWorkGroups.x) {
        if (TRANS == TRANS_NT) {
            for (uint q = lane; q < groups_k(); q += lanes) {
                pack_b(u, 0, q);
            }
        } else {
            const uint end = min((u + 1) * PACK_CHUNK, groups_k());
            for (uint q = u * PACK_CHUNK; q < end; ++q) {
                for (uint first = 0; first < strips_b; first += lanes) {
                    pack_b(first, lane, q);
                }
            }
        }
    }
}

#else // PASS_MAIN

layout(std430, binding = PACK_BIND) restrict readonly buffer BufferPa { vec4 pa[]; };
layout(std430, binding = PACK_BIND + 1) restrict readonly buffer BufferPb { vec4 pb[]; };

const uint LANES = gl_WorkGroupSize.x;

vec4 load_a_panel(const uint q, const uint row)
{
    return pa[base_pa() + (gl_WorkGroupID.x * groups_k() + q) * TILE_ROWS + row];
}

vec4 load_b_panel(const uint kk, const uint j)
{
    const uint group = (gl_WorkGroupID.y * 4 * groups_k() + kk) * TILE_COLS + j;
    return pb[base_pb() + group * LANES + gl_LocalInvocationID.x];
}

void store_tile(const uint row, const uint j, const vec4 sum)
{
    const uint group = j * LANES + gl_LocalInvocationID.x;
    store_c4(gl_WorkGroupID.x * TILE_ROWS + row,
             gl_WorkGroupID.y * panel_columns() + 4 * group, sum);
}

#include "lib/tile_lanes.glsl"

void main()
{
    vkz_tile_lanes(gl_LocalInvocationID.x, 0, groups_k());
}

#endif
