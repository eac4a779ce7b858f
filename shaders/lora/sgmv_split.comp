// SPDX-License-Identifier: MIT
//
// Side paths of many adapters, the sums over k split over workgroups
//
//   shrink  parts of v_ij = sum_k x_ik A_a[j, k]: lanes run along k, a workgroup has four
//           rows of A, ROWS rows of x and a part of k
//   sum     v: the parts in order; zeros where there is no adapter or no such row of A
//   expand  y_io += scale_a sum_j v_ij B_a[o, j]: a lane has four o
//
// Punica, arXiv 2310.18547; S-LoRA, arXiv 2311.03285.
//
// Why this one: a row finds its adapter itself, so neither form needs a list of work, and
// the number of adapters changes what is read, not how it is spread. Rows of one adapter
// share what is read of it: with a segment's those that follow each other, with an id a
// row all among BLOCK. For batches of hundreds of rows an adapter, tiles would read less.
//
//! kernel   sgmv_split
//! op       sgmv/1
//! tier     T0
//! bind     0 x     in   T[rows, k]  when PHASE != PHASE.expand
//! bind     1 a     in   T[na, rank, k]  when PHASE != PHASE.expand
//! bind     2 b     in   T[na, n, rank]  when PHASE != PHASE.shrink
//! bind     3 seg   in   i32[nseg + 1]  when FORM == FORM.segments
//! bind     4 ids   in   i32[FORM == FORM.segments ? nseg : rows]
//! bind     5 scale in   f32[na]  when PHASE != PHASE.shrink
//! bind     6 ranks in   i32[na]
//! bind     7 vin   in   f32[rows, rank]  when PHASE == PHASE.expand
//! bind     8 v     out  f32[rows, rank]  when PHASE == PHASE.shrink
//! bind     9 y     inout T[rows, n]  when PHASE != PHASE.shrink
//! scratch  10 part f32[PARTS, rows, 4*ceildiv(rank,4)]
//! scratch  11 h    f32[rows, 4*ceildiv(rank,4)]
//! push     rows:u32 k:u32 n:u32 rank:u32 nseg:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     3 ROWS u32 4 = is_cpu ? 8 : 4   // rows of x at a time that share an adapter
//! spec     4 PARTS u32 1 = is_cpu ? 1 : max(1,min(8,ceildiv(k,1024)))
//! spec     6 BLOCK u32 4 = is_cpu ? 32 : 4   // rows of a workgroup
//! spec     5 ALONE u32 0 = is_cpu && WG_SIZE <= subgroup_size   // the workgroup is a subgroup
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 FORM u32 0
//! spec     17 PHASE u32 0
//! shared   16 * WG_SIZE * ROWS
//! tuning   rows1  ROWS=1 BLOCK=1
//! tuning   rows8  ROWS=8 BLOCK=8
//! tuning   block64  ROWS=8 BLOCK=64
//! tuning   parts4 PARTS=4
//! pass     shrink  groups (PHASE==PHASE.expand?1:ceildiv(rank,4)) min(ceildiv(rows,BLOCK),65535) PARTS
//! pass     sum     groups min(ceildiv(rows*ceildiv(rank,4),WG_SIZE),1024)
//! pass     expand  groups ceildiv(n,4*WG_SIZE) min(ceildiv(rows,BLOCK),65535)
//! variant  f32_add T=f32 tier=T1 SGMV_ADD=1
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1 SGMV_ADD=1
//! variant  bf16 T=bf16 tier=T1 SGMV_ADD=1
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#ifdef SGMV_ADD
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

#include "lib/num.glsl"
#include "lib/words.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint ROWS = 4;
layout(constant_id = 4) const uint PARTS = 1;
layout(constant_id = 5) const uint ALONE = 0;
layout(constant_id = 6) const uint BLOCK = 4;
layout(constant_id = 12) const uint VEC_K = 1;
layout(constant_id = 13) const uint VEC_N = 1;
layout(constant_id = 14) const uint VEC_R = 1;
layout(constant_id = 16) const uint FORM = 0;
layout(constant_id = 17) const uint PHASE = 0;

const uint FORM_SEGMENTS = 0;
const uint PHASE_SHRINK = 1;
const uint PHASE_EXPAND = 2;

layout(push_constant, std430) uniform Push {
    uint rows, k, n, rank, nseg;
} pc;

