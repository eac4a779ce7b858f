// SPDX-License-Identifier: MIT
//
// Indices of the largest elements of each row: a bound first, then the few above it
//
//   largest of each of GROUPS groups of elements -> the top-th largest of those is a bound:
//   at least `top` elements reach it, and few more do
//   elements that reach the bound -> shared memory, each lane's in order
//   bisection over their keys -> the cut; what is above it is written in order
//
// DeepSeek-V3.2, arXiv 2512.02556 (the token selector of sparse attention).
//
// Why this one: the row is walked twice with nothing but comparisons, where radix
// selection counts every element in shared memory. Fastest on CPU drivers while `top` is
// small against n. A row whose largest elements lie together, or that has many equal
// ones, overflows a lane's slots and is selected as topk_select_radix does.
//
//! kernel   topk_select_filter
//! op       topk_select/1
//! tier     T0
//! bind     0 x    in   f32[rows, n]
//! bind     1 lens in   i32[rows]
//! bind     2 idx  out  i32[rows, top]
//! bind     3 val  out  f32[rows, top]  when VAL == VAL.on
//! scratch  4 more u32[IN_MEMORY==1?rows:1, IN_MEMORY==1?2*SLOTS:1]
//! push     rows:u32 n:u32 top:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 SLOTS u32 256 = max(256,next_pow2(3*top))   // candidates kept; half as many groups
//! spec     4 VEC u32 1 = n % 4 == 0 ? 4 : 1   // elements a load
//! spec     5 IN_MEMORY u32 0 = SLOTS > 1024   // 1: candidates are kept in memory, not shared
//! spec     16 VAL u32 0
//! when     IN_MEMORY == 0 || rows*SLOTS <= 16777216 : its candidates would take more than 128 MiB
//! shared   4*((IN_MEMORY==1?2:2*SLOTS)+256+4*WG_SIZE+4)
//! pass     main  groups min(rows,65535) ceildiv(rows,65535)
//! variant  f32  T=f32
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(constant_id = 3) const uint SLOTS = 256;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 5) const uint IN_MEMORY = 0;
layout(constant_id = 16) const uint VAL = 0;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { float x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Lens { int lens[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer Idx { int idx[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Val { float val[]; };

layout(set = 0, binding = 4, std430) restrict buffer More { uint more[]; };

layout(push_constant, std430) uniform Push {
    uint rows, n, top;
} pc;

const uint GROUPS = SLOTS / 2u;
const uint OWN = SLOTS / gl_WorkGroupSize.x; // slots of a lane
const uint SELECT_COPIES = 1;
// Bits of a key that the bound keeps: sign, exponent and some of the mantissa.
const int BOUND_BITS = 18;

shared uint shared_keys[IN_MEMORY != 0 ? 1 : SLOTS];
shared uint shared_places[IN_MEMORY != 0 ? 1 : SLOTS];
shared uint select_bins[256 * SELECT_COPIES];
shared uvec2 scan_shared[2 * gl_WorkGroupSize.x];
shared uint select_found[4];

uint row;

// The largest of the groups, then the keys of the candidates. Each lane writes and reads
// slots of its own.
uint slot_key(const uint at)
{
    return IN_MEMORY != 0 ? more[row * 2u * SLOTS + at] : shared_keys[at];
}

void slot_set_key(const uint at, const uint key)
{
    if (IN_MEMORY != 0) {
        more[row * 2u * SLOTS + at] = key;
    } else {
        shared_keys[at] = key;
    }
}

uint slot_place(const uint at)
{
    return IN_MEMORY != 0 ? more[(row * 2u + 1u) * SLOTS + at] : shared_places[at];
}

void slot_set_place(const uint at, const uint place)
{
    if (IN_MEMORY != 0) {
        more[(row * 2u + 1u) * SLOTS + at] = place;
    } else {
        shared_places[at] = place;
    }
}

uint select_load(const uint i);
void select_store(const uint at, const uint i);
#define SELECT_GROUP
#include "lib/select.glsl"

uint select_load(const uint i)
{
    return select_key(x[row * pc.n + i]);
}

void select_store(const uint at, const uint i)
{
    idx[row * pc.top + at] = int(i);
    if (VAL != 0) {
        val[row * pc.top + at] = x[row * pc.n + i];
    }
}

// Elements 4q .. 4q+3 of the row, -inf from `len` on.
vec4 load4(const uint q, const uint len)
{
    if (VEC == 4 && 4u * q + 4u <= len) {
        return x4[row * (pc.n / 4u) + q];
    }
    vec4 y;
    [[unroll]] for (uint e = 0; e < 4u; e++) {
        y[e] = uintBitsToFloat(0xff800000u);
        if (4u * q + e < len) {
            y[e] = x[row * pc.n + 4u * q + e];
        }
    }
    return y;
}

// Over all lanes: how many of each lane's first `own` keys from `first` on, `stride`
// apart, reach `key`.
uint count_reaching(const uint key, const uint first, const uint stride, const uint own)
{
    uint count = 0u;
    for (uint i = 0; i < own; i++) {
        count += slot_key(first + i * stride) >= key ? 1u : 0u;
    }
    uvec2 total;
    vkz_scan_exclusive(uvec2(count, 0u), total);
    return total.x;
}

// A value that at least `top` elements reach; the least there is when there are fewer.
float find_bound(const uint len)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    const uint quads = (len + 3u) / 4u;
    const uint whole = len / 4u;
    for (uint g = lane; g < GROUPS / 4u; g += lanes) {
        vec4 m = vec4(uintBitsToFloat(0xff800000u));
        uint q = g;
        if (VEC == 4) {
            for (; q < whole; q += GROUPS / 4u) {
                m = max(m, x4[row * (pc.n / 4u) + q]);
            }
        }
        for (; q < quads; q += GROUPS / 4u) {
            m = max(m, load4(q, len));
        }
        [[unroll]] for (uint e = 0; e < 4u; e++) {
            slot_set_key(g + e * (GROUPS / 4u), select_key(m[e]));
        }
    }
    barrier();
    uint key = 0u;
    for (int bit = 31; bit >= 32 - BOUND_BITS; bit--) {
        const uint next = key | 1u << bit;
        key = count_reaching(next, lane, lanes, GROUPS / lanes) >= pc.top ? next : key;
    }
    return select_value(max(key, SELECT_NEVER + 1u));
}

// This lane's share of the row: quads [x, y). Lanes' shares follow one another.
uvec2 share(const uint len)
{
    const uint quads = (len + 3u) / 4u;
    const uint per = (quads + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;
    const uint begin = min(gl_LocalInvocationID.x * per, quads);
    return uvec2(begin, min(begin + per, quads));
}

// The elements of this lane's share that reach the bound into its slots, at lane + i *
// lanes for i < OWN. Returns how many there are, also beyond what the slots hold.
uint gather(const uint len, const float bound)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    const uvec2 mine = share(len);
    uint count = 0u;
    for (uint q = mine.x; q < mine.y; q++) {
        const vec4 y = load4(q, len);
        const float most = max(max(y.x, y.y), max(y.z, y.w));
        if (most >= bound) {
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                if (y[e] >= bound) {
                    const uint at = min(count, OWN - 1u) * lanes + lane;
                    slot_set_key(at, select_key(y[e]));
                    slot_set_place(at, 4u * q + e);
                    count++;
                }
            }
        }
    }
    return count;
}

// The cut among the candidates, of which there are at least `top`.
select_cut cut_candidates(const uint own)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    uint key = 0u;
    uint above = 0u;
    for (int bit = 31; bit >= 0; bit--) {
        const uint next = key | 1u << bit;
        const uint count = count_reaching(next, lane, lanes, own);
        if (count >= pc.top) {
            key = next;
        } else {
            above = count;
        }
    }
    select_cut cut;
    cut.key = key;
    cut.equal = pc.top - above;
    return cut;
}

void write_candidates(const select_cut cut, const uint own)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    uvec2 mine = uvec2(0u);
    for (uint i = 0; i < own; i++) {
        const uint key = slot_key(i * lanes + lane);
        mine += uvec2(key > cut.key ? 1u : 0u, key == cut.key ? 1u : 0u);
    }
    uvec2 total;
    uvec2 before = vkz_scan_exclusive(mine, total);
    for (uint i = 0; i < own; i++) {
        const uint key = slot_key(i * lanes + lane);
        if (select_takes(cut, key, before.y)) {
            select_store(before.x + min(before.y, cut.equal),
                         slot_place(i * lanes + lane));
        }
        before += uvec2(key > cut.key ? 1u : 0u, key == cut.key ? 1u : 0u);
    }
}

void main()
{
    row = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    if (row >= pc.rows) {
        return; // the whole workgroup
    }
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    const uint len = uint(clamp(lens[row], 0, int(pc.n)));
    uint done = 0u;
    bool found = false;
    if (len > 2u * GROUPS) {
        const float bound = find_bound(len);
        barrier(); // the groups have been read
        const uint own = gather(len, bound);
        uvec2 total;
        vkz_scan_exclusive(uvec2(own, own > OWN ? 1u : 0u), total);
        // Fewer than `top` reach a bound only when there are no more, or when a device
        // takes subnormal numbers for 0 in some of its operations and not in others.
        if (total.y == 0u && total.x >= pc.top) {
            write_candidates(cut_candidates(own), own);
            done = pc.top;
            found = true;
        }
    }
    if (!found) {
        const select_cut cut = select_cut_group(len, pc.top);
        done = select_compact_group(len, cut, (pc.n + lanes - 1u) / lanes);
    }
    for (uint i = done + lane; i < pc.top; i += lanes) {
        idx[row * pc.top + i] = -1;
        if (VAL != 0) {
            val[row * pc.top + i] = uintBitsToFloat(0xff800000u);
        }
    }
}
