// SPDX-License-Identifier: MIT
//
// The layer of experts, from the choice of experts to y, or to the gradients
//
//   count scan scatter   the map, see map.glsl; the scan writes the indirect dispatches
//   up                   h = act(W1_e x) of every entry; backward: a and b
//   down combine         W2_e h, then the weighted sum of a token's entries
//   grad                 backward: g = W2_eᵀ dy
//   act                  backward: g and [a; b] become w h and the gradients of a and b,
//                        and dw = g · h
//   dw1 dw2              backward: Σ over an expert's entries of d[a; b] ⊗ x, dy ⊗ w h
//   down combine         backward: W1_eᵀ d[a; b], then the sum of a token's entries
//
// A tile of the map is one of the products: as many rows. The shared expert is one more expert, and one more entry of every token, with weight 1.
// What lies between passes is float; its rows begin at multiples of four, zeros behind.
#ifndef VKZ_MOE_FFN_GLSL
#define VKZ_MOE_FFN_GLSL

#include "lib/activation.glsl"
#include "moe/loads.glsl"

layout(constant_id = 12) const uint VEC_C = 1;
layout(constant_id = 13) const uint VEC_F = 1;
layout(constant_id = 16) const uint ACT = 0;
#ifdef FFN_BACKWARD
const uint SHARED = 0;
#else
layout(constant_id = 17) const uint SHARED = 0;
#endif

const uint ACT_SWIGLU = 0;
const uint ACT_RELU = 1;
const uint ACT_GELU = 2;
const uint ACT_SWIGLU_CLAMP = 3;
const bool GATED = ACT == ACT_SWIGLU || ACT == ACT_SWIGLU_CLAMP;
const uint HALVES = GATED ? 2 : 1;

layout(push_constant, std430) uniform Push {
    uint rows, width, experts, topk, ff_width, cap, parts;
} pc;

layout(std430, binding = 0) restrict readonly buffer X { T x[]; };
layout(std430, binding = 0) restrict readonly buffer X4 { W4 x4[]; };
layout(std430, binding = 1) restrict readonly buffer WeightUp { T w1[]; };
layout(std430, binding = 1) restrict readonly buffer WeightUpWide { W4 w1_4[]; };
layout(std430, binding = 2) restrict readonly buffer WeightDown { T w2[]; };
layout(std430, binding = 2) restrict readonly buffer WeightDownWide { W4 w2_4[]; };
layout(std430, binding = 3) restrict readonly buffer Idx { int idx[]; };
layout(std430, binding = 4) restrict readonly buffer Weight { float w[]; };
#ifdef FFN_BACKWARD
layout(std430, binding = 5) restrict readonly buffer Dy { T dy[]; };
layout(std430, binding = 5) restrict readonly buffer Dy4 { W4 dy4[]; };
layout(std430, binding = 6) restrict writeonly buffer Dx { T dx[]; };
layout(std430, binding = 6) restrict writeonly buffer Dx4 { W4 dx4[]; };
layout(std430, binding = 7) restrict writeonly buffer Dw1 { float dw1[]; };
layout(std430, binding = 7) restrict writeonly buffer Dw1Wide { vec4 dw1_4[]; };
layout(std430, binding = 8) restrict writeonly buffer Dw2 { float dw2[]; };
layout(std430, binding = 8) restrict writeonly buffer Dw2Wide { vec4 dw2_4[]; };
layout(std430, binding = 9) restrict writeonly buffer Dw { float dw[]; };
layout(std430, binding = 17) restrict buffer G { vec4 g[]; };
#else
layout(std430, binding = 5) restrict readonly buffer Ws1 { T ws1[]; };
layout(std430, binding = 5) restrict readonly buffer Ws1Wide { W4 ws1_4[]; };
layout(std430, binding = 6) restrict readonly buffer Ws2 { T ws2[]; };
layout(std430, binding = 6) restrict readonly buffer Ws2Wide { W4 ws2_4[]; };
layout(std430, binding = 7) restrict writeonly buffer Y { T y[]; };
layout(std430, binding = 7) restrict writeonly buffer Y4 { W4 y4[]; };
#endif
layout(std430, binding = 10) restrict buffer Counters { uint counters[]; };
layout(std430, binding = 11) restrict buffer Src { int src[]; };
layout(std430, binding = 12) restrict buffer Pos { int pos[]; };
layout(std430, binding = 13) restrict buffer TileExpert { int tile_expert[]; };
layout(std430, binding = 14) restrict buffer Hidden { vec4 hidden[]; };
layout(std430, binding = 15) restrict buffer Ys { vec4 ys[]; };
#if defined(PASS_SCAN) && defined(FFN_BACKWARD)
layout(std430, binding = 19) restrict writeonly buffer GridGrad { uint grid_grad[]; };
#endif
#ifdef PASS_SCAN
layout(std430, binding = 16) restrict writeonly buffer GridFf { uint grid_ff[]; };
layout(std430, binding = 18) restrict writeonly buffer GridWidth { uint grid_width[]; };
#endif

