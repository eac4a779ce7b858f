// SPDX-License-Identifier: MIT
//
// Low-rank experts found by cosine in a large index of keys, in three passes
//
//   score:  a workgroup has KEYS keys and ROWS queries: cosines, and the topk best of them
//   merge:  the topk best of all workgroups' best, and their softmax
//   expert: y = y0 + sum of g B (A x), a token a workgroup
//
// Mixture of memory experts, arXiv 2406.17642.
//
// Why this one: the index is read once for ROWS queries and the scores are never written,
// only topk of every KEYS. What is chosen is gathered a row at a time.
//
//! kernel   memory_expert_stream
//! op       memory_expert/1
//! tier     T0
//! bind     0 q    in  T[rows, dq]
//! bind     1 key  in  T[ne, dq]
//! bind     2 x    in  T[rows, width]
//! bind     3 a    in  T[ne, rank, width]
//! bind     4 b    in  T[ne, co, rank]
//! bind     5 y0   in  T[rows, co]
//! bind     6 idx  out i32[rows, topk]
//! bind     7 g    out f32[rows, topk]
//! bind     8 y    out T[rows, co]
//! scratch  9 best f32[rows, chunks, topk]
//! scratch  10 place u32[rows, chunks, topk]
//! push     rows:u32 dq:u32 ne:u32 width:u32 co:u32 rank:u32 topk:u32 temp:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 ROWS u32 4          // queries a workgroup
//! spec     4 KEYS u32 256        // keys a workgroup
//! spec     5 VEC_Q u32 1 = dq % 4 == 0 ? 4 : 1   // elements a load of a key
//! spec     6 VEC_X u32 1 = width % 4 == 0 ? 4 : 1   // and of a token
//! spec     7 Z_PAD u32 64 = max(64,next_pow2(rank*topk))
//! let      chunks ceildiv(ne,KEYS)
//! when     rank*topk <= 1024 && ne <= 65535*KEYS : the chosen experts' A x must fit into shared memory
//! shared   max(4*ROWS*KEYS,4*Z_PAD) + 8*WG_SIZE
//! pass     score  groups chunks min(ceildiv(rows,ROWS),65535)
//! pass     merge  groups min(rows,65535)
//! pass     expert groups min(rows,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/words.glsl"
#include "lib/exp.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint ROWS = 4;
layout(constant_id = 4) const uint KEYS = 256;
layout(constant_id = 5) const uint VEC_Q = 1;
layout(constant_id = 6) const uint VEC_X = 1;
layout(constant_id = 7) const uint Z_PAD = 64;

layout(push_constant, std430) uniform Push {
    uint rows, dq, ne, width, co, rank, topk;
    float temp;
} pc;

const uint LANES = gl_WorkGroupSize.x;
const float NONE = -3.0e38;

struct candidate {
    float score;
    uint at;
};

shared candidate part[LANES]; // each lane's best

// The larger; of equal ones that with the lower place.
candidate better(const candidate a, const candidate b)
{
    if (b.score > a.score || (b.score == a.score && b.at < a.at)) {
        return b;
    }
    return a;
}

// The best over all lanes.
candidate best_of_all(const candidate mine)
{
    barrier();
    part[gl_LocalInvocationID.x] = mine;
    barrier();
    candidate found = part[0];
    for (uint i = 1; i < LANES; i++) {
        found = better(found, part[i]);
    }
    return found;
}

