// SPDX-License-Identifier: MIT
// The floor of a case, from the header's ceilings alone. Pure JSON in, a number out.
#include "report/floor.h"

#include <stdio.h>
#include <string.h>

#include "report/json.h"

struct rate {
    double per_second; // 0: none
    char name[64];
};

static void rate_raise(struct rate *rate, double per_second, const char *name)
{
    if (per_second > rate->per_second && isfinite(per_second)) {
        rate->per_second = per_second;
        snprintf(rate->name, sizeof rate->name, "%s", name);
    }
}

double vkz_ceiling_rate(yyjson_val *ceilings, const char *op, const char *variant,
                        const char *coopmat)
{
    double best = 0;
    size_t i, count;
    yyjson_val *entry;
    yyjson_arr_foreach(vkz_json_array(ceilings, "rates"), i, count, entry) {
        const double rate = vkz_json_number(entry, "rate");
        if (vkz_json_is(entry, "op", op) && isfinite(rate) && rate > best &&
            !yyjson_is_false(yyjson_obj_get(entry, "checked")) &&
            (!variant || vkz_json_is(entry, "variant", variant)) &&
            (!coopmat || vkz_json_is(entry, "coopmat", coopmat)))
            best = rate;
    }
    return best;
}

// Bytes the case keeps busy. Where data is read several times the traffic is more than
// the footprint, and it is the footprint that decides which cache holds it.
static double footprint(yyjson_val *work)
{
    const double bytes = vkz_json_number(work, "bytes");
    const double tensors = vkz_json_number(work, "tensor_bytes");
    return tensors > 0 && tensors < bytes ? tensors : bytes;
}

static struct rate bandwidth(yyjson_val *ceilings, double bytes, bool cold)
{
    struct rate best = {0}, last = {0};
    double largest = 0;
    size_t i, count;
    yyjson_val *point;
    yyjson_arr_foreach(vkz_json_array(ceilings, "sweep"), i, count, point) {
        const double size = vkz_json_number(point, "bytes");
        if (!(size > 0))
            continue;
        if (size > largest) {
            largest = size;
            last = (struct rate){0};
        }
        for (int k = 0; k < 2; k++) {
            const char *name = k ? "read" : "copy";
            const double rate = vkz_json_number(point, name);
            if (size >= largest)
                rate_raise(&last, rate, name);
            if (size >= bytes)
                rate_raise(&best, rate, name);
        }
    }
    if (cold || best.per_second == 0)
        best = last;
    if (best.per_second == 0) { // no curve: the rates of the search
        rate_raise(&best, vkz_ceiling_rate(ceilings, "copy", NULL, NULL), "copy");
        rate_raise(&best, vkz_ceiling_rate(ceilings, "read", NULL, NULL), "read");
    }
    return best;
}

static struct rate compute_rate(yyjson_val *ceilings, yyjson_val *work)
{
    static const struct {
        const char *unit, *op, *name;
    } units[] = {
        {"fma", "fma", "fma f32"}, {"fma_f16", "fma_f16", "fma f16"},
        {"exp2", "exp2", "exp2"},  {"int", "idot", "idot"},
        {"idot", "idot", "idot"},  {"coopmat", "fma", "fma f32"},
    };
    const char *coopmat = vkz_json_text(work, "coopmat"), *op = "fma";
    char wanted[64] = "fma f32";
    struct rate rate = {0};
    if (coopmat[0]) {
        snprintf(wanted, sizeof wanted, "coopmat %s", coopmat);
        rate_raise(&rate, vkz_ceiling_rate(ceilings, "coopmat_mac", NULL, coopmat), wanted);
    } else {
        const char *unit = vkz_json_text(work, "unit");
        // Half accumulation doubles the rate of ordinary multiply-adds, of nothing else.
        if ((!unit[0] || strcmp(unit, "fma") == 0) &&
            vkz_json_is(work, "accumulate", "f16"))
            unit = "fma_f16";
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            if (strcmp(unit, units[u].unit) == 0) {
                op = units[u].op;
                snprintf(wanted, sizeof wanted, "%s", units[u].name);
            }
        }
        rate_raise(&rate, vkz_ceiling_rate(ceilings, op, NULL, NULL), wanted);
    }
    if (rate.per_second == 0 && strcmp(wanted, "fma f32") != 0) {
        char name[64];
        snprintf(name, sizeof name, "fma f32 instead of %.40s", wanted);
        rate_raise(&rate, vkz_ceiling_rate(ceilings, "fma", NULL, NULL), name);
    }
    return rate;
}

struct vkz_floor vkz_floor_find(yyjson_val *ceilings, yyjson_val *work, bool cold)
{
    struct vkz_floor floor = {.ns = (double)NAN, .bound = ""};
    const double bytes = vkz_json_number(work, "bytes");
    const double flops = vkz_json_number(work, "flops");
    if (bytes > 0) {
        const struct rate rate = bandwidth(ceilings, footprint(work), cold);
        if (rate.per_second > 0) {
            floor.ns = bytes / rate.per_second * 1e9;
            floor.bound = "memory";
            snprintf(floor.ceiling, sizeof floor.ceiling, "%s", rate.name);
        }
    }
    if (flops > 0) {
        const struct rate rate = compute_rate(ceilings, work);
        const double ns = flops / rate.per_second * 1e9;
        if (rate.per_second > 0 && !(ns <= floor.ns)) {
            floor.ns = ns;
            floor.bound = "compute";
            snprintf(floor.ceiling, sizeof floor.ceiling, "%s", rate.name);
        }
    }
    return floor;
}

bool vkz_floor_is_substitute(const char *ceiling)
{
    return strstr(ceiling, " instead of ") != NULL;
}
