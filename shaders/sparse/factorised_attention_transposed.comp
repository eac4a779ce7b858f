// SPDX-License-Identifier: MIT
//
// Factorised attention: rows gathered so that they share their keys; a lane owns whole rows
//
//   strided   tokens of one residue modulo l: causal attention on every l-th token
//   fixed     tokens of one stride: its own keys, and the summaries of the strides before
//   local     neighbouring tokens: a window
//   merged    pass part sums the strided keys but the token itself, pass main the window;
//             both are partial softmaxes, and main merges them:  o = (e^(m1-M) O1 + e^(m2-M)
//             O2) / (e^(m1-M) l1 + e^(m2-M) l2),  M = max(m1, m2)
//
// Sparse Transformers, arXiv 1904.10509; FlashAttention 2205.14135.
//
// Why this one: every pair that is computed is visible, but for the few beside a tile's
// diagonal, so time goes with the visible pairs; there is no list to build. Loses where l or
// len / l is small beside a workgroup's rows.
//
//! kernel   factorised_attention_transposed
//! op       factorised_attention/1
//! tier     T1
//! bind     0 q     in   T[batch, heads, len, head_dim]
//! bind     1 k     in   T[batch, heads, len, head_dim]
//! bind     2 v     in   T[batch, heads, len, head_dim]
//! bind     3 o     out  T[batch, heads, len, head_dim]
//! scratch  4 part  f32[merged ? batch * heads * len : 1, head_dim + 2]
//! push     heads:u32 kv_heads:u32 len:i32 tau:f32 l:i32 cw:i32 nv:i32
//! let      kv_heads heads
//! let      merged PATTERN==PATTERN.strided_merged
//! let      strided PATTERN==PATTERN.strided
//! let      fixed PATTERN==PATTERN.fixed
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : max(subgroup_size,min(64,prev_pow2((PATTERN==PATTERN.strided||PATTERN==PATTERN.strided_merged?ceildiv(len,l):PATTERN==PATTERN.fixed?min(l,len):len))))   // lanes, each owns ROWS rows
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = is_cpu ? max(1,min(prev_pow2(max(1,floordiv((PATTERN==PATTERN.strided||PATTERN==PATTERN.strided_merged?ceildiv(len,l):PATTERN==PATTERN.fixed?min(l,len):len),WG_SIZE))),head_dim <= 80 ? 4 : head_dim <= 160 ? 2 : 1)) : 1   // query rows a lane
//! spec     4 KEYS u32 4 = ROWS >= 4 ? 2 : 4   // keys a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     16 PATTERN u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 V_DIM u32 64 = head_dim
//! pass     part  groups (merged?min(l,len)*ceildiv(ceildiv(len,l),WG_SIZE*ROWS):1) heads batch
//! pass     main  groups (strided?min(l,len)*ceildiv(ceildiv(len,l),WG_SIZE*ROWS):fixed?ceildiv(len,l)*ceildiv(min(l,len),WG_SIZE*ROWS):ceildiv(len,WG_SIZE*ROWS)) heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define ATTENTION_WEIGHT 0 // softmax
#define ATTENTION_PLAIN
#define IO_MASK 1 // causal
#define IO_BIND_O 3
#define IO_PUSH_MORE int l, cw, nv;
#include "attention/io.glsl"

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 4;
layout(constant_id = 7) const uint ROLL = 0;
layout(constant_id = 16) const uint PATTERN = 0;

#ifdef PASS_PART
layout(set = 0, binding = 4, std430) restrict writeonly buffer Part { float part[]; };
const bool STRIDED = true;
const bool FIXED = false;
#else
layout(set = 0, binding = 4, std430) restrict readonly buffer Part { float part[]; };
const bool STRIDED = PATTERN == 1;
const bool FIXED = PATTERN == 3;
#endif
const bool MERGED = PATTERN == 2;

// Row and key n of this workgroup's class of tokens is token class_base + n * class_step.
uint class_base;
uint class_step;
int class_low;  // first and last row of the workgroup
int class_high;

uint token(const uint n)
{
    return class_base + n * class_step;
}

vec4 flash_q(const uint row, const uint c)
{
    return io_q(token(row), c);
}

vec2 flash_k2(const uint key, const uint c)
{
    return io_k2(token(key), c);
}

vec2 flash_v2(const uint key, const uint c)
{
    return io_v2(token(key), c);
}

float flash_key_scale(const uint key)
{
    return 1.0;
}

float flash_row_scale(const uint row, const float norm2)
{
    return 1.0;
}

void flash_store(const uint row, const uint c, const vec4 o)
{
    io_store_o(token(row), c, o);
}

// --- lists of keys --------------------------------------------------------------------

#define FLASH_LIST
#define FLASH_VISIBLE

ivec2 flash_list()
{
    return ivec2(0, FIXED ? class_low / pc.l + 2 : 3);
}