uint entries_of() { return pc.topk + SHARED; }
uint bins() { return pc.experts + SHARED; }
uint ff_quads() { return (pc.ff_width + 3) / 4; }
#ifdef FFN_BACKWARD
uint hidden_quads() { return HALVES * ff_quads(); } // [a; b]
#else
uint hidden_quads() { return ff_quads(); }
#endif
uint width_quads() { return (pc.width + 3) / 4; }

// --- the map --------------------------------------------------------------------------

#ifdef PASS_SCAN
#define MAP_SCAN
shared uint map_share[gl_WorkGroupSize.x];
#endif

uint map_bin(const uint entry)
{
    if (SHARED == 0) {
        return uint(idx[entry]);
    }
    const uint t = entry / entries_of();
    const uint i = entry % entries_of();
    return i == pc.topk ? pc.experts : uint(idx[t * pc.topk + i]);
}

void map_put_expert(const uint bin, const uint entries, const uint begin) {}

void map_put(const int place, const uint entry)
{
    if (place >= 0) {
        src[place] = int(entry);
    }
    pos[entry] = place;
}

void map_put_padding(const uint place)
{
    src[place] = -1;
}

void map_put_tile(const uint tile, const int bin)
{
    tile_expert[tile] = bin;
}

void map_put_end(const uint end);

#include "moe/map.glsl"

map_shape map_shape_of()
{
    const uint entries = pc.rows * entries_of();
    return map_shape(entries, bins(), pc.parts, TILE_M, entries, pc.cap);
}

// --- loads, activation ----------------------------------------------------------------

MOE_LOADER(load_x, x, x4, VEC_C)
MOE_LOADER(load_w1, w1, w1_4, VEC_C)
MOE_LOADER(load_w2, w2, w2_4, VEC_F)
#ifdef FFN_BACKWARD
MOE_STORER(store_out, dx, dx4, VEC_C)
MOE_LOADER(load_dy, dy, dy4, VEC_C)
MOE_STORER_F32(store_dw1, dw1, dw1_4, VEC_C)
MOE_STORER_F32(store_dw2, dw2, dw2_4, VEC_F)
#else
MOE_STORER(store_out, y, y4, VEC_C)
MOE_LOADER(load_ws1, ws1, ws1_4, VEC_C)
MOE_LOADER(load_ws2, ws2, ws2_4, VEC_F)
#endif

vec4 w1_row(const uint expert, const uint row, const uint i)
{
#ifndef FFN_BACKWARD
    if (SHARED != 0 && expert == pc.experts) {
        return load_ws1(row * pc.width, i, pc.width);
    }
#endif
    return load_w1((expert * HALVES * pc.ff_width + row) * pc.width, i, pc.width);
}

