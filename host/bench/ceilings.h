// SPDX-License-Identifier: MIT
// This device's measured ceilings: the best of a search over the peak family's kernels,
// the bandwidth curve over sizes with the last-level cache read off it, and launch costs.
#ifndef VKZ_BENCH_CEILINGS_H
#define VKZ_BENCH_CEILINGS_H

#include <yyjson.h>

#include "bench/measure.h"

struct vkz_ceilings_params {
    struct vkz_meter *meter;
    bool full; // every tuning timed at length and the sweep up to 512 MiB, for `vkzoo peak`
    // Called before each step with what is measured; may be NULL.
    void (*progress)(void *context, const char *what);
    void *context;
};

// Measures and returns the "ceilings" object of the result header:
//   rates   [{op, variant, coopmat, rate, unit, median_rate, kernel, tuning, case, …}]; rate
//           is of the fastest sample
//   sweep   [{bytes, copy, read, plain_copy}]   bytes = footprint; rates in bytes/s
//   llc_bytes, plain_copy (vkCmdCopyBuffer, bytes/s read + written),
//   empty_dispatch_ns, submit_to_fence_ns
// Sets meter->llc_bytes. A ceiling whose kernel fails its check is left out and named in
// `left_out` with the reason.
enum vkz_status vkz_ceilings_measure(const struct vkz_ceilings_params *params,
                                     yyjson_mut_doc *doc, yyjson_mut_val **out,
                                     struct vkz_error *err);

#endif
