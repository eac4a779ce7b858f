// SPDX-License-Identifier: MIT
//
// Rows of a matrix, four elements at a time, whatever their length; and sums over lanes
//
//   ROWS_LOADER(f, x, x4, width)   defines vec4 f(base, group): elements 4 group .. + 3 of the row
//                                  that begins at element `base`; 0 past its end
//   ROWS_STORER(f, x, x4, width)   defines void f(base, group, vec4): nothing past its end
//   rows_sum(v)                    sum of v over the workgroup, the same bits in every lane
//
// The includer declares the constant VEC (4 where every row begins at a multiple of four
// elements), the buffer twice, as T x[] and as W4 x4[], and for rows_sum
//
//   shared vec4 rows_part[gl_WorkGroupSize.x];      WG_SIZE is a power of two
#ifndef VKZ_LINEAR_ROW_SUMS_GLSL
#define VKZ_LINEAR_ROW_SUMS_GLSL

#include "lib/num.glsl"
#include "lib/words.glsl"

#define ROWS_LOADER(name, x, x4, width)                                                 \
    vec4 name(const uint base, const uint group)                                        \
    {                                                                                   \
        if (VEC == 4) {                                                                 \
            return vkz_load_w4(x4[base / 4u + group]);                                  \
        }                                                                               \
        vec4 four = vec4(0.0);                                                          \
        [[unroll]] for (uint i = 0; i < 4u; i++) {                                      \
            if (4u * group + i < (width)) {                                             \
                four[i] = vkz_load(x[base + 4u * group + i]);                           \
            }                                                                           \
        }                                                                               \
        return four;                                                                    \
    }

#define ROWS_STORER(name, x, x4, width)                                                 \
    void name(const uint base, const uint group, const vec4 four)                       \
    {                                                                                   \
        if (VEC == 4) {                                                                 \
            x4[base / 4u + group] = vkz_store_w4(four);                                 \
        } else {                                                                        \
            [[unroll]] for (uint i = 0; i < 4u; i++) {                                  \
                if (4u * group + i < (width)) {                                         \
                    x[base + 4u * group + i] = vkz_store(four[i]);                      \
                }                                                                       \
            }                                                                           \
        }                                                                               \
    }

#ifdef ROWS_SUM
// Two sums at once would need two barriers' worth of waiting otherwise: four fit a vector.
vec4 rows_sum(const vec4 v)
{
    const uint lane = gl_LocalInvocationID.x;
    barrier(); // the last sum may still be read
    rows_part[lane] = v;
    for (uint half_ = gl_WorkGroupSize.x / 2u; half_ > 0u; half_ /= 2u) {
        barrier();
        if (lane < half_) {
            rows_part[lane] += rows_part[lane + half_];
        }
    }
    barrier();
    return rows_part[0];
}
#endif

#endif
