// SPDX-License-Identifier: MIT
// Rules on what well-shaped lines say: verified, possible, quiet, cold where it says
// cold, and in agreement with themselves.
#include <stdlib.h>
#include <string.h>

#include "report/floor.h"
#include "report/json.h"
#include "report/judge.h"
#include "report/lint_rules.h"
#include "zoo/stats.h"

enum { LABEL_MAX = 240 };

struct subject {
    struct vkz_lint *lint;
    yyjson_val *value;
    int line;
    char label[LABEL_MAX];
};

static void find(const struct subject *s, enum vkz_lint_level level, const char *kind,
                 const char *message)
{
    vkz_lint_add(s->lint, level, kind, s->line, "%s: %.150s", s->label, message);
}

// "kernel.variant[tuning]@m=1,n=2", as results name what was run.
static void label_of(yyjson_val *value, char out[LABEL_MAX])
{
    const char *id = vkz_json_text(value, "case"), *numbers = strchr(id, '@');
    const char *kernel = vkz_json_text(value, "kernel");
    const char *variant = vkz_json_text(value, "variant");
    const char *tuning = vkz_json_text(value, "tuning");
    const bool tuned = tuning[0] && strcmp(tuning, "default") != 0;
    if (kernel[0])
        snprintf(out, LABEL_MAX, "%.60s.%.30s%s%.30s%s%.100s", kernel, variant,
                 tuned ? "[" : "", tuned ? tuning : "", tuned ? "]" : "",
                 numbers ? numbers : "");
    else
        snprintf(out, LABEL_MAX, "%.160s %.30s", id, variant);
}

void vkz_lint_header_rules(struct vkz_lint *lint, const struct vkz_result_file *file)
{
    yyjson_val *header = file->header, *clock = vkz_json_object(header, "clock");
    yyjson_val *tool = vkz_json_object(header, "tool");
    yyjson_val *ceilings = vkz_json_object(header, "ceilings");
    size_t i, count;
    yyjson_val *rate;
    if (yyjson_is_true(yyjson_obj_get(tool, "dirty")))
        vkz_lint_add(lint, VKZ_LINT_WARNING, "unverified", 1,
                     "made by a vkzoo with changes "
                     "that no commit has (%.60s): commit them and run again",
                     vkz_json_text(tool, "commit"));
    if (!yyjson_is_true(yyjson_obj_get(clock, "usable")))
        vkz_lint_add(lint, VKZ_LINT_WARNING, "clock", 1,
                     "the device's clock failed its test "
                     "(%.120s): times are slopes on the host's clock",
                     vkz_json_text(clock, "reason"));
    if (!yyjson_is_true(yyjson_obj_get(clock, "monotonic")))
        vkz_lint_add(lint, VKZ_LINT_WARNING, "clock", 1,
                     "the device's clock ran backwards");
    if (vkz_json_is(header, "verb", "check"))
        return;
    if (!yyjson_is_true(yyjson_obj_get(clock, "canary")))
        vkz_lint_add(lint, VKZ_LINT_NOTE, "clock", 1,
                     "no canary: throttling would not be seen");
    if (!ceilings)
        vkz_lint_add(lint, VKZ_LINT_NOTE, "ceilings", 1,
                     "no ceilings: no efficiencies, and "
                     "whether cold times are cold is unknown");
    yyjson_arr_foreach(vkz_json_array(ceilings, "rates"), i, count, rate) {
        if (!yyjson_is_true(yyjson_obj_get(rate, "checked")))
            vkz_lint_add(lint, VKZ_LINT_WARNING, "unverified", 1,
                         "the ceiling %.60s was not checked", vkz_json_text(rate, "op"));
    }
}

