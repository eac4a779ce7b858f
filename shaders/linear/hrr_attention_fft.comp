// SPDX-License-Identifier: MIT
//
// Attention by bound keys and values, convolutions as products of spectra
//
//   Z = F(k + i v):  K_f = (Z_f + Z*_-f) / 2,  V_f = (Z_f - Z*_-f) / 2i,  B_f = sum_t K_f V_f
//   two tokens at a time:  Z = F(q_1 + i q_2),  v^_1 + i v^_2 = F^-1(X)
//   involution: X_f = Z_-f B_f;  exact: X_f = B_f / Q1_f + i B_f / Q2_f
//
//   ACROSS lanes share a transform: radix-2 Stockham steps from one half of the shared
//   array to the other, a barrier a step; several transforms side by side
//
// Hrrformer, arXiv 2305.19534; Stockham's transform after Cochran et al. 1967.
//
// Why this one: head_dim log(head_dim) instead of head_dim^2, and the only one that divides
// spectra. Its barriers make it the slower of the two on CPU drivers and, up to a head_dim
// of a hundred or so, on GPUs. Sines are computed here: the device's own are too coarse.
//
//! kernel   hrr_attention_fft
//! op       hrr_attention/1
//! tier     T0
//! bind     0 q    in   T[batch, heads, len, head_dim]
//! bind     1 k    in   T[batch, heads, len, head_dim]
//! bind     2 v    in   T[batch, heads, len, head_dim]
//! bind     3 lens in   i32[batch]  when MASK == MASK.lens
//! bind     4 o    out  T[batch, heads, len, head_dim]
//! scratch  5 bound f32[batch, heads, parts, 2 * head_dim]
//! scratch  6 weight f32[batch, heads, len]
//! scratch  7 total f32[batch, heads, parts]
//! when     head_dim >= 2 && head_dim <= 512 && log2(head_dim) == floor(log2(head_dim)) : transforms of 2, 4, ... 512 elements
//! push     heads:u32 len:u32 parts:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // a power of two
//! spec     4 VEC u32 1 = head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 INVERSE u32 0
//! spec     17 MASK u32 0
//! spec     32 HEAD_DIM u32 16 = head_dim
//! let      across min(floor(HEAD_DIM/2),WG_SIZE)
//! let      sides floor(WG_SIZE/across)
//! let      parts max(1,min(64,ceildiv(len,is_cpu?128:64)))
//! shared   16 * sides * HEAD_DIM + 4 * HEAD_DIM + 8 * HEAD_DIM + 16 * WG_SIZE + 32 * WG_SIZE
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
layout(constant_id = 16) const uint INVERSE = 0;

#ifdef PASS_COSINE
shared vec4 rows_part[gl_WorkGroupSize.x];
#define ROWS_SUM
#endif
#include "linear/hrr.glsl"

#ifdef PASS_OUTPUT

void main()
{
    hrr_output();
}

#else

const uint HALF = HEAD_DIM / 2u;
const uint ACROSS = HALF < gl_WorkGroupSize.x ? HALF : gl_WorkGroupSize.x;
const uint SIDES = gl_WorkGroupSize.x / ACROSS;

shared vec2 wave[2u * SIDES * HEAD_DIM]; // both halves, each with all transforms
shared vec2 turn[HALF];                  // e^(-2 pi i m / head_dim)
shared vec2 spectrum[HEAD_DIM];          // B

vec2 times(const vec2 a, const vec2 b)
{
    return vec2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

vec2 conjugate(const vec2 a)
{
    return vec2(a.x, -a.y);
}

vec2 over(const vec2 a, const vec2 b)
{
    return times(a, conjugate(b)) / dot(b, b);
}

// cos and -sin of m / head_dim turns, m < head_dim / 2: the nearest quarter and Taylor.
vec2 turn_of(const uint m)
{
    const float x = float(m) / float(HEAD_DIM);
    const uint quarter = uint(4.0 * x + 0.5);
    const float a = (x - 0.25 * float(quarter)) * 6.283185307179586;
    const float y = a * a;
    float s = fma(y, 1.0 / 362880.0, -1.0 / 5040.0);
    s = fma(y, s, 1.0 / 120.0);
    s = fma(y, s, -1.0 / 6.0);
    s = fma(y * s, a, a);
    float c = fma(y, -1.0 / 3628800.0, 1.0 / 40320.0);
    c = fma(y, c, -1.0 / 720.0);
    c = fma(y, c, 1.0 / 24.0);
    c = fma(y, c, -0.5);
    c = fma(y, c, 1.0);
    return quarter == 0u ? vec2(c, -s) : quarter == 1u ? vec2(-s, -c) : vec2(-c, s);
}

void begin()
{
    for (uint m = gl_LocalInvocationID.x; m < HALF; m += gl_WorkGroupSize.x) {
        turn[m] = turn_of(m);
    }
}

// Transforms what stands in half `from` of the array; returns the half with the result.
// All lanes call this; barriers at both ends are its own.
uint transform(uint from, const bool inverse)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint side = lane / ACROSS;
    for (uint n = 1u; n < HEAD_DIM; n *= 2u) {
        barrier();
        const uint base = (from * SIDES + side) * HEAD_DIM;
        const uint to = ((1u - from) * SIDES + side) * HEAD_DIM;
        for (uint j = lane % ACROSS; j < HALF; j += ACROSS) {
            const uint k = j % n;
            const vec2 w = turn[k * (HALF / n)];
            const vec2 a = wave[base + j];
            const vec2 b = times(wave[base + j + HALF], inverse ? conjugate(w) : w);
            const uint at = to + (j - k) * 2u + k;
            wave[at] = a + b;
            wave[at + n] = a - b;
        }
        from = 1u - from;
    }
    barrier();
    return from;
}

