// SPDX-License-Identifier: MIT
// How copy and triad split their outputs in units, so that large cases can be sampled.
// A unit is a run of elements: one element a unit would be slow to look up.
#ifndef VKZ_OPS_PEAK_STREAM_H
#define VKZ_OPS_PEAK_STREAM_H

#include "zoo/op.h"

// Units are equal parts of n elements. STREAM_UNITS must say the same as stream_unit().
#define STREAM_UNITS "n % 1024 == 0 ? n / 1024 : n % 16 == 0 ? n / 16 : n"

static inline int64_t stream_unit(int64_t n)
{
    if (n % 1024 == 0) {
        return 1024;
    }
    return n % 16 == 0 ? 16 : 1;
}

#endif
