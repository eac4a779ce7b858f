// SPDX-License-Identifier: MIT
// The least time a case can take on a device: its bytes over the bandwidth, or its
// operations over the rate of the unit its variant uses, whichever is longer.
#ifndef VKZ_REPORT_FLOOR_H
#define VKZ_REPORT_FLOOR_H

#include <stdbool.h>

#include <yyjson.h>

struct vkz_floor {
    double ns;         // NaN when no ceiling fits
    const char *bound; // "memory" or "compute"; "" when ns is NaN
    // Name of the ceiling that sets it: "read", "fma f32", "coopmat f16,f16,f32,f32";
    // with " instead of ..." behind it where the fitting one was not measured. "" when ns
    // is NaN.
    char ceiling[64];
};

// Reads the floor off a result header's `ceilings` and a case line's `work`; either may
// be NULL or of any type. Hot: a bandwidth is the best at any footprint of at least the
// case's, so data that fits a cache is held against that cache. Cold: that of the largest
// footprint.
struct vkz_floor vkz_floor_find(yyjson_val *ceilings, yyjson_val *work, bool cold);

// The best checked rate of an op among a header's `ceilings`, of one variant or matrix type
// if one is asked for (NULL: any); 0 when there is none.
double vkz_ceiling_rate(yyjson_val *ceilings, const char *op, const char *variant,
                        const char *coopmat);

// True when `ceiling` of a floor names a substitute: times below such a floor are
// possible.
bool vkz_floor_is_substitute(const char *ceiling);

#endif
