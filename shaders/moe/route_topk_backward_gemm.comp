// SPDX-License-Identifier: MIT
//
// Gradients of routing for tokens and gate weights: logits again, then two products
//
//   dl as in route_topk_backward_row;  dx = dl wg,  dwg = dl^T x
//   NOISE: + (dl eps_n sigmoid(x wn^T)) wn to dx, the same transposed times x is dwn
//   cosine: dl / (|x| |g| temp) in the products, less what runs along x and along g
//
// Switch arXiv 2101.03961, Shazeer 1701.06538.
//
// Why this one: nothing but dl, experts numbers a token, goes through memory. A lane of
// the products has four columns of TILE_ROWS rows and no barrier.
//
//! kernel   route_topk_backward_gemm
//! op       route_topk_backward/1
//! tier     T0
//! bind     1 x      in  T[rows, width]  when INPUT == INPUT.x
//! bind     2 wg     in  T[experts, width]  when INPUT == INPUT.x
//! bind     3 eps_n  in  f32[rows, experts]  when NOISE == NOISE.on
//! bind     4 wn     in  T[experts, width]  when NOISE == NOISE.on
//! bind     5 idx    in  i32[rows, topk]
//! bind     6 dw     in  f32[rows, topk]
//! bind     7 dscore in  f32[rows, experts]  when SAVE == SAVE.on
//! bind     9 dx     out T[rows, width]  when INPUT == INPUT.x
//! bind     10 dwg   out f32[experts, width]  when INPUT == INPUT.x
//! bind     11 dwn   out f32[experts, width]  when NOISE == NOISE.on
//! scratch  12 d     f32[rows, experts]
//! scratch  13 more  f32[SCORE==3||NOISE==1?rows:1, SCORE==3||NOISE==1?experts:1]   // of the noise; dl l of a cosine
//! scratch  14 along f32[rows]      // cosine: sum dl l / |x|^2
//! scratch  15 g2    f32[4*ceildiv(experts,4)]   // cosine: |g|^2
//! push     rows:u32 experts:u32 topk:u32 scale:f32 eps:f32 width:u32 temp:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 ROUTE_LANES u32 16 = is_cpu?max(1,floordiv(WG_SIZE,4)):experts>256?64:16   // lanes a token
//! spec     4 E_PAD u32 32 = max(32,next_pow2(experts))
//! spec     6 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     17 SCORE u32 0
//! spec     18 ORDER u32 0
//! spec     19 RENORM u32 0
//! spec     22 NOISE u32 0
//! spec     25 SAVE u32 0
//! let      tokens floordiv(WG_SIZE,ROUTE_LANES)
//! when     INPUT == INPUT.x && experts <= 512 : it makes logits of x and keeps them in shared memory
//! shared   4*tokens*(3*E_PAD+1)+16*WG_SIZE
//! pass     rows  groups min(ceildiv(rows,tokens),65535)
//! pass     dx    groups ceildiv(width,4*WG_SIZE) min(ceildiv(rows,4),65535)
//! pass     dwg   groups ceildiv(width,4*WG_SIZE) ceildiv(experts,4)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/words.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint ROUTE_LANES = 16;
layout(constant_id = 4) const uint E_PAD = 32;
layout(constant_id = 6) const uint VEC = 1;

layout(push_constant, std430) uniform Push {
    uint rows, experts, topk;
    float scale, eps;
    uint width;
    float temp;
} pc;

layout(set = 0, binding = 12, std430) restrict buffer D { float d[]; };
layout(set = 0, binding = 13, std430) restrict buffer More { float more[]; };
layout(set = 0, binding = 14, std430) restrict buffer Along { float along[]; };
layout(set = 0, binding = 15, std430) restrict buffer G2 { float g2[]; };

#ifdef PASS_ROWS

#include "moe/route_backward.glsl"

shared float route_n[ROUTE_ROWS * E_PAD];
shared float route_x2[ROUTE_ROWS];

void route_keep_g2(const uint expert, const vec4 square)
{
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (expert + i < pc.experts) {
            g2[expert + i] = square[i];
        }
    }
}

#define ROUTE_KEEP
#define ROUTE_NOISE 3
#include "moe/route_products.glsl"