#ifdef PASS_SCORE

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Key { T key[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Key4 { W4 key4[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer Best { float best[]; };
layout(set = 0, binding = 10, std430) restrict writeonly buffer Place { uint place[]; };

shared float cosine[ROWS * KEYS];

vec4 load_q(const uint row, const uint i)
{
    if (VEC_Q == 4) {
        return vkz_load_w4(q4[row * (pc.dq / 4u) + i]);
    }
    return vec4(vkz_load(q[row * pc.dq + i]), 0.0, 0.0, 0.0);
}

vec4 load_key(const uint row, const uint i)
{
    if (VEC_Q == 4) {
        return vkz_load_w4(key4[row * (pc.dq / 4u) + i]);
    }
    return vec4(vkz_load(key[row * pc.dq + i]), 0.0, 0.0, 0.0);
}

void cosines(const uint first, const uint keys_first, const uint keys)
{
    for (uint k = gl_LocalInvocationID.x; k < keys; k += LANES) {
        float sum[ROWS];
        float square_q[ROWS];
        float square_k = 0.0;
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            sum[r] = 0.0;
            square_q[r] = 0.0;
        }
        for (uint i = 0; i < pc.dq / VEC_Q; i++) {
            const vec4 b = load_key(keys_first + k, i);
            square_k += dot(b, b);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                const vec4 a = load_q(min(first + r, pc.rows - 1u), i);
                sum[r] += dot(a, b);
                square_q[r] += dot(a, a);
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            cosine[r * KEYS + k] =
                sum[r] / (sqrt(max(square_q[r], 1e-24)) * sqrt(max(square_k, 1e-24)));
        }
    }
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint keys_first = gl_WorkGroupID.x * KEYS;
    const uint keys = min(KEYS, pc.ne - keys_first);
    for (uint first = gl_WorkGroupID.y * ROWS; first < pc.rows;
         first += gl_NumWorkGroups.y * ROWS) {
        cosines(first, keys_first, keys);
        for (uint r = 0; r < ROWS && first + r < pc.rows; r++) {
            const uint to =
                ((first + r) * gl_NumWorkGroups.x + gl_WorkGroupID.x) * pc.topk;
            for (uint t = 0; t < pc.topk; t++) {
                candidate mine = candidate(NONE, 0xffffffffu);
                for (uint k = lane; k < keys; k += LANES) {
                    mine = better(mine, candidate(cosine[r * KEYS + k], k));
                }
                const candidate found = best_of_all(mine);
                const uint k = found.at;
                if (found.score > NONE && k % LANES == lane) {
                    cosine[r * KEYS + k] = NONE;
                }
                if (lane == 0u) {
                    best[to + t] = found.score;
                    place[to + t] = keys_first + k;
                }
            }
        }
        barrier();
    }
}

#endif
#ifdef PASS_MERGE

layout(set = 0, binding = 6, std430) restrict writeonly buffer Idx { int idx[]; };
layout(set = 0, binding = 7, std430) restrict buffer G { float g[]; };
layout(set = 0, binding = 9, std430) restrict buffer Best { float best[]; };
layout(set = 0, binding = 10, std430) restrict readonly buffer Place { uint place[]; };

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint count = (pc.ne + KEYS - 1u) / KEYS * pc.topk;
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        const uint base = row * count;
        float first = 0.0;
        float total = 0.0;
        for (uint t = 0; t < pc.topk; t++) {
            // Candidates stand in the order of their places among equals.
            candidate mine = candidate(NONE, 0xffffffffu);
            for (uint i = lane; i < count; i += LANES) {
                mine = better(mine, candidate(best[base + i], i));
            }
            const candidate found = best_of_all(mine);
            const uint i = found.at;
            if (found.score > NONE && i % LANES == lane) {
                best[base + i] = NONE;
            }
            first = t == 0u ? found.score : first;
            const float p = vkz_exp_accurate((found.score - first) / pc.temp);
            total += p;
            if (lane == 0u) {
                idx[row * pc.topk + t] = found.score > NONE ? int(place[base + i]) : -1;
                g[row * pc.topk + t] = p;
            }
        }
        for (uint t = 0; lane == 0u && t < pc.topk; t++) {
            g[row * pc.topk + t] /= total;
        }
    }
}

#endif
#ifdef PASS_EXPERT

layout(set = 0, binding = 2, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer A { T a[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer A4 { W4 a4[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer B { T b[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Y0 { T y0[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Idx { int idx[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer G { float g[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Y { T y[]; };

shared float z[Z_PAD];

float product(const uint row, const uint of_a)
{
    float sum = 0.0;
    if (VEC_X == 4) {
        const uint quads = pc.width / 4u;
        for (uint i = 0; i < quads; i++) {
            const vec4 xs = vkz_load_w4(x4[row * quads + i]);
            sum += dot(xs, vkz_load_w4(a4[of_a * quads + i]));
        }
    } else {
        for (uint i = 0; i < pc.width; i++) {
            sum += vkz_load(x[row * pc.width + i]) * vkz_load(a[of_a * pc.width + i]);
        }
    }
    return sum;
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        for (uint i = lane; i < pc.topk * pc.rank; i += LANES) {
            const int expert = idx[row * pc.topk + i / pc.rank];
            z[i] = g[row * pc.topk + i / pc.rank] *
                   product(row, uint(max(expert, 0)) * pc.rank + i % pc.rank);
        }
        barrier();
        for (uint o = lane; o < pc.co; o += LANES) {
            float sum = vkz_load(y0[row * pc.co + o]);
            for (uint t = 0; t < pc.topk; t++) {
                const uint expert = uint(max(idx[row * pc.topk + t], 0));
                const uint from = (expert * pc.co + o) * pc.rank;
                for (uint r = 0; r < pc.rank; r++) {
                    sum += vkz_load(b[from + r]) * z[t * pc.rank + r];
                }
            }
            y[row * pc.co + o] = vkz_store(sum);
        }
        barrier();
    }
}

#endif
