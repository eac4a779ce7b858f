// SPDX-License-Identifier: MIT
//
// The body of the *_attention_lane kernels: one file an op names the weight function
//
// The includer defines ATTENTION_WEIGHT to the number of a WEIGHT_ constant of
// lib/score.glsl; its //! lines say which buffers and push constants that leaves.
#include "attention/io.glsl"

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 4;
layout(constant_id = 7) const uint ROLL = 0;


#include "attention/hooks.glsl"

#ifdef PASS_NORM
#include "attention/norm.glsl"
#else
#include "lib/flash.glsl"

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    // Under a causal mask the last rows see the most keys: start with them.
    const uint block = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x;
    const uint lanes = gl_WorkGroupSize.x;
    const uint begin = block * lanes * ROWS;
    const uint end = min(begin + lanes * ROWS, uint(IO_Q_LEN));
    const int delta = IO_KV_LEN - IO_Q_LEN;
    const uint first = begin + gl_LocalInvocationID.x;
    const score_map s = io_score_map();
    flash_lane(s, first, lanes, int(begin) + delta, int(end) - 1 + delta);

    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = min(first + r * lanes, end - 1u);
        const bool mine = first + r * lanes < end;
        flash_factor[r] = io_finish_row(s, row, mine, flash_m[r], flash_l[r]);
    }
    flash_store_rows(first, lanes, end);
}
#endif
