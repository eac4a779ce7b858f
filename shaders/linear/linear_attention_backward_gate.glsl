// SPDX-License-Identifier: MIT
//
// Pass gate of linear_attention_backward: dg from the products that the walks left
//
// A workgroup takes a sequence (DECAY=head: a head of all batches) from its last token to
// its first, a token a lane.
#include "linear/linear_attention_backward.glsl"

#define SCAN_T float
float scan_identity() { return 0.0; }
float scan_join(const float before, const float after) { return before + after; }
shared float scan_shared[2 * gl_WorkGroupSize.x];
#include "lib/scan.glsl"

// q dq - k dk of a token, summed over columns; row len of part_q is <st, dst>.
float gate_token(const uint token)
{
    float sum = 0.0;
    for (uint j = 0; j < KEY_QUADS; j++) {
        sum += part_q[(io_unit * (pc.len + 1u) + token) * KEY_QUADS + j];
    }
    if (token < pc.len) {
        float less = 0.0;
        for (uint j = 0; j < KEY_QUADS; j++) {
            less += part_k[(io_unit * pc.len + token) * KEY_QUADS + j];
        }
        sum -= less;
    }
    return sum;
}

void gate_main(const uint batches)
{
    float all = 0.0;
    for (uint b = 0; b < batches; b++) {
        io_begin(gl_WorkGroupID.y, DECAY == DECAY_TOKEN ? gl_WorkGroupID.z : b);
        float after = FINAL != 0 ? gate_token(pc.len) : 0.0;
        for (uint i = 0; i < pc.len; i += gl_WorkGroupSize.x) {
            const uint at = i + vkz_scan_lane();
            const uint token = pc.len - 1u - min(at, pc.len - 1u);
            float x = gate_token(token);
            x = at < pc.len ? x : 0.0;
            float total;
            const float sum = after + vkz_scan_inclusive(x, total);
            after += total;
            if (DECAY == DECAY_TOKEN) {
                if (at < pc.len) {
                    dg[io_unit * pc.len + token] = sum;
                }
            } else {
                float part;
                vkz_scan_exclusive(at < pc.len ? sum : 0.0, part);
                all += part;
            }
        }
    }
    if (DECAY != DECAY_TOKEN && vkz_scan_lane() == 0u) {
        dg[gl_WorkGroupID.y] = all;
    }
}