void main()
{
    for (uint first = gl_WorkGroupID.x * ROUTE_ROWS; first < pc.rows;
         first += gl_NumWorkGroups.x * ROUTE_ROWS) {
        route_begin(first);
        route_make_logits(first);
        barrier();
        route_gradient();
        float sum = 0.0;
        for (uint i = route_lane; route_live && i < pc.experts; i += ROUTE_LANES) {
            const uint at = route_row * pc.experts + i;
            const float dl = route_d[route_at(i)];
            if (SCORE == SCORE_COSINE) {
                sum += dl * route_l[route_at(i)];
                more[at] = dl * route_l[route_at(i)];
                d[at] = dl * route_n[route_at(i)];
            } else {
                d[at] = dl;
            }
            if (NOISE != 0) {
                more[at] = dl * (eps_n[at] * score_sigmoid(route_n[route_at(i)]));
            }
        }
        if (SCORE == SCORE_COSINE) {
            sum = route_sum(sum);
            if (route_live && route_lane == 0u) {
                along[route_row] = sum / route_x2[route_slot];
            }
        }
        barrier();
    }
}

#else

#define ROUTE_LOADS_ONLY
#define ROUTE_NOISE 3
#include "moe/route_products.glsl"
#ifdef PASS_DX
layout(set = 0, binding = 9, std430) restrict writeonly buffer Dx { T dx[]; };
#else
layout(set = 0, binding = 10, std430) restrict writeonly buffer Dwg { float dwg[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer Dwn { float dwn[]; };
#endif

#ifdef PASS_DX

void main()
{
    const uint q = gl_GlobalInvocationID.x;
    if (4u * q >= pc.width) {
        return;
    }
    for (uint first = 4u * gl_WorkGroupID.y; first < pc.rows;
         first += 4u * gl_NumWorkGroups.y) {
        vec4 sum[4];
        uint base[4];
        [[unroll]] for (uint t = 0; t < 4u; t++) {
            sum[t] = vec4(0.0);
            base[t] = min(first + t, pc.rows - 1u) * pc.experts;
        }
        for (uint e = 0; e < pc.experts; e++) {
            const vec4 g = load_wg(e, q);
            [[unroll]] for (uint t = 0; t < 4u; t++) {
                sum[t] = fma(vec4(d[base[t] + e]), g, sum[t]);
            }
            if (NOISE != 0) {
                const vec4 n = load_wn(e, q);
                [[unroll]] for (uint t = 0; t < 4u; t++) {
                    sum[t] = fma(vec4(more[base[t] + e]), n, sum[t]);
                }
            }
        }
        for (uint t = 0; t < 4u && first + t < pc.rows; t++) {
            vec4 y = sum[t];
            if (SCORE == SCORE_COSINE) {
                y -= along[first + t] * load_x(first + t, q);
            }
            for (uint i = 0; i < 4u && 4u * q + i < pc.width; i++) {
                dx[(first + t) * pc.width + 4u * q + i] = vkz_store(y[i]);
            }
        }
    }
}

#else // PASS_DWG

void main()
{
    const uint q = gl_GlobalInvocationID.x;
    const uint first = 4u * gl_WorkGroupID.y;
    if (4u * q >= pc.width) {
        return;
    }
    vec4 sum[4];
    vec4 noise[4];
    vec4 along_g = vec4(0.0);
    uint e[4];
    [[unroll]] for (uint j = 0; j < 4u; j++) {
        sum[j] = vec4(0.0);
        noise[j] = vec4(0.0);
        e[j] = min(first + j, pc.experts - 1u);
    }
    for (uint t = 0; t < pc.rows; t++) {
        const vec4 a = load_x(t, q);
        [[unroll]] for (uint j = 0; j < 4u; j++) {
            const uint at = t * pc.experts + e[j];
            sum[j] = fma(vec4(d[at]), a, sum[j]);
            if (NOISE != 0) {
                noise[j] = fma(vec4(more[at]), a, noise[j]);
            }
            if (SCORE == SCORE_COSINE) {
                along_g[j] += more[at];
            }
        }
    }
    for (uint j = 0; j < 4u && first + j < pc.experts; j++) {
        vec4 y = sum[j];
        if (SCORE == SCORE_COSINE) {
            y -= along_g[j] / g2[first + j] * load_wg(first + j, q);
        }
        for (uint i = 0; i < 4u && 4u * q + i < pc.width; i++) {
            const uint at = (first + j) * pc.width + 4u * q + i;
            dwg[at] = y[i];
            if (NOISE != 0) {
                dwn[at] = noise[j][i];
            }
        }
    }
}

#endif
#endif
