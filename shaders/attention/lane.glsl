// SPDX-License-Identifier: MIT
//
// The body of the *_attention_lane kernels: one file an op names the weight function
//
// The includer defines ATTENTION_WEIGHT to the number of a WEIGHT_ constant of
// lib/score.glsl; its //! lines say which buffers and push constants that leaves.
#include "attention/io.glsl"

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 4;
layout(constant_id = 7) const uint ROLL = 0;

vec4 flash_q(const uint row, const uint c)
{
    return io_q(row, c);
}

#ifdef SHUFFLE
#define FLASH_SHUFFLE
layout(constant_id = 1) const uint SUBGROUP = 4;
#define FLASH_CHUNK_T vec2

vec2 flash_k(const uint key, const uint c)
{
    return io_k2(key, c);
}

vec2 flash_v(const uint key, const uint c)
{
    return io_v2(key, c);
}
#else
#define FLASH_CHUNK_T vec4

vec4 flash_k(const uint key, const uint c)
{
    return io_k(key, c);
}

vec4 flash_v(const uint key, const uint c)
{
    return io_v(key, c);
}
#endif

float flash_key_scale(const uint key)
{
#ifdef IO_KEY_NORM
    return knorm[io_k_row + key];
#else
    return 1.0;
#endif
}

float flash_row_scale(const uint row, const float norm2)
{
#ifdef IO_KEY_NORM
    // ln d ln(i + 1) / |q_i|
    const float scale = vkz_log2(float(HEAD_DIM)) * vkz_log2(float(row + 1u)) *
                        (VKZ_LN2 * VKZ_LN2);
    return scale * io_inverse_norm(norm2);
#else
    return 1.0;
#endif
}

void flash_store(const uint row, const uint c, const vec4 o)
{
    io_store_o(row, c, o);
}

#include "lib/flash.glsl"

#ifdef PASS_NORM
void main()
{
    const uint key = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (key < uint(IO_KV_LEN)) {
        io_write_key_norm(key, gl_WorkGroupID.y, gl_WorkGroupID.z);
    }
}
#else
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
