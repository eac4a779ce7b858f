// SPDX-License-Identifier: MIT
//
// New residual streams from a layer's output, columns of a token
//
//   z_j = post_j f + sum_i comb[i, j] x_i
//
//   mhc_post_read(row)            the token's coefficients into registers
//   mhc_post_quad(row, q)         columns 4q .. 4q+3 of all streams: stored
//
// mHC, arXiv 2512.24880. Note the transpose: comb is source, target. The includer defines
// STREAMS, VEC, pc.width, load_x and load_f (base, q), store_z(base, q, four), and the
// buffers post and comb. Kernels that share this agree bit for bit.
#ifndef VKZ_HYPER_MHC_POST_GLSL
#define VKZ_HYPER_MHC_POST_GLSL

float mhc_post_f[STREAMS];
float mhc_post_x[STREAMS * STREAMS];

// Many are read in a rolled loop, which is small; they are used from registers.
float mhc_post_rolled[STREAMS * (STREAMS + 1)];

#define MHC_POST_READ_(HINT)                                                            \
    HINT for (uint i = 0; i < STREAMS * STREAMS; i++)                                   \
    {                                                                                   \
        mhc_post_rolled[i] = comb[row * STREAMS * STREAMS + i];                         \
    }                                                                                   \
    HINT for (uint i = 0; i < STREAMS; i++)                                             \
    {                                                                                   \
        mhc_post_rolled[STREAMS * STREAMS + i] = post[row * STREAMS + i];               \
    }

void mhc_post_read(const uint row)
{
    if (STREAMS <= 4u) {
        MHC_POST_READ_([[unroll]])
    } else {
        MHC_POST_READ_([[dont_unroll]])
    }
    [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; i++) {
        mhc_post_x[i] = mhc_post_rolled[i];
    }
    [[unroll]] for (uint i = 0; i < STREAMS; i++) {
        mhc_post_f[i] = mhc_post_rolled[STREAMS * STREAMS + i];
    }
}

#define MHC_POST_STREAM_                                                                \
    precise vec4 z4 = mhc_post_f[j] * f4;                                               \
    [[unroll]] for (uint i = 0; i < STREAMS; i++)                                       \
    {                                                                                   \
        z4 = fma(vec4(mhc_post_x[i * STREAMS + j]), streams[i], z4);                    \
    }                                                                                   \
    store_z((row * STREAMS + j) * pc.width, q, z4);

void mhc_post_quad(const uint row, const uint q)
{
    const vec4 f4 = load_f(row * pc.width, q);
    vec4 streams[STREAMS];
    [[unroll]] for (uint i = 0; i < STREAMS; i++) {
        streams[i] = load_x((row * STREAMS + i) * pc.width, q);
    }
    if (STREAMS <= 4u) {
        [[unroll]] for (uint j = 0; j < STREAMS; j++) {
            MHC_POST_STREAM_
        }
    } else {
        [[dont_unroll]] for (uint j = 0; j < STREAMS; j++) {
            MHC_POST_STREAM_
        }
    }
}

#endif
