// SPDX-License-Identifier: MIT
//
// Gradients of hyper_pre: a workgroup takes tokens, two sweeps over each, then the
// parameters
//
//   dalpha_i = x_i . dh0,  drho_ij = x_i . dy_j,  u_ik = (sa or sb) d_ik (1 - tanh^2)
//   g_i = gamma * sum_k u_ik w_k                w_k: wm, wb, wr_j
//   dx_i = alpha_i dh0 + sum_j rho_ij dy_j + r_i (g_i - x_i r_i^2 mean(g_i * x_i))
//   P_k = sum_i u_ik r_i x_i over tokens,  dw_k = gamma * P_k,  dgamma = sum_k w_k * P_k
//
// Hyper-connections, arXiv 2409.19606.
//
// Why this one: the coefficients are computed again, by the code of hyper_pre, in the sweep
// that gives their gradients; mean(g * x) is made of the same products, so one sweep is all
// before dx. A workgroup adds up P and the sums of d over its tokens in memory of its own;
// the last pass adds the workgroups' parts in order, without atomics.
//
//! kernel   hyper_pre_backward_row
//! op       hyper_pre_backward/1
//! tier     T0
//! bind     0 x      in  T[rows, streams, width]
//! bind     1 am     in  f32[streams]
//! bind     2 ar     in  f32[streams, streams]
//! bind     3 wm     in  f32[width]  when KIND == KIND.dynamic
//! bind     4 wr     in  f32[streams, width]  when KIND == KIND.dynamic
//! bind     5 wb     in  f32[width]  when KIND == KIND.dynamic
//! bind     6 sa     in  f32[1]  when KIND == KIND.dynamic
//! bind     7 sb     in  f32[1]  when KIND == KIND.dynamic
//! bind     8 gamma  in  f32[width]  when KIND == KIND.dynamic
//! bind     9 dh0   in  T[rows, width]
//! bind     10 dy    in  T[rows, streams, width]
//! bind     11 dbeta in  f32[rows, streams]
//! bind     12 dx    out T[rows, streams, width]
//! bind     13 dam   out f32[streams]
//! bind     14 dar   out f32[streams, streams]
//! bind     15 dbs   out f32[streams]
//! bind     16 dwm   out f32[width]  when KIND == KIND.dynamic
//! bind     17 dwr   out f32[streams, width]  when KIND == KIND.dynamic
//! bind     18 dwb   out f32[width]  when KIND == KIND.dynamic
//! bind     19 dsa   out f32[1]  when KIND == KIND.dynamic
//! bind     20 dsb   out f32[1]  when KIND == KIND.dynamic
//! bind     21 dgamma out f32[width]  when KIND == KIND.dynamic
//! scratch  22 part  f32[parts, streams + 2, 4 * ceildiv(width,4)]
//! scratch  23 sums  f32[parts, 2 * streams * (streams + 2)]
//! scratch  24 share f32[streams + 2]
//! push     rows:u32 cols:u32 eps:f32 parts:u32
//! let      cols width
//! spec     0 WG_SIZE u32 64 = is_cpu ? min(subgroup_size,16) : 64   // 4 to 64, a power of two
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     5 BLOCK u32 1 = min(streams,ceildiv(24,4+2*streams))   // streams measured at a time
//! spec     6 WHOLE u32 0 = width % 256 == 0   // no strand ends early
//! spec     16 KIND u32 0
//! spec     17 NORM u32 0
//! spec     32 STREAMS u32 1 = streams
//! let      parts min(rows,is_cpu?16:256)
//! shared   4*(ceildiv(STREAMS,BLOCK)*BLOCK*(KIND==1?5+2*STREAMS:2+STREAMS)+1+WG_SIZE*(WG_SIZE>16?17:65)+4*STREAMS*(2+STREAMS)+4*STREAMS)
//! pass     weights  groups (KIND==KIND.dynamic&&NORM==NORM.layer?streams+2:1)
//! pass     main     groups parts
//! pass     reduce   groups ceildiv(width,4*WG_SIZE)+1
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "linear/row_sums.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 5) const uint BLOCK = 1;
layout(constant_id = 6) const uint WHOLE = 0;
layout(constant_id = 16) const uint KIND = 0;
layout(constant_id = 17) const uint NORM = 0;
layout(constant_id = 32) const uint STREAMS = 1;

