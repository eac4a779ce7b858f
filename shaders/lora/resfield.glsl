// SPDX-License-Identifier: MIT
//
// What the kernels of resfield_linear share: samples by frame, and the frames' weights
//
//   count, scan, scatter   samples sorted by frame (lib/invert.glsl)
//   tiles                  which samples of which frame a tile of the product has
//   synth                  W(t) = W + sum_j v[t,j] M_j in float, rows of whole groups
//
//   frame_span(t)          a frame's samples in the sorted order
//   tile_span(i)           frame, and samples [y, z) of tile i; empty past the last
//   row_x(row, c)          x[row, c .. c+3], zeros beyond the end
//
// The includer defines RES_COUNTS, the binding of the first of the scratch buffers
// counts, order, tiles and wt.
#ifndef VKZ_LORA_RESFIELD_GLSL
#define VKZ_LORA_RESFIELD_GLSL

#include "lora/blocks.glsl"

layout(constant_id = 9) const uint PARTS = 16; // of the samples, see lib/invert.glsl
layout(constant_id = 10) const uint HEIGHT = 64; // samples a tile
layout(constant_id = 12) const uint VEC_K = 1;
layout(constant_id = 13) const uint VEC_N = 1;

layout(push_constant, std430) uniform Push {
    uint rows, k, n, rk, nf;
} pc;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer W { T w[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Wx4 { W4 w4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer M { T m[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer M4 { W4 m4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer V { float v[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Ti { int ti[]; };
layout(set = 0, binding = RES_COUNTS, std430) restrict buffer Counts { uint counts[]; };
layout(set = 0, binding = RES_COUNTS + 1, std430) restrict buffer Order { uint order[]; };
layout(set = 0, binding = RES_COUNTS + 2, std430) restrict buffer Tiles { uint tiles[]; };
layout(set = 0, binding = RES_COUNTS + 3, std430) restrict buffer Wt { vec4 wt[]; };

uint quads_k() { return (pc.k + 3) / 4; }

// x[row, c .. c+3] of a matrix of `cols` columns, zeros beyond the end.
#define RES_ROW(name, one, four, VEC, cols)                                             \
    vec4 name(const uint row, const uint c)                                             \
    {                                                                                   \
        const bvec4 inside = lessThan(c + uvec4(0, 1, 2, 3), uvec4(cols));              \
        const uint base = row * (cols);                                                 \
        vec4 all;                                                                       \
        if (VEC == 4) {                                                                 \
            all = vkz_load_w4(four[(base + min(c, (cols) - 4)) / 4]);                   \
        } else {                                                                        \
            const uvec4 at = base + min(c + uvec4(0, 1, 2, 3), uvec4((cols) - 1));      \
            all = vec4(vkz_load(one[at.x]), vkz_load(one[at.y]), vkz_load(one[at.z]),   \
                       vkz_load(one[at.w]));                                            \
        }                                                                               \
        return mix(vec4(0.0), all, inside);                                             \
    }

RES_ROW(row_x, x, x4, VEC_K, pc.k)
RES_ROW(row_w, w, w4, VEC_K, pc.k)
RES_ROW(row_m, m, m4, VEC_K, pc.k)

uvec2 frame_span(const uint frame)
{
    const uint end = counts[frame * PARTS + PARTS - 1];
    return uvec2(frame == 0 ? 0 : counts[frame * PARTS - 1], end);
}

uvec3 tile_span(const uint i)
{
    if (i >= tiles[0]) {
        return uvec3(0);
    }
    const uint frame = tiles[1 + 2 * i], begin = tiles[2 + 2 * i];
    return uvec3(frame, begin, min(begin + HEIGHT, frame_span(frame).y));
}

#if defined(PASS_COUNT) || defined(PASS_SCAN) || defined(PASS_SCATTER)

layout(local_size_x = 128, local_size_x_id = 0) in;

uint invert_bin(const uint entry) { return uint(ti[entry]); }
uint invert_counter(const uint at) { return counts[at]; }
void invert_counter_set(const uint at, const uint value) { counts[at] = value; }
void invert_place(const uint at, const uint entry) { order[at] = entry; }

#ifdef PASS_SCAN
#define INVERT_SCAN
shared uint invert_share[gl_WorkGroupSize.x];
#endif
#include "lib/invert.glsl"

void main()
{
#if defined(PASS_SCAN)
    invert_scan(pc.nf * PARTS);
#else
    if (gl_GlobalInvocationID.x < PARTS) {
#ifdef PASS_COUNT
        invert_count(gl_GlobalInvocationID.x, PARTS, pc.rows, pc.nf);
#else
        invert_scatter(gl_GlobalInvocationID.x, PARTS, pc.rows);
#endif
    }
#endif
}

#elif defined(PASS_TILES)

layout(local_size_x = 128, local_size_x_id = 0) in;

uint tiles_of(const uint frame)
{
    const uvec2 span = frame_span(frame);
    return (span.y - span.x + HEIGHT - 1) / HEIGHT;
}

// A lane a frame; it adds up the tiles of those before.
void main()
{
    const uint frame = gl_GlobalInvocationID.x;
    if (frame < pc.nf) {
        uint at = 0;
        for (uint i = 0; i < frame; ++i) {
            at += tiles_of(i);
        }
        const uint own = tiles_of(frame);
        for (uint i = 0; i < own; ++i) {
            tiles[1 + 2 * (at + i)] = frame;
            tiles[2 + 2 * (at + i)] = frame_span(frame).x + i * HEIGHT;
        }
        if (frame == pc.nf - 1) {
            tiles[0] = at + own;
        }
    }
}

#elif defined(PASS_SYNTH)

layout(local_size_x = 128, local_size_x_id = 0) in;

// Four frames at a time share what is read of M.
void main()
{
    const uint i = gl_GlobalInvocationID.x;
    if (i >= pc.n * quads_k()) {
        return;
    }
    const uint o = i / quads_k(), c = 4 * (i % quads_k());
    for (uint t = 4 * gl_WorkGroupID.y; t < pc.nf; t += 4 * gl_NumWorkGroups.y) {
        vec4 sum[4];
        [[unroll]] for (uint f = 0; f < 4; ++f) {
            sum[f] = row_w(o, c);
        }
        for (uint j = 0; j < pc.rk; ++j) {
            const vec4 residual = row_m(j * pc.n + o, c);
            [[unroll]] for (uint f = 0; f < 4; ++f) {
                sum[f] += v[min(t + f, pc.nf - 1) * pc.rk + j] * residual;
            }
        }
        [[unroll]] for (uint f = 0; f < 4; ++f) {
            if (t + f < pc.nf) {
                wt[(t + f) * pc.n * quads_k() + i] = sum[f];
            }
        }
    }
}

#endif

#endif
