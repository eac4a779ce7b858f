// SPDX-License-Identifier: MIT
//
// What the kernels of hrr_attention share: buffers, tokens of a part, weights, the output
#include "lib/exp.glsl"
#include "linear/row_sums.glsl"

layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 17) const uint MASK = 0;
layout(constant_id = 32) const uint HEAD_DIM = 16;

layout(push_constant, std430) uniform Push {
    uint heads, len, parts;
} pc;

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { W4 k4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { W4 v4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Lens { int lens[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer O4 { W4 o4[]; };
layout(set = 0, binding = 5, std430) restrict buffer Bound { float bound[]; };
layout(set = 0, binding = 6, std430) restrict buffer Weight { float weight[]; };
layout(set = 0, binding = 7, std430) restrict buffer Total { float total[]; };

ROWS_LOADER(load_q, q, q4, HEAD_DIM)
ROWS_LOADER(load_k, k, k4, HEAD_DIM)
ROWS_LOADER(load_v, v, v4, HEAD_DIM)
ROWS_STORER(store_o, o, o4, HEAD_DIM)

const uint QUADS = (HEAD_DIM + 3u) / 4u;

uint head_index()
{
    return gl_WorkGroupID.z * pc.heads + gl_WorkGroupID.y;
}

uint valid_tokens()
{
    return MASK == 0 ? pc.len : uint(clamp(lens[gl_WorkGroupID.z], 0, int(pc.len)));
}

// First and end of this workgroup's share of the tokens, of all or of those that count.
uvec2 share_of(const uint tokens)
{
    const uint share = (pc.len + pc.parts - 1u) / pc.parts;
    const uint first = min(gl_WorkGroupID.x * share, tokens);
    return uvec2(first, min(first + share, tokens));
}

uvec2 part_tokens()
{
    return share_of(valid_tokens());
}

// e^(cos - 1) from v.v^, v^.v^ and v.v
float hrr_weight(const float both, const float other, const float own)
{
    const float cosine = both / ((sqrt(own) + 1.0e-8) * (sqrt(other) + 1.0e-8));
    return vkz_exp2((cosine - 1.0) * VKZ_LOG2E, EXP_POLY5);
}

// The last pass: values by their weight.
void hrr_output()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint head = head_index();
    const uint valid = valid_tokens();
    const uvec2 range = share_of(pc.len);
    float sum = 0.0;
    for (uint part = 0; part < pc.parts; part++) {
        sum += total[head * pc.parts + part];
    }
    const float factor = 1.0 / sum;
    for (uint i = gl_LocalInvocationID.x; i < (range.y - range.x) * QUADS; i += lanes) {
        const uint t = range.x + i / QUADS;
        const uint row = (head * pc.len + t) * HEAD_DIM;
        vec4 x = vec4(0.0);
        if (t < valid) {
            x = load_v(row, i % QUADS) * (weight[head * pc.len + t] * factor);
        }
        store_o(row, i % QUADS, x);
    }
}
