// SPDX-License-Identifier: MIT
// Matching the cases of two files, verdicts, geometric means. See report/compare.h.
#include "report/compare.h"

#include <stdlib.h>

#include "report/json.h"
#include "report/judge.h"
#include "zoo/op.h"

static const char *const verdict_names[VKZ_VERDICTS] = {"broken", "slower", "faster",
                                                        "cannot tell", "same"};

const char *vkz_verdict_name(enum vkz_verdict verdict)
{
    return verdict_names[verdict];
}

// ---- One pair of timings ----

struct rank {
    double value;
    int side;
};

static int compare_rank(const void *a, const void *b)
{
    const double x = ((const struct rank *)a)->value, y = ((const struct rank *)b)->value;
    return (x > y) - (x < y);
}

// Two-sided p of the Mann-Whitney test by its normal approximation with ties, NaN without
// memory.
static double rank_test(yyjson_val *a, yyjson_val *b)
{
    const size_t na = yyjson_arr_size(a), nb = yyjson_arr_size(b), n = na + nb;
    struct rank *ranks = malloc((n ? n : 1) * sizeof *ranks);
    size_t i, max;
    yyjson_val *value;
    if (!ranks)
        return (double)NAN;
    yyjson_arr_foreach(a, i, max, value)
        ranks[i] = (struct rank){yyjson_get_num(value), 0};
    yyjson_arr_foreach(b, i, max, value)
        ranks[na + i] = (struct rank){yyjson_get_num(value), 1};
    qsort(ranks, n, sizeof *ranks, compare_rank);
    double sum_a = 0, ties = 0;
    for (size_t first = 0; first < n;) {
        size_t end = first + 1;
        while (end < n && !(ranks[end].value > ranks[first].value))
            end++;
        const double rank = 0.5 * (double)(first + end + 1), t = (double)(end - first);
        for (size_t j = first; j < end; j++)
            sum_a += ranks[j].side == 0 ? rank : 0;
        ties += t * t * t - t;
        first = end;
    }
    free(ranks);
    const double x = (double)na, y = (double)nb, total = x + y;
    const double u = sum_a - x * (x + 1) / 2;
    const double variance = x * y / 12 * (total + 1 - ties / (total * (total - 1)));
    if (!(variance > 0))
        return 1; // all samples are equal
    const double z = fmax(0, fabs(u - x * y / 2) - 0.5) / sqrt(variance);
    return erfc(z / sqrt(2));
}

// Half the interval of a median, as a logarithm.
static double half_log(yyjson_val *timing)
{
    const double low = vkz_json_number(timing, "low_ns");
    const double high = vkz_json_number(timing, "high_ns");
    return low > 0 && high >= low ? log(high / low) / 2 : (double)NAN;
}

enum vkz_verdict vkz_compare_times(yyjson_val *a, yyjson_val *b, struct vkz_ratio *ratio,
                                   char reason[160])
{
    const double median_a = vkz_json_number(a, "median_ns");
    const double median_b = vkz_json_number(b, "median_ns");
    yyjson_val *samples_a = vkz_json_array(a, "samples_ns");
    yyjson_val *samples_b = vkz_json_array(b, "samples_ns");
    const double half = hypot(half_log(a), half_log(b));
    const double middle = median_a > 0 ? log(median_b / median_a) : (double)NAN;
    reason[0] = '\0';
    *ratio = (struct vkz_ratio){exp(middle), exp(middle - half), exp(middle + half)};
    if (!isfinite(middle) || !isfinite(half)) {
        *ratio = (struct vkz_ratio){(double)NAN, (double)NAN, (double)NAN};
        snprintf(reason, 160, "a time or its interval is missing");
        return VKZ_VERDICT_UNKNOWN;
    }
    if (yyjson_arr_size(samples_a) < VKZ_COMPARE_SAMPLES ||
        yyjson_arr_size(samples_b) < VKZ_COMPARE_SAMPLES) {
        snprintf(reason, 160, "fewer than %d samples", VKZ_COMPARE_SAMPLES);
        return VKZ_VERDICT_UNKNOWN;
    }
    if (vkz_timing_marks(a) & VKZ_MARK_THROTTLED ||
        vkz_timing_marks(b) & VKZ_MARK_THROTTLED) {
        snprintf(reason, 160, "the clock dropped while %s was measured",
                 vkz_timing_marks(b) & VKZ_MARK_THROTTLED ? "B" : "A");
        return VKZ_VERDICT_UNKNOWN;
    }
    if (fabs(middle) + half <= log1p(VKZ_SAMENESS))
        return fabs(middle) > half && fabs(middle) > log1p(VKZ_RESOLUTION) &&
                       rank_test(samples_a, samples_b) < 0.05
                   ? (middle > 0 ? VKZ_VERDICT_SLOWER : VKZ_VERDICT_FASTER)
                   : VKZ_VERDICT_SAME;
    if (fabs(middle) <= half) {
        snprintf(reason, 160, "the interval, +-%.1f %%, is wider than the difference",
                 100 * expm1(half));
        return VKZ_VERDICT_UNKNOWN;
    }
    if (fabs(middle) <= log1p(VKZ_RESOLUTION)) {
        snprintf(reason, 160, "the difference is below %.0f %%", 100 * VKZ_RESOLUTION);
        return VKZ_VERDICT_UNKNOWN;
    }
    if (!(rank_test(samples_a, samples_b) < 0.05)) {
        snprintf(reason, 160, "the samples overlap too much");
        return VKZ_VERDICT_UNKNOWN;
    }
    return middle > 0 ? VKZ_VERDICT_SLOWER : VKZ_VERDICT_FASTER;
}

