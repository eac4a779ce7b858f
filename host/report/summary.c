// SPDX-License-Identifier: MIT
// What a table is followed by: counts, why cases were skipped, every failure with the
// line that replays it, where the file is, and what to do next.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/json.h"
#include "report/judge.h"
#include "report/rows.h"
#include "zoo/stats.h"

enum { FAILURES_SHOWN = 12, REASONS_SHOWN = 12, WHOLE = 1 << 20 };

void vkz_table_print(const struct vkz_table *table, FILE *out,
                     const struct vkz_style *style)
{
    const struct vkz_style found = style ? *style : vkz_style_for(out);
    bool bench = false;
    if (table->count == 0)
        return;
    for (size_t i = 0; i < table->count; i++)
        bench |= strcmp(table->rows[i].text[VKZ_ROW_VERB], "check") != 0;
    (bench ? vkz_print_bench : vkz_print_check)(table, out, &found);
}

static void print_count(FILE *out, const struct vkz_style *style, int count,
                        const char *what, enum vkz_color color, const char **separator)
{
    if (count == 0)
        return;
    fprintf(out, "%s%s%d %s%s", *separator, vkz_color_on(style, color), count, what,
            vkz_color_off(style, color));
    *separator = ", ";
}

static void print_counts(const struct vkz_table *table, FILE *out,
                         const struct vkz_style *style, double seconds)
{
    const struct vkz_table_counts counts = vkz_table_count(table);
    const char *separator = "";
    int noisy = 0, throttled = 0, impossible = 0;
    for (size_t i = 0; i < table->count; i++) {
        noisy += (table->rows[i].marks & VKZ_MARK_NOISY) != 0;
        throttled += (table->rows[i].marks & VKZ_MARK_THROTTLED) != 0;
        impossible += (table->rows[i].marks & VKZ_MARK_IMPOSSIBLE) != 0;
    }
    if (counts.cases == 0)
        fputs("no case ran", out);
    print_count(out, style, counts.ok, "ok", VKZ_GREEN, &separator);
    print_count(out, style, counts.failed, "FAILED", VKZ_RED, &separator);
    print_count(out, style, counts.errors, counts.errors == 1 ? "error" : "errors",
                VKZ_RED, &separator);
    print_count(out, style, counts.mistrusted, "mistrusted", VKZ_YELLOW, &separator);
    print_count(out, style, counts.skipped, "skipped", VKZ_PLAIN, &separator);
    if (noisy + throttled + impossible > 0) {
        separator = "; of the timed ";
        print_count(out, style, impossible, "impossible", VKZ_RED, &separator);
        print_count(out, style, noisy, "noisy", VKZ_YELLOW, &separator);
        print_count(out, style, throttled, "throttled", VKZ_YELLOW, &separator);
    }
    if (seconds >= 120)
        fprintf(out, " (%.0f min)", seconds / 60);
    else if (seconds > 0)
        fprintf(out, " (%.0f s)", seconds);
    fputc('\n', out);
}

// The median share of the floor, over what may stand in a summary.
static void print_efficiency(const struct vkz_table *table, FILE *out)
{
    const unsigned unfit = VKZ_MARK_IMPOSSIBLE | VKZ_MARK_MISTRUSTED |
                           VKZ_MARK_UNVERIFIED | VKZ_MARK_SUBSTITUTE;
    double *values = calloc(table->count + 1, sizeof *values);
    int n = 0;
    for (size_t i = 0; values && i < table->count; i++) {
        if (table->rows[i].efficiency > 0 && !(table->rows[i].marks & unfit))
            values[n++] = table->rows[i].efficiency;
    }
    if (n > 1) {
        char median[VKZ_NUMBER_MAX], low[VKZ_NUMBER_MAX], high[VKZ_NUMBER_MAX];
        vkz_sort(values, n);
        fprintf(out,
                "hot times reach %s %% of the floor in the median of %d, %s to %s %%\n",
                vkz_number_text(100 * vkz_quantile(values, n, 0.5), 2, median), n,
                vkz_number_text(100 * values[0], 2, low),
                vkz_number_text(100 * values[n - 1], 2, high));
    }
    free(values);
}

static void print_skips(const struct vkz_table *table, FILE *out,
                        const struct vkz_style *style)
{
    struct {
        const char *reason;
        int count;
    } seen[REASONS_SHOWN];
    int kinds = 0, others = 0;
    for (size_t i = 0; i < table->count; i++) {
        const char *reason = table->rows[i].text[VKZ_ROW_REASON];
        int k = 0;
        if (!vkz_row_is(&table->rows[i], "skipped"))
            continue;
        while (k < kinds && strcmp(seen[k].reason, reason) != 0)
            k++;
        if (k < kinds) {
            seen[k].count++;
        } else if (kinds < REASONS_SHOWN) {
            seen[kinds].reason = reason;
            seen[kinds++].count = 1;
        } else {
            others++;
        }
    }
    if (kinds > 0)
        fputs("skipped:\n", out);
    for (int k = 0; k < kinds; k++) {
        fprintf(out, "  %4d  ", seen[k].count);
        vkz_print_text(out, style, seen[k].reason[0] ? seen[k].reason : "no reason given",
                       (style->width > 0 ? style->width : 160) - 8);
        fputc('\n', out);
    }
    if (others > 0)
        fprintf(out, "  %4d  for other reasons: they are in the result lines\n", others);
}

