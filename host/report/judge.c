// SPDX-License-Identifier: MIT
// The limits of judge.h applied to result lines.
#include "report/judge.h"

#include "report/floor.h"
#include "report/json.h"

double vkz_timing_half_width(yyjson_val *timing)
{
    const double median = vkz_json_number(timing, "median_ns");
    const double low = vkz_json_number(timing, "low_ns");
    const double high = vkz_json_number(timing, "high_ns");
    return median > 0 && high >= low ? 0.5 * (high - low) / median : (double)NAN;
}

double vkz_timing_discarded(yyjson_val *timing)
{
    const double discarded = vkz_json_number(timing, "discarded_groups");
    double groups = vkz_json_number(timing, "groups");
    // A canary runs before the first group and after every one, and while warming up.
    if (!(groups > 0))
        groups = (double)yyjson_arr_size(vkz_json_array(timing, "canary_ns")) - 1;
    return discarded > 0 ? discarded / fmax(groups, discarded) : 0;
}

unsigned vkz_timing_marks(yyjson_val *timing)
{
    unsigned marks = 0;
    if (vkz_timing_half_width(timing) > VKZ_NOISY_HALF_WIDTH)
        marks |= VKZ_MARK_NOISY;
    if (vkz_timing_discarded(timing) > VKZ_THROTTLED_GROUPS ||
        vkz_json_number(timing, "slow_groups_kept") > 0)
        marks |= VKZ_MARK_THROTTLED;
    if (vkz_json_number(timing, "n") < VKZ_FEW_SAMPLES &&
        vkz_json_is(timing, "stop", "budget"))
        marks |= VKZ_MARK_FEW;
    return marks;
}

bool vkz_efficiency_impossible(yyjson_val *floor, double efficiency)
{
    return efficiency > VKZ_IMPOSSIBLE &&
           !vkz_floor_is_substitute(vkz_json_text(floor, "ceiling"));
}

unsigned vkz_case_marks(yyjson_val *line)
{
    yyjson_val *time = vkz_json_object(line, "time");
    yyjson_val *hot = vkz_json_object(time, "hot"), *cold = vkz_json_object(time, "cold");
    unsigned marks = vkz_timing_marks(hot) | vkz_timing_marks(cold);
    if (vkz_json_is(line, "status", "mistrusted"))
        marks |= VKZ_MARK_MISTRUSTED;
    if ((hot || cold) &&
        !yyjson_is_true(yyjson_obj_get(vkz_json_object(line, "check"), "passed")))
        marks |= VKZ_MARK_UNVERIFIED;
    if (vkz_efficiency_impossible(vkz_json_object(line, "floor"),
                                  vkz_json_number(line, "efficiency")) ||
        vkz_efficiency_impossible(vkz_json_object(line, "floor_cold"),
                                  vkz_json_number(line, "efficiency_cold")))
        marks |= VKZ_MARK_IMPOSSIBLE;
    if (vkz_floor_is_substitute(vkz_json_text(vkz_json_object(line, "floor"), "ceiling")))
        marks |= VKZ_MARK_SUBSTITUTE;
    return marks;
}