vec4 w2_row(const uint expert, const uint row, const uint i)
{
#ifndef FFN_BACKWARD
    if (SHARED != 0 && expert == pc.experts) {
        return load_ws2(row * pc.ff_width, i, pc.ff_width);
    }
#endif
    return load_w2((expert * pc.width + row) * pc.ff_width, i, pc.ff_width);
}

float sigmoid(const float v)
{
    return 1.0 / (1.0 + vkz_exp2_accurate(min(-v * VKZ_LOG2E, 126.0)));
}

float act(const float a, const float b)
{
    if (ACT == ACT_RELU) {
        return vkz_relu(a);
    }
    if (ACT == ACT_GELU) {
        return vkz_gelu(a);
    }
    if (ACT == ACT_SWIGLU) {
        return vkz_silu(a) * b;
    }
    const float gate = a > 7.0 ? 7.0 : a; // comparisons that keep a NaN
    const float up = b > 7.0 ? 7.0 : b < -7.0 ? -7.0 : b;
    return (up + 1.0) * gate * sigmoid(1.702 * gate);
}

// Slopes of act() along a and b.
vec2 act_slopes(const float a, const float b)
{
    if (ACT == ACT_RELU) {
        return vec2(a > 0.0 ? 1.0 : 0.0, 0.0);
    }
    if (ACT == ACT_GELU) {
        const float bell = vkz_exp2_accurate(max(-0.5 * VKZ_LOG2E * a * a, -126.0));
        return vec2(0.5 + 0.5 * vkz_erf(a * VKZ_SQRT_HALF) + a * 0.3989422804 * bell, 0.0);
    }
    const bool clamped = ACT == ACT_SWIGLU_CLAMP;
    const float slope = clamped ? 1.702 : 1.0;
    const float gate = clamped && a > 7.0 ? 7.0 : a;
    const bool held = clamped && (b > 7.0 || b < -7.0);
    const float up = held ? (b > 7.0 ? 8.0 : -6.0) : clamped ? b + 1.0 : b;
    const float s = sigmoid(slope * gate);
    const float da = up * s * (1.0 + slope * gate * (1.0 - s));
    return vec2(clamped && a > 7.0 ? 0.0 : da, held ? 0.0 : gate * s);
}

// Zeros from the end of the hidden row on.
vec4 inside(const vec4 v, const uint col)
{
    return mix(vec4(0.0), v, lessThan(col + uvec4(0, 1, 2, 3), uvec4(pc.ff_width)));
}

// --- hooks of the products ------------------------------------------------------------

#define PROD_BM TILE_M

uint prod_tiles()
{
    return counters[map_begins(map_shape_of()) + bins()] / TILE_M;
}

uint prod_expert(const uint tile)
{
    return uint(tile_expert[tile]);
}

uint prod_begin(const uint expert)
{
    return counters[map_begins(map_shape_of()) + expert];
}

uint prod_end(const uint expert)
{
    return counters[map_begins(map_shape_of()) + expert + 1];
}

int prod_from(const uint p)
{
    const int entry = src[p];
    return entry < 0 ? -1 : int(uint(entry) / entries_of());
}

vec4 hidden_row(const uint p, const uint i)
{
    return hidden[p * hidden_quads() + min(i / 4, hidden_quads() - 1)];
}

#if defined(PASS_DW1) || defined(PASS_DW2)
const bool PROD_TN = true;
#else
const bool PROD_TN = false;
#endif
#if defined(PASS_GRAD) || (defined(FFN_BACKWARD) && defined(PASS_DOWN))
const bool PROD_NN = true;
#else
const bool PROD_NN = false;
#endif