// The element of frequency -f.
uint mirror(const uint f)
{
    return f == 0u ? 0u : HEAD_DIM - f;
}

#ifdef PASS_BIND

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint side = lane / ACROSS;
    const uint base = head_index() * pc.len * HEAD_DIM;
    const uvec2 range = part_tokens();
    begin();
    for (uint f = lane; f < HEAD_DIM; f += lanes) {
        spectrum[f] = vec2(0.0);
    }
    for (uint first = range.x; first < range.y; first += SIDES) {
        const uint t = first + side;
        barrier();
        for (uint n = lane % ACROSS; n < HEAD_DIM; n += ACROSS) {
            vec2 z = vec2(0.0);
            if (t < range.y) {
                const uint at = base + t * HEAD_DIM + n;
                z = vec2(vkz_load(k[at]), vkz_load(v[at]));
            }
            wave[side * HEAD_DIM + n] = z;
        }
        const uint half_ = transform(0u, false);
        for (uint f = lane; f < HEAD_DIM; f += lanes) {
            vec2 sum = spectrum[f];
            for (uint s = 0; s < SIDES; s++) {
                const uint at = (half_ * SIDES + s) * HEAD_DIM;
                const vec2 z = wave[at + f];
                const vec2 y = conjugate(wave[at + mirror(f)]);
                // (z + y) / 2 times (z - y) / 2i
                const vec2 p = 0.25 * times(z + y, z - y);
                sum += vec2(p.y, -p.x);
            }
            spectrum[f] = sum;
        }
    }
    barrier();
    const uint to = (head_index() * pc.parts + gl_WorkGroupID.x) * 2u * HEAD_DIM;
    for (uint f = lane; f < HEAD_DIM; f += lanes) {
        bound[to + 2u * f] = spectrum[f].x;
        bound[to + 2u * f + 1u] = spectrum[f].y;
    }
}

#else // PASS_COSINE

shared vec4 found[2u * gl_WorkGroupSize.x]; // v.v^, v^.v^, v.v of a lane's elements

// The spectrum of v^ of two tokens from that of their queries.
vec2 unbound(const uint at, const uint f)
{
    const vec2 other = wave[at + mirror(f)];
    if (INVERSE == 0) {
        return times(other, spectrum[f]);
    }
    const vec2 z = wave[at + f], y = conjugate(other);
    const vec2 q1 = 0.5 * (z + y);
    const vec2 d = 0.5 * (z - y);
    const vec2 x1 = over(spectrum[f], q1);
    const vec2 x2 = over(spectrum[f], vec2(d.y, -d.x));
    return vec2(x1.x - x2.y, x1.y + x2.x);
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint side = lane / ACROSS;
    const uint head = head_index();
    const uint base = head * pc.len * HEAD_DIM;
    const uvec2 range = part_tokens();
    begin();
    for (uint f = lane; f < HEAD_DIM; f += lanes) {
        vec2 sum = vec2(0.0);
        for (uint part = 0; part < pc.parts; part++) {
            const uint at = ((head * pc.parts + part) * HEAD_DIM + f) * 2u;
            sum += vec2(bound[at], bound[at + 1u]);
        }
        spectrum[f] = sum;
    }
    float own = 0.0;
    for (uint first = range.x; first < range.y; first += 2u * SIDES) {
        const uvec2 t = min(first + 2u * side + uvec2(0u, 1u), uvec2(range.y - 1u));
        const uvec2 row = base + t * HEAD_DIM;
        barrier();
        for (uint n = lane % ACROSS; n < HEAD_DIM; n += ACROSS) {
            wave[side * HEAD_DIM + n] =
                vec2(vkz_load(q[row.x + n]), vkz_load(q[row.y + n]));
        }
        uint half_ = transform(0u, false);
        for (uint f = lane % ACROSS; f < HEAD_DIM; f += ACROSS) {
            wave[((1u - half_) * SIDES + side) * HEAD_DIM + f] =
                unbound((half_ * SIDES + side) * HEAD_DIM, f);
        }
        half_ = transform(1u - half_, true);
        vec4 sums[2] = vec4[2](vec4(0.0), vec4(0.0));
        for (uint n = lane % ACROSS; n < HEAD_DIM; n += ACROSS) {
            const vec2 y =
                wave[(half_ * SIDES + side) * HEAD_DIM + n] * (1.0 / float(HEAD_DIM));
            const vec2 x = vec2(vkz_load(v[row.x + n]), vkz_load(v[row.y + n]));
            sums[0] += vec4(x.x * y.x, y.x * y.x, x.x * x.x, 0.0);
            sums[1] += vec4(x.y * y.y, y.y * y.y, x.y * x.y, 0.0);
        }
        found[2u * lane] = sums[0];
        found[2u * lane + 1u] = sums[1];
        barrier();
        for (uint i = lane; i < 2u * SIDES && first + i < range.y; i += lanes) {
            vec4 sum = vec4(0.0);
            for (uint l = 0; l < ACROSS; l++) {
                sum += found[2u * (i / 2u * ACROSS + l) + i % 2u];
            }
            const float w = hrr_weight(sum.x, sum.y, sum.z);
            weight[head * pc.len + first + i] = w;
            own += w;
        }
    }
    const float sum = rows_sum(vec4(own)).x;
    if (lane == 0u) {
        total[head * pc.parts + gl_WorkGroupID.x] = sum;
    }
}

#endif
#endif
