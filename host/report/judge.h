// SPDX-License-Identifier: MIT
// What the numbers of a result line are worth: one place for the limits that tables mark
// and lint reports.
#ifndef VKZ_REPORT_JUDGE_H
#define VKZ_REPORT_JUDGE_H

#include <stdbool.h>

#include <yyjson.h>

#define VKZ_NOISY_HALF_WIDTH 0.05 // of the 95 % interval, over the median
#define VKZ_THROTTLED_GROUPS 0.20 // of all groups, discarded because the clock was low
#define VKZ_IMPOSSIBLE 1.05       // efficiency above which a number cannot be true
#define VKZ_FEW_SAMPLES 20
#define VKZ_COLD_FACTOR 4.0 // cold buffer sets hold so many last-level caches

enum vkz_mark {
    VKZ_MARK_UNVERIFIED = 1 << 0, // times without a passing check
    VKZ_MARK_IMPOSSIBLE = 1 << 1, // better than a measured ceiling: leaves every summary
    VKZ_MARK_MISTRUSTED = 1 << 2, // the reference proves little
    VKZ_MARK_THROTTLED = 1 << 3,  // the core clock dropped during the measurement
    VKZ_MARK_NOISY = 1 << 4,
    VKZ_MARK_FEW = 1 << 5,        // few samples, because the budget ended
    VKZ_MARK_SUBSTITUTE = 1 << 6, // held against another unit's ceiling: says little
    VKZ_MARK_OTHER_WORK = 1 << 7, // the contract counted other work than in the first run
};

// The marks of a case line, an OR of enum vkz_mark. Takes any value.
unsigned vkz_case_marks(yyjson_val *line);
// Those of one timing object ("hot", "cold"): THROTTLED, NOISY, FEW.
unsigned vkz_timing_marks(yyjson_val *timing);

// Half-width of the interval over the median; NaN when unknown.
double vkz_timing_half_width(yyjson_val *timing);
// Share of sample groups that were discarded; 0 when nothing is known of groups.
double vkz_timing_discarded(yyjson_val *timing);
// True when an efficiency beats its ceiling by more than a measurement can.
bool vkz_efficiency_impossible(yyjson_val *floor, double efficiency);

#endif