const uint PARTS = 1;
const uint TOKENS = 1;

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    float eps;
    uint parts;
} pc;

#define CONNECT_BIND 1
#define CONNECT_MEASURE_ONLY

#ifdef PASS_MAIN

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 9, std430) restrict readonly buffer Dh0 { T dh0[]; };
layout(set = 0, binding = 9, std430) restrict readonly buffer Dh04 { W4 dh04[]; };
layout(set = 0, binding = 10, std430) restrict readonly buffer Dy { T dy[]; };
layout(set = 0, binding = 10, std430) restrict readonly buffer Dy4 { W4 dy4[]; };
layout(set = 0, binding = 11, std430) restrict readonly buffer Dbeta { float dbeta[]; };
layout(set = 0, binding = 12, std430) restrict writeonly buffer Dx { T dx[]; };
layout(set = 0, binding = 12, std430) restrict writeonly buffer Dx4 { W4 dx4[]; };
layout(set = 0, binding = 22, std430) restrict buffer Part { vec4 part[]; };
layout(set = 0, binding = 23, std430) restrict writeonly buffer Sums { float sums[]; };
layout(set = 0, binding = 24, std430) restrict readonly buffer Share { float share[]; };

ROWS_LOADER(load_x, x, x4, pc.cols)
ROWS_LOADER(load_dh0, dh0, dh04, pc.cols)
ROWS_LOADER(load_dy, dy, dy4, pc.cols)
ROWS_STORER(store_dx, dx, dx4, pc.cols)

vec4 back_dh0;
vec4 back_dy[STREAMS];

void back_begin(const uint row, const uint q)
{
    back_dh0 = load_dh0(row * pc.cols, q);
    [[unroll]] for (uint j = 0; j < STREAMS; j++) {
        back_dy[j] = load_dy((row * STREAMS + j) * pc.cols, q);
    }
}

vec4 connect_x(const uint t, const uint row, const uint i, const uint q)
{
    return load_x((row * STREAMS + i) * pc.cols, q);
}

// Gradients of alpha_i and rho_ij.
#define CONNECT_EXTRA (1 + STREAMS)
#define CONNECT_BEGIN(t, row, q) back_begin(row, q);
#define CONNECT_EXTRA_SUMS(t, row, i, x, q, at)                                         \
    row_sum[at] = row_dot(x, back_dh0, row_sum[at]);                                    \
    [[unroll]] for (uint j = 0; j < STREAMS; j++) {                                     \
        row_sum[(at) + 1 + j] = row_dot(x, back_dy[j], row_sum[(at) + 1 + j]);          \
    }

#include "hyper/connect.glsl"

shared float back_u[STREAMS * CONNECT_COLUMNS];
// Over this workgroup's tokens; every lane has its own.
shared float back_sum[STREAMS * CONNECT_COLUMNS];
shared float back_tanh[STREAMS * CONNECT_COLUMNS];
shared vec4 back_norm[STREAMS]; // r, mean, r^2 mean(g * x), mean(g)

float back_gradient(const uint row, const uint i, const uint k)
{
    return k == 1u ? dbeta[row * STREAMS + i]
                   : row_total[connect_at(0, i, CONNECT_OWN + (k == 0u ? 0u : k - 1u))];
}

void back_coefficients(const uint row)
{
    for (uint n = gl_LocalInvocationID.x; n < STREAMS * CONNECT_COLUMNS;
         n += gl_WorkGroupSize.x) {
        const uint i = n / CONNECT_COLUMNS;
        const uint k = n % CONNECT_COLUMNS;
        const float d = back_gradient(row, i, k);
        float c = connect_fixed(i, k);
        back_sum[n] += d;
        if (KIND == KIND_DYNAMIC) {
            const float th = connect_tanh(0, i, k);
            c = fma(connect_factor(k), th, c);
            back_u[n] = connect_factor(k) * d * fma(-th, th, 1.0);
            back_tanh[n] += d * th;
        }
        connect_c[n] = c;
    }
    barrier();
    if (KIND == KIND_DYNAMIC) {
        for (uint i = gl_LocalInvocationID.x; i < STREAMS; i += gl_WorkGroupSize.x) {
            const float r = connect_norm(0, i);
            float along = 0.0;
            float mean = 0.0;
            for (uint k = 0; k < CONNECT_COLUMNS; k++) {
                const float u = back_u[i * CONNECT_COLUMNS + k];
                along = fma(u, row_total[connect_at(0, i, 1 + k)], along);
                if (NORM == NORM_LAYER) {
                    mean = fma(u, share[k], mean);
                }
            }
            back_norm[i] = vec4(r, NORM == NORM_LAYER ? connect_mean(0, i) : 0.0,
                                r * r * (along / float(pc.cols)), mean);
        }
        barrier();
    }
}