// ---- Matching ----

static yyjson_val *hot(yyjson_val *line)
{
    return vkz_json_object(vkz_json_object(line, "time"), "hot");
}

static int compare_lines(const void *x, const void *y)
{
    static const char *const keys[] = {"case", "asked_kernel", "asked_variant",
                                       "asked_tuning"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const int order = strcmp(vkz_json_text(*(yyjson_val *const *)x, keys[i]),
                                 vkz_json_text(*(yyjson_val *const *)y, keys[i]));
        if (order)
            return order;
    }
    return 0;
}

// The bench lines that count, sorted; NULL without memory.
static yyjson_val **sorted_lines(const struct vkz_result_file *file, size_t *count)
{
    yyjson_val **lines = malloc((file->case_count ? file->case_count : 1) * sizeof *lines);
    *count = 0;
    for (size_t i = 0; lines && i < file->case_count; i++) {
        if (!file->cases[i].superseded && vkz_json_is(file->cases[i].value, "verb", "bench"))
            lines[(*count)++] = file->cases[i].value;
    }
    if (lines)
        qsort(lines, *count, sizeof *lines, compare_lines);
    return lines;
}

static bool same_spirv(yyjson_val *a, yyjson_val *b)
{
    yyjson_val *x = vkz_json_array(a, "spirv_sha256"), *y = vkz_json_array(b, "spirv_sha256");
    return x && y && yyjson_equals(x, y);
}

// Why this line's time means nothing; NULL when it does.
static const char *worthless(yyjson_val *line)
{
    const unsigned marks = vkz_case_marks(line);
    return marks & VKZ_MARK_UNVERIFIED   ? "has a time without a passing check"
           : marks & VKZ_MARK_IMPOSSIBLE ? "beats a measured ceiling, which cannot be"
           : marks & VKZ_MARK_MISTRUSTED ? "has a check that proves little"
                                         : NULL;
}

static void judge(struct vkz_pair *pair)
{
    const char *status_a = vkz_json_text(pair->a, "status");
    const char *status_b = vkz_json_text(pair->b, "status");
    const bool ran_a = strcmp(status_a, "ok") == 0, ran_b = strcmp(status_b, "ok") == 0;
    pair->ratio = (struct vkz_ratio){(double)NAN, (double)NAN, (double)NAN};
    pair->verdict = VKZ_VERDICT_UNKNOWN;
    if (!ran_a || !ran_b) {
        const bool skipped = strcmp(status_b, "skipped") == 0;
        if (ran_a && !skipped)
            pair->verdict = VKZ_VERDICT_BROKEN;
        snprintf(pair->reason, sizeof pair->reason, "%s: %.120s",
                 ran_a ? status_b : status_a,
                 vkz_json_text(ran_a ? pair->b : pair->a, "reason"));
        return;
    }
    const char *why_a = worthless(pair->a), *why_b = worthless(pair->b);
    if (why_a || why_b) {
        snprintf(pair->reason, sizeof pair->reason, "%s %s", why_a ? "A" : "B",
                 why_a ? why_a : why_b);
        return;
    }
    yyjson_val *work_a = vkz_json_object(pair->a, "work");
    yyjson_val *work_b = vkz_json_object(pair->b, "work");
    const char *metric = vkz_json_is(work_a, "metric", "bytes") ? "bytes" : "flops";
    if (fabs(vkz_json_number(work_a, metric) - vkz_json_number(work_b, metric)) > 0) {
        snprintf(pair->reason, sizeof pair->reason,
                 "the contracts count other %s: not the same work", metric);
        return;
    }
    pair->other_spirv = !same_spirv(pair->a, pair->b);
    pair->other_kernel =
        strcmp(vkz_json_text(pair->a, "kernel"), vkz_json_text(pair->b, "kernel")) != 0;
    pair->verdict = vkz_compare_times(hot(pair->a), hot(pair->b), &pair->ratio, pair->reason);
    pair->counts = isfinite(pair->ratio.value);
}

