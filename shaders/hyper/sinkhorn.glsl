// SPDX-License-Identifier: MIT
//
// Sinkhorn's iteration on a small matrix in a lane's registers
//
//   p = softmax of every row;  x = p + eps;  x <- x / (column sums + eps);
//   then iters - 1 times:  x <- x / (row sums + eps),  x <- x / (column sums + eps)
//
//   sinkhorn_softmax()          sk[] = softmax of the rows of sk[]
//   sinkhorn(iters, eps)        sk[] = the doubly stochastic matrix of logits sk[]
//   sinkhorn_backward(eps)      sk[] logits, sk_g[] gradient of the result: sk_g[]
//                               becomes that of the logits, sk[] is spoilt; with
//                               SINKHORN_BACKWARD
//
// mHC, arXiv 2512.24880. The includer defines the constant STREAMS, and for the way back
// ITERS: of every step only the divisors are kept; its matrix is the next one times
// those. Matrices of up to 4 x 4 are unrolled and stay in registers.
#ifndef VKZ_HYPER_SINKHORN_GLSL
#define VKZ_HYPER_SINKHORN_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "lib/exp.glsl"

float sk[STREAMS * STREAMS];

#define SINKHORN_SOFTMAX_(HINT)                                                         \
    HINT for (uint i = 0; i < STREAMS; i++)                                             \
    {                                                                                   \
        float top = sk[i * STREAMS];                                                    \
        HINT for (uint j = 1; j < STREAMS; j++)                                         \
        {                                                                               \
            top = max(top, sk[i * STREAMS + j]);                                        \
        }                                                                               \
        float sum = 0.0;                                                                \
        HINT for (uint j = 0; j < STREAMS; j++)                                         \
        {                                                                               \
            const float e = vkz_exp_accurate(sk[i * STREAMS + j] - top);                \
            sk[i * STREAMS + j] = e;                                                    \
            sum += e;                                                                   \
        }                                                                               \
        HINT for (uint j = 0; j < STREAMS; j++)                                         \
        {                                                                               \
            sk[i * STREAMS + j] /= sum;                                                 \
        }                                                                               \
    }

// Every line of the matrix divided by its sum: rows have step 1 between elements.
#define SINKHORN_LINES_(HINT, line, step, eps)                                          \
    HINT for (uint i = 0; i < STREAMS; i++)                                             \
    {                                                                                   \
        float sum = eps;                                                                \
        HINT for (uint j = 0; j < STREAMS; j++)                                         \
        {                                                                               \
            sum += sk[i * (line) + j * (step)];                                         \
        }                                                                               \
        const float share = 1.0 / sum;                                                  \
        HINT for (uint j = 0; j < STREAMS; j++)                                         \
        {                                                                               \
            sk[i * (line) + j * (step)] *= share;                                       \
        }                                                                               \
    }

void sinkhorn_softmax()
{
    if (STREAMS <= 4u) {
        SINKHORN_SOFTMAX_([[unroll]])
    } else {
        SINKHORN_SOFTMAX_([[dont_unroll]])
    }
}

void sinkhorn_rows(const float eps)
{
    if (STREAMS <= 4u) {
        SINKHORN_LINES_([[unroll]], STREAMS, 1u, eps)
    } else {
        SINKHORN_LINES_([[dont_unroll]], STREAMS, 1u, eps)
    }
}

void sinkhorn_columns(const float eps)
{
    if (STREAMS <= 4u) {
        SINKHORN_LINES_([[unroll]], 1u, STREAMS, eps)
    } else {
        SINKHORN_LINES_([[dont_unroll]], 1u, STREAMS, eps)
    }
}

#define SINKHORN_ADD_(HINT, eps)                                                        \
    HINT for (uint i = 0; i < STREAMS * STREAMS; i++)                                   \
    {                                                                                   \
        sk[i] += eps;                                                                   \
    }

void sinkhorn_add(const float eps)
{
    if (STREAMS <= 4u) {
        SINKHORN_ADD_([[unroll]], eps)
    } else {
        SINKHORN_ADD_([[dont_unroll]], eps)
    }
}

void sinkhorn(const uint iters, const float eps)
{
    sinkhorn_softmax();
    sinkhorn_add(eps);
    sinkhorn_columns(eps);
    [[dont_unroll]] for (uint n = 1; n < iters; n++) {
        sinkhorn_rows(eps);
        sinkhorn_columns(eps);
    }
}

