// SPDX-License-Identifier: MIT
//
// Coefficients and mixes of hyper- and frac-connections, TOKENS tokens a workgroup
//
//   n_i = norm(x_i) * gamma                       streams x_i, i < STREAMS, of pc.cols elements
//   alpha_ip = am_ip + sa tanh(n_i . wm_p)        parts p < PARTS of the layer's input
//   beta_ip = bs_ip + sb tanh(n_i . wb_p)         and output
//   rho_ij = ar_ij + sa tanh(n_i . wr_j)
//
//   connect_measure(first)       sums: all products of tokens first .. first + TOKENS - 1
//   connect_coefficients(first)  and what follows from them
//   connect_mix(first)           h0_p = sum_i alpha_ip x_i,  y_j = sum_i rho_ij x_i
//
// The includer declares pc (rows, cols, eps) and the constants STREAMS, PARTS, TOKENS,
// BLOCK (streams that are measured at a time), VEC (4 where cols is a multiple of four),
// WHOLE (cols is a multiple of 256), KIND and NORM, and defines
//   CONNECT_BIND                     binding of am, the first parameter
//   connect_x(t, row, i, q)          group q of four columns of stream i, below the end
//   connect_store_h0(row, p, q, v)  connect_store_y(row, j, q, v)
//   connect_store_beta(row, n, v)    element n of the token's beta
// and may define
//   CONNECT_BEGIN(t, row, q)         done before the streams of a group are asked for
//   CONNECT_KEEP(row, i, q, x)       done with every stream that is mixed
//   CONNECT_EXTRA                    how many further sums of a stream there are, and
//   CONNECT_EXTRA_SUMS(t, row, i, x, q, at)  adds to row_sum[at ..] what they get from x
//   CONNECT_MEASURE_ONLY             for a kernel with mixes of its own, without bs
//   CONNECT_WEIGHTS_ONLY             for a pass that has no streams
#ifndef VKZ_HYPER_CONNECT_GLSL
#define VKZ_HYPER_CONNECT_GLSL

#include "lib/exp.glsl"

const uint KIND_DYNAMIC = 1;
const uint NORM_LAYER = 1;

#ifndef CONNECT_BEGIN
#define CONNECT_BEGIN(t, row, q)
#endif
#ifndef CONNECT_KEEP
#define CONNECT_KEEP(row, i, q, x)
#endif
#ifndef CONNECT_EXTRA
#define CONNECT_EXTRA 0u
#endif

// Sums of a stream: its square, products with wm, wb and wr; then what the includer adds.
const uint CONNECT_COLUMNS = 2 * PARTS + STREAMS;
const uint CONNECT_OWN = KIND == KIND_DYNAMIC ? 1 + CONNECT_COLUMNS : 0;
const uint CONNECT_SUMS = CONNECT_OWN + CONNECT_EXTRA;
const uint CONNECT_BLOCKS = (STREAMS + BLOCK - 1) / BLOCK;
const uint CONNECT_STEP = TOKENS * BLOCK * CONNECT_SUMS; // totals a block
const uint CONNECT_MEANS = CONNECT_BLOCKS * CONNECT_STEP;
#ifdef CONNECT_WEIGHTS_ONLY
const uint ROW_SUMS = 1;
#else
const uint ROW_SUMS = CONNECT_STEP > 0 ? CONNECT_STEP : 1;
#endif

shared float row_total[CONNECT_MEANS + TOKENS * CONNECT_BLOCKS * BLOCK + 1];
#define ROW_PART_SIZE (gl_WorkGroupSize.x * (gl_WorkGroupSize.x > 16 ? 17 : 65))
shared float row_part[ROW_PART_SIZE];
shared float connect_c[TOKENS * STREAMS * CONNECT_COLUMNS];

#include "hyper/row.glsl"

