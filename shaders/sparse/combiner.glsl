// SPDX-License-Identifier: MIT
//
// The passes of combiner_attention_*: summaries of the segments, then attention
//
// Pass summary: LANES lanes share a token, four elements each at a time. In shared
// memory: a workgroup takes a segment, its groups of lanes walk the tokens side by side.
// By shuffles: each group takes a segment of its own, and nothing waits for anything.
//
// Pass main: the keys of a tile are numbered
//
//   0 .. s-1          summaries of the segments before segment s
//   s .. s+sg-1       the segment's own keys
//
// which makes the mask causal: query x of the segment sees keys 0 .. s+x.
#include "sparse/wide.glsl"

#ifdef COMBINER_TILE
layout(local_size_x = 128, local_size_x_id = 0) in;
#else
layout(local_size_x = 32, local_size_x_id = 0) in;
#endif

layout(constant_id = 5) const uint EXP = 5;
layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 16) const uint POOL = 0; // max, mean
layout(constant_id = 32) const uint HEAD_DIM = 64;
#define V_DIM HEAD_DIM
const uint MASK = 1; // causal
const uint QUADS = (HEAD_DIM + 3u) / 4u;

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K2 { W2 k2[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { W4 k4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V2 { W2 v2[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { W4 v4[]; };
#ifdef PASS_MAIN
layout(set = 0, binding = 3, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer O4 { T4 o4[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Kbar2 { vec2 kbar2[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Kbar { vec4 kbar[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Vbar2 { vec2 vbar2[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Vbar { vec4 vbar[]; };
#else
layout(set = 0, binding = 4, std430) restrict writeonly buffer Kbar { vec4 kbar[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer Vbar { vec4 vbar[]; };
#endif

layout(push_constant, std430) uniform Push {
    uint heads, len, sg;
    float tau;
} pc;

#include "sparse/plain_score.glsl"

uint own_row; // row of q, k, v and o where the segment begins

vec4 load_q(const uint row, const uint c)
{
    WIDE_LOAD4(q, own_row + row, HEAD_DIM, c);
}

vec4 load_k(const uint row, const uint c)
{
    WIDE_LOAD4(k, own_row + row, HEAD_DIM, c);
}

vec4 load_v(const uint row, const uint c)
{
    WIDE_LOAD4(v, own_row + row, HEAD_DIM, c);
}

#ifdef PASS_SUMMARY

layout(constant_id = 8) const uint LANES = 1; // that share a token
const uint GROUPS = gl_WorkGroupSize.x / LANES;
const uint STEPS = (QUADS + LANES - 1u) / LANES; // quads of a lane

vec4 pool(const vec4 a, const vec4 b)
{
    return POOL == 0 ? mix(a, b, greaterThan(b, a)) : a + b;
}

vec4 sums[STEPS];

#ifdef COMBINER_TILE

const uint CHUNK = 32; // tokens whose scores are in shared memory together

shared vec4 part_q[gl_WorkGroupSize.x];
shared vec4 part_k[gl_WorkGroupSize.x];
shared vec4 mean_q[QUADS];
shared float dots[CHUNK * LANES];
shared float weights[CHUNK];

// Pools c quads of the segment's queries and keys, all groups together.
void pool_quads(const uint group, const uint c, const uint to)
{
    vec4 x = vec4(0.0);
    vec4 y = vec4(0.0);
    if (c < QUADS && group < pc.sg) {
        x = load_q(group, c);
        y = load_k(group, c);
        for (uint j = group + GROUPS; j < pc.sg; j += GROUPS) {
            x = pool(x, load_q(j, c));
            y = pool(y, load_k(j, c));
        }
    }
    barrier();
    part_q[gl_LocalInvocationID.x] = x;
    part_k[gl_LocalInvocationID.x] = y;
    barrier();
    if (group == 0u && c < QUADS) {
        for (uint g = 1; g < min(GROUPS, pc.sg); g++) {
            x = pool(x, part_q[g * LANES + gl_LocalInvocationID.x]);
            y = pool(y, part_k[g * LANES + gl_LocalInvocationID.x]);
        }
        const float factor = POOL == 0 ? 1.0 : 1.0 / float(pc.sg);
        mean_q[c] = x * (factor * pc.tau * SCORE_UNIT);
        kbar[to * QUADS + c] = y * factor;
    }
}

void main()
{
    const uint segments = pc.len / pc.sg;
    const uint to = gl_WorkGroupID.y * segments + gl_WorkGroupID.x;
    own_row = gl_WorkGroupID.y * pc.len + gl_WorkGroupID.x * pc.sg;
    const uint lane = gl_LocalInvocationID.x;
    const uint group = lane / LANES;
    for (uint step = 0; step < STEPS; step++) {
        pool_quads(group, step * LANES + lane % LANES, to);
        sums[step] = vec4(0.0);
    }

    float m = SCORE_LOWEST;
    float l = 0.0;
    for (uint j0 = 0; j0 < pc.sg; j0 += CHUNK) {
        const uint count = min(CHUNK, pc.sg - j0);
        barrier(); // mean_q is there; dots and weights have been read
        for (uint j = group; j < count; j += GROUPS) {
            float x = 0.0;
            for (uint step = 0; step < STEPS; step++) {
                const uint c = step * LANES + lane % LANES;
                if (c < QUADS) {
                    x += dot(mean_q[c], load_k(j0 + j, c));
                }
            }
            dots[j * LANES + lane % LANES] = x;
        }
        barrier();
        for (uint j = lane; j < count; j += gl_WorkGroupSize.x) {
            float x = 0.0;
            for (uint i = 0; i < LANES; i++) {
                x += dots[j * LANES + i];
            }
            weights[j] = x;
        }
        barrier();
        float top = m;
        for (uint j = 0; j < count; j++) {
            top = max(top, weights[j]);
        }
        const float rescale = vkz_exp2(m - top, EXP);
        m = top;
        barrier();
        for (uint j = lane; j < count; j += gl_WorkGroupSize.x) {
            weights[j] = vkz_exp2(weights[j] - top, EXP);
        }
        barrier();
        l *= rescale;
        for (uint step = 0; step < STEPS; step++) {
            sums[step] *= rescale;
        }
        for (uint j = 0; j < count; j++) {
            l += weights[j];
        }
        for (uint j = group; j < count; j += GROUPS) {
            const float w = weights[j];
            for (uint step = 0; step < STEPS; step++) {
                const uint c = step * LANES + lane % LANES;
                if (c < QUADS) {
                    sums[step] = fma(vec4(w), load_v(j0 + j, c), sums[step]);
                }
            }
        }
    }
    for (uint step = 0; step < STEPS; step++) {
        const uint c = step * LANES + lane % LANES;
        barrier();
        part_q[lane] = sums[step];
        barrier();
        if (group == 0u && c < QUADS) {
            vec4 x = vec4(0.0);
            for (uint g = 0; g < GROUPS; g++) {
                x += part_q[g * LANES + lane];
            }
            vbar[to * QUADS + c] = x / l;
        }
    }
}

#else // by shuffles

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

const uint BATCH = 4; // tokens a step
vec4 mean_q[STEPS];

// Sum over the lanes that share a token, in all of them.
float sum_lanes(float x)
{
    for (uint step = 1u; step < LANES; step *= 2u) {
        x += subgroupShuffleXor(x, step);
    }
    return x;
}

void main()
{
    const uint segments = pc.len / pc.sg;
    const uint lane = gl_SubgroupInvocationID % LANES;
    const uint group = gl_SubgroupID * (gl_SubgroupSize / LANES) +
                       gl_SubgroupInvocationID / LANES;
    const uint mine = gl_WorkGroupID.x * GROUPS + group;
    const uint segment = min(mine, segments - 1u); // all lanes stay for the shuffles
    const uint to = gl_WorkGroupID.y * segments + segment;
    own_row = gl_WorkGroupID.y * pc.len + segment * pc.sg;
    const float factor = POOL == 0 ? 1.0 : 1.0 / float(pc.sg);
    [[unroll]] for (uint step = 0; step < STEPS; step++) {
        const uint c = min(step * LANES + lane, QUADS - 1u);
        vec4 x = load_q(0u, c);
        vec4 y = load_k(0u, c);
        for (uint j = 1; j < pc.sg; j++) {
            x = pool(x, load_q(j, c));
            y = pool(y, load_k(j, c));
        }
        // Lanes past the last quad repeat it: they must not count in the dot products.
        const bool used = step * LANES + lane < QUADS;
        mean_q[step] = used ? x * (factor * pc.tau * SCORE_UNIT) : vec4(0.0);
        if (used && mine < segments) {
            kbar[to * QUADS + c] = y * factor;
        }
        sums[step] = vec4(0.0);
    }

    float m = SCORE_LOWEST;
    float l = 0.0;
    for (uint j0 = 0; j0 < pc.sg; j0 += BATCH) {
        float w[BATCH];
        [[unroll]] for (uint j = 0; j < BATCH; j++) {
            w[j] = 0.0;
        }
        [[unroll]] for (uint step = 0; step < STEPS; step++) {
            const uint c = min(step * LANES + lane, QUADS - 1u);
            [[unroll]] for (uint j = 0; j < BATCH; j++) {
                w[j] += dot(mean_q[step], load_k(min(j0 + j, pc.sg - 1u), c));
            }
        }
        float top = m;
        [[unroll]] for (uint j = 0; j < BATCH; j++) {
            w[j] = sum_lanes(w[j]);
            top = max(top, w[j]); // tokens past the end repeat the last
        }
        const float rescale = vkz_exp2(m - top, EXP);
        m = top;
        l *= rescale;
        [[unroll]] for (uint j = 0; j < BATCH; j++) {
            w[j] = j0 + j < pc.sg ? vkz_exp2(w[j] - top, EXP) : 0.0;
            l += w[j];
        }
        [[unroll]] for (uint step = 0; step < STEPS; step++) {
            const uint c = min(step * LANES + lane, QUADS - 1u);
            vec4 x = sums[step] * rescale;
            [[unroll]] for (uint j = 0; j < BATCH; j++) {
                x = fma(vec4(w[j]), load_v(min(j0 + j, pc.sg - 1u), c), x);
            }
            sums[step] = x;
        }
    }
    [[unroll]] for (uint step = 0; step < STEPS; step++) {
        if (step * LANES + lane < QUADS && mine < segments) {
            vbar[to * QUADS + step * LANES + lane] = sums[step] / l;
        }
    }
}

#endif

#else // PASS_MAIN

uint bar_row; // row of kbar and vbar where the head's summaries begin
uint earlier; // s, segments before this one

vec4 flash_q(const uint row, const uint c)
{
    return load_q(row, c);
}

vec4 flash_k(const uint key, const uint c)
{
    if (key < earlier) {
        return kbar[(bar_row + key) * QUADS + c];
    }
    return load_k(key - earlier, c);
}

vec4 flash_v(const uint key, const uint c)
{
    if (key < earlier) {
        return vbar[(bar_row + key) * QUADS + c];
    }
    return load_v(key - earlier, c);
}

vec2 load_k2(const uint row, const uint c)
{
    WIDE_LOAD2(k, own_row + row, HEAD_DIM, c);
}

vec2 load_v2(const uint row, const uint c)
{
    WIDE_LOAD2(v, own_row + row, HEAD_DIM, c);
}

vec2 flash_k2(const uint key, const uint c)
{
    if (key < earlier) {
        return kbar2[(bar_row + key) * 2u * QUADS + min(c, 2u * QUADS - 1u)];
    }
    return load_k2(key - earlier, c);
}

vec2 flash_v2(const uint key, const uint c)
{
    if (key < earlier) {
        return vbar2[(bar_row + key) * 2u * QUADS + min(c, 2u * QUADS - 1u)];
    }
    return load_v2(key - earlier, c);
}

float flash_key_scale(const uint key) { return 1.0; }
float flash_row_scale(const uint row, const float norm2) { return 1.0; }

void flash_store(const uint row, const uint c, const vec4 x)
{
    WIDE_STORE4(o, own_row + row, HEAD_DIM, c, x)
}

// Every row sees a key: the sum is positive.
float flash_finish(const uint row, const bool store, const float m, const float l)
{
    return 1.0 / l;
}

layout(constant_id = 3) const uint ROWS = COMBINER_ROWS;
layout(constant_id = 4) const uint KEYS = COMBINER_KEYS;

#ifdef COMBINER_TILE
layout(constant_id = 7) const uint ACROSS = 16;
layout(constant_id = 9) const uint SLICE = 32;
layout(constant_id = 10) const uint SLAB = 32;
shared vec4 flash_stage[(ROWS + KEYS) * (SLICE / 4u + 1u)];
shared float flash_w[ROWS * (KEYS + 4u)];
shared float flash_top[ROWS * ACROSS];
#include "lib/flash_tile.glsl"
#else
layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 7) const uint ROLL = 0;
#include "lib/flash.glsl"
#endif

void main()
{
    const uint segments = pc.len / pc.sg;
#ifdef COMBINER_TILE
    const uint lanes = 1u;
#else
    const uint lanes = gl_WorkGroupSize.x;
#endif
    const uint rows = ROWS * lanes;
    const uint tiles = (pc.sg + rows - 1u) / rows;
    // The last segments see the most keys: start with them.
    const uint tile = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x;
    earlier = tile / tiles;
    own_row = gl_WorkGroupID.y * pc.len + earlier * pc.sg;
    bar_row = gl_WorkGroupID.y * segments;
    const uint begin = tile % tiles * rows;
    const uint end = min(begin + rows, pc.sg);
    const int p_low = int(begin + earlier);
    const int p_high = int(end - 1u + earlier);
    const score_map s = plain_score_map(pc.sg, pc.sg + earlier, pc.tau);
#ifdef COMBINER_TILE
    flash_tile(s, begin, uint(s.q_len), p_low, p_high);
#else
    const uint first = begin + gl_LocalInvocationID.x;
    flash_lane(s, first, lanes, p_low, p_high);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        flash_factor[r] = 1.0 / flash_l[r];
    }
    flash_store_rows(first, lanes, end);
#endif
}

#endif