void back_streams(const uint row)
{
    const uint quads = connect_quads();
    const bool fresh = row == gl_WorkGroupID.x;
    for (uint q = gl_LocalInvocationID.x; q < quads; q += gl_WorkGroupSize.x) {
        const uint to = gl_WorkGroupID.x * CONNECT_COLUMNS * quads + q;
        vec4 w[CONNECT_COLUMNS];
        vec4 p[CONNECT_COLUMNS];
        vec4 gamma_q = vec4(0.0);
        back_begin(row, q);
        if (KIND == KIND_DYNAMIC) {
            gamma_q = connect_gamma(0, q);
            [[unroll]] for (uint k = 0; k < CONNECT_COLUMNS; k++) {
                w[k] = connect_weight(k, q);
                p[k] = fresh ? vec4(0.0) : part[to + k * quads];
            }
        }
        [[dont_unroll]] for (uint i = 0; i < STREAMS; i++) {
            const uint c = i * CONNECT_COLUMNS;
            vec4 sum = connect_c[c] * back_dh0;
            [[unroll]] for (uint j = 0; j < STREAMS; j++) {
                sum = fma(vec4(connect_c[c + 2 + j]), back_dy[j], sum);
            }
            if (KIND == KIND_DYNAMIC) {
                const vec4 norm = back_norm[i];
                const vec4 d = connect_x(0, row, i, q) - norm.y;
                vec4 g = vec4(0.0);
                [[unroll]] for (uint k = 0; k < CONNECT_COLUMNS; k++) {
                    const float u = back_u[c + k];
                    g = fma(vec4(u), w[k], g);
                    p[k] = fma(vec4(u * norm.x), d, p[k]);
                }
                sum += norm.x * (g * gamma_q - norm.w - d * norm.z);
            }
            store_dx((row * STREAMS + i) * pc.cols, q, sum);
        }
        if (KIND == KIND_DYNAMIC) {
            [[unroll]] for (uint k = 0; k < CONNECT_COLUMNS; k++) {
                part[to + k * quads] = p[k];
            }
        }
    }
}

void main()
{
    const uint count = STREAMS * CONNECT_COLUMNS;
    for (uint n = gl_LocalInvocationID.x; n < count; n += gl_WorkGroupSize.x) {
        back_sum[n] = 0.0;
        back_tanh[n] = 0.0;
    }
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += pc.parts) {
        connect_measure(row);
        back_coefficients(row);
        back_streams(row);
        barrier(); // the next token's numbers
    }
    for (uint n = gl_LocalInvocationID.x; n < count; n += gl_WorkGroupSize.x) {
        sums[gl_WorkGroupID.x * 2u * count + n] = back_sum[n];
        sums[gl_WorkGroupID.x * 2u * count + count + n] = back_tanh[n];
    }
}

#else

#define CONNECT_WEIGHTS_ONLY
#include "hyper/connect.glsl"

#ifdef PASS_WEIGHTS

layout(set = 0, binding = 24, std430) restrict writeonly buffer Share { float share[]; };

