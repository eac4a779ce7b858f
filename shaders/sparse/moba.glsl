// SPDX-License-Identifier: MIT
//
// The passes of moba_attention_*
//
//   mean     kmean[n] = mean of block n's keys; counts[n] = 0
//   gate     the blocks of every query: idx, and for its SLOTS earlier blocks the pairs
//            pick = (block, how many queries of that block came before)
//   scan     first[n] = (where block n's list begins, its first tile)
//   scatter  list[first[n] + place] = query * SLOTS + slot
//   list     a tile of the queries that chose a block, against its keys: unfinished sums
//   own      a tile of a block's queries against the block itself, causal; joins the sums
//   main     (masked only) all keys, what was not chosen hidden
//
// A query's place in a list comes from an atomic counter. Lists may so differ from run to
// run in their order, but a row's sums do not depend on its place.
//
// The includer defines MOBA_TILE for the shared-memory tile (else a lane owns rows), and
// MOBA_ROWS and MOBA_KEYS, the defaults of the constants.
#include "sparse/wide.glsl"

#ifdef MOBA_TILE
#define TILE_ROWS ROWS // queries of a workgroup
layout(local_size_x = 128, local_size_x_id = 0) in;
#else
#define TILE_ROWS (ROWS * gl_WorkGroupSize.x)
layout(local_size_x = 32, local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUP = 4;
#endif

layout(constant_id = 5) const uint EXP = 5;
layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 16) const uint IDX = 0; // compute, given
layout(constant_id = 32) const uint HEAD_DIM = 64;
layout(constant_id = 33) const uint V_DIM = 64;
layout(constant_id = 34) const uint TOP = 2;
const uint SLOTS = TOP > 1u ? TOP - 1u : 1u;
const uint QUADS = (HEAD_DIM + 3u) / 4u;
const uint V_QUADS = (V_DIM + 3u) / 4u;
const uint NONE = 0xffffffffu;

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K2 { W2 k2[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { W4 k4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V2 { W2 v2[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { W4 v4[]; };

layout(push_constant, std430) uniform Push {
    uint len, bs;
    float tau;
} pc;

uint blocks() { return (pc.len + pc.bs - 1u) / pc.bs; }
uint head_row() { return gl_WorkGroupID.z * pc.len; }     // of q, k, v, o, lse
uint head_block() { return gl_WorkGroupID.z * blocks(); } // of kmean, counts, first

// --- means ----------------------------------------------------------------------------
#ifdef PASS_MEAN
layout(constant_id = 8) const uint LANES = 1; // that share a key
layout(set = 0, binding = 7, std430) restrict writeonly buffer Kmean { vec4 kmean[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Counts { uint counts[]; };
shared vec4 part_k[gl_WorkGroupSize.x];

vec4 load_k(const uint row, const uint c)
{
    WIDE_LOAD4(k, row, HEAD_DIM, c);
}

void main()
{
    const uint n = gl_WorkGroupID.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint groups = gl_WorkGroupSize.x / LANES;
    const uint count = min(pc.bs, pc.len - n * pc.bs);
    const uint row = head_row() + n * pc.bs;
    if (lane == 0u) {
        counts[head_block() + n] = 0u;
    }
    for (uint c0 = 0; c0 < QUADS; c0 += LANES) {
        const uint c = c0 + lane % LANES;
        vec4 x = vec4(0.0);
        if (c < QUADS) {
            for (uint j = lane / LANES; j < count; j += groups) {
                x += load_k(row + j, c);
            }
        }
        barrier();
        part_k[lane] = x;
        barrier();
        if (lane < LANES && c < QUADS) {
            for (uint g = 1; g < groups; g++) {
                x += part_k[g * LANES + lane];
            }
            kmean[(head_block() + n) * QUADS + c] = x / float(count);
        }
    }
}
#endif

// --- choice ---------------------------------------------------------------------------
#ifdef PASS_GATE
#ifndef MOBA_TILE
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
layout(set = 0, binding = 3, std430) restrict readonly buffer Sel { int sel[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer Idx { int idx[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer Kmean { vec4 kmean[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer Kmean2 { vec2 kmean2[]; };
layout(set = 0, binding = 8, std430) restrict buffer Counts { uint counts[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer Pick { uvec2 pick[]; };

const uint GATE = 4; // blocks a step
float gate_q[QUADS * 4u];
float gate_x[GATE];
float best[SLOTS];
uint chosen[SLOTS];

vec4 load_q(const uint row, const uint c)
{
    WIDE_LOAD4(q, row, HEAD_DIM, c);
}

// gate_x[g] = q . kmean[n + g]
void gate_scores(const uint n)
{
    uint at[GATE];
    [[unroll]] for (uint g = 0; g < GATE; g++) {
        at[g] = head_block() + min(n + g, blocks() - 1u);
        gate_x[g] = 0.0;
    }
#ifdef MOBA_TILE
    for (uint c = 0; c < QUADS; c++) {
        [[unroll]] for (uint g = 0; g < GATE; g++) {
            const vec4 x = kmean[at[g] * QUADS + c];
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                gate_x[g] = fma(gate_q[4u * c + e], x[e], gate_x[g]);
            }
        }
    }
#else
    const uint lane = gl_SubgroupInvocationID % SUBGROUP;
    [[dont_unroll]] for (uint c0 = 0; c0 < 4u * QUADS; c0 += 2u * SUBGROUP) {
        vec2 x[GATE];
        [[unroll]] for (uint g = 0; g < GATE; g++) {
            const uint c = min(c0 / 2u + lane, 2u * QUADS - 1u);
            x[g] = kmean2[at[g] * (2u * QUADS) + c];
        }
        [[unroll]] for (uint i = 0; i < 2u * SUBGROUP; i++) {
            if (c0 + i < HEAD_DIM) {
                const float y = gate_q[c0 + i];
                [[unroll]] for (uint g = 0; g < GATE; g++) {
                    const float z =
                        subgroupShuffle((i & 1u) == 0u ? x[g].x : x[g].y, i >> 1);
                    gate_x[g] = fma(y, z, gate_x[g]);
                }
            }
        }
    }
#endif
}

// Puts a block behind those that are at least as good; blocks come in ascending order.
void insert(float x, uint n)
{
    bool moved = false;
    for (uint i = 0; i < SLOTS; i++) {
        moved = moved || chosen[i] == NONE || x > best[i];
        if (moved) {
            const float y = best[i];
            const uint m = chosen[i];
            best[i] = x;
            chosen[i] = n;
            x = y;
            n = m;
        }
    }
}

// Number i of the chosen, ascending.
uint ascending(const uint i)
{
    uint found = NONE;
    for (uint x = 0; x < SLOTS; x++) {
        uint before = 0u;
        for (uint y = 0; y < SLOTS; y++) {
            const bool less =
                chosen[y] < chosen[x] || (chosen[y] == chosen[x] && y < x);
            before += less ? 1u : 0u;
        }
        found = before == i ? chosen[x] : found;
    }
    return found;
}

void main()
{
    const uint begin = gl_WorkGroupID.x * gl_WorkGroupSize.x;
    const uint i = begin + gl_LocalInvocationID.x;
    const uint row = head_row() + min(i, pc.len - 1u);
    const uint own = min(i, pc.len - 1u) / pc.bs;
    for (uint x = 0; x < SLOTS; x++) {
        best[x] = 0.0;
        chosen[x] = NONE;
    }
    if (IDX == 0) {
        for (uint c = 0; c < QUADS; c++) {
            const vec4 x = load_q(row, c);
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                gate_q[4u * c + e] = x[e];
            }
        }
        const uint last = min(begin + gl_WorkGroupSize.x, pc.len) - 1u;
        const uint end = TOP > 1u ? last / pc.bs : 0u;
        for (uint n = 0; n < end; n += GATE) {
            gate_scores(n);
            [[unroll]] for (uint g = 0; g < GATE; g++) {
                if (n + g < own) {
                    insert(gate_x[g], n + g);
                }
            }
        }
    } else {
        uint used = 0u;
        for (uint x = 0; x < TOP; x++) {
            const int n = sel[row * TOP + x];
            if (n >= 0 && uint(n) < own && used < SLOTS && TOP > 1u) {
                chosen[used++] = uint(n);
            }
        }
    }
    if (i < pc.len) {
        bool written = false;
        for (uint x = 0; x < TOP; x++) {
            const uint n = x < SLOTS && TOP > 1u ? ascending(x) : NONE;
            if (IDX == 0) {
                idx[row * TOP + x] = n != NONE ? int(n) : written ? -1 : int(own);
                written = written || n == NONE;
            }
            if (x < SLOTS) {
                const uint place =
                    n == NONE ? 0u : atomicAdd(counts[head_block() + n], 1u);
                pick[row * SLOTS + x] = uvec2(n, place);
            }
        }
    }
}
#endif

// --- lists ----------------------------------------------------------------------------
#ifdef PASS_SCAN
layout(constant_id = 3) const uint ROWS = MOBA_ROWS;
layout(set = 0, binding = 8, std430) restrict readonly buffer Counts { uint counts[]; };
layout(set = 0, binding = 10, std430) restrict writeonly buffer First { uvec2 first[]; };
shared uvec2 part_sum[gl_WorkGroupSize.x];

uvec2 size_of(const uint n)
{
    const uint count = counts[head_block() + n];
    return uvec2(count, (count + TILE_ROWS - 1u) / TILE_ROWS);
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint share = (blocks() + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;
    const uint begin = min(lane * share, blocks());
    const uint end = min(begin + share, blocks());
    uvec2 sum = uvec2(0u);
    for (uint n = begin; n < end; n++) {
        sum += size_of(n);
    }
    part_sum[lane] = sum;
    barrier();
    uvec2 at = uvec2(0u);
    for (uint x = 0; x < lane; x++) {
        at += part_sum[x];
    }
    const uint base = gl_WorkGroupID.z * (blocks() + 1u);
    for (uint n = begin; n < end; n++) {
        first[base + n] = at;
        at += size_of(n);
    }
    if (lane == gl_WorkGroupSize.x - 1u) {
        first[base + blocks()] = at;
    }
}
#endif

#ifdef PASS_SCATTER
layout(set = 0, binding = 9, std430) restrict readonly buffer Pick { uvec2 pick[]; };
layout(set = 0, binding = 10, std430) restrict readonly buffer First { uvec2 first[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer List { uint list[]; };

void main()
{
    const uint i = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i < pc.len) {
        for (uint slot = 0; slot < SLOTS; slot++) {
            const uvec2 x = pick[(head_row() + i) * SLOTS + slot];
            if (x.x != NONE) {
                const uint at = first[gl_WorkGroupID.z * (blocks() + 1u) + x.x].x + x.y;
                list[head_row() * SLOTS + at] = i * SLOTS + slot;
            }
        }
    }
}
#endif

// --- attention ------------------------------------------------------------------------
#if defined(PASS_LIST) || defined(PASS_OWN) || defined(PASS_MAIN)

#ifdef PASS_LIST
const uint MASK = 0; // all of an earlier block is visible
#else
const uint MASK = 1; // causal
#endif
#include "sparse/plain_score.glsl"

#ifdef PASS_LIST
layout(set = 0, binding = 10, std430) restrict readonly buffer First { uvec2 first[]; };
layout(set = 0, binding = 11, std430) restrict readonly buffer List { uint list[]; };
layout(set = 0, binding = 12, std430) restrict writeonly buffer Part { vec4 part[]; };
layout(set = 0, binding = 13, std430) restrict writeonly buffer Stat { vec2 stat[]; };
#else
layout(set = 0, binding = 5, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer O4 { T4 o4[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Lse { float lse[]; };
layout(set = 0, binding = 9, std430) restrict readonly buffer Pick { uvec2 pick[]; };
#ifdef PASS_OWN
layout(set = 0, binding = 12, std430) restrict readonly buffer Part { vec4 part[]; };
layout(set = 0, binding = 13, std430) restrict readonly buffer Stat { vec2 stat[]; };
#endif
#endif

uint q_row;      // row of q where the tile's queries are counted from
uint k_row;      // row of k and v where its keys begin
uint list_begin; // element of list where the block's queries begin

vec4 load_q(const uint row, const uint c)
{
    WIDE_LOAD4(q, row, HEAD_DIM, c);
}

vec4 flash_q(const uint row, const uint c)
{
#ifdef PASS_LIST
    return load_q(q_row + list[list_begin + row] / SLOTS, c);
#else
    return load_q(q_row + row, c);
#endif
}

vec4 flash_k(const uint key, const uint c)
{
    WIDE_LOAD4(k, k_row + key, HEAD_DIM, c);
}

vec4 flash_v(const uint key, const uint c)
{
    WIDE_LOAD4(v, k_row + key, V_DIM, c);
}

vec2 flash_k2(const uint key, const uint c)
{
    WIDE_LOAD2(k, k_row + key, HEAD_DIM, c);
}

vec2 flash_v2(const uint key, const uint c)
{
    WIDE_LOAD2(v, k_row + key, V_DIM, c);
}

float flash_key_scale(const uint key) { return 1.0; }
float flash_row_scale(const uint row, const float norm2) { return 1.0; }

layout(constant_id = 3) const uint ROWS = MOBA_ROWS;
layout(constant_id = 4) const uint KEYS = MOBA_KEYS;

#ifdef PASS_LIST

void flash_store(const uint row, const uint c, const vec4 x)
{
    part[(q_row * SLOTS + list[list_begin + row]) * V_QUADS + c] = x;
}

float flash_finish(const uint row, const bool store, const float m, const float l)
{
    if (store) {
        stat[q_row * SLOTS + list[list_begin + row]] = vec2(m, l);
    }
    return 1.0;
}

#elif defined(PASS_OWN)

#ifdef MOBA_TILE
#define MERGED 1u // rows whose weights are kept: stores follow their row's finish
uint merge_place(const uint row) { return 0u; }
#else
#define MERGED ROWS
uint merge_first;
uint merge_place(const uint row) { return (row - merge_first) / gl_WorkGroupSize.x; }
#endif
float merge_weight[MERGED * SLOTS]; // of the sums of a row's slots; -1: there are none

void flash_store(const uint row, const uint c, const vec4 x)
{
    vec4 sum = x;
    for (uint slot = 0; slot < SLOTS; slot++) {
        const float w = merge_weight[merge_place(row) * SLOTS + slot];
        if (!(w < 0.0)) {
            sum = fma(vec4(w), part[((q_row + row) * SLOTS + slot) * V_QUADS + c], sum);
        }
    }
    WIDE_STORE4(o, q_row + row, V_DIM, c, sum)
}

// Joins the sums of the own block with those of the row's slots.
float flash_finish(const uint row, const bool store, const float m, const float l)
{
    const uint at = (q_row + row) * SLOTS;
    const uint to = merge_place(row) * SLOTS;
    float top = m;
    for (uint slot = 0; slot < SLOTS; slot++) {
        if (TOP > 1u && pick[at + slot].x != NONE) {
            top = max(top, stat[at + slot].x);
        }
    }
    const float own = vkz_exp2_accurate(m - top);
    float sum = l * own;
    for (uint slot = 0; slot < SLOTS; slot++) {
        float w = -1.0;
        if (TOP > 1u && pick[at + slot].x != NONE) {
            const vec2 x = stat[at + slot];
            w = vkz_exp2_accurate(x.x - top);
            sum = fma(x.y, w, sum);
        }
        merge_weight[to + slot] = w;
    }
    for (uint slot = 0; slot < SLOTS; slot++) {
        merge_weight[to + slot] /= sum;
    }
    if (store) {
        lse[q_row + row] = (top + vkz_log2(sum)) * VKZ_LN2;
    }
    return own / sum;
}

#else // PASS_MAIN

#define FLASH_VISIBLE
bool flash_visible(const uint row, const int p, const uint key)
{
    const uint n = key / pc.bs;
    bool seen = n == row / pc.bs;
    for (uint slot = 0; slot < SLOTS; slot++) {
        seen = seen || (TOP > 1u && pick[(q_row + row) * SLOTS + slot].x == n);
    }
    return seen && int(key) <= p;
}

void flash_store(const uint row, const uint c, const vec4 x)
{
    WIDE_STORE4(o, q_row + row, V_DIM, c, x)
}

float flash_finish(const uint row, const bool store, const float m, const float l)
{
    if (store) {
        lse[q_row + row] = (m + vkz_log2(l)) * VKZ_LN2;
    }
    return 1.0 / l;
}

#endif

#ifdef MOBA_TILE
layout(constant_id = 7) const uint ACROSS = 16;
layout(constant_id = 9) const uint SLICE = 32;
layout(constant_id = 10) const uint SLAB = 32;
shared vec4 flash_stage[(ROWS + KEYS) * (SLICE / 4u + 1u)];
shared float flash_w[ROWS * (KEYS + 4u)];
shared float flash_top[ROWS * ACROSS];
#include "lib/flash_tile.glsl"
#else
layout(constant_id = 7) const uint ROLL = 0;
#include "lib/flash.glsl"
#endif

// Rows begin .. of the s.q_len there are; their positions begin there, too.
void attend(const score_map s, const uint begin)
{
#ifdef MOBA_TILE
    const uint end = min(begin + ROWS, uint(s.q_len));
    flash_tile(s, begin, uint(s.q_len), int(begin), int(end) - 1);
#else
    const uint lanes = gl_WorkGroupSize.x;
    const uint end = min(begin + ROWS * lanes, uint(s.q_len));
    const uint mine = begin + gl_LocalInvocationID.x;
#ifdef PASS_OWN
    merge_first = mine;
#endif
    flash_lane(s, mine, lanes, int(begin), int(end) - 1);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = mine + r * lanes;
        flash_factor[r] = 1.0;
        if (row < end) {
            flash_factor[r] = flash_finish(row, true, flash_m[r], flash_l[r]);
        }
    }
    flash_store_rows(mine, lanes, end);
#endif
}

void main()
{
    const uint tile = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    list_begin = 0u;
#ifdef PASS_LIST
    const uint base = gl_WorkGroupID.z * (blocks() + 1u);
    if (tile < first[base + blocks()].y) {
        // The block whose tiles hold this one: the last whose first tile is not after it.
        uint low = 0u;
        uint high = blocks();
        while (low + 1u < high) {
            const uint middle = (low + high) / 2u;
            if (first[base + middle].y <= tile) {
                low = middle;
            } else {
                high = middle;
            }
        }
        const uvec2 here = first[base + low];
        q_row = head_row();
        k_row = head_row() + low * pc.bs;
        list_begin = head_row() * SLOTS + here.x;
        const score_map s =
            plain_score_map(first[base + low + 1u].x - here.x, pc.bs, pc.tau);
        attend(s, (tile - here.y) * TILE_ROWS);
    }
#elif defined(PASS_OWN)
    const uint tiles = (pc.bs + TILE_ROWS - 1u) / TILE_ROWS;
    const uint n = tile / tiles;
    const uint begin = tile % tiles * TILE_ROWS;
    if (n < blocks() && n * pc.bs + begin < pc.len) {
        const uint count = min(pc.bs, pc.len - n * pc.bs);
        q_row = head_row() + n * pc.bs;
        k_row = q_row;
        attend(plain_score_map(count, count, pc.tau), begin);
    }
#else
    q_row = head_row();
    k_row = q_row;
    attend(plain_score_map(pc.len, pc.len, pc.tau), tile * TILE_ROWS);
#endif
}
#endif