layout(set = 0, binding = CONNECT_BIND, std430) restrict readonly buffer Am { float am[]; };
layout(set = 0, binding = CONNECT_BIND + 1, std430) restrict readonly buffer Ar { float ar[]; };
#ifdef CONNECT_MEASURE_ONLY
#define CONNECT_DYNAMIC (CONNECT_BIND + 2)
#else
#define CONNECT_DYNAMIC (CONNECT_BIND + 3)
layout(set = 0, binding = CONNECT_BIND + 2, std430) restrict readonly buffer Bs { float bs[]; };
#endif
layout(set = 0, binding = CONNECT_DYNAMIC + 0, std430) restrict readonly buffer Wm { float wm[]; };
layout(set = 0, binding = CONNECT_DYNAMIC + 0, std430) restrict readonly buffer Wm4 { vec4 wm4[]; };
layout(set = 0, binding = CONNECT_DYNAMIC + 1, std430) restrict readonly buffer Wr { float wr[]; };
layout(set = 0, binding = CONNECT_DYNAMIC + 1, std430) restrict readonly buffer Wr4 { vec4 wr4[]; };
layout(set = 0, binding = CONNECT_DYNAMIC + 2, std430) restrict readonly buffer Wb { float wb[]; };
layout(set = 0, binding = CONNECT_DYNAMIC + 2, std430) restrict readonly buffer Wb4 { vec4 wb4[]; };
layout(set = 0, binding = CONNECT_DYNAMIC + 3, std430) restrict readonly buffer Sa { float sa[]; };
layout(set = 0, binding = CONNECT_DYNAMIC + 4, std430) restrict readonly buffer Sb { float sb[]; };
layout(set = 0, binding = CONNECT_DYNAMIC + 5, std430) restrict readonly buffer Gamma { float gamma[]; };
layout(set = 0, binding = CONNECT_DYNAMIC + 5, std430) restrict readonly buffer Gamma4 { vec4 gamma4[]; };

#define CONNECT_WEIGHT(name, x, x4)                                                     \
    vec4 name(const uint row, const uint q)                                             \
    {                                                                                   \
        if (VEC == 4) {                                                                 \
            return x4[row * (pc.cols / 4u) + q];                                        \
        }                                                                               \
        vec4 four = vec4(0.0);                                                          \
        [[unroll]] for (uint i = 0; i < 4u; i++) {                                      \
            if (4u * q + i < pc.cols) {                                                 \
                four[i] = x[row * pc.cols + 4u * q + i];                                \
            }                                                                           \
        }                                                                               \
        return four;                                                                    \
    }

CONNECT_WEIGHT(connect_wm, wm, wm4)
CONNECT_WEIGHT(connect_wr, wr, wr4)
CONNECT_WEIGHT(connect_wb, wb, wb4)
CONNECT_WEIGHT(connect_gamma, gamma, gamma4)

uint connect_quads()
{
    return (pc.cols + 3u) / 4u;
}

// Weights of column k: wm of the parts, then wb, then wr of the targets.
vec4 connect_weight(const uint k, const uint q)
{
    return k < PARTS       ? connect_wm(k, q)
           : k < 2 * PARTS ? connect_wb(k - PARTS, q)
                           : connect_wr(k - 2 * PARTS, q);
}

// Where sum k of stream i of token t is in row_total.
uint connect_at(const uint t, const uint i, const uint k)
{
    return i / BLOCK * CONNECT_STEP + (t * BLOCK + i % BLOCK) * CONNECT_SUMS + k;
}

uint connect_mean_at(const uint t, const uint i)
{
    return CONNECT_MEANS + (i / BLOCK * TOKENS + t) * BLOCK + i % BLOCK;
}

float connect_mean(const uint t, const uint i)
{
    return row_total[connect_mean_at(t, i)] / float(pc.cols);
}

// 1 / sqrt(mean square + eps) of a stream that has been measured.
float connect_norm(const uint t, const uint i)
{
    return 1.0 / sqrt(row_total[connect_at(t, i, 0)] / float(pc.cols) + pc.eps);
}

// Zeros in the columns past the end.
vec4 connect_inside(const vec4 x, const uint q)
{
    return WHOLE != 0 ? x : mix(vec4(0.0), x,
                                lessThan(4u * q + uvec4(0, 1, 2, 3), uvec4(pc.cols)));
}

#ifndef CONNECT_WEIGHTS_ONLY
#ifndef CONNECT_EXTRA_SUMS
#define CONNECT_EXTRA_SUMS(t, row, i, x, q, at)
#endif

