// SPDX-License-Identifier: MIT
// What the depth contracts share: dims, and fills of targets and kept tokens that agree.
// Included by contract files only.
#ifndef VKZ_OPS_MOE_DEPTH_H
#define VKZ_OPS_MOE_DEPTH_H

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

#define DEPTH_DIMS \
    {"batch", "sequences", NULL}, {"len", "tokens of a sequence", NULL}, \
        {"width", "elements of a token", NULL}, \
        {"kmax", "room for kept tokens", "len"}

// Three of four tokens are targets; the first sequence of several has none.
static inline bool depth_is_target(int64_t sequence, int64_t token, int64_t batch)
{
    return (batch == 1 || sequence > 0) && (token * 7 + sequence) % 4 != 1;
}

static inline int32_t depth_target_word(const struct vkz_fill *fill, int64_t at)
{
    const int64_t len = (int64_t)vkz_fill_value(fill, "len");
    const int64_t batch = (int64_t)vkz_fill_value(fill, "batch");
    const int64_t words = (len + 31) / 32;
    uint32_t word = 0;
    for (int64_t i = 0; i < 32; i++) {
        if (depth_is_target(at / words, at % words * 32 + i, batch)) {
            word |= (uint32_t)1 << i;
        }
    }
    return (int32_t)word;
}

#endif