static bool is_bad(const struct vkz_row *row)
{
    return vkz_row_is(row, "failed") || vkz_row_is_error(row);
}

static void print_failures(const struct vkz_table *table, FILE *out,
                           const struct vkz_style *style)
{
    int shown = 0, bad = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct vkz_row *row = &table->rows[i];
        char kernel[200], status[48];
        if (!is_bad(row) || ++bad > FAILURES_SHOWN)
            continue;
        shown++;
        vkz_row_kernel(row, false, kernel, sizeof kernel);
        snprintf(status, sizeof status, "%.40s",
                 vkz_row_is(row, "failed") ? "FAILED" : row->text[VKZ_ROW_STATUS]);
        fputs(vkz_color_on(style, VKZ_RED), out);
        vkz_print_text(out, style, status[0] ? status : "no status", 48);
        fprintf(out, "%s  ", vkz_color_off(style, VKZ_RED));
        // Whole, as they are needed to find the case again.
        vkz_print_text(out, style, row->text[VKZ_ROW_CASE], WHOLE);
        fputs("  ", out);
        vkz_print_text(out, style, row->text[VKZ_ROW_KERNEL][0] ? kernel : "", WHOLE);
        fputs(row->text[VKZ_ROW_KERNEL][0] ? " " : "", out);
        vkz_print_text(out, style, row->text[VKZ_ROW_VARIANT], WHOLE);
        fputc('\n', out);
        vkz_print_words(out, style, row->text[VKZ_ROW_REASON], 4);
        if (row->text[VKZ_ROW_REPRO][0]) {
            fputs("    ", out);
            vkz_print_text(out, style, row->text[VKZ_ROW_REPRO], WHOLE);
            fputc('\n', out);
        }
    }
    if (bad > shown)
        fprintf(out, "... and %d more of these\n", bad - shown);
}

static void print_next(const struct vkz_table *table, FILE *out,
                       const struct vkz_table_summary *summary)
{
    const struct vkz_table_counts counts = vkz_table_count(table);
    const char *verb = summary->verb ? summary->verb : "bench";
    unsigned marks = 0;
    bool again = summary->interrupted;
    for (size_t i = 0; i < table->count; i++) {
        const struct vkz_row *row = &table->rows[i];
        marks |= row->marks;
        again |= vkz_row_is(row, "crashed") || vkz_row_is(row, "timed out") ||
                 vkz_row_is(row, "device lost");
    }
    if (again && summary->path)
        fprintf(out, "next: `vkzoo %s --resume %s` goes on with what is missing\n", verb,
                summary->path);
    else if (counts.failed > 0)
        fputs("next: the line under each FAILED runs that case alone\n", out);
    else if (marks & VKZ_MARK_THROTTLED)
        fputs("next: let the device cool, or fix its clock, and run again\n", out);
    else if (marks & VKZ_MARK_NOISY)
        fputs("next: a quiet machine, or a larger --budget, narrows the noisy ones\n",
              out);
    else if (summary->path && counts.cases > 0)
        fprintf(out, "next: `vkzoo lint %s` says whether the file is fit to be kept\n",
                summary->path);
}

static void print_device(yyjson_val *header, FILE *out, const struct vkz_style *style)
{
    yyjson_val *device = vkz_json_object(header, "device");
    const char *driver = vkz_json_text(device, "driver");
    const char *info = vkz_json_text(device, "driver_info");
    char text[640];
    if (!vkz_json_text(device, "name")[0])
        return;
    snprintf(text, sizeof text, "device %.250s%s%.150s%s%.150s",
             vkz_json_text(device, "name"), driver[0] ? ", " : "", driver,
             info[0] ? " " : "", info);
    vkz_print_text(out, style, text, style->width > 0 ? style->width : 160);
    fputc('\n', out);
}

void vkz_table_print_summary(const struct vkz_table *table, FILE *out,
                             const struct vkz_style *style,
                             const struct vkz_table_summary *summary)
{
    const struct vkz_style found = style ? *style : vkz_style_for(out);
    const bool peak = summary->verb && strcmp(summary->verb, "peak") == 0;
    fputc('\n', out);
    if (!peak) {
        print_failures(table, out, &found);
        print_skips(table, out, &found);
        print_counts(table, out, &found, summary->seconds);
        print_efficiency(table, out);
    }
    print_device(summary->header, out, &found);
    if (!peak)
        vkz_ceilings_print_line(vkz_json_object(summary->header, "ceilings"), out,
                                &found);
    if (summary->path) {
        fputs("results ", out);
        vkz_print_text(out, &found, summary->path, WHOLE);
        fputc('\n', out);
    }
    print_next(table, out, summary);
}