#ifdef PASS_UP
#define PROD_K pc.width
#define PROD_N pc.ff_width
const bool PROD_GATED = GATED;
#else
const bool PROD_GATED = false;
#endif
#ifdef PASS_GRAD
#define PROD_K pc.width
#define PROD_N pc.ff_width
#endif
#ifdef PASS_DOWN
#ifdef FFN_BACKWARD
#define PROD_K (4 * hidden_quads())
#else
#define PROD_K pc.ff_width
#endif
#define PROD_N pc.width
#endif
#ifdef PASS_DW1
#define PROD_K (4 * hidden_quads())
#define PROD_N pc.width
#endif
#ifdef PASS_DW2
#define PROD_K pc.width
#define PROD_N pc.ff_width
#endif

#ifndef PROD_K // no product
#define PROD_K 1
#define PROD_N 1
#endif

// Where row `row` of [a; b] as it lies in `hidden` is in W1.
uint unpadded_row(const uint row)
{
    const uint padded = 4 * ff_quads();
    return row >= padded ? pc.ff_width + min(row - padded, pc.ff_width - 1)
                         : min(row, pc.ff_width - 1);
}

vec4 prod_a(const uint p, const uint from, const uint i)
{
#if defined(PASS_UP)
    return load_x(from * pc.width, i, pc.width);
#elif defined(PASS_GRAD) || defined(PASS_DW2)
    return load_dy(from * pc.width, i, pc.width);
#else
    return i < 4 * hidden_quads() ? hidden_row(p, i) : vec4(0.0);
#endif
}

// One element, where the products by expert want a column of a.
float prod_a_one(const uint p, const uint from, const uint i)
{
#if defined(PASS_DW1)
    return hidden[p * hidden_quads() + min(i / 4, hidden_quads() - 1)][i % 4];
#elif defined(PASS_DW2)
    return vkz_load(dy[from * pc.width + min(i, pc.width - 1)]);
#else
    return 0.0;
#endif
}

vec4 prod_b(const uint p, const uint from, const uint i)
{
#if defined(PASS_DW2)
    return g[p * ff_quads() + min(i / 4, ff_quads() - 1)];
#else
    return load_x(from * pc.width, i, pc.width);
#endif
}

vec4 prod_w(const uint expert, const uint row, const uint i)
{
#if defined(PASS_UP)
    return w1_row(expert, row, i);
#elif defined(FFN_BACKWARD) && defined(PASS_DOWN)
    return w1_row(expert, unpadded_row(row), i);
#else
    return w2_row(expert, row, i);
#endif
}

void prod_store(const uint expert, const uint p, const bool padding, const uint col,
                const vec4 gate, const vec4 sum)
{
    if (!padding && col < PROD_N) {
#if defined(PASS_UP) && defined(FFN_BACKWARD)
        const uint at = p * hidden_quads() + col / 4;
        hidden[at] = GATED ? gate : sum;
        if (GATED) {
            hidden[at + ff_quads()] = sum;
        }
#elif defined(PASS_UP)
        vec4 h;
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            h[j] = act(GATED ? gate[j] : sum[j], sum[j]);
        }
        hidden[p * hidden_quads() + col / 4] = inside(h, col);
#elif defined(PASS_GRAD)
        g[p * ff_quads() + col / 4] = sum;
#else
        ys[p * width_quads() + col / 4] = sum;
#endif
    }
}

void prod_store_expert(const uint expert, const uint row, const uint col, const vec4 sum)
{
#if defined(PASS_DW1)
    const uint padded = 4 * ff_quads();
    if (row < 4 * hidden_quads() && (row >= padded ? row - padded : row) < pc.ff_width) {
        store_dw1((expert * HALVES * pc.ff_width + unpadded_row(row)) * pc.width, col,
                  pc.width, sum);
    }
#elif defined(PASS_DW2)
    if (row < pc.width) {
        store_dw2((expert * pc.width + row) * pc.ff_width, col, pc.ff_width, sum);
    }
#endif
}

#ifdef PASS_SCAN
#define PRODUCT_GRID
#endif
#if defined(PASS_SCAN) || defined(PASS_UP) || defined(PASS_DOWN) || defined(PASS_GRAD) ||  \
    defined(PASS_DW1) || defined(PASS_DW2)