static enum vkz_status match(struct vkz_compare *c, yyjson_val **a, size_t na,
                             yyjson_val **b, size_t nb, struct vkz_error *err)
{
    c->pairs = calloc(na < nb ? na + 1 : nb + 1, sizeof *c->pairs);
    c->only_a = malloc((na + 1) * sizeof *c->only_a);
    c->only_b = malloc((nb + 1) * sizeof *c->only_b);
    if (!c->pairs || !c->only_a || !c->only_b)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    size_t i = 0, j = 0;
    while (i < na || j < nb) {
        const int order = i == na ? 1 : j == nb ? -1 : compare_lines(&a[i], &b[j]);
        if (order == 0) {
            struct vkz_pair *pair = &c->pairs[c->pair_count++];
            *pair = (struct vkz_pair){.a = a[i++], .b = b[j++]};
            judge(pair);
        } else if (order < 0) {
            c->only_a[c->only_a_count++] = a[i++];
        } else {
            c->only_b[c->only_b_count++] = b[j++];
        }
    }
    return VKZ_OK;
}

static int compare_pairs(const void *x, const void *y)
{
    const struct vkz_pair *a = x, *b = y;
    if (a->verdict != b->verdict)
        return (int)a->verdict - (int)b->verdict;
    const double size_a = isfinite(a->ratio.value) ? fabs(log(a->ratio.value)) : -1;
    const double size_b = isfinite(b->ratio.value) ? fabs(log(b->ratio.value)) : -1;
    if (size_a > size_b || size_a < size_b)
        return size_a < size_b ? 1 : -1;
    return compare_lines(&a->a, &b->a);
}

// ---- Geometric means ----

// Sums on the way to one: of logarithms, and of squared half intervals.
struct sum {
    double logs, squares;
    int n;
};

static void sum_add(struct sum *sum, double middle, double half)
{
    sum->logs += middle;
    sum->squares += half * half;
    sum->n++;
}

static struct vkz_ratio sum_mean(const struct sum *sum)
{
    if (sum->n == 0)
        return (struct vkz_ratio){(double)NAN, (double)NAN, (double)NAN};
    const double middle = sum->logs / sum->n, half = sqrt(sum->squares) / sum->n;
    return (struct vkz_ratio){exp(middle), exp(middle - half), exp(middle + half)};
}

static const char *family_of(const char *op)
{
    const struct vkz_op *found = vkz_op_find(op);
    return found ? found->family : "other";
}

static void name_of(const struct vkz_pair *pair, enum vkz_compare_by by, char out[96])
{
    const char *op = vkz_json_text(pair->a, "op");
    if (by == VKZ_BY_KERNEL)
        snprintf(out, 96, "%s/%s.%s", family_of(op), vkz_json_text(pair->a, "kernel"),
                 vkz_json_text(pair->a, "variant"));
    else
        snprintf(out, 96, "%s/%s", family_of(op), op);
}

static int compare_means(const void *x, const void *y)
{
    return strcmp(((const struct vkz_mean *)x)->name, ((const struct vkz_mean *)y)->name);
}

