// SPDX-License-Identifier: MIT
//
// The hooks of lib/flash*.glsl that read and write this family's buffers
#ifndef VKZ_ATTENTION_HOOKS_GLSL
#define VKZ_ATTENTION_HOOKS_GLSL

#include "attention/io.glsl"

vec4 flash_q(const uint row, const uint c)
{
    return io_q(row, c);
}

vec4 flash_k(const uint key, const uint c)
{
    return io_k(key, c);
}

vec4 flash_v(const uint key, const uint c)
{
    return io_v(key, c);
}

vec2 flash_k2(const uint key, const uint c)
{
    return io_k2(key, c);
}

vec2 flash_v2(const uint key, const uint c)
{
    return io_v2(key, c);
}

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

#endif