static void check_verified(const struct subject *s, unsigned marks)
{
    yyjson_val *hashes = vkz_json_array(s->value, "spirv_sha256"), *hash;
    size_t i, count;
    if (marks & VKZ_MARK_UNVERIFIED)
        find(s, VKZ_LINT_ERROR, "unverified", "has times without a passing check");
    if (vkz_json_text(s->value, "kernel")[0] && vkz_json_object(s->value, "work") &&
        yyjson_arr_size(hashes) == 0)
        find(s, VKZ_LINT_WARNING, "unverified",
             "no spirv_sha256: which kernel ran is unknown");
    yyjson_arr_foreach(hashes, i, count, hash) {
        if (yyjson_equals_str(hash, "overridden"))
            find(s, VKZ_LINT_WARNING, "unverified",
                 "ran SPIR-V given with --spirv, not the zoo's kernel");
    }
    if (vkz_json_is(s->value, "status", "ok") &&
        !yyjson_is_true(yyjson_obj_get(vkz_json_object(s->value, "check"), "passed")))
        find(s, VKZ_LINT_ERROR, "unverified", "says ok without a passing check");
}

static void check_status(const struct subject *s)
{
    const char *status = vkz_json_text(s->value, "status");
    const char *reason = vkz_json_text(s->value, "reason");
    char message[200];
    if (strcmp(status, "ok") == 0)
        return;
    if (!reason[0]) {
        find(s, VKZ_LINT_ERROR, "shape", "is not ok and has no reason");
        return;
    }
    snprintf(message, sizeof message, "%.20s: %.140s", status, reason);
    if (strcmp(status, "failed") == 0)
        find(s, VKZ_LINT_WARNING, "failed", reason);
    else if (strcmp(status, "mistrusted") == 0)
        find(s, VKZ_LINT_WARNING, "mistrusted", reason);
    else if (strcmp(status, "skipped") != 0)
        find(s, VKZ_LINT_WARNING, "incomplete", message);
}

static void check_efficiency(const struct subject *s, bool cold)
{
    yyjson_val *floor = vkz_json_object(s->value, cold ? "floor_cold" : "floor");
    yyjson_val *timing =
        vkz_json_object(vkz_json_object(s->value, "time"), cold ? "cold" : "hot");
    const double stated =
        vkz_json_number(s->value, cold ? "efficiency_cold" : "efficiency");
    const double median = vkz_json_number(timing, "median_ns");
    const char *ceiling = vkz_json_text(floor, "ceiling");
    char message[160];
    // From the floor and the time, whatever the line states.
    const double efficiency = floor ? vkz_json_number(floor, "ns") / median : stated;
    if (floor && fabs(efficiency - stated) > 0.01 * efficiency) {
        snprintf(message, sizeof message,
                 "%s efficiency is stated as %.3g, floor over median "
                 "is %.3g",
                 cold ? "cold" : "hot", stated, efficiency);
        find(s, VKZ_LINT_ERROR, "inconsistent", message);
    }
    if (vkz_efficiency_impossible(floor, efficiency)) {
        snprintf(message, sizeof message,
                 "%s time is %.0f %% of what the ceiling %.60s "
                 "allows; left out of every summary",
                 cold ? "cold" : "hot", 100 * efficiency,
                 ceiling[0] ? ceiling : "(unnamed)");
        find(s, VKZ_LINT_ERROR, "impossible", message);
    } else if (!cold && vkz_floor_is_substitute(ceiling)) {
        snprintf(message, sizeof message,
                 "no fitting ceiling was measured (%.63s): its "
                 "efficiency says little",
                 ceiling);
        find(s, VKZ_LINT_NOTE, "ceilings", message);
    }
}

// NaN when there are no samples, or no memory to sort them.
static double median_of(yyjson_val *samples)
{
    const size_t n = yyjson_arr_size(samples);
    double *values = n ? malloc(n * sizeof *values) : NULL;
    double median = (double)NAN;
    size_t i, count;
    yyjson_val *value;
    if (!values)
        return median;
    yyjson_arr_foreach(samples, i, count, value) {
        values[i] = yyjson_get_num(value);
    }
    vkz_sort(values, (int)n);
    median = vkz_quantile(values, (int)n, 0.5);
    free(values);
    return median;
}

