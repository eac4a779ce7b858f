// SPDX-License-Identifier: MIT
//
// Attention by bound keys and values, circular sums as register tiles
//
//   beta = sum_t k_t (*) v_t,  v^_t = q_t^+ (*) beta,  a_t = cos(v_t, v^_t)
//   o_t = softmax_t(a) v_t
//
//   four sums of a lane, four steps m: seven neighbours of the other factor, three of
//   which the next four steps need again
//
//             m     m+1   m+2   m+3
//     n       b0    b1    b2    b3       b_i = beta[n + m + i], from a copy of beta that
//     n+1     b1    b2    b3    b4       is twice as long as it, so that nothing wraps
//     ...
//
// Hrrformer, arXiv 2305.19534.
//
// Why this one: head_dim^2 products a token in place of transforms, but at a matrix
// product's speed and without a barrier: faster up to a head_dim of a hundred or so, and
// any head_dim will do. Cosines are at most 1, so the softmax needs no maximum.
//
//! kernel   hrr_attention_direct
//! op       hrr_attention/1
//! tier     T0
//! bind     0 q    in   T[batch, heads, len, head_dim]
//! bind     1 k    in   T[batch, heads, len, head_dim]
//! bind     2 v    in   T[batch, heads, len, head_dim]
//! bind     3 lens in   i32[batch]  when MASK == MASK.lens
//! bind     4 o    out  T[batch, heads, len, head_dim]
//! scratch  5 bound f32[batch, heads, parts, head_dim]
//! scratch  6 weight f32[batch, heads, len]
//! scratch  7 total f32[batch, heads, parts]
//! when     head_dim <= 640 && INVERSE == INVERSE.involution : keeps a token twice in shared memory, and forms no spectra
//! push     heads:u32 len:u32 parts:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     3 TOKENS u32 1 = max(1,min(16,floor(3300/(3*head_dim+12))))   // staged at a time
//! spec     4 VEC u32 1 = head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     5 ROWS u32 1 = max(1,min(4,TOKENS))   // tokens a lane unbinds at a time
//! spec     17 MASK u32 0
//! spec     32 HEAD_DIM u32 16 = head_dim
//! let      parts max(1,min(64,ceildiv(len,is_cpu?128:4*TOKENS)))
//! let      Q4 4*ceildiv(HEAD_DIM,4)
//! let      across min(ceildiv(HEAD_DIM,4),WG_SIZE)
//! let      sides floor(WG_SIZE/across)
//! let      bind_bytes 4*(TOKENS*(Q4+2*HEAD_DIM+8)+sides*Q4)
//! let      cosine_bytes 4*(TOKENS*Q4+2*HEAD_DIM+8)+16*(TOKENS*across+WG_SIZE)
//! shared   max(bind_bytes,cosine_bytes)
//! pass     bind    groups parts heads batch
//! pass     cosine  groups parts heads batch
//! pass     output  groups parts heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;

#ifdef PASS_COSINE
shared vec4 rows_part[gl_WorkGroupSize.x];
#define ROWS_SUM
#endif
#include "linear/hrr.glsl"

layout(constant_id = 3) const uint TOKENS = 1;
layout(constant_id = 5) const uint ROWS = 1;

// Lanes side by side on the groups of four of a token, and tokens side by side.
const uint ACROSS = QUADS < gl_WorkGroupSize.x ? QUADS : gl_WorkGroupSize.x;
const uint SIDES = gl_WorkGroupSize.x / ACROSS;
const uint WIDE = 2u * HEAD_DIM + 8u; // a row twice, and what groups of four overhang

#ifdef PASS_BIND

shared float left[TOKENS * QUADS * 4u];
shared float right[TOKENS * WIDE];
shared float sums[SIDES * QUADS * 4u];

// right[i] = v[(i - 4) mod head_dim], so that v[n - m] is right[n - m + head_dim + 4].
void stage(const uint base, const uint first, const uint end)
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    for (uint i = lane; i < TOKENS * QUADS; i += lanes) {
        const uint t = first + i / QUADS;
        const vec4 x = t < end ? load_k(base + t * HEAD_DIM, i % QUADS) : vec4(0.0);
        [[unroll]] for (uint c = 0; c < 4u; c++) {
            left[4u * i + c] = x[c];
        }
    }
    for (uint i = lane; i < TOKENS * WIDE; i += lanes) {
        const uint t = first + i / WIDE;
        const uint n = (i % WIDE + 4u * HEAD_DIM - 4u) % HEAD_DIM;
        right[i] = t < end ? vkz_load(v[base + t * HEAD_DIM + n]) : 0.0;
    }
}

