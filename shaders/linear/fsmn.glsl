// SPDX-License-Identifier: MIT
//
// What the kernels of fsmn_memory share: buffers, loads, the product with a tap
#include "linear/row_sums.glsl"

layout(constant_id = 16) const uint AHEAD = 0;
layout(constant_id = 17) const uint PAIRS = 0;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer A { float a[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer A4 { vec4 a4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer B { float b[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer B4 { vec4 b4[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Y4 { W4 y4[]; };

layout(push_constant, std430) uniform Push {
    uint batch, len, width, w, ahead;
} pc;

ROWS_LOADER(load_x, x, x4, pc.width)
ROWS_STORER(store_y, y, y4, pc.width)

// Taps are f32 in every variant.
#define TAP_LOADER(name, buffer1, buffer4)                                              \
    vec4 name(const uint row, const uint q)                                             \
    {                                                                                   \
        if (VEC == 4) {                                                                 \
            return buffer4[row * (pc.width / 4u) + q];                                  \
        }                                                                               \
        vec4 v = vec4(0.0);                                                             \
        [[unroll]] for (uint i = 0; i < 4u; i++) {                                      \
            if (4u * q + i < pc.width) {                                                \
                v[i] = buffer1[row * pc.width + 4u * q + i];                            \
            }                                                                           \
        }                                                                               \
        return v;                                                                       \
    }
TAP_LOADER(load_a, a, a4)
TAP_LOADER(load_b, b, b4)

// sum + tap * x, two complex numbers at a time when channels come in pairs.
vec4 add_tap(const vec4 tap, const vec4 x, const vec4 sum)
{
    if (PAIRS == 0) {
        return fma(tap, x, sum);
    }
    const vec4 turned = vec4(-x.y, x.x, -x.w, x.z);
    return fma(tap.yyww, turned, fma(tap.xxzz, x, sum));
}
