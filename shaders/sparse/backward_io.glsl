// SPDX-License-Identifier: MIT
//
// What the sparse backward kernels share: buffers, loads, stores, row sums
//
// The includer defines the bindings IO_BIND_O, _LSE, _DO, _DQ, _DK, _DV and _DELTA, and
// declares the push constants `pc` with tau and the lengths it needs. Buffer do is do_: `do`
// is a keyword. Pass delta writes do . o of every query; DQ and DKV read it.
#ifndef VKZ_SPARSE_BACKWARD_IO_GLSL
#define VKZ_SPARSE_BACKWARD_IO_GLSL

#include "lib/num.glsl"
#include "lib/exp.glsl"

layout(constant_id = 5) const uint EXP = 5;
layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 32) const uint HEAD_DIM = 64;
layout(constant_id = 33) const uint V_DIM = 64;

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q2 { T2 q2[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { T4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K2 { T2 k2[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { T4 k4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V2 { T2 v2[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { T4 v4[]; };
layout(set = 0, binding = IO_BIND_DO, std430) restrict readonly buffer Do { T do_[]; };
layout(set = 0, binding = IO_BIND_DO, std430) restrict readonly buffer Do2 { T2 do_2[]; };
layout(set = 0, binding = IO_BIND_DO, std430) restrict readonly buffer Do4 { T4 do_4[]; };
#ifdef PASS_DELTA
layout(set = 0, binding = IO_BIND_O, std430) restrict readonly buffer O { T o[]; };
layout(set = 0, binding = IO_BIND_O, std430) restrict readonly buffer O4 { T4 o4[]; };
layout(set = 0, binding = IO_BIND_DELTA, std430) restrict writeonly buffer Delta
{
    float delta[];
};
#else
layout(set = 0, binding = IO_BIND_LSE, std430) restrict readonly buffer Lse { float lse[]; };
layout(set = 0, binding = IO_BIND_DELTA, std430) restrict readonly buffer Delta
{
    float delta[];
};
#endif
#ifdef PASS_DQ
layout(set = 0, binding = IO_BIND_DQ, std430) restrict writeonly buffer Dq { T dq[]; };
layout(set = 0, binding = IO_BIND_DQ, std430) restrict writeonly buffer Dq4 { T4 dq4[]; };
#endif
#ifdef PASS_DKV
layout(set = 0, binding = IO_BIND_DK, std430) restrict writeonly buffer Dk { T dk[]; };
layout(set = 0, binding = IO_BIND_DK, std430) restrict writeonly buffer Dk4 { T4 dk4[]; };
layout(set = 0, binding = IO_BIND_DV, std430) restrict writeonly buffer Dv { T dv_[]; };
layout(set = 0, binding = IO_BIND_DV, std430) restrict writeonly buffer Dv4 { T4 dv_4[]; };
#endif

// Elements 4c .. 4c+3 of row `row` of a tensor with rows of `width`; 0 past a row's end.
#define IO_LOAD4(name, name4, row, width, c)                                            \
    if (VEC == 4) {                                                                     \
        return vkz_load4(name4[(row) * ((width) / 4u) + (c)]);                          \
    }                                                                                   \
    const uint at = (row) * (width) + 4u * (c);                                         \
    vec4 x = vec4(vkz_load(name[at]), 0.0, 0.0, 0.0);                                   \
    if (4u * (c) + 1u < (width)) {                                                      \
        x.y = vkz_load(name[at + 1u]);                                                  \
    }                                                                                   \
    if (4u * (c) + 2u < (width)) {                                                      \
        x.z = vkz_load(name[at + 2u]);                                                  \
    }                                                                                   \
    if (4u * (c) + 3u < (width)) {                                                      \
        x.w = vkz_load(name[at + 3u]);                                                  \
    }                                                                                   \
    return x

// Elements 2c and 2c+1, each lane another c; anything readable past the row's end.
#define IO_LOAD2(name, name2, row, width, c)                                            \
    if (VEC == 4) {                                                                     \
        return vkz_load2(name2[(row) * ((width) / 2u) + min((c), (width) / 2u - 1u)]);  \
    }                                                                                   \
    const uint at = (row) * (width);                                                    \
    return vec2(vkz_load(name[at + min(2u * (c), (width) - 1u)]),                       \
                vkz_load(name[at + min(2u * (c) + 1u, (width) - 1u)]))

#define IO_STORE4(name, name4, row, width, c, x)                                        \
    if (VEC == 4) {                                                                     \
        name4[(row) * ((width) / 4u) + (c)] = vkz_store4(x);                            \
    } else {                                                                            \
        const uint at = (row) * (width) + 4u * (c);                                     \
        name[at] = vkz_store((x).x);                                                    \
        if (4u * (c) + 1u < (width)) {                                                  \
            name[at + 1u] = vkz_store((x).y);                                           \
        }                                                                               \
        if (4u * (c) + 2u < (width)) {                                                  \
            name[at + 2u] = vkz_store((x).z);                                           \
        }                                                                               \
        if (4u * (c) + 3u < (width)) {                                                  \
            name[at + 3u] = vkz_store((x).w);                                           \
        }                                                                               \
    }

vec4 io_q(const uint row, const uint c)
{
    IO_LOAD4(q, q4, row, HEAD_DIM, c);
}
vec4 io_k(const uint row, const uint c)
{
    IO_LOAD4(k, k4, row, HEAD_DIM, c);
}
vec4 io_v(const uint row, const uint c)
{
    IO_LOAD4(v, v4, row, V_DIM, c);
}
vec4 io_do(const uint row, const uint c)
{
    IO_LOAD4(do_, do_4, row, V_DIM, c);
}
vec2 io_q2(const uint row, const uint c)
{
    IO_LOAD2(q, q2, row, HEAD_DIM, c);
}
vec2 io_k2(const uint row, const uint c)
{
    IO_LOAD2(k, k2, row, HEAD_DIM, c);
}
vec2 io_v2(const uint row, const uint c)
{
    IO_LOAD2(v, v2, row, V_DIM, c);
}
vec2 io_do2(const uint row, const uint c)
{
    IO_LOAD2(do_, do_2, row, V_DIM, c);
}

#ifdef PASS_DELTA
vec4 io_o(const uint row, const uint c)
{
    IO_LOAD4(o, o4, row, V_DIM, c);
}

// A lane a row.
void io_delta(const uint rows)
{
    const uint row = gl_GlobalInvocationID.x;
    if (row < rows) {
        float sum = 0.0;
        for (uint c = 0; c < (V_DIM + 3u) / 4u; c++) {
            sum += dot(io_o(row, c), io_do(row, c));
        }
        delta[row] = sum;
    }
}
#else
// Of a query that sees nothing lse is -inf; none of its pairs counts.
vec2 io_stats(const uint row)
{
    const float x = lse[row];
    return vec2(x < -3.0e38 ? 3.0e38 : x * VKZ_LOG2E, delta[row]);
}
#endif

#ifdef PASS_DQ
void io_store_dq(const uint row, const uint c, const vec4 x)
{
    IO_STORE4(dq, dq4, row, HEAD_DIM, c, x)
}
#endif
#ifdef PASS_DKV
void io_store_dk(const uint row, const uint c, const vec4 x)
{
    IO_STORE4(dk, dk4, row, HEAD_DIM, c, x)
}
void io_store_dv(const uint row, const uint c, const vec4 x)
{
    IO_STORE4(dv_, dv_4, row, V_DIM, c, x)
}
#endif

#endif
