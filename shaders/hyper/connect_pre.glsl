// SPDX-License-Identifier: MIT
//
// Body of hyper_pre_row and frac_pre_row, and of hyper_post_pre_row (CONNECT_POST), which
// makes its streams of those before the layer and of its output; their front matter is the
// includer's
#extension GL_EXT_control_flow_attributes : require

#include "lib/num.glsl"
#include "lib/words.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TOKENS = 1;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 5) const uint BLOCK = 1;
layout(constant_id = 6) const uint WHOLE = 0;
layout(constant_id = 16) const uint KIND = 0;
layout(constant_id = 17) const uint NORM = 0;
layout(constant_id = 32) const uint STREAMS = 1;
layout(constant_id = 33) const uint PARTS = 1;

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    float eps;
} pc;

#include "linear/row_sums.glsl"

#ifdef CONNECT_POST
#define CONNECT_BIND 3
layout(constant_id = 18) const uint SAVE = 0;
layout(set = 0, binding = 0, std430) restrict readonly buffer F { T f[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer F4 { W4 f4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Y { T y[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Y4 { W4 y4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Beta { float beta[]; };
layout(set = 0, binding = 12, std430) restrict writeonly buffer H0 { T h0[]; };
layout(set = 0, binding = 12, std430) restrict writeonly buffer H04 { W4 h04[]; };
layout(set = 0, binding = 13, std430) restrict writeonly buffer Next { T y_next[]; };
layout(set = 0, binding = 13, std430) restrict writeonly buffer Next4 { W4 y_next4[]; };
layout(set = 0, binding = 14, std430) restrict writeonly buffer BetaNext { float beta_next[]; };
layout(set = 0, binding = 15, std430) restrict writeonly buffer Z { T z[]; };
layout(set = 0, binding = 15, std430) restrict writeonly buffer Z4 { W4 z4[]; };
ROWS_LOADER(load_f, f, f4, pc.cols)
ROWS_STORER(store_z, z, z4, pc.cols)
ROWS_LOADER(load_x, y, y4, pc.cols)
ROWS_STORER(store_y, y_next, y_next4, pc.cols)
#else
#define CONNECT_BIND 1
layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 10, std430) restrict writeonly buffer H0 { T h0[]; };
layout(set = 0, binding = 10, std430) restrict writeonly buffer H04 { W4 h04[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer Y4 { W4 y4[]; };
layout(set = 0, binding = 12, std430) restrict writeonly buffer Beta { float beta[]; };
ROWS_LOADER(load_x, x, x4, pc.cols)
ROWS_STORER(store_y, y, y4, pc.cols)
#endif
ROWS_STORER(store_h0, h0, h04, pc.cols)

#ifdef CONNECT_POST
#include "hyper/depth.glsl"

shared float depth_part[TOKENS * STREAMS];
float depth_weight[TOKENS * STREAMS];
vec4 depth_f;

void save_z(const uint at, const uint q, const vec4 x)
{
    if (SAVE != 0) {
        store_z(at, q, x);
    }
}

#define CONNECT_BEGIN(t, row, q) depth_f = load_f((row) * pc.cols, q);
#define CONNECT_KEEP(row, i, q, x) save_z(((row) * STREAMS + (i)) * pc.cols, q, x);

vec4 connect_x(const uint t, const uint row, const uint i, const uint q)
{
    return depth_round(depth_add(depth_weight[t * STREAMS + i], depth_f,
                                 load_x((row * STREAMS + i) * pc.cols, q)));
}
#else
vec4 connect_x(const uint t, const uint row, const uint i, const uint q)
{
    return load_x((row * STREAMS + i) * pc.cols, q);
}
#endif

void connect_store_h0(const uint row, const uint p, const uint q, const vec4 v)
{
    store_h0((row * PARTS + p) * pc.cols, q, v);
}

void connect_store_y(const uint row, const uint j, const uint q, const vec4 v)
{
    store_y((row * STREAMS + j) * pc.cols, q, v);
}

void connect_store_beta(const uint row, const uint n, const float v)
{
#ifdef CONNECT_POST
    beta_next[row * STREAMS * PARTS + n] = v;
#else
    beta[row * STREAMS * PARTS + n] = v;
#endif
}

#include "hyper/connect.glsl"

void main()
{
    const uint first = gl_WorkGroupID.x * TOKENS;
#ifdef CONNECT_POST
    for (uint n = gl_LocalInvocationID.x; n < TOKENS * STREAMS; n += gl_WorkGroupSize.x) {
        depth_part[n] = beta[min(first * STREAMS + n, pc.rows * STREAMS - 1u)];
    }
    barrier();
    [[unroll]] for (uint n = 0; n < TOKENS * STREAMS; n++) {
        depth_weight[n] = depth_part[n];
    }
#endif
    connect_measure(first);
    connect_coefficients(first);
    connect_mix(first);
}
