// SPDX-License-Identifier: MIT
// Going on with a result file: it is asked again what its own run was asked, and refused
// what would mix two kinds of numbers in one file.
#include <math.h>
#include <string.h>

#include "cli/header.h"

static const char *given(yyjson_val *run, const char *key)
{
    const char *text = yyjson_get_str(yyjson_obj_get(run, key));
    return text && *text ? text : NULL;
}

static bool flag(yyjson_val *run, const char *key)
{
    return yyjson_is_true(yyjson_obj_get(run, key));
}

static enum vkz_status differs(const struct vkz_options *o, const char *option,
                               struct vkz_error *err)
{
    return vkz_error_set(err, VKZ_BAD_INPUT,
                         "%s was not made with this %s: leave it out to go on as before, or "
                         "start a new file",
                         o->resume, option);
}

// What was selected, unless this command line selects.
static void take_selection(yyjson_val *run, struct vkz_options *o)
{
    yyjson_val *selectors = yyjson_obj_get(run, "suite"), *one;
    size_t i, count;
    if (o->selector_count || o->tags || o->set || o->kernel || o->variant || o->tuning)
        return;
    yyjson_arr_foreach(selectors, i, count, one) {
        if (yyjson_is_str(one) && o->selector_count < VKZ_MAX_SELECTORS)
            o->selectors[o->selector_count++] = yyjson_get_str(one);
    }
    o->tags = given(run, "tags");
    o->set = given(run, "set");
    o->kernel = given(run, "kernel");
    o->variant = given(run, "variant");
    o->tuning = given(run, "tuning");
}

enum vkz_status vkz_resume_options(yyjson_val *header, const char *verb,
                                   struct vkz_options *options, struct vkz_error *err)
{
    struct vkz_options *o = options;
    yyjson_val *run = yyjson_obj_get(header, "run");
    const char *made_by = given(header, "verb"), *spec = given(run, "spec");
    const uint64_t seed = yyjson_get_uint(yyjson_obj_get(run, "seed"));
    const double budget_ms = yyjson_get_num(yyjson_obj_get(run, "budget_ms"));
    if (!made_by || strcmp(made_by, verb) != 0)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "%s is a file of `vkzoo %s`: start a new file", o->resume,
                             made_by ? made_by : "?");
    if (o->seed != 1 && o->seed != seed)
        return differs(o, "--seed", err);
    if (o->spec && (!spec || strcmp(o->spec, spec) != 0))
        return differs(o, "--spec", err);
    if (o->budget_ms > 0 && !(fabs(o->budget_ms - budget_ms) < 1e-6 * budget_ms))
        return differs(o, "--budget", err);
    if (o->no_cold && flag(run, "cold"))
        return differs(o, "--no-cold", err);
    if (o->floor_limits && !flag(run, "floor_limits"))
        return differs(o, "--floor-limits", err);
    if (o->core_only && !flag(run, "core_only"))
        return differs(o, "--core-only", err);
    take_selection(run, o);
    o->seed = seed;
    o->spec = spec;
    o->budget_ms = budget_ms;
    o->no_cold = !flag(run, "cold");
    o->no_ceilings = true; // the header has them, or was asked to leave them out
    o->floor_limits = flag(run, "floor_limits");
    o->core_only = flag(run, "core_only");
    o->all_kernels = o->all_kernels || flag(run, "all_kernels");
    o->identities = o->identities || flag(run, "identities");
    return VKZ_OK;
}
