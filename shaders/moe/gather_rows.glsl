// SPDX-License-Identifier: MIT
//
// A token's row as the sum of rows at its entries' positions
//
//   lane l has the groups of four l, l + lanes, ..., QUADS of them at a time, so that a
//   position is looked up once for all of these
//
// The kernel declares before including this file
//   vec4 gather_load(uint base, uint q)        elements 4q .. of the row at `base`
//   int gather_pos(uint entry)                 position of an entry, -1: none
//   float gather_weight(uint entry)
//   void gather_store(uint token, uint q, vec4 sum)
// with push constants rows, topk and width in pc, and calls gather_rows().
#ifndef VKZ_MOE_GATHER_ROWS_GLSL
#define VKZ_MOE_GATHER_ROWS_GLSL

const uint GATHER_QUADS = 4;

void gather_rows()
{
    const uint groups = (pc.width + 3u) / 4u;
    const uint lanes = gl_WorkGroupSize.x;
    for (uint t = gl_WorkGroupID.x; t < pc.rows; t += gl_NumWorkGroups.x) {
        for (uint first = gl_LocalInvocationID.x; first < groups;
             first += lanes * GATHER_QUADS) {
            vec4 sum[GATHER_QUADS];
            [[unroll]] for (uint j = 0; j < GATHER_QUADS; j++) {
                sum[j] = vec4(0.0);
            }
            for (uint i = 0; i < pc.topk; i++) {
                const uint entry = t * pc.topk + i;
                const int p = gather_pos(entry);
                if (p >= 0) {
                    const float weight = gather_weight(entry);
                    [[unroll]] for (uint j = 0; j < GATHER_QUADS; j++) {
                        const uint q = min(first + j * lanes, groups - 1u);
                        sum[j] += weight * gather_load(uint(p) * pc.width, q);
                    }
                }
            }
            [[unroll]] for (uint j = 0; j < GATHER_QUADS; j++) {
                if (first + j * lanes < groups) {
                    gather_store(t, first + j * lanes, sum[j]);
                }
            }
        }
    }
}

#endif
