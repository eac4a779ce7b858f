// SPDX-License-Identifier: MIT
// The shape of result lines: required keys and types. results/schema.json says the same
// with every field's meaning; a test holds the two together.
#include <string.h>

#include "report/json.h"
#include "report/lint_rules.h"

enum type {
    TEXT = 1 << 0,
    NUMBER = 1 << 1, // finite; one that could not be measured is null
    BOOL = 1 << 2,
    OBJECT = 1 << 3,
    ARRAY = 1 << 4,
    NULL_ = 1 << 5,
    ABSENT = 1 << 6, // may be left out
};

enum { SHAPE_FINDINGS = 3 }; // told of one case line

struct field {
    const char *key;
    unsigned types;
};

static const struct field header_fields[] = {
    {"verb", TEXT},     {"tool", OBJECT},  {"started", TEXT},
    {"device", OBJECT}, {"clock", OBJECT}, {"ceilings", OBJECT | NULL_},
    {"host", OBJECT},   {"run", OBJECT},   {0}};
static const struct field tool_fields[] = {{"name", TEXT},     {"version", TEXT},
                                           {"commit", TEXT},   {"dirty", BOOL},
                                           {"compiler", TEXT}, {0}};
static const struct field device_fields[] = {
    {"name", TEXT},        {"type", TEXT},   {"driver", TEXT},   {"driver_info", TEXT},
    {"api_version", TEXT}, {"is_cpu", BOOL}, {"features", TEXT}, {0}};
static const struct field clock_fields[] = {{"usable", BOOL},
                                            {"monotonic", BOOL},
                                            {"step_ns", NUMBER | NULL_},
                                            {"empty_pair_ns", NUMBER | NULL_},
                                            {"canary", BOOL},
                                            {0}};
static const struct field ceilings_fields[] = {{"rates", ARRAY},
                                               {"sweep", ARRAY},
                                               {"llc_bytes", NUMBER | NULL_},
                                               {"left_out", ARRAY | ABSENT},
                                               {0}};
static const struct field rate_fields[] = {
    {"op", TEXT},   {"variant", TEXT}, {"coopmat", TEXT | NULL_}, {"rate", NUMBER},
    {"unit", TEXT}, {"kernel", TEXT},  {"checked", BOOL},         {0}};
static const struct field sweep_fields[] = {
    {"bytes", NUMBER}, {"copy", NUMBER | NULL_}, {"read", NUMBER | NULL_}, {0}};
static const struct field case_fields[] = {{"verb", TEXT},
                                           {"op", TEXT},
                                           {"case", TEXT},
                                           {"tags", TEXT},
                                           {"asked_kernel", TEXT},
                                           {"asked_variant", TEXT},
                                           {"asked_tuning", TEXT},
                                           {"kernel", TEXT | NULL_},
                                           {"variant", TEXT | NULL_},
                                           {"seed", NUMBER},
                                           {"status", TEXT},
                                           {"reason", TEXT | NULL_},
                                           {"check", OBJECT | ABSENT},
                                           {"time", OBJECT | ABSENT},
                                           {"work", OBJECT | ABSENT},
                                           {"floor", OBJECT | ABSENT},
                                           {"floor_cold", OBJECT | ABSENT},
                                           {"efficiency", NUMBER | NULL_ | ABSENT},
                                           {"efficiency_cold", NUMBER | NULL_ | ABSENT},
                                           {"spirv_sha256", ARRAY | ABSENT},
                                           {"repro", TEXT},
                                           {0}};
static const struct field check_fields[] = {{"passed", BOOL},
                                            {"error", NUMBER | NULL_},
                                            {"naive_error", NUMBER | NULL_},
                                            {"accuracy", NUMBER | NULL_},
                                            {"all_written", BOOL},
                                            {"guards_intact", BOOL},
                                            {"nan_map_equal", BOOL},
                                            {"repeatable", BOOL},
                                            {0}};
static const struct field time_fields[] = {
    {"hot", OBJECT | ABSENT}, {"cold", OBJECT | ABSENT}, {0}};
static const struct field timing_fields[] = {{"clock", TEXT},
                                             {"n", NUMBER},
                                             {"median_ns", NUMBER | NULL_},
                                             {"low_ns", NUMBER | NULL_},
                                             {"high_ns", NUMBER | NULL_},
                                             {"min_ns", NUMBER | NULL_},
                                             {"max_ns", NUMBER | NULL_},
                                             {"stop", TEXT},
                                             {"sets", NUMBER},
                                             {"discarded_groups", NUMBER},
                                             {"slow_groups_kept", NUMBER},
                                             {"samples_ns", ARRAY},
                                             {"canary_ns", ARRAY},
                                             {0}};
static const struct field work_fields[] = {{"flops", NUMBER | NULL_},
                                           {"bytes", NUMBER | NULL_},
                                           {"tensor_bytes", NUMBER | NULL_},
                                           {"metric", TEXT},
                                           {"unit", TEXT},
                                           {"accumulate", TEXT | NULL_},
                                           {"coopmat", TEXT | NULL_},
                                           {0}};
static const struct field floor_fields[] = {
    {"ns", NUMBER}, {"bound", TEXT}, {"ceiling", TEXT}, {0}};
static const struct field end_fields[] = {
    {"status", TEXT},   {"cases", NUMBER},   {"ok", NUMBER},
    {"failed", NUMBER}, {"skipped", NUMBER}, {"mistrusted", NUMBER},
    {"errors", NUMBER}, {"seconds", NUMBER}, {0}};

static const char *const case_statuses[] = {"ok",         "failed",      "skipped",
                                            "mistrusted", "error",       "crashed",
                                            "timed out",  "device lost", NULL};

