// SPDX-License-Identifier: MIT
//
// A token's row as the sum of rows at its entries' positions
//
//   lane l has the groups of four l, l + lanes, ..., QUADS of them at a time, so that a
//   position is looked up once for all of these
//
// The kernel declares before including this file
//   vec4 gather_load(uint p, uint q)           elements 4q .. of position p's row
//   int gather_pos(uint entry)                 position of an entry, -1: none
//   float gather_weight(uint entry)
//   void gather_store(uint token, uint q, vec4 sum)
//   GATHER_ROWS, GATHER_TOPK, GATHER_WIDTH     tokens, entries of one, elements of a row
// and calls gather_rows().
#ifndef VKZ_MOE_GATHER_ROWS_GLSL
#define VKZ_MOE_GATHER_ROWS_GLSL

const uint GATHER_QUADS = 4;

void gather_rows()
{
    const uint groups = (GATHER_WIDTH + 3u) / 4u;
    const uint lanes = gl_WorkGroupSize.x;
    for (uint t = gl_WorkGroupID.x; t < GATHER_ROWS; t += gl_NumWorkGroups.x) {
        for (uint first = gl_LocalInvocationID.x; first < groups;
             first += lanes * GATHER_QUADS) {
            vec4 sum[GATHER_QUADS];
            [[unroll]] for (uint j = 0; j < GATHER_QUADS; j++) {
                sum[j] = vec4(0.0);
            }
            for (uint i = 0; i < GATHER_TOPK; i++) {
                const uint entry = t * GATHER_TOPK + i;
                const int p = gather_pos(entry);
                if (p >= 0) {
                    const float weight = gather_weight(entry);
                    [[unroll]] for (uint j = 0; j < GATHER_QUADS; j++) {
                        const uint q = min(first + j * lanes, groups - 1u);
                        sum[j] += weight * gather_load(uint(p), q);
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
