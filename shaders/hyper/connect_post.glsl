// SPDX-License-Identifier: MIT
//
// Body of hyper_post_row and frac_post_row; their front matter is the includer's
#extension GL_EXT_control_flow_attributes : require

#include "lib/num.glsl"
#include "lib/words.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 32) const uint STREAMS = 1;
layout(constant_id = 33) const uint PARTS = 1;

layout(push_constant, std430) uniform Push {
    uint rows, cols;
} pc;

#include "linear/row_sums.glsl"
#include "hyper/depth.glsl"

layout(set = 0, binding = 0, std430) restrict readonly buffer F { T f[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer F4 { W4 f4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Y { T y[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Y4 { W4 y4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Beta { float beta[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Z { T z[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Z4 { W4 z4[]; };

ROWS_LOADER(load_f, f, f4, pc.cols)
ROWS_LOADER(load_y, y, y4, pc.cols)
ROWS_STORER(store_z, z, z4, pc.cols)

void main()
{
    const uint quads = (pc.cols + 3u) / 4u;
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        float b[STREAMS * PARTS];
        [[unroll]] for (uint n = 0; n < STREAMS * PARTS; n++) {
            b[n] = beta[row * STREAMS * PARTS + n];
        }
        for (uint q = gl_LocalInvocationID.x; q < quads; q += gl_WorkGroupSize.x) {
            vec4 x[PARTS];
            [[unroll]] for (uint p = 0; p < PARTS; p++) {
                x[p] = load_f((row * PARTS + p) * pc.cols, q);
            }
            [[unroll]] for (uint i = 0; i < STREAMS; i++) {
                const uint at = (row * STREAMS + i) * pc.cols;
                vec4 sum = load_y(at, q);
                [[unroll]] for (uint p = 0; p < PARTS; p++) {
                    sum = depth_add(b[i * PARTS + p], x[p], sum);
                }
                store_z(at, q, depth_round(sum));
            }
        }
    }
}