void bind(const uint side, const uint quad)
{
    float acc[4];
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        acc[i] = 0.0;
    }
    for (uint t = side; t < TOKENS; t += SIDES) {
        uint at = t * WIDE + 4u * quad + HEAD_DIM + 4u;
        float near[7]; // right[at - 3 .. at + 3]
        [[unroll]] for (uint i = 4; i < 7u; i++) {
            near[i - 4u] = right[at + i - 3u];
        }
        [[dont_unroll]] for (uint m = 0; m < QUADS; m++) {
            [[unroll]] for (uint i = 0; i < 3u; i++) {
                near[i + 4u] = near[i];
            }
            [[unroll]] for (uint i = 0; i < 4u; i++) {
                near[i] = right[at - 3u + i];
            }
            [[unroll]] for (uint j = 0; j < 4u; j++) {
                const float x = left[(t * QUADS + m) * 4u + j];
                [[unroll]] for (uint i = 0; i < 4u; i++) {
                    acc[i] = fma(x, near[i + 3u - j], acc[i]);
                }
            }
            at -= 4u;
        }
    }
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        sums[side * QUADS * 4u + 4u * quad + i] += acc[i];
    }
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint base = head_index() * pc.len * HEAD_DIM;
    const uvec2 range = part_tokens();
    for (uint i = lane; i < SIDES * QUADS * 4u; i += lanes) {
        sums[i] = 0.0;
    }
    for (uint first = range.x; first < range.y; first += TOKENS) {
        barrier();
        stage(base, first, range.y);
        barrier();
        if (lane < SIDES * ACROSS) {
            for (uint quad = lane % ACROSS; quad < QUADS; quad += ACROSS) {
                bind(lane / ACROSS, quad);
            }
        }
    }
    barrier();
    for (uint n = lane; n < HEAD_DIM; n += lanes) {
        float sum = 0.0;
        for (uint side = 0; side < SIDES; side++) {
            sum += sums[side * QUADS * 4u + n];
        }
        bound[(head_index() * pc.parts + gl_WorkGroupID.x) * HEAD_DIM + n] = sum;
    }
}

#elif defined(PASS_COSINE)

shared float left[TOKENS * QUADS * 4u];  // queries, or quotients of spectra
shared float beta[WIDE];                 // twice
shared vec4 found[TOKENS * ACROSS];      // v.v^, v^.v^, v.v of a lane's elements

void stage_queries(const uint base, const uint first, const uint end)
{
    const uint lanes = gl_WorkGroupSize.x;
    for (uint i = gl_LocalInvocationID.x; i < TOKENS * QUADS; i += lanes) {
        const uint t = first + i / QUADS;
        const vec4 x = t < end ? load_q(base + t * HEAD_DIM, i % QUADS) : vec4(0.0);
        [[unroll]] for (uint c = 0; c < 4u; c++) {
            left[4u * i + c] = x[c];
        }
    }
}

float acc[ROWS * 4u]; // elements 4 quad .. + 3 of v^ of ROWS tokens, SIDES apart

void unbind(const uint first, const uint quad)
{
    [[unroll]] for (uint i = 0; i < 4u * ROWS; i++) {
        acc[i] = 0.0;
    }
    uint at = 4u * quad;
    float near[7];
    [[unroll]] for (uint i = 0; i < 3u; i++) {
        near[i + 4u] = beta[at + i];
    }
    [[dont_unroll]] for (uint m = 0; m < QUADS; m++) {
        [[unroll]] for (uint i = 0; i < 3u; i++) {
            near[i] = near[i + 4u];
        }
        [[unroll]] for (uint i = 3; i < 7u; i++) {
            near[i] = beta[at + i];
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const uint t = min(first + r * SIDES, TOKENS - 1u);
            [[unroll]] for (uint j = 0; j < 4u; j++) {
                const float x = left[(t * QUADS + m) * 4u + j];
                [[unroll]] for (uint i = 0; i < 4u; i++) {
                    acc[4u * r + i] = fma(x, near[i + j], acc[4u * r + i]);
                }
            }
        }
        at += 4u;
    }
}

// The lane's part of the three sums of its tokens.
void compare(const uint base, const uint first, const uint side, const uint across)
{
    for (uint t = side; t < TOKENS; t += SIDES * ROWS) {
        vec4 sums[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            sums[r] = vec4(0.0);
        }
        for (uint quad = across; quad < QUADS; quad += ACROSS) {
            unbind(t, quad);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                const uint token = min(first + t + r * SIDES, pc.len - 1u);
                const vec4 x = load_v(base + token * HEAD_DIM, quad);
                vec4 y;
                [[unroll]] for (uint i = 0; i < 4u; i++) {
                    y[i] = 4u * quad + i < HEAD_DIM ? acc[4u * r + i] : 0.0;
                }
                sums[r] += vec4(dot(x, y), dot(y, y), dot(x, x), 0.0);
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            if (t + r * SIDES < TOKENS) {
                found[(t + r * SIDES) * ACROSS + across] = sums[r];
            }
        }
    }
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint head = head_index();
    const uint base = head * pc.len * HEAD_DIM;
    const uvec2 range = part_tokens();
    for (uint i = lane; i < WIDE; i += lanes) {
        const uint n = i % HEAD_DIM;
        float sum = 0.0;
        for (uint part = 0; part < pc.parts; part++) {
            sum += bound[(head * pc.parts + part) * HEAD_DIM + n];
        }
        beta[i] = sum;
    }
    float own = 0.0;
    for (uint first = range.x; first < range.y; first += TOKENS) {
        barrier();
        stage_queries(base, first, range.y);
        barrier();
        if (lane < SIDES * ACROSS) {
            compare(base, first, lane / ACROSS, lane % ACROSS);
        }
        barrier();
        for (uint t = lane; t < TOKENS && first + t < range.y; t += lanes) {
            vec4 sums = vec4(0.0);
            for (uint i = 0; i < ACROSS; i++) {
                sums += found[t * ACROSS + i];
            }
            const float w = hrr_weight(sums.x, sums.y, sums.z);
            weight[head * pc.len + first + t] = w;
            own += w;
        }
    }
    const float sum = rows_sum(vec4(own)).x;
    if (lane == 0u) {
        total[head * pc.parts + gl_WorkGroupID.x] = sum;
    }
}

#else // PASS_OUTPUT

void main()
{
    hrr_output();
}

#endif
