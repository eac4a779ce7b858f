// SPDX-License-Identifier: MIT
//
// Sinkhorn's iteration on a small matrix in a lane's registers
//
//   p = softmax of every row;  x = p + eps;  x <- x / (column sums + eps);
//   then iters - 1 times:  x <- x / (row sums + eps),  x <- x / (column sums + eps)
//
//   sinkhorn_softmax()          sk[] = softmax of the rows of sk[]
//   sinkhorn(iters, eps)        sk[] = the doubly stochastic matrix of logits sk[]
//
// mHC, arXiv 2512.24880. The includer defines the constant STREAMS. Matrices of up to 4 x 4
// are unrolled and stay in registers.
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

void sinkhorn(const uint iters, const float eps)
{
    sinkhorn_softmax();
    [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
        sk[i] += eps;
    }
    sinkhorn_columns(eps);
    [[dont_unroll]] for (uint n = 1; n < iters; n++) {
        sinkhorn_rows(eps);
        sinkhorn_columns(eps);
    }
}

#endif
