// SPDX-License-Identifier: MIT
//
// Logits of a workgroup's tokens into shared memory, from the tokens and gate weights
//
//   route_make_logits(first)   route_l of the tokens first .. ; a barrier must follow
//
// The includer declares VEC, 4 where width is a multiple of four, ROUTE_NOISE, the
// binding of eps_n, which wn follows, and has width and temp among its push constants pc.
// With ROUTE_KEEP defined, also shared memory route_n[ROUTE_ROWS * E_PAD] for the noise's
// width before softplus, or 1 / (|x| |g| temp) of a cosine, route_x2[ROUTE_ROWS] for
// |x|^2, and a function route_keep_g2(expert, |g|^2 of four). With ROUTE_SHUFFLE defined,
// a workgroup is in one subgroup with a token a lane, and tokens go round by shuffles: all
// lanes reading one address is slow on CPU drivers. With ROUTE_LOADS_ONLY only load_x,
// load_wg and load_wn exist: elements 4q .. 4q+3 of a row.
#ifdef ROUTE_LOADS_ONLY
#include "moe/score.glsl"
#else
#include "moe/route_lanes.glsl"
#endif

layout(constant_id = 22) const uint NOISE = 0;

layout(set = 0, binding = 1, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Wg { T wg[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Wg4 { W4 wg4[]; };
layout(set = 0, binding = ROUTE_NOISE, std430) restrict readonly buffer EpsN
{
    float eps_n[];
};
layout(set = 0, binding = ROUTE_NOISE + 1, std430) restrict readonly buffer Wn
{
    T wn[];
};
layout(set = 0, binding = ROUTE_NOISE + 1, std430) restrict readonly buffer Wn4
{
    W4 wn4[];
};

// Elements 4q .. 4q+3 of a row, 0 beyond its end.
#define LOADER(name, words, words4) \
    vec4 name(const uint row, const uint q) \
    { \
        if (VEC == 4) { \
            return vkz_load_w4(words4[row * (pc.width / 4u) + q]); \
        } \
        vec4 v = vec4(0.0); \
        [[dont_unroll]] for (uint i = 0; i < 4u; i++) { \
            if (4u * q + i < pc.width) { \
                v[i] = vkz_load(words[row * pc.width + 4u * q + i]); \
            } \
        } \
        return v; \
    }

LOADER(load_x, x, x4)
LOADER(load_wg, wg, wg4)
LOADER(load_wn, wn, wn4)

#ifndef ROUTE_LOADS_ONLY

vec4 sums[ROUTE_ROWS];     // of four experts, a token
vec4 square_g;             // |wg|^2 of the four
float square_x[ROUTE_ROWS];

void products(const uint first, const uint expert, const bool noise)
{
    [[unroll]] for (uint t = 0; t < ROUTE_ROWS; t++) {
        sums[t] = vec4(0.0);
        square_x[t] = 0.0;
    }
    square_g = vec4(0.0);
    uvec4 e = min(uvec4(expert, expert + 1u, expert + 2u, expert + 3u), pc.experts - 1u);
    for (uint q = 0; q < (pc.width + 3u) / 4u; q++) {
#ifdef ROUTE_SHUFFLE
        const vec4 own = load_x(min(first + gl_SubgroupInvocationID, pc.rows - 1u), q);
#endif
        vec4 g0, g1, g2, g3;
        if (noise) {
            g0 = load_wn(e.x, q);
            g1 = load_wn(e.y, q);
            g2 = load_wn(e.z, q);
            g3 = load_wn(e.w, q);
        } else {
            g0 = load_wg(e.x, q);
            g1 = load_wg(e.y, q);
            g2 = load_wg(e.z, q);
            g3 = load_wg(e.w, q);
        }
        if (SCORE == SCORE_COSINE) {
            square_g += vec4(dot(g0, g0), dot(g1, g1), dot(g2, g2), dot(g3, g3));
        }
        [[unroll]] for (uint t = 0; t < ROUTE_ROWS; t++) {
#ifdef ROUTE_SHUFFLE
            const vec4 a = subgroupShuffle(own, t);
#else
            const vec4 a = load_x(min(first + t, pc.rows - 1u), q);
#endif
            sums[t] += vec4(dot(a, g0), dot(a, g1), dot(a, g2), dot(a, g3));
            if (SCORE == SCORE_COSINE) {
                square_x[t] += dot(a, a);
            }
        }
    }
}

// The width of the noise, where it stands in place of the logits, becomes the noise.
void route_noise_(const uint first, const uint expert)
{
    [[dont_unroll]] for (uint t = 0; t < ROUTE_ROWS; t++) {
        const uint row = min(first + t, pc.rows - 1u);
        [[dont_unroll]] for (uint i = 0; i < 4u; i++) {
            const uint e = min(expert + i, pc.experts - 1u);
            const uint at = t * E_PAD + expert + i;
            const float width = route_l[at];
#ifdef ROUTE_KEEP
            route_n[at] = width;
#endif
            route_l[at] =
                eps_n[row * pc.experts + e] * (vkz_softplus_accurate(width) + 0.01);
        }
    }
}

void route_make_logits(const uint first)
{
    for (uint base = 0; base < pc.experts; base += 4u * gl_WorkGroupSize.x) {
        const uint expert = base + 4u * gl_LocalInvocationID.x;
        const bool live = expert < pc.experts;
        // With noise its width first, so that both products are the same code.
        [[dont_unroll]] for (uint turn = 0; turn <= NOISE; turn++) {
            const bool noise = NOISE != 0 && turn == 0u;
            products(first, expert, noise);
            [[unroll]] for (uint t = 0; live && t < ROUTE_ROWS; t++) {
                vec4 l = sums[t];
                if (SCORE == SCORE_COSINE) {
                    const vec4 norms = sqrt(max(square_x[t], 1e-24)) *
                                       sqrt(max(square_g, 1e-24)) * pc.temp;
                    l /= norms;
#ifdef ROUTE_KEEP
                    [[unroll]] for (uint i = 0; i < 4u; i++) {
                        route_n[t * E_PAD + expert + i] = 1.0 / norms[i];
                    }
                    route_x2[t] = max(square_x[t], 1e-24);
#endif
                }
                [[unroll]] for (uint i = 0; i < 4u; i++) {
                    const uint at = t * E_PAD + expert + i;
                    route_l[at] = NOISE != 0 && !noise ? route_l[at] + l[i] : l[i];
                }
            }
            if (noise && live) {
                route_noise_(first, expert);
            }
        }
#ifdef ROUTE_KEEP
        if (SCORE == SCORE_COSINE && live && first == 0u) {
            route_keep_g2(expert, max(square_g, 1e-24));
        }
#endif
    }
}

#endif