// The mean of gamma * w_k, which NORM_LAYER takes off.
void main()
{
    const uint k = gl_WorkGroupID.x;
    const uint quads = connect_quads();
    const uint steps = row_steps(quads);
    if (KIND == KIND_DYNAMIC && NORM == NORM_LAYER) {
        for (uint r = 0; r < ROW_ROUNDS; r++) {
            row_clear();
            if (row_holds(r, quads)) {
                for (uint j = 0; j < steps; j++) {
                    const uint q = row_first(r, steps) + 8u * j;
                    if (q < quads) {
                        row_sum[0] =
                            row_dot(connect_gamma(0, q), connect_weight(k, q), row_sum[0]);
                    }
                }
            }
            row_join(r);
        }
        row_finish(0, 1);
        if (gl_LocalInvocationID.x == 0u) {
            share[k] = row_total[0] / float(pc.cols);
        }
    } else if (gl_GlobalInvocationID.x == 0u) {
        share[0] = 0.0;
    }
}

#else // PASS_REDUCE

layout(set = 0, binding = 13, std430) restrict writeonly buffer Dam { float dam[]; };
layout(set = 0, binding = 14, std430) restrict writeonly buffer Dar { float dar[]; };
layout(set = 0, binding = 15, std430) restrict writeonly buffer Dbs { float dbs[]; };
layout(set = 0, binding = 16, std430) restrict writeonly buffer Dwm { float dwm[]; };
layout(set = 0, binding = 17, std430) restrict writeonly buffer Dwr { float dwr[]; };
layout(set = 0, binding = 18, std430) restrict writeonly buffer Dwb { float dwb[]; };
layout(set = 0, binding = 19, std430) restrict writeonly buffer Dsa { float dsa[]; };
layout(set = 0, binding = 20, std430) restrict writeonly buffer Dsb { float dsb[]; };
layout(set = 0, binding = 21, std430) restrict writeonly buffer Dgamma { float dgamma[]; };
layout(set = 0, binding = 22, std430) restrict readonly buffer Part { vec4 part[]; };
layout(set = 0, binding = 23, std430) restrict readonly buffer Sums { float sums[]; };

void reduce_columns()
{
    const uint q = gl_GlobalInvocationID.x;
    const uint quads = connect_quads();
    if (KIND != KIND_DYNAMIC || q >= quads) {
        return;
    }
    const vec4 g = connect_gamma(0, q);
    vec4 dg = vec4(0.0);
    for (uint k = 0; k < CONNECT_COLUMNS; k++) {
        vec4 sum = vec4(0.0);
        for (uint i = 0; i < pc.parts; i++) {
            sum += part[(i * CONNECT_COLUMNS + k) * quads + q];
        }
        dg = fma(connect_weight(k, q), sum, dg);
        const vec4 dw = g * sum;
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            if (4u * q + i < pc.cols) {
                if (k == 0u) {
                    dwm[4u * q + i] = dw[i];
                } else if (k == 1u) {
                    dwb[4u * q + i] = dw[i];
                } else {
                    dwr[(k - 2u) * pc.cols + 4u * q + i] = dw[i];
                }
            }
        }
    }
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (4u * q + i < pc.cols) {
            dgamma[4u * q + i] = dg[i];
        }
    }
}

void reduce_coefficients()
{
    const uint count = STREAMS * CONNECT_COLUMNS;
    for (uint n = gl_LocalInvocationID.x; n < count; n += gl_WorkGroupSize.x) {
        const uint i = n / CONNECT_COLUMNS;
        const uint k = n % CONNECT_COLUMNS;
        float sum = 0.0;
        float by_tanh = 0.0;
        for (uint part_ = 0; part_ < pc.parts; part_++) {
            sum += sums[part_ * 2u * count + n];
            by_tanh += sums[part_ * 2u * count + count + n];
        }
        connect_c[n] = by_tanh;
        if (k == 0u) {
            dam[i] = sum;
        } else if (k == 1u) {
            dbs[i] = sum;
        } else {
            dar[i * STREAMS + k - 2u] = sum;
        }
    }
    barrier();
    if (KIND == KIND_DYNAMIC && gl_LocalInvocationID.x == 0u) {
        float a = 0.0;
        float b = 0.0;
        for (uint n = 0; n < count; n++) {
            if (n % CONNECT_COLUMNS == 1u) {
                b += connect_c[n];
            } else {
                a += connect_c[n];
            }
        }
        dsa[0] = a;
        dsb[0] = b;
    }
}

void main()
{
    if (gl_WorkGroupID.x == gl_NumWorkGroups.x - 1u) {
        reduce_coefficients();
    } else {
        reduce_columns();
    }
}

#endif
#endif
