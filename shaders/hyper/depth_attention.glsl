// SPDX-License-Identifier: MIT
//
// What attention_residual and its gradient share: inputs, and the score of a layer
//
//   depth_wq(q)             group q of w * q
//   depth_base(layer, row)  where the layer's hidden state begins
//   depth_score(sums)       scale q . k of sums.x = v . v and sums.y = v . (w q)
//   depth_norm(square)      1 / sqrt(mean square + eps)
#include "lib/exp.glsl"
#include "linear/row_sums.glsl"

layout(set = 0, binding = 0, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer V4 { W4 v4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Q { float q[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Q4 { vec4 q4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Weight { float w[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Weight4 { vec4 w4[]; };

layout(push_constant, std430) uniform Push {
    uint rows, width, l;
    float scale, eps;
    uint parts;
} pc;

ROWS_LOADER(load_v, v, v4, pc.width)

#define DEPTH_VECTOR(name, x, x4)                                                       \
    vec4 name(const uint group)                                                         \
    {                                                                                   \
        if (VEC == 4) {                                                                 \
            return x4[group];                                                           \
        }                                                                               \
        vec4 four = vec4(0.0);                                                          \
        [[unroll]] for (uint i = 0; i < 4u; i++) {                                      \
            if (4u * group + i < pc.width) {                                            \
                four[i] = x[4u * group + i];                                            \
            }                                                                           \
        }                                                                               \
        return four;                                                                    \
    }

DEPTH_VECTOR(load_q, q, q4)
DEPTH_VECTOR(load_w, w, w4)

vec4 depth_wq(const uint group)
{
    return load_w(group) * load_q(group);
}

uint depth_base(const uint layer, const uint row)
{
    return (layer * pc.rows + row) * pc.width;
}

float depth_norm(const float square)
{
    return 1.0 / sqrt(square / float(pc.width) + pc.eps);
}

float depth_score(const vec4 sums)
{
    return sums.y * depth_norm(sums.x) * pc.scale;
}

// e^x for x <= 0.
float depth_exp(const float x)
{
    return vkz_exp2_accurate(x * VKZ_LOG2E);
}
