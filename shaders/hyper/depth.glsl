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
#ifdef T_F16
    // Drivers may take a conversion there and back for nothing (lavapipe 25.0.7 does); what
    // they cannot know to be all ones stands in between.
    const uint all = gl_NumWorkGroups.x == 0u ? 0u : 0xffffffffu;
    return vkz_load_w4(vkz_store_w4(z) & all);
#else
    return vkz_load_w4(vkz_store_w4(z));
#endif
}

#endif