#ifdef SINKHORN_BACKWARD

float sk_g[STREAMS * STREAMS];
float sk_p[STREAMS * STREAMS];
float sk_sums[2 * ITERS * STREAMS];

// Forward through one step, sums kept at `at`; and back again.
#define SINKHORN_KEEP_(HINT, line, step, at, eps)                                       \
    HINT for (uint i = 0; i < STREAMS; i++)                                             \
    {                                                                                   \
        float sum = eps;                                                                \
        HINT for (uint j = 0; j < STREAMS; j++)                                         \
        {                                                                               \
            sum += sk[i * (line) + j * (step)];                                         \
        }                                                                               \
        sk_sums[(at) + i] = sum;                                                        \
        const float share = 1.0 / sum;                                                  \
        HINT for (uint j = 0; j < STREAMS; j++)                                         \
        {                                                                               \
            sk[i * (line) + j * (step)] *= share;                                       \
        }                                                                               \
    }

#define SINKHORN_BACK_(HINT, line, step, at)                                            \
    HINT for (uint i = 0; i < STREAMS; i++)                                             \
    {                                                                                   \
        float sum = 0.0;                                                                \
        HINT for (uint j = 0; j < STREAMS; j++)                                         \
        {                                                                               \
            const uint k = i * (line) + j * (step);                                     \
            sum = fma(sk_g[k], sk[k], sum);                                             \
        }                                                                               \
        const float divisor = sk_sums[(at) + i];                                        \
        const float share = 1.0 / divisor;                                              \
        HINT for (uint j = 0; j < STREAMS; j++)                                         \
        {                                                                               \
            const uint k = i * (line) + j * (step);                                     \
            sk_g[k] = (sk_g[k] - sum) * share;                                          \
            sk[k] *= divisor;                                                           \
        }                                                                               \
    }

#define SINKHORN_COPY_(HINT)                                                            \
    HINT for (uint i = 0; i < STREAMS * STREAMS; i++)                                   \
    {                                                                                   \
        sk_p[i] = sk[i];                                                                \
    }

#define SINKHORN_THROUGH_(HINT, eps)                                                    \
    [[dont_unroll]] for (uint n = 0; n < ITERS; n++)                                    \
    {                                                                                   \
        if (n > 0u) {                                                                   \
            SINKHORN_KEEP_(HINT, STREAMS, 1u, (2u * n - 1u) * STREAMS, eps)             \
        }                                                                               \
        SINKHORN_KEEP_(HINT, 1u, STREAMS, 2u * n * STREAMS, eps)                        \
    }                                                                                   \
    [[dont_unroll]] for (uint n = ITERS; n-- > 0u;)                                     \
    {                                                                                   \
        SINKHORN_BACK_(HINT, 1u, STREAMS, 2u * n * STREAMS)                             \
        if (n > 0u) {                                                                   \
            SINKHORN_BACK_(HINT, STREAMS, 1u, (2u * n - 1u) * STREAMS)                  \
        }                                                                               \
    }                                                                                   \
    HINT for (uint i = 0; i < STREAMS; i++)                                             \
    {                                                                                   \
        float sum = 0.0;                                                                \
        HINT for (uint j = 0; j < STREAMS; j++)                                         \
        {                                                                               \
            sum = fma(sk_g[i * STREAMS + j], sk_p[i * STREAMS + j], sum);               \
        }                                                                               \
        HINT for (uint j = 0; j < STREAMS; j++)                                         \
        {                                                                               \
            const uint k = i * STREAMS + j;                                             \
            sk_g[k] = sk_p[k] * (sk_g[k] - sum);                                        \
        }                                                                               \
    }

void sinkhorn_backward(const float eps)
{
    sinkhorn_softmax();
    if (STREAMS <= 4u) {
        SINKHORN_COPY_([[unroll]])
    } else {
        SINKHORN_COPY_([[dont_unroll]])
    }
    sinkhorn_add(eps);
    if (STREAMS <= 4u) {
        SINKHORN_THROUGH_([[unroll]], eps)
    } else {
        SINKHORN_THROUGH_([[dont_unroll]], eps)
    }
}

#endif

#endif