ivec3 flash_list_span(const int n)
{
    if (STRIDED) {
        // Up to the first row, and a triangle. Of the merged pattern the window has the
        // token itself.
#ifdef PASS_PART
        const int whole = class_low;
#else
        const int whole = class_low + 1;
#endif
        return n == 0 ? ivec3(0, whole, 0)
                      : n == 1 ? ivec3(whole, class_high + 1, 1) : ivec3(0);
    }
    if (FIXED) {
        const int own = class_low / pc.l;
        const int high = pc.l - pc.cw * (int(io_head) % pc.nv);
        return n < own ? ivec3(n * pc.l + max(high - pc.cw, 0), n * pc.l + high, 0)
                       : n == own ? ivec3(own * pc.l, class_low + 1, 0)
                                  : ivec3(class_low + 1, class_high + 1, 1);
    }
    // A window: where it begins differs by row, where it holds for all, where it ends.
    const int a = max(class_low - pc.l + 1, 0);
    const int b = clamp(class_high - pc.l + 1, a, class_high + 1);
    const int c = max(b, class_low + 1);
    return n == 0 ? ivec3(a, b, 1) : n == 1 ? ivec3(b, c, 0) : ivec3(c, class_high + 1, 1);
}

bool flash_visible(const uint row, const int p, const uint key)
{
#ifdef PASS_PART
    return int(key) < p;
#else
    return int(key) <= p && (STRIDED || FIXED || int(key) > p - pc.l);
#endif
}

#include "lib/flash.glsl"

// --- passes ---------------------------------------------------------------------------

// Rows [x, y) of this workgroup, none when y <= x.
uvec2 class_rows()
{
    const uint rows = gl_WorkGroupSize.x * ROWS;
    const uint len = uint(pc.len);
    const uint l = uint(pc.l);
    // The last rows see the most keys: start with them.
    const uint group = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x;
    class_base = 0u;
    class_step = 1u;
    if (STRIDED) {
        const uint classes = min(l, len);
        class_base = group % classes;
        class_step = l;
        const uint begin = group / classes * rows;
        return uvec2(begin, min(begin + rows, (len - class_base + l - 1u) / l));
    }
    if (FIXED) {
        const uint parts = (min(l, len) + rows - 1u) / rows;
        const uint end = min((group / parts + 1u) * l, len);
        const uint begin = group / parts * l + group % parts * rows;
        return uvec2(begin, min(begin + rows, end));
    }
    return uvec2(group * rows, min(group * rows + rows, len));
}

float part_factor[ROWS]; // of the sums of pass part

// Four elements of the lane's rows: to the scratch buffer, or merged with it.
void store_merged(const uint first, const uint end, const uint c)
{
    const uint pitch = HEAD_DIM + 2u;
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = first + r * gl_WorkGroupSize.x;
        if (row < end) {
            const uint at = (io_q_row + token(row)) * pitch + 4u * c;
            vec4 o;
            [[unroll]] for (uint i = 0; i < 4u; i++) {
                o[i] = flash_o_[r * FLASH_V + 4u * c + i];
                if (4u * c + i < HEAD_DIM) {
#ifdef PASS_PART
                    part[at + i] = o[i];
#else
                    o[i] = o[i] * flash_factor[r] + part[at + i] * part_factor[r];
#endif
                }
            }
#ifndef PASS_PART
            flash_store(row, c, o);
#endif
        }
    }
}

void main()
{
#ifdef PASS_PART
    if (!MERGED) {
        return;
    }
#endif
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uvec2 rows = class_rows();
    if (rows.x >= rows.y) {
        return; // all lanes together, and there is no barrier
    }
    class_low = int(rows.x);
    class_high = int(rows.y) - 1;
    score_map s = io_score_map();
    s.q_len = int(rows.y);
    s.kv_len = s.q_len;
    const uint lanes = gl_WorkGroupSize.x;
    const uint first = rows.x + gl_LocalInvocationID.x;
    flash_lane(s, first, lanes, class_low, class_high);

    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = min(first + r * lanes, rows.y - 1u);
        part_factor[r] = 0.0;
#ifdef PASS_PART
        if (first + r * lanes < rows.y) {
            const uint at = (io_q_row + token(row)) * (HEAD_DIM + 2u) + HEAD_DIM;
            part[at] = flash_m[r];
            part[at + 1u] = flash_l[r];
        }
#else
        flash_factor[r] = 1.0 / flash_l[r]; // a token sees itself
        if (MERGED) {
            const uint at = (io_q_row + token(row)) * (HEAD_DIM + 2u) + HEAD_DIM;
            const float top = max(flash_m[r], part[at]);
            const float x = vkz_exp2_accurate(flash_m[r] - top);
            const float y = vkz_exp2_accurate(part[at] - top);
            const float sum = x * flash_l[r] + y * part[at + 1u];
            flash_factor[r] = x / sum;
            part_factor[r] = y / sum;
        }
#endif
    }
    if (!MERGED) {
        flash_store_rows(first, lanes, rows.y);
    } else if (ROLL != 0) {
        [[dont_unroll]] for (uint c = 0; c < FLASH_V / 4u; c++) {
            store_merged(first, rows.y, c);
        }
    } else {
        [[unroll]] for (uint c = 0; c < FLASH_V / 4u; c++) {
            store_merged(first, rows.y, c);
        }
    }
}