// Means of the pairs by op, or by kernel and variant; sorted by name.
static enum vkz_status group_pairs(const struct vkz_compare *c, enum vkz_compare_by by,
                                   struct vkz_mean **means, size_t *count,
                                   struct vkz_error *err)
{
    struct vkz_mean *named = calloc(c->pair_count + 1, sizeof *named);
    *means = named;
    *count = 0;
    if (!named)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    // One entry a pair, then neighbours of one name become one.
    for (size_t i = 0; i < c->pair_count; i++) {
        name_of(&c->pairs[i], by, named[i].name);
        named[i].verdicts[c->pairs[i].verdict] = 1;
        named[i].cases = c->pairs[i].counts;
        named[i].ratio = c->pairs[i].ratio;
    }
    qsort(named, c->pair_count, sizeof *named, compare_means);
    for (size_t first = 0; first < c->pair_count;) {
        struct vkz_mean mean = {.cases = 0};
        struct sum sum = {0};
        size_t i = first;
        memcpy(mean.name, named[first].name, sizeof mean.name);
        for (; i < c->pair_count && strcmp(named[i].name, mean.name) == 0; i++) {
            for (int v = 0; v < VKZ_VERDICTS; v++)
                mean.verdicts[v] += named[i].verdicts[v];
            if (named[i].cases)
                sum_add(&sum, log(named[i].ratio.value),
                        log(named[i].ratio.high / named[i].ratio.low) / 2);
        }
        mean.cases = sum.n;
        mean.ratio = sum_mean(&sum);
        named[(*count)++] = mean;
        first = i;
    }
    return VKZ_OK;
}

static void add_mean(struct vkz_mean *to, struct sum *sum, const struct vkz_mean *from)
{
    to->cases += from->cases;
    for (int v = 0; v < VKZ_VERDICTS; v++)
        to->verdicts[v] += from->verdicts[v];
    if (isfinite(from->ratio.value))
        sum_add(sum, log(from->ratio.value), log(from->ratio.high / from->ratio.low) / 2);
}

static enum vkz_status group_families(struct vkz_compare *c, struct vkz_error *err)
{
    struct sum all = {0};
    c->families = calloc(c->op_count + 1, sizeof *c->families);
    if (!c->families)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    for (size_t first = 0; first < c->op_count;) {
        struct vkz_mean *family = &c->families[c->family_count++];
        struct sum sum = {0};
        const size_t length = strcspn(c->ops[first].name, "/");
        size_t i = first;
        memcpy(family->name, c->ops[first].name, length);
        for (; i < c->op_count && strncmp(c->ops[i].name, family->name, length) == 0 &&
               c->ops[i].name[length] == '/';
             i++)
            add_mean(family, &sum, &c->ops[i]);
        family->ratio = sum_mean(&sum);
        add_mean(&c->all, &all, family);
        first = i;
    }
    c->all.ratio = sum_mean(&all);
    return VKZ_OK;
}

// ---- All together ----

enum vkz_status vkz_compare_create(const struct vkz_result_file *a,
                                   const struct vkz_result_file *b,
                                   struct vkz_compare **out, struct vkz_error *err)
{
    size_t na, nb;
    struct vkz_compare *c = calloc(1, sizeof *c);
    yyjson_val **lines_a = sorted_lines(a, &na), **lines_b = sorted_lines(b, &nb);
    enum vkz_status status = VKZ_OK;
    if (!c || !lines_a || !lines_b)
        status = vkz_error_set(err, VKZ_FAILED, "out of host memory");
    if (status == VKZ_OK) {
        c->a = a;
        c->b = b;
        status = match(c, lines_a, na, lines_b, nb, err);
    }
    if (status == VKZ_OK) {
        qsort(c->pairs, c->pair_count, sizeof *c->pairs, compare_pairs);
        status = group_pairs(c, VKZ_BY_OP, &c->ops, &c->op_count, err);
    }
    if (status == VKZ_OK)
        status = group_pairs(c, VKZ_BY_KERNEL, &c->kernels, &c->kernel_count, err);
    if (status == VKZ_OK)
        status = group_families(c, err);
    free(lines_a);
    free(lines_b);
    *out = c;
    if (status != VKZ_OK)
        vkz_compare_destroy(out);
    return status;
}

void vkz_compare_destroy(struct vkz_compare **compare)
{
    struct vkz_compare *c = *compare;
    if (!c)
        return;
    free(c->pairs);
    free(c->only_a);
    free(c->only_b);
    free(c->kernels);
    free(c->ops);
    free(c->families);
    free(c);
    *compare = NULL;
}

bool vkz_compare_worse(const struct vkz_compare *compare, double fraction)
{
    for (size_t i = 0; i < compare->pair_count; i++) {
        const struct vkz_pair *pair = &compare->pairs[i];
        if (pair->verdict == VKZ_VERDICT_BROKEN ||
            (pair->verdict == VKZ_VERDICT_SLOWER && pair->ratio.value > 1 + fraction))
            return true;
    }
    return false;
}
