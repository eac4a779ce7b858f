// SPDX-License-Identifier: MIT
//
// Gradients of hyper_post: a workgroup a token, one sweep
//
//   df = sum_i beta_i dz_i,  dbeta_i = f . dz_i
//
// Hyper-connections, arXiv 2409.19606.
//
// Why this one: every element is read once, for the product and for the sum.
//
//! kernel   hyper_post_backward_row
//! op       hyper_post_backward/1
//! tier     T0
//! bind     0 dz    in  T[rows, streams, width]
//! bind     1 f     in  T[rows, width]
//! bind     2 beta  in  f32[rows, streams]
//! bind     3 df    out T[rows, width]
//! bind     4 dbeta out f32[rows, streams]
//! push     rows:u32 width:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? min(subgroup_size,16) : 64   // 4 to 64, a power of two
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     32 STREAMS u32 1 = streams
//! shared   4 * (STREAMS + WG_SIZE * (WG_SIZE > 16 ? 17 : 65))
//! pass     main  groups min(rows,65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "linear/row_sums.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 32) const uint STREAMS = 1;

layout(set = 0, binding = 0, std430) restrict readonly buffer Dz { T dz[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Dz4 { W4 dz4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer F { T f[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer F4 { W4 f4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Beta { float beta[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Df { T df[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Df4 { W4 df4[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer Dbeta { float dbeta[]; };

layout(push_constant, std430) uniform Push {
    uint rows, width;
} pc;

ROWS_LOADER(load_dz, dz, dz4, pc.width)
ROWS_LOADER(load_f, f, f4, pc.width)
ROWS_STORER(store_df, df, df4, pc.width)

#define ROW_SUMS STREAMS
shared float row_total[ROW_SUMS];
shared float row_part[gl_WorkGroupSize.x * (gl_WorkGroupSize.x > 16 ? 17 : 65)];

#include "hyper/row.glsl"

void main()
{
    const uint quads = (pc.width + 3u) / 4u;
    const uint steps = row_steps(quads);
    for (uint row = gl_WorkGroupID.x; row < pc.rows; row += gl_NumWorkGroups.x) {
        float b[STREAMS];
        [[unroll]] for (uint i = 0; i < STREAMS; i++) {
            b[i] = beta[row * STREAMS + i];
        }
        [[dont_unroll]] for (uint r = 0; r < ROW_ROUNDS; r++) {
            row_clear();
            if (row_holds(r, quads)) {
                const uint first = row_first(r, steps);
                for (uint j = 0; j < steps; j++) {
                    const uint q = first + 8u * j;
                    if (q < quads) {
                        const vec4 layer = load_f(row * pc.width, q);
                        vec4 sum = vec4(0.0);
                        [[unroll]] for (uint i = 0; i < STREAMS; i++) {
                            const vec4 d = load_dz((row * STREAMS + i) * pc.width, q);
                            sum = fma(vec4(b[i]), d, sum);
                            row_sum[i] = row_dot(d, layer, row_sum[i]);
                        }
                        store_df(row * pc.width, q, sum);
                    }
                }
            }
            row_join(r);
        }
        row_finish(0, STREAMS);
        for (uint i = gl_LocalInvocationID.x; i < STREAMS; i += gl_WorkGroupSize.x) {
            dbeta[row * STREAMS + i] = row_total[i];
        }
    }
}