static void check_samples(const struct subject *s, yyjson_val *timing, const char *name)
{
    yyjson_val *samples = vkz_json_array(timing, "samples_ns");
    const double n = vkz_json_number(timing, "n");
    const double median = vkz_json_number(timing, "median_ns"),
                 found = median_of(samples);
    char message[160] = "";
    if (n != (double)yyjson_arr_size(samples))
        snprintf(message, sizeof message, "%s has n = %.0f and %zu samples", name, n,
                 yyjson_arr_size(samples));
    else if (n > 0 && !(fabs(median - found) <= 0.001 * fabs(found) + 0.2))
        snprintf(message, sizeof message,
                 "%s median is stated as %.6g ns, the samples' is "
                 "%.6g ns",
                 name, median, found);
    else if (!(median > 0))
        snprintf(message, sizeof message, "%s median is no positive time", name);
    else if (vkz_json_number(timing, "low_ns") > median + 0.2 ||
             vkz_json_number(timing, "high_ns") < median - 0.2)
        snprintf(message, sizeof message, "%s median lies outside its interval", name);
    if (message[0])
        find(s, VKZ_LINT_ERROR, "inconsistent", message);
}

static void check_timing(const struct subject *s, yyjson_val *timing, const char *name)
{
    const unsigned marks = vkz_timing_marks(timing);
    const double discarded = vkz_timing_discarded(timing);
    const double kept = vkz_json_number(timing, "slow_groups_kept");
    char message[160];
    if (!timing)
        return;
    check_samples(s, timing, name);
    if (marks & VKZ_MARK_NOISY) {
        snprintf(message, sizeof message,
                 "%s interval is +-%.1f %%, the limit is %.0f %%", name,
                 100 * vkz_timing_half_width(timing), 100 * VKZ_NOISY_HALF_WIDTH);
        find(s, VKZ_LINT_WARNING, "noisy", message);
    }
    if (discarded > VKZ_THROTTLED_GROUPS) {
        snprintf(message, sizeof message,
                 "%s discarded %.0f %% of its groups, the limit is "
                 "%.0f %%",
                 name, 100 * discarded, 100 * VKZ_THROTTLED_GROUPS);
        find(s, VKZ_LINT_WARNING, "throttled", message);
    }
    if (kept > 0) {
        snprintf(message, sizeof message, "%s keeps %.0f slow group%s: the budget ended",
                 name, kept, kept == 1 ? "" : "s");
        find(s, VKZ_LINT_WARNING, "throttled", message);
    }
    if (marks & VKZ_MARK_FEW) {
        snprintf(message, sizeof message, "%s has %.0f samples: the budget ended", name,
                 vkz_json_number(timing, "n"));
        find(s, VKZ_LINT_NOTE, "few", message);
    }
}

// Scratch is rotated with the tensors and drives them out of the cache as well.
static void check_cold(const struct subject *s, yyjson_val *ceilings)
{
    yyjson_val *cold = vkz_json_object(vkz_json_object(s->value, "time"), "cold");
    yyjson_val *work = vkz_json_object(s->value, "work");
    const double llc = vkz_json_number(ceilings, "llc_bytes");
    const double scratch = vkz_json_number(work, "scratch_bytes");
    const double set =
        vkz_json_number(work, "tensor_bytes") + (scratch > 0 ? scratch : 0);
    const double total = vkz_json_number(cold, "sets") * set;
    char message[160], has[VKZ_NUMBER_MAX], wants[VKZ_NUMBER_MAX];
    if (!cold || !(llc > 0) || !(total < VKZ_COLD_FACTOR * llc))
        return;
    snprintf(message, sizeof message,
             "cold rotates %s only, %.0f last-level caches are %s",
             vkz_bytes_text(total, has), VKZ_COLD_FACTOR,
             vkz_bytes_text(VKZ_COLD_FACTOR * llc, wants));
    find(s, VKZ_LINT_WARNING, "cold", message);
}

void vkz_lint_case_rules(struct vkz_lint *lint, const struct vkz_result_file *file,
                         const struct vkz_result_line *line)
{
    struct subject s = {.lint = lint, .value = line->value, .line = line->line};
    yyjson_val *time = vkz_json_object(line->value, "time");
    label_of(line->value, s.label);
    check_status(&s);
    check_verified(&s, vkz_case_marks(line->value));
    check_timing(&s, vkz_json_object(time, "hot"), "hot");
    check_timing(&s, vkz_json_object(time, "cold"), "cold");
    check_efficiency(&s, false);
    check_efficiency(&s, true);
    check_cold(&s, vkz_json_object(file->header, "ceilings"));
}