// Rows and streams past the last are the last ones again: no sum of theirs is used.
void connect_sweep(const uint first, const uint block, const bool means)
{
    const uint quads = connect_quads();
    const uint steps = row_steps(quads);
    for (uint r = 0; r < ROW_ROUNDS; r++) {
        row_clear();
        if (row_holds(r, quads)) {
            const uint begin = row_first(r, steps);
            for (uint step = 0; step < steps; step++) {
                const uint q = begin + 8u * step;
                const uint inside = WHOLE != 0 ? q : min(q, quads - 1u);
                vec4 w[CONNECT_COLUMNS];
                if (KIND == KIND_DYNAMIC && !means) {
                    const vec4 g = connect_gamma(0, inside);
                    [[unroll]] for (uint k = 0; k < CONNECT_COLUMNS; k++) {
                        w[k] = g * connect_weight(k, inside);
                    }
                }
                [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                    const uint row = min(first + t, pc.rows - 1u);
                    CONNECT_BEGIN(t, row, inside)
                    [[unroll]] for (uint b = 0; b < BLOCK; b++) {
                        const uint i =
                            CONNECT_BLOCKS == 1 ? b : min(block * BLOCK + b, STREAMS - 1u);
                        const uint at = (t * BLOCK + b) * CONNECT_SUMS;
                        vec4 x = connect_inside(connect_x(t, row, i, inside), q);
                        if (means) {
                            const uint to = t * BLOCK + b;
                            row_sum[to] = row_dot(x, vec4(1.0), row_sum[to]);
                        } else {
                            CONNECT_EXTRA_SUMS(t, row, i, x, inside, at + CONNECT_OWN)
                        }
                        if (KIND == KIND_DYNAMIC && !means) {
                            if (NORM == NORM_LAYER) {
                                x = connect_inside(x - connect_mean(t, i), q);
                            }
                            row_sum[at] = row_dot(x, x, row_sum[at]);
                            [[unroll]] for (uint k = 0; k < CONNECT_COLUMNS; k++) {
                                row_sum[at + 1 + k] = row_dot(x, w[k], row_sum[at + 1 + k]);
                            }
                        }
                    }
                }
            }
        }
        row_join(r);
    }
    if (means) {
        row_finish(CONNECT_MEANS + block * TOKENS * BLOCK, TOKENS * BLOCK);
    } else {
        row_finish(block * CONNECT_STEP, CONNECT_STEP);
    }
}

void connect_measure(const uint first)
{
    if (CONNECT_SUMS == 0) {
        return;
    }
    for (uint block = 0; block < CONNECT_BLOCKS; block++) {
        if (KIND == KIND_DYNAMIC && NORM == NORM_LAYER) {
            connect_sweep(first, block, true);
        }
        connect_sweep(first, block, false);
    }
}
#endif

float connect_fixed(const uint i, const uint k)
{
    if (k < PARTS) {
        return am[i * PARTS + k];
    }
#ifndef CONNECT_MEASURE_ONLY
    if (k < 2 * PARTS) {
        return bs[i * PARTS + k - PARTS];
    }
#endif
    return k < 2 * PARTS ? 0.0 : ar[i * STREAMS + k - 2 * PARTS];
}

// The tanh in coefficient k of a stream.
float connect_tanh(const uint t, const uint i, const uint k)
{
    return vkz_tanh(connect_norm(t, i) * row_total[connect_at(t, i, 1 + k)]);
}

float connect_factor(const uint k)
{
    return k >= PARTS && k < 2 * PARTS ? sb[0] : sa[0];
}

#ifndef CONNECT_MEASURE_ONLY
void connect_coefficients(const uint first)
{
    for (uint n = gl_LocalInvocationID.x; n < TOKENS * STREAMS * CONNECT_COLUMNS;
         n += gl_WorkGroupSize.x) {
        const uint t = n / (STREAMS * CONNECT_COLUMNS);
        const uint i = n / CONNECT_COLUMNS % STREAMS;
        const uint k = n % CONNECT_COLUMNS;
        float c = connect_fixed(i, k);
        if (KIND == KIND_DYNAMIC) {
            c = fma(connect_factor(k), connect_tanh(t, i, k), c);
        }
        connect_c[n] = c;
        if (k >= PARTS && k < 2 * PARTS && first + t < pc.rows) {
            connect_store_beta(first + t, i * PARTS + k - PARTS, c);
        }
    }
    barrier();
}

void connect_mix(const uint first)
{
    const uint quads = connect_quads();
    for (uint t = 0; t < TOKENS; t++) {
        const uint row = first + t;
        if (row < pc.rows) {
            float c[STREAMS * CONNECT_COLUMNS];
            [[unroll]] for (uint n = 0; n < STREAMS * CONNECT_COLUMNS; n++) {
                c[n] = connect_c[t * STREAMS * CONNECT_COLUMNS + n];
            }
            for (uint q = gl_LocalInvocationID.x; q < quads; q += gl_WorkGroupSize.x) {
                vec4 x[STREAMS];
                CONNECT_BEGIN(t, row, q)
                [[unroll]] for (uint i = 0; i < STREAMS; i++) {
                    x[i] = connect_x(t, row, i, q);
                    CONNECT_KEEP(row, i, q, x[i])
                }
                [[unroll]] for (uint k = 0; k < CONNECT_COLUMNS; k++) {
                    if (k < PARTS || k >= 2 * PARTS) {
                        vec4 sum = c[k] * x[0];
                        [[unroll]] for (uint i = 1; i < STREAMS; i++) {
                            sum = fma(vec4(c[i * CONNECT_COLUMNS + k]), x[i], sum);
                        }
                        if (k < PARTS) {
                            connect_store_h0(row, k, q, sum);
                        } else {
                            connect_store_y(row, k - 2 * PARTS, q, sum);
                        }
                    }
                }
            }
        }
    }
}
#endif

#endif
