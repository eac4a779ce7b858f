// SPDX-License-Identifier: MIT
//
// lib/flash_keys.glsl with its rows finished where they are stored
//
// The includer declares what that file asks for but the store hooks, which are here, and
// a buffer o[] of rows of V_DIM, of which the workgroup's begin at q_row; and calls
// flash_keys() with first = gl_WorkGroupID.x * ROWS.
#ifndef VKZ_SPARSE_FLASH_KEYS_FINISH_GLSL
#define VKZ_SPARSE_FLASH_KEYS_FINISH_GLSL

// The groups' maxima and sums lie in flash_share when outputs are stored: see
// flash_merge_.
void flash_store(const uint row, const uint column, const float x)
{
    const uint groups = gl_WorkGroupSize.x / LANES;
    const uint r = row - gl_WorkGroupID.x * ROWS;
    float top = SCORE_LOWEST;
    for (uint g = 0; g < groups; g++) {
        top = max(top, flash_share[r * groups + g]);
    }
    float sum = 0.0;
    for (uint g = 0; g < groups; g++) {
        sum += flash_share[(ROWS + r) * groups + g] *
               vkz_exp2(flash_share[r * groups + g] - top, EXP);
    }
    o[(q_row + row) * V_DIM + column] = vkz_store(sum == 0.0 ? 0.0 : x / sum);
}

void flash_store_sums(const uint row, const float m, const float l) {}

#include "lib/flash_keys.glsl"

#endif
