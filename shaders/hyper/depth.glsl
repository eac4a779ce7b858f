// SPDX-License-Identifier: MIT
//
// The depth connection's arithmetic, in one place: kernels that use it agree bit for bit
//
//   depth_add(beta, f, z)   z + beta f, four elements
//   depth_round(z)          z as the storage type has it
#ifndef VKZ_HYPER_DEPTH_GLSL
#define VKZ_HYPER_DEPTH_GLSL

#include "lib/words.glsl"

vec4 depth_add(const float beta, const vec4 f, const vec4 z)
{
    return fma(vec4(beta), f, z);
}

vec4 depth_round(const vec4 z)
{
    return vkz_load_w4(vkz_store_w4(z));
}

#endif