layout(set = 0, binding = 3, std430) restrict readonly buffer Seg { int seg[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Ids { int ids[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Ranks { int ranks[]; };

uint quads() { return (pc.rank + 3) / 4; }

// The adapter of a row or -1: its segment is the last one that does not begin after it.
int adapter_of(const uint row)
{
    if (FORM != FORM_SEGMENTS) {
        return ids[row];
    }
    uint low = 0, high = pc.nseg;
    while (low < high) {
        const uint middle = (low + high) / 2;
        if (uint(seg[middle]) <= row) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && row < uint(seg[low]) ? ids[low - 1] : -1;
}

#if !defined(PASS_SUM)

// Four groups of four, the first elements of all before the second: each is in a line of
// its own, and so the lines are asked for together.
#define SGMV_LOAD4(to, four, VEC, at_i, otherwise_i)                                    \
    if (VEC == 4) {                                                                     \
        W4 raw[4];                                                                      \
        [[unroll]] for (uint c = 0; c < raw[0].length(); ++c) {                         \
            [[unroll]] for (uint i = 0; i < 4; ++i) {                                   \
                raw[i][c] = four[at_i][c];                                              \
            }                                                                           \
        }                                                                               \
        [[unroll]] for (uint i = 0; i < 4; ++i) {                                       \
            to[i] = vkz_load_w4(raw[i]);                                                \
        }                                                                               \
    } else {                                                                            \
        [[unroll]] for (uint i = 0; i < 4; ++i) {                                       \
            to[i] = otherwise_i;                                                        \
        }                                                                               \
    }

uint taken[ROWS]; // rows at hand, all of one adapter
uint count;       // of them

void work(const uint adapter);

// Works for the rows first .. end - 1, each adapter's together.
void work_block(const uint first, const uint end)
{
    for (uint row = first; row < end;) {
        const int adapter = adapter_of(row);
        bool done = adapter < 0;
        for (uint i = first; FORM != FORM_SEGMENTS && !done && i < row; ++i) {
            done = adapter_of(i) == adapter;
        }
        uint next = row + 1;
        count = 0;
        for (uint i = row; !done && i < end; ++i) {
            if (adapter_of(i) == adapter) {
                [[unroll]] for (uint r = 0; r < ROWS; ++r) {
                    taken[r] = r == count ? i : taken[r];
                }
                ++count;
                next = FORM == FORM_SEGMENTS ? i + 1 : next;
            } else if (FORM == FORM_SEGMENTS) {
                break;
            }
            if (count == ROWS) {
                work(uint(adapter));
                count = 0;
            }
        }
        if (count > 0) {
            work(uint(adapter));
        }
        row = next;
    }
}

void work_all()
{
    const uint step = gl_NumWorkGroups.y * BLOCK;
    for (uint first = gl_WorkGroupID.y * BLOCK; first < pc.rows; first += step) {
        work_block(first, min(first + BLOCK, pc.rows));
    }
}

#endif

#if defined(PASS_SHRINK)

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer A { T a[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer A4 { W4 a4[]; };
layout(set = 0, binding = 10, std430) restrict writeonly buffer Part { vec4 part[]; };

shared vec4 share[gl_WorkGroupSize.x * ROWS]; // four rows of A each

#define SGMV_LOADER(function, one, four)                                                \
    vec4 function(const uint base, const uint q)                                        \
    {                                                                                   \
        if (VEC_K == 4) {                                                               \
            return vkz_load_w4(four[base / 4 + q]);                                     \
        }                                                                               \
        const uvec4 at = base + min(4 * q + uvec4(0, 1, 2, 3), uvec4(pc.k - 1));        \
        const vec4 all = vec4(vkz_load(one[at.x]), vkz_load(one[at.y]),                 \
                              vkz_load(one[at.z]), vkz_load(one[at.w]));                \
        return mix(vec4(0.0), all, lessThan(4 * q + uvec4(0, 1, 2, 3), uvec4(pc.k)));   \
    }

SGMV_LOADER(load_x, x, x4)
SGMV_LOADER(load_a, a, a4)

void work(const uint adapter)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    const uint own = uint(ranks[adapter]);
    const uint j = 4 * gl_WorkGroupID.x;
    vec4 acc[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        acc[r] = vec4(0.0);
    }
    if (j < own) {
        const uint groups = (pc.k + 3) / 4;
        const uint span = (groups + PARTS - 1) / PARTS;
        const uint end = min((gl_WorkGroupID.z + 1) * span, groups);
        for (uint q = gl_WorkGroupID.z * span + lane; q < end; q += lanes) {
            uint base[4];
            [[unroll]] for (uint i = 0; i < 4; ++i) {
                base[i] = (adapter * pc.rank + min(j + i, own - 1)) * pc.k;
            }
            vec4 as[4];
            SGMV_LOAD4(as, a4, VEC_K, base[i] / 4 + q, load_a(base[i], q))
            [[unroll]] for (uint r = 0; r < ROWS; ++r) {
                if (r < count) {
                    const vec4 xs = load_x(taken[r] * pc.k, q);
                    acc[r] += vec4(dot(xs, as[0]), dot(xs, as[1]), dot(xs, as[2]),
                                   dot(xs, as[3]));
                }
            }
        }
    }
    const uint to = gl_WorkGroupID.z * pc.rows * quads() + gl_WorkGroupID.x;
#ifdef SGMV_ADD
    if (ALONE != 0) {
        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
            if (r < count) {
                const vec4 sum = subgroupAdd(acc[r]);
                if (lane == 0) {
                    part[to + taken[r] * quads()] = sum;
                }
            }
        }
        return;
    }
#endif
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        if (r < count) {
            share[r * lanes + lane] = acc[r];
        }
    }
    for (uint half_ = lanes / 2; half_ > 0; half_ /= 2) {
        barrier();
        for (uint i = lane; i < count * half_; i += lanes) {
            const uint at = i / half_ * lanes + i % half_;
            share[at] += share[at + half_];
        }
    }
    barrier();
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        if (r < count && lane == 0) {
            part[to + taken[r] * quads()] = share[r * lanes];
        }
    }
    barrier();
}

void main()
{
    if (PHASE != PHASE_EXPAND) {
        work_all();
    }
}

#elif defined(PASS_SUM)

layout(set = 0, binding = 7, std430) restrict readonly buffer Vin { float vin[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer V { float v[]; };
layout(set = 0, binding = 10, std430) restrict readonly buffer Part { vec4 part[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer H { vec4 h[]; };

void main()
{
    const uint count = pc.rows * quads();
    const uint lanes = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < count; i += lanes) {
        const uint row = i / quads(), j = 4 * (i % quads());
        const int adapter = adapter_of(row);
        const uint own = adapter < 0 ? 0 : uint(ranks[adapter]);
        vec4 sum = vec4(0.0);
        if (PHASE == PHASE_EXPAND) {
            const uvec4 at = min(j + uvec4(0, 1, 2, 3), uvec4(pc.rank - 1));
            const uint base = row * pc.rank;
            sum = vec4(vin[base + at.x], vin[base + at.y], vin[base + at.z],
                       vin[base + at.w]);
        } else if (j < own) {
            sum = part[i];
            for (uint p = 1; p < PARTS; ++p) {
                sum += part[p * count + i];
            }
        }
        sum = mix(vec4(0.0), sum, lessThan(j + uvec4(0, 1, 2, 3), uvec4(own)));
        h[i] = sum;
        if (PHASE == PHASE_SHRINK) {
            [[unroll]] for (uint c = 0; c < 4; ++c) {
                if (j + c < pc.rank) {
                    v[row * pc.rank + j + c] = sum[c];
                }
            }
        }
    }
}

#else // PASS_EXPAND

layout(set = 0, binding = 2, std430) restrict readonly buffer B { T b[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer B4 { W4 b4[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Scale { float scale[]; };
layout(set = 0, binding = 9, std430) restrict buffer Y { T y[]; };
layout(set = 0, binding = 9, std430) restrict buffer Y4 { W4 y4[]; };
layout(set = 0, binding = 11, std430) restrict readonly buffer H { vec4 h[]; };

// B[o, 4q .. 4q+3] of what the adapter has; the rest is not read.
vec4 load_b(const uint base, const uint q, const uint own)
{
    const uvec4 at = base + min(4 * q + uvec4(0, 1, 2, 3), uvec4(own - 1));
    const vec4 all = vec4(vkz_load(b[at.x]), vkz_load(b[at.y]), vkz_load(b[at.z]),
                          vkz_load(b[at.w]));
    return mix(vec4(0.0), all, lessThan(4 * q + uvec4(0, 1, 2, 3), uvec4(own)));
}

// Columns o .. o+3.
void work(const uint adapter)
{
    const uint o = 4 * gl_GlobalInvocationID.x;
    const uint own = uint(ranks[adapter]);
    vec4 acc[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        acc[r] = vec4(0.0);
    }
    const uint base = adapter * pc.n;
    for (uint q = 0; q < (own + 3) / 4; ++q) {
        uint at[4];
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            at[i] = (base + min(o + i, pc.n - 1)) * pc.rank;
        }
        vec4 bs[4];
        SGMV_LOAD4(bs, b4, VEC_R, at[i] / 4 + q, load_b(at[i], q, own))
        if (VEC_R == 4) {
            [[unroll]] for (uint i = 0; i < 4; ++i) {
                bs[i] = mix(vec4(0.0), bs[i],
                            lessThan(4 * q + uvec4(0, 1, 2, 3), uvec4(own)));
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
            if (r < count) {
                const vec4 hs = h[taken[r] * quads() + q];
                acc[r] += vec4(dot(bs[0], hs), dot(bs[1], hs), dot(bs[2], hs),
                               dot(bs[3], hs));
            }
        }
    }
    const float s = scale[adapter];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        const uint at = taken[r] * pc.n + o;
        if (r < count && VEC_N == 4) {
            y4[at / 4] = vkz_store_w4(vkz_load_w4(y4[at / 4]) + s * acc[r]);
        } else if (r < count) {
            [[unroll]] for (uint i = 0; i < 4; ++i) {
                if (o + i < pc.n) {
                    y[at + i] = vkz_store(vkz_load(y[at + i]) + s * acc[r][i]);
                }
            }
        }
    }
}

void main()
{
    if (PHASE != PHASE_SHRINK && 4 * gl_GlobalInvocationID.x < pc.n) {
        work_all();
    }
}

#endif
