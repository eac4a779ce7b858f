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
// that follow each other share what is read of it. For batches of hundreds of rows an
// adapter, tiles would read less.
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
//! spec     3 ROWS u32 4       // rows of x that may share an adapter
//! spec     4 PARTS u32 1 = is_cpu ? 1 : max(1,min(8,ceildiv(k,1024)))
//! spec     5 ALONE u32 0 = is_cpu && WG_SIZE <= subgroup_size   // the workgroup is a subgroup
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 FORM u32 0
//! spec     17 PHASE u32 0
//! shared   16 * WG_SIZE * ROWS
//! tuning   rows1  ROWS=1
//! tuning   rows8  ROWS=8
//! tuning   parts4 PARTS=4
//! pass     shrink  groups (PHASE==PHASE.expand?1:ceildiv(rank,4)) min(ceildiv(rows,ROWS),65535) PARTS
//! pass     sum     groups min(ceildiv(rows*ceildiv(rank,4),WG_SIZE),1024)
//! pass     expand  groups ceildiv(n,4*WG_SIZE) min(ceildiv(rows,ROWS),65535)
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

// Rows from `row` on with this adapter, at most ROWS.
uint same_adapter(const uint row, const uint end, const int adapter)
{
    uint count = 1;
    while (row + count < end && adapter_of(row + count) == adapter) {
        count++;
    }
    return count;
}

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

void shrink(const uint row, const uint count, const uint adapter, const uint lane)
{
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
            vec4 as[4];
            [[unroll]] for (uint i = 0; i < 4; ++i) {
                as[i] = load_a((adapter * pc.rank + min(j + i, own - 1)) * pc.k, q);
            }
            [[unroll]] for (uint r = 0; r < ROWS; ++r) {
                if (r < count) {
                    const vec4 xs = load_x((row + r) * pc.k, q);
                    acc[r] += vec4(dot(xs, as[0]), dot(xs, as[1]), dot(xs, as[2]),
                                   dot(xs, as[3]));
                }
            }
        }
    }
    const uint to = (gl_WorkGroupID.z * pc.rows + row) * quads() + gl_WorkGroupID.x;
#ifdef SGMV_ADD
    if (ALONE != 0) {
        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
            if (r < count) {
                const vec4 sum = subgroupAdd(acc[r]);
                if (lane == 0) {
                    part[to + r * quads()] = sum;
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
    for (uint r = lane; r < count; r += lanes) {
        part[to + r * quads()] = share[r * lanes];
    }
    barrier();
}

void main()
{
    const uint step = gl_NumWorkGroups.y * ROWS;
    for (uint first = gl_WorkGroupID.y * ROWS; PHASE != PHASE_EXPAND && first < pc.rows;
         first += step) {
        const uint end = min(first + ROWS, pc.rows);
        for (uint row = first; row < end;) {
            const int adapter = adapter_of(row);
            const uint count = same_adapter(row, end, adapter);
            if (adapter >= 0) {
                shrink(row, count, uint(adapter), gl_LocalInvocationID.x);
            }
            row += count;
        }
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
    if (VEC_R == 4) {
        return mix(vec4(0.0), vkz_load_w4(b4[base / 4 + q]),
                   lessThan(4 * q + uvec4(0, 1, 2, 3), uvec4(own)));
    }
    const uvec4 at = base + min(4 * q + uvec4(0, 1, 2, 3), uvec4(own - 1));
    const vec4 all = vec4(vkz_load(b[at.x]), vkz_load(b[at.y]), vkz_load(b[at.z]),
                          vkz_load(b[at.w]));
    return mix(vec4(0.0), all, lessThan(4 * q + uvec4(0, 1, 2, 3), uvec4(own)));
}

// Columns o .. o+3.
void expand(const uint row, const uint count, const uint adapter, const uint o)
{
    const uint own = uint(ranks[adapter]);
    vec4 acc[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        acc[r] = vec4(0.0);
    }
    const uint base = adapter * pc.n;
    for (uint q = 0; q < (own + 3) / 4; ++q) {
        vec4 bs[4];
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            bs[i] = load_b((base + min(o + i, pc.n - 1)) * pc.rank, q, own);
        }
        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
            if (r < count) {
                const vec4 hs = h[(row + r) * quads() + q];
                acc[r] += vec4(dot(bs[0], hs), dot(bs[1], hs), dot(bs[2], hs),
                               dot(bs[3], hs));
            }
        }
    }
    const float s = scale[adapter];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        const uint at = (row + r) * pc.n + o;
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
    const uint o = 4 * gl_GlobalInvocationID.x;
    if (PHASE == PHASE_SHRINK || o >= pc.n) {
        return;
    }
    const uint step = gl_NumWorkGroups.y * ROWS;
    for (uint first = gl_WorkGroupID.y * ROWS; first < pc.rows; first += step) {
        const uint end = min(first + ROWS, pc.rows);
        for (uint row = first; row < end;) {
            const int adapter = adapter_of(row);
            const uint count = same_adapter(row, end, adapter);
            if (adapter >= 0) {
                expand(row, count, uint(adapter), o);
            }
            row += count;
        }
    }
}

#endif
