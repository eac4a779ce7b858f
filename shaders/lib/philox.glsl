// SPDX-License-Identifier: MIT
//
// Philox 4x32-10: four random words of a counter and a key, the same on every machine
//
// Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011.
#ifndef VKZ_PHILOX_GLSL
#define VKZ_PHILOX_GLSL

uvec4 vkz_philox(const uvec4 counter, const uvec2 key)
{
    uvec4 c = counter;
    uvec2 k = key;
    for (uint i = 0; i < 10u; i++) {
        uint high0, low0, high1, low1;
        umulExtended(0xd2511f53u, c.x, high0, low0);
        umulExtended(0xcd9e8d57u, c.z, high1, low1);
        c = uvec4(high1 ^ c.y ^ k.x, low1, high0 ^ c.w ^ k.y, low0);
        k += uvec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

#endif