static unsigned type_of(yyjson_val *value)
{
    return !value                  ? ABSENT
           : yyjson_is_str(value)  ? TEXT
           : yyjson_is_num(value)  ? NUMBER
           : yyjson_is_bool(value) ? BOOL
           : yyjson_is_obj(value)  ? OBJECT
           : yyjson_is_arr(value)  ? ARRAY
                                   : NULL_;
}

static const char *types_text(unsigned types)
{
    return types & TEXT     ? (types & NULL_ ? "text or null" : "text")
           : types & NUMBER ? (types & NULL_ ? "a number or null" : "a number")
           : types & BOOL   ? "true or false"
           : types & OBJECT ? (types & NULL_ ? "an object or null" : "an object")
                            : "an array";
}

// True when the object has every field as it should be. `where` goes before keys:
// "time.hot".
static bool check_fields_of(struct vkz_lint *lint, yyjson_val *object,
                            const struct field *fields, const char *where, int line)
{
    bool good = true;
    for (const struct field *f = fields; f->key; f++) {
        yyjson_val *value = yyjson_obj_get(object, f->key);
        const unsigned type = type_of(value);
        if (f->types & type)
            continue;
        good = false;
        vkz_lint_add(lint, VKZ_LINT_ERROR, "shape", line, "%s%s%s %s; it should be %s",
                     where, where[0] ? "." : "", f->key,
                     type == ABSENT ? "is missing" : "has another type",
                     types_text(f->types));
    }
    return good;
}

static bool check_object(struct vkz_lint *lint, yyjson_val *parent, const char *key,
                         const struct field *fields, const char *where, int line)
{
    yyjson_val *object = vkz_json_object(parent, key);
    return !object || check_fields_of(lint, object, fields, where, line);
}

// Only the first bad element is told: a list that is wrong is wrong everywhere.
static bool check_list(struct vkz_lint *lint, yyjson_val *parent, const char *key,
                       const struct field *fields, const char *where, int line)
{
    size_t i, count;
    yyjson_val *element;
    yyjson_arr_foreach(vkz_json_array(parent, key), i, count, element) {
        if (!check_fields_of(lint, element, fields, where, line))
            return false;
    }
    return true;
}

static bool check_numbers(struct vkz_lint *lint, yyjson_val *timing, const char *key,
                          const char *where, int line)
{
    size_t i, count;
    yyjson_val *element;
    yyjson_arr_foreach(vkz_json_array(timing, key), i, count, element) {
        if (!yyjson_is_num(element)) {
            vkz_lint_add(lint, VKZ_LINT_ERROR, "shape", line,
                         "%s.%s has something that is no number", where, key);
            return false;
        }
    }
    return true;
}

bool vkz_lint_header_shape(struct vkz_lint *lint, yyjson_val *header)
{
    yyjson_val *ceilings = vkz_json_object(header, "ceilings");
    bool good = check_fields_of(lint, header, header_fields, "", 1);
    good &= check_object(lint, header, "tool", tool_fields, "tool", 1);
    good &= check_object(lint, header, "device", device_fields, "device", 1);
    good &= check_object(lint, header, "clock", clock_fields, "clock", 1);
    good &= check_object(lint, header, "ceilings", ceilings_fields, "ceilings", 1);
    good &= check_list(lint, ceilings, "rates", rate_fields, "ceilings.rates[]", 1);
    good &= check_list(lint, ceilings, "sweep", sweep_fields, "ceilings.sweep[]", 1);
    return good;
}

static bool case_shape(struct vkz_lint *lint, yyjson_val *value, int line)
{
    yyjson_val *time = vkz_json_object(value, "time");
    bool good = check_fields_of(lint, value, case_fields, "", line);
    good &= check_object(lint, value, "check", check_fields, "check", line);
    good &= check_object(lint, value, "time", time_fields, "time", line);
    good &= check_object(lint, time, "hot", timing_fields, "time.hot", line);
    good &= check_object(lint, time, "cold", timing_fields, "time.cold", line);
    good &= check_object(lint, value, "work", work_fields, "work", line);
    good &= check_object(lint, value, "floor", floor_fields, "floor", line);
    good &= check_object(lint, value, "floor_cold", floor_fields, "floor_cold", line);
    for (int t = 0; t < 2; t++) {
        yyjson_val *timing = vkz_json_object(time, t ? "cold" : "hot");
        good &=
            check_numbers(lint, timing, "samples_ns", t ? "time.cold" : "time.hot", line);
        good &=
            check_numbers(lint, timing, "canary_ns", t ? "time.cold" : "time.hot", line);
    }
    const char *status = vkz_json_text(value, "status");
    int s = 0;
    while (case_statuses[s] && strcmp(case_statuses[s], status) != 0)
        s++;
    if (status[0] && !case_statuses[s]) {
        vkz_lint_add(lint, VKZ_LINT_ERROR, "shape", line, "unknown status \"%.60s\"",
                     status);
        good = false;
    }
    return good;
}

// A line that is something else altogether gets a few findings, not twenty.
bool vkz_lint_case_shape(struct vkz_lint *lint, yyjson_val *value, int line)
{
    const int first = lint->count;
    const bool good = case_shape(lint, value, line);
    const int more = lint->count - first - SHAPE_FINDINGS;
    if (more > 1) {
        lint->count = first + SHAPE_FINDINGS;
        vkz_lint_add(lint, VKZ_LINT_ERROR, "shape", line,
                     "and %d more of this kind: not a case line of this schema", more);
    }
    return good;
}

bool vkz_lint_end_shape(struct vkz_lint *lint, yyjson_val *end, int line)
{
    return check_fields_of(lint, end, end_fields, "", line);
}