#include "moe/product.glsl"
#endif

void map_put_end(const uint end)
{
#ifdef PASS_SCAN
    const uint tiles = end / TILE_M;
    const uvec3 ff = product_grid(pc.ff_width, tiles, GATED);
#ifdef FFN_BACKWARD
    const uvec3 grad = product_grid(pc.ff_width, tiles, false);
#endif
    const uvec3 width = product_grid(pc.width, tiles, false);
    for (uint i = 0; i < 3; i++) {
        grid_ff[i] = ff[i];
        grid_width[i] = width[i];
#ifdef FFN_BACKWARD
        grid_grad[i] = grad[i];
#endif
    }
#endif
}

// --- sums of a token's entries --------------------------------------------------------

#ifdef PASS_COMBINE
vec4 gather_load(const uint p, const uint q)
{
    return ys[p * width_quads() + q];
}

int gather_pos(const uint entry)
{
    return pos[entry];
}

float gather_weight(const uint entry)
{
#ifdef FFN_BACKWARD
    return 1.0;
#else
    if (SHARED == 0) {
        return w[entry];
    }
    const uint i = entry % entries_of();
    return i == pc.topk ? 1.0 : w[entry / entries_of() * pc.topk + min(i, pc.topk - 1)];
#endif
}

void gather_store(const uint t, const uint q, const vec4 sum)
{
    store_out(t * pc.width, 4 * q, pc.width, sum);
}

#define GATHER_ROWS pc.rows
#define GATHER_TOPK entries_of()
#define GATHER_WIDTH pc.width
#include "moe/gather_rows.glsl"
#endif

// --- backward: the activation ---------------------------------------------------------

#ifdef PASS_ACT
shared vec4 rows_part[gl_WorkGroupSize.x];
#define ROWS_SUM
#include "linear/row_sums.glsl"

void act_entry(const uint entry)
{
    const int p = pos[entry];
    const float weight = w[entry];
    float sum = 0.0;
    if (p >= 0) {
        for (uint q = gl_LocalInvocationID.x; q < ff_quads(); q += gl_WorkGroupSize.x) {
            const uint at = uint(p) * hidden_quads() + q;
            const vec4 a = hidden[at];
            const vec4 b = GATED ? hidden[at + ff_quads()] : a;
            const vec4 slope = g[uint(p) * ff_quads() + q];
            vec4 h, da, db;
            [[unroll]] for (uint j = 0; j < 4; ++j) {
                const vec2 slopes = act_slopes(a[j], b[j]);
                h[j] = act(a[j], b[j]);
                da[j] = slopes.x;
                db[j] = slopes.y;
            }
            h = inside(h, 4 * q);
            sum += dot(h, inside(slope, 4 * q));
            hidden[at] = inside(weight * slope * da, 4 * q);
            if (GATED) {
                hidden[at + ff_quads()] = inside(weight * slope * db, 4 * q);
            }
            g[uint(p) * ff_quads() + q] = weight * h;
        }
    }
    sum = rows_sum(vec4(sum)).x;
    if (gl_LocalInvocationID.x == 0) {
        dw[entry] = sum;
    }
}
#endif

void main()
{
#if defined(PASS_COUNT)
    map_count(map_shape_of(), gl_GlobalInvocationID.x);
#elif defined(PASS_SCAN)
    map_scan(map_shape_of());
#elif defined(PASS_SCATTER)
    map_scatter(map_shape_of(), gl_GlobalInvocationID.x,
                gl_NumWorkGroups.x * gl_WorkGroupSize.x);
#elif defined(PASS_COMBINE)
    gather_rows();
#elif defined(PASS_ACT)
    for (uint i = gl_WorkGroupID.x; i < pc.rows * pc.topk; i += gl_NumWorkGroups.x) {
        act_entry(i);
    }
#else
    product_main();
#endif
}

#endif
