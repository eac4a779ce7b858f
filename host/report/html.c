// SPDX-License-Identifier: MIT
// The report as one page. Every text of a result file is escaped, in tags and in scripts;
// the page may load nothing. See report/report.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/charts.h"
#include "report/compare.h"
#include "report/floor.h"
#include "report/json.h"
#include "report/judge.h"
#include "report/report.h"
#include "report/text.h"
#include "zoo/stats.h"

struct page {
    const struct vkz_dataset *d;
    FILE *out;
};

static void text(const struct page *p, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '<':
            fputs("&lt;", p->out);
            break;
        case '>':
            fputs("&gt;", p->out);
            break;
        case '&':
            fputs("&amp;", p->out);
            break;
        case '"':
            fputs("&quot;", p->out);
            break;
        case '\'':
            fputs("&#39;", p->out);
            break;
        default:
            fputc((unsigned char)*s < ' ' ? ' ' : *s, p->out);
        }
    }
}

// `tag` may have attributes: "th scope=\"row\"".
static void element(const struct page *p, const char *tag, const char *content)
{
    fprintf(p->out, "<%s>", tag);
    text(p, content);
    fprintf(p->out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

// Breaks behind commas, where a browser would not, and copies as it is.
static void case_settings(const struct page *p, const char *settings)
{
    for (const char *at = settings; *at;) {
        char part[80];
        const size_t length = strcspn(at, ",") + (strchr(at, ',') != NULL);
        snprintf(part, sizeof part, "%.*s", (int)(length < 79 ? length : 79), at);
        text(p, part);
        at += strlen(part);
        fputs(*at ? "<wbr>" : "", p->out);
    }
}

static void section(const struct page *p, const char *id, const char *title,
                    const char *note)
{
    fprintf(p->out, "\n<section id=\"%s\"><h2>%s</h2>", id, title);
    if (note)
        fprintf(p->out, "<p class=\"note\">%s</p>", note);
}

// A table that scrolls by itself on a narrow screen.
static void begin_table(const struct page *p, const char *id, const char *caption)
{
    fprintf(p->out,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\">"
            "<table id=\"%s\"><caption>%s</caption>\n",
            caption, id, caption);
}

static void end_table(const struct page *p)
{
    fputs("</tbody></table></div>\n", p->out);
}

static void run_headings(const struct page *p)
{
    for (int r = 0; r < p->d->run_count; r++) {
        fputs("<th scope=\"col\" class=\"number\">", p->out);
        text(p, p->d->runs[r].label);
        fputs("</th>", p->out);
    }
}

// A number's cell; `sort` orders the column, `shown` is what is read.
static void number_cell(const struct page *p, double sort, const char *shown)
{
    if (isfinite(sort))
        fprintf(p->out, "<td class=\"number\" data-v=\"%.6g\">", sort);
    else
        fputs("<td class=\"number empty\">", p->out);
    text(p, isfinite(sort) ? shown : "–");
    fputs("</td>", p->out);
}

// ---- Who and what ----

static const char *ceiling_text(yyjson_val *ceilings, const char *op, const char *variant,
                                char kind, char out[VKZ_NUMBER_MAX])
{
    const double best = vkz_ceiling_rate(ceilings, op, variant, NULL);
    return best > 0 ? vkz_rate_text(best, kind, out) : "–";
}

static void runs_section(const struct page *p)
{
    section(p, "runs", "What was compared",
            "A run is one result file. Trust is what <code>vkzoo lint</code> finds in it: "
            "errors are numbers that cannot be used, warnings such that are worth less than "
            "they look.");
    begin_table(p, "runs-table", "Runs");
    fputs("<thead><tr><th scope=\"col\">run</th><th scope=\"col\">device</th>"
          "<th scope=\"col\">driver</th><th scope=\"col\">date</th>"
          "<th scope=\"col\">commit</th><th scope=\"col\">cases</th>"
          "<th scope=\"col\">trust</th><th scope=\"col\">file</th></tr></thead><tbody>\n",
          p->out);
    for (int r = 0; r < p->d->run_count; r++) {
        const struct vkz_run *run = &p->d->runs[r];
        yyjson_val *header = run->file->header;
        yyjson_val *device = vkz_json_object(header, "device");
        yyjson_val *tool = vkz_json_object(header, "tool");
        const bool whole =
            run->file->end && vkz_json_is(run->file->end, "status", "complete");
        char line[200];
        fputs("<tr>", p->out);
        element(p, "th scope=\"row\"", run->label);
        element(p, "td", vkz_json_text(device, "name"));
        snprintf(line, sizeof line, "%.60s %.120s", vkz_json_text(device, "driver"),
                 vkz_json_text(device, "driver_info"));
        element(p, "td", line);
        snprintf(line, sizeof line, "%.20s", vkz_json_text(header, "started"));
        if (strchr(line, 'T'))
            *strchr(line, 'T') = ' '; // "2026-11-21 21:59:46Z"
        element(p, "td", line);
        snprintf(line, sizeof line, "%.40s%s", vkz_json_text(tool, "commit"),
                 yyjson_is_true(yyjson_obj_get(tool, "dirty")) ? ", edited" : "");
        element(p, "td", line);
        snprintf(line, sizeof line, "%d ok, %d failed, %d skipped", run->ok, run->failed,
                 run->skipped);
        element(p, "td", line);
        snprintf(line, sizeof line, "%s%d errors, %d warnings%s",
                 run->errors ? "✗ " : run->warnings ? "! " : "✓ ", run->errors,
                 run->warnings, whole ? "" : ", not complete");
        element(p, "td", line);
        element(p, "td", run->file->path);
        fputs("</tr>\n", p->out);
    }
    end_table(p);
    if (p->d->problem_count) {
        fputs("<h3>Left out</h3><ul class=\"problems\">", p->out);
        for (int i = 0; i < p->d->problem_count; i++)
            element(p, "li", p->d->problems[i]);
        fputs("</ul>", p->out);
    }
    fputs("</section>", p->out);
}

// ---- Changes between runs of one device ----

static void change_rows(const struct page *p, const struct vkz_compare *c)
{
    for (size_t i = 0; i < c->pair_count; i++) {
        const struct vkz_pair *pair = &c->pairs[i];
        char line[120];
        if (pair->verdict == VKZ_VERDICT_SAME || pair->verdict == VKZ_VERDICT_UNKNOWN)
            continue;
        fprintf(p->out, "<tr class=\"%s\">",
                pair->verdict == VKZ_VERDICT_FASTER ? "good" : "bad");
        element(p, "td", vkz_verdict_name(pair->verdict));
        snprintf(line, sizeof line, "%.3f [%.3f, %.3f]", pair->ratio.value,
                 pair->ratio.low, pair->ratio.high);
        number_cell(p, pair->ratio.value, line);
        element(p, "td", pair->a->variant);
        fputs("<td>", p->out);
        case_settings(p, pair->a->name);
        fputs("</td>", p->out);
        if (pair->other_kernel)
            snprintf(line, sizeof line, "%.50s → %.50s", pair->a->kernel, pair->b->kernel);
        else
            snprintf(line, sizeof line, "%s", pair->other_spirv ? "other SPIR-V" : "");
        element(p, "td", pair->reason[0] ? pair->reason : line);
        fputs("</tr>\n", p->out);
    }
}

static const char *started(const struct page *p, int run)
{
    return vkz_json_text(p->d->runs[run].file->header, "started");
}

static bool in_common(const struct page *p, int a, int b)
{
    for (size_t i = 0; i < p->d->row_count; i++) {
        const struct vkz_dataset_row *row = &p->d->rows[i];
        if (row->points[a]->line && row->points[b]->line)
            return true;
    }
    return false;
}

// The last run of the same device before `run` that has a case in common; -1: none.
static int earlier_run(const struct page *p, int run)
{
    int found = -1;
    for (int a = 0; a < p->d->run_count; a++) {
        if (a != run && strcmp(p->d->runs[a].device, p->d->runs[run].device) == 0 &&
            strcmp(started(p, a), started(p, run)) < 0 &&
            (found < 0 || strcmp(started(p, a), started(p, found)) > 0) &&
            in_common(p, a, run))
            found = a;
    }
    return found;
}

static void change(const struct page *p, int a, int b, const struct vkz_compare *c)
{
    char line[400];
    int verdicts[VKZ_VERDICTS] = {0};
    for (size_t i = 0; i < c->pair_count; i++)
        verdicts[c->pairs[i].verdict]++;
    fputs("<h3>", p->out);
    text(p, p->d->runs[a].label);
    fputs(" → ", p->out);
    text(p, p->d->runs[b].label);
    fputs("</h3>", p->out);
    if (isfinite(c->all.ratio.value))
        snprintf(line, sizeof line, "Geometric mean %.3f [%.3f, %.3f]; ", c->all.ratio.value,
                 c->all.ratio.low, c->all.ratio.high);
    else
        snprintf(line, sizeof line, "No time that counts is in both; ");
    const size_t used = strlen(line);
    snprintf(line + used, sizeof line - used,
             "%d slower, %d faster, %d the same, %d cannot be told, %d broken; %zu cases only "
             "in the earlier, %zu only in the later.",
             verdicts[VKZ_VERDICT_SLOWER], verdicts[VKZ_VERDICT_FASTER],
             verdicts[VKZ_VERDICT_SAME], verdicts[VKZ_VERDICT_UNKNOWN],
             verdicts[VKZ_VERDICT_BROKEN], c->only_a_count, c->only_b_count);
    element(p, "p", line);
    if (verdicts[VKZ_VERDICT_SLOWER] + verdicts[VKZ_VERDICT_FASTER] +
            verdicts[VKZ_VERDICT_BROKEN] == 0)
        return;
    snprintf(line, sizeof line, "changes-%d", b);
    begin_table(p, line, "Changes");
    fputs("<thead><tr><th scope=\"col\">verdict</th><th scope=\"col\" "
          "class=\"number\">ratio</th><th scope=\"col\">variant</th><th "
          "scope=\"col\">case</th><th scope=\"col\">remark</th></tr></thead><tbody>",
          p->out);
    change_rows(p, c);
    end_table(p);
}

static enum vkz_status changes_section(const struct page *p, struct vkz_error *err)
{
    bool opened = false;
    for (int b = 0; b < p->d->run_count; b++) {
        struct vkz_compare *c = NULL;
        const int a = earlier_run(p, b);
        if (a < 0)
            continue;
        if (!opened)
            section(p, "changes", "Slower first: what changed on one device",
                    "Each run against the one before it on that device. Time of the later "
                    "over the earlier run, with a 95 % interval; above 1 the later is slower. "
                    "Cases that are the same or cannot be told are only counted.");
        opened = true;
        const enum vkz_status status =
            vkz_compare_create(&p->d->runs[a], &p->d->runs[b], &c, err);
        if (status != VKZ_OK)
            return status;
        change(p, a, b, c);
        vkz_compare_destroy(&c);
    }
    if (opened)
        fputs("</section>", p->out);
    return VKZ_OK;
}

// ---- Means ----

static void means_section(const struct page *p)
{
    char shown[64];
    section(p, "means", "How many times as fast",
            "Geometric means of speed over the baseline, on the cases both have and whose "
            "check passed: cases weigh the same in their op, ops in their family, families "
            "in all. Above 1 is faster than the baseline.");
    fputs("<p class=\"needs-script\"><label>Baseline <select id=\"baseline\">", p->out);
    for (int r = 0; r < p->d->run_count; r++) {
        fprintf(p->out, "<option value=\"%d\">", r);
        text(p, p->d->runs[r].label);
        fputs("</option>", p->out);
    }
    fputs("</select></label></p>", p->out);
    begin_table(p, "means-table", "Geometric means by family");
    fputs("<thead><tr><th scope=\"col\">run</th><th scope=\"col\" class=\"number\">all</th>",
          p->out);
    const char *family;
    for (int f = 0; (family = vkz_dataset_family(p->d, f)); f++) {
        fputs("<th scope=\"col\" class=\"number\">", p->out);
        text(p, family);
        fputs("</th>", p->out);
    }
    fputs("<th scope=\"col\" class=\"number\">cases</th></tr></thead><tbody>\n", p->out);
    for (int r = 0; r < p->d->run_count; r++) {
        int rows = 0;
        const double all = 1 / vkz_dataset_ratio(p->d, r, 0, NULL, &rows);
        fprintf(p->out, "<tr data-run=\"%d\"><th scope=\"row\">", r);
        text(p, p->d->runs[r].label);
        fputs("</th>", p->out);
        snprintf(shown, sizeof shown, "%.3f", all);
        number_cell(p, all, shown);
        for (int f = 0; (family = vkz_dataset_family(p->d, f)); f++) {
            const double mean = 1 / vkz_dataset_ratio(p->d, r, 0, family, NULL);
            snprintf(shown, sizeof shown, "%.3f", mean);
            number_cell(p, mean, shown);
        }
        snprintf(shown, sizeof shown, "%d", rows);
        number_cell(p, rows, shown);
        fputs("</tr>\n", p->out);
    }
    end_table(p);
    fputs("</section>", p->out);
}

static void charts(const struct page *p)
{
    for (const struct vkz_chart *chart = vkz_charts; chart->name; chart++) {
        section(p, chart->name, chart->title, chart->note);
        fprintf(p->out,
                "<div class=\"chart\" data-chart=\"%s\" role=\"img\" aria-label=\"%s\">"
                "<p class=\"no-chart\">%s</p></div></section>",
                chart->name, chart->title,
                vkz_report_has_charts()
                    ? "The chart needs scripts; the numbers are in the tables."
                    : "This program was built without the Vega bundles: on Debian install "
                      "libjs-vega, node-vega-lite and node-vega-embed and configure again. "
                      "The numbers are in the tables.");
    }
}

// ---- Capabilities ----

// What did not run, each reason once in a row of cases.
static void why_not(const struct page *p)
{
    const struct vkz_dataset *d = p->d;
    bool any = false;
    for (int r = 0; r < d->run_count; r++) {
        const char *last = "";
        for (size_t i = 0; i < d->row_count; i++) {
            const struct vkz_record *point = d->rows[i].points[r];
            if (!point->line || strcmp(point->status, "ok") == 0 ||
                strcmp(point->reason, last) == 0)
                continue;
            last = point->reason;
            fputs(any ? "<li>" : "<details><summary>Why not</summary><ul><li>", p->out);
            any = true;
            const char *const parts[] = {d->runs[r].label, ": ", d->rows[i].name, " ",
                                         d->rows[i].variant, ": ", point->status, ", ",
                                         point->reason};
            for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
                text(p, parts[k]);
            fputs("</li>\n", p->out);
        }
    }
    fputs(any ? "</ul></details>" : "<p>Every case that was asked for ran.</p>", p->out);
}

static void capability_section(const struct page *p)
{
    section(p, "capability", "What runs where",
            "A cell counts the cases that ran; “–” was not asked for. What could not run says "
            "why when pointed at, and in the list below the table.");
    begin_table(p, "capability-table", "Cases that ran, by op and variant");
    fputs("<thead><tr><th scope=\"col\">op</th><th scope=\"col\">variant</th>", p->out);
    run_headings(p);
    fputs("</tr></thead><tbody>\n", p->out);
    const struct vkz_dataset *d = p->d;
    // Rows of one op are neighbours, but its variants are not: look at each once.
    for (size_t first = 0; first < d->row_count;) {
        size_t end = first + 1;
        while (end < d->row_count && strcmp(d->rows[end].op, d->rows[first].op) == 0)
            end++;
        for (size_t i = first; i < end; i++) {
            bool seen = false;
            for (size_t j = first; j < i && !seen; j++)
                seen = strcmp(d->rows[j].variant, d->rows[i].variant) == 0;
            if (seen)
                continue;
            fputs("<tr>", p->out);
            element(p, "th scope=\"row\"", d->rows[first].op);
            element(p, "td", d->rows[i].variant);
            for (int r = 0; r < d->run_count; r++) {
                int ran = 0, wrong = 0, skipped = 0;
                const char *why = "";
                for (size_t j = i; j < end; j++) {
                    const struct vkz_record *point = d->rows[j].points[r];
                    if (!point->line || strcmp(d->rows[j].variant, d->rows[i].variant) != 0)
                        continue;
                    if (strcmp(point->status, "ok") == 0)
                        ran++;
                    else if (strcmp(point->status, "skipped") == 0)
                        skipped++;
                    else
                        wrong++;
                    if (strcmp(point->status, "ok") != 0 && (!why[0] || wrong))
                        why = point->reason;
                }
                fprintf(p->out, "<td class=\"number %s\" title=\"",
                        wrong                        ? "bad"
                        : ran                        ? "good"
                        : skipped                    ? "dim"
                                                     : "empty");
                text(p, why);
                fputs("\">", p->out);
                if (wrong)
                    fprintf(p->out, "✗ %d wrong", wrong);
                else if (ran)
                    fprintf(p->out, "%d", ran);
                else
                    fputs(skipped ? "cannot" : "–", p->out);
                fputs("</td>", p->out);
            }
            fputs("</tr>\n", p->out);
        }
        first = end;
    }
    end_table(p);
    why_not(p);
    fputs("</section>", p->out);
}

// ---- Launch costs and ceilings ----

static void launch_section(const struct page *p)
{
    static const struct {
        const char *key, *title;
    } costs[] = {{"empty_dispatch_ns", "a dispatch in a batch"},
                 {"submit_to_fence_ns", "submit and wait"}};
    section(p, "launch", "Launch costs and ceilings",
            "What a dispatch costs before it does anything, and the best rates that were "
            "found on each device.");
    begin_table(p, "launch-table", "Launch costs and ceilings");
    fputs("<thead><tr><th scope=\"col\">what</th>", p->out);
    run_headings(p);
    fputs("</tr></thead><tbody>\n", p->out);
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
        bool any = false;
        for (int r = 0; r < p->d->run_count; r++)
            any = any || isfinite(vkz_json_number(
                             vkz_json_object(p->d->runs[r].file->header, "ceilings"),
                             costs[i].key));
        if (!any)
            continue;
        fprintf(p->out, "<tr><th scope=\"row\">%s</th>", costs[i].title);
        for (int r = 0; r < p->d->run_count; r++) {
            char number[VKZ_NUMBER_MAX];
            const double ns = vkz_json_number(
                vkz_json_object(p->d->runs[r].file->header, "ceilings"), costs[i].key);
            number_cell(p, ns, isfinite(ns) ? vkz_time_text(ns, true, number) : "");
        }
        fputs("</tr>\n", p->out);
    }
    static const struct {
        const char *op, *variant, *title;
        char kind;
    } rates[] = {{"read", NULL, "read", 'b'},
                 {"copy", NULL, "copy", 'b'},
                 {"triad", NULL, "triad", 'b'},
                 {"fma", "f32", "multiply-add f32", 'f'},
                 {"fma_f16", "f16", "multiply-add f16", 'f'},
                 {"idot", NULL, "integer dot", 'o'},
                 {"exp2", "f32", "exp2", 'f'},
                 {"coopmat_mac", "f16", "cooperative matrix f16", 'f'}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        fprintf(p->out, "<tr><th scope=\"row\">%s</th>", rates[i].title);
        for (int r = 0; r < p->d->run_count; r++) {
            char number[VKZ_NUMBER_MAX];
            fputs("<td class=\"number\">", p->out);
            text(p, ceiling_text(vkz_json_object(p->d->runs[r].file->header, "ceilings"),
                                 rates[i].op, rates[i].variant, rates[i].kind, number));
            fputs("</td>", p->out);
        }
        fputs("</tr>\n", p->out);
    }
    end_table(p);
    fputs("</section>", p->out);
}

// ---- Tuning ----

// What a run's probes chose among an op's cases: how often, and by how much.
static void choice_cell(const struct page *p, size_t first, size_t end, int run,
                        double *gains)
{
    int count = 0, untold = 0;
    char line[160];
    for (size_t i = first; i < end; i++) {
        const double ratio = p->d->rows[i].points[run]->runner_up_ratio;
        if (!isfinite(ratio))
            continue;
        gains[count++] = ratio;
        untold += ratio < 1 + VKZ_SAMENESS;
    }
    if (count == 0) {
        fputs("<td class=\"number empty\">–</td>", p->out);
        return;
    }
    vkz_sort(gains, count);
    const double median = vkz_quantile(gains, count, 0.5);
    snprintf(line, sizeof line, "%.2f × (%.2f to %.2f; %d%s)", median, gains[0],
             gains[count - 1], count, untold ? ", some the same" : "");
    number_cell(p, median, line);
}

static enum vkz_status tuning_section(const struct page *p, struct vkz_error *err)
{
    const struct vkz_dataset *d = p->d;
    double *gains = malloc((d->row_count + 1) * sizeof *gains);
    if (!gains)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    section(p, "tuning", "What choosing was worth",
            "Where several kernels or settings can serve a case, a probe on the device "
            "chooses: how many times as long the runner-up took, as the median over an op's "
            "cases, with the least, the most and the number of cases. A case's own choice "
            "is shown with its samples.");
    begin_table(p, "tuning-table", "Choices");
    fputs("<thead><tr><th scope=\"col\">op</th>", p->out);
    run_headings(p);
    fputs("</tr></thead><tbody>\n", p->out);
    for (size_t first = 0, end; first < d->row_count; first = end) {
        bool any = false;
        for (end = first; end < d->row_count && strcmp(d->rows[end].op, d->rows[first].op) == 0;
             end++) {
            for (int r = 0; r < d->run_count; r++)
                any = any || isfinite(d->rows[end].points[r]->runner_up_ratio);
        }
        if (!any)
            continue;
        fputs("<tr>", p->out);
        element(p, "th scope=\"row\"", d->rows[first].op);
        for (int r = 0; r < d->run_count; r++)
            choice_cell(p, first, end, r, gains);
        fputs("</tr>\n", p->out);
    }
    end_table(p);
    fputs("</section>", p->out);
    free(gains);
    return VKZ_OK;
}

// ---- Cases ----

static void mark_text(unsigned marks, char out[160])
{
    static const struct {
        unsigned mark;
        const char *name;
    } names[] = {{VKZ_MARK_UNVERIFIED, "unverified"}, {VKZ_MARK_IMPOSSIBLE, "impossible"},
                 {VKZ_MARK_MISTRUSTED, "mistrusted"}, {VKZ_MARK_THROTTLED, "throttled"},
                 {VKZ_MARK_NOISY, "noisy"},           {VKZ_MARK_FEW, "few samples"}};
    out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (marks & names[i].mark)
            snprintf(out + strlen(out), 160 - strlen(out), "%s%s", out[0] ? ", " : "",
                     names[i].name);
    }
}

// Three cells a run, without end tags: they are most of a large page. What orders a column
// is in the script's data.
static void case_cells(const struct page *p, const struct vkz_dataset_row *row,
                       const struct vkz_record *point)
{
    char number[VKZ_NUMBER_MAX], marks[160];
    const bool bad = point->line && strcmp(point->status, "ok") != 0 &&
                     strcmp(point->status, "skipped") != 0;
    if (!point->line) {
        fputs("<td class=\"empty\">–<td class=\"empty\">–<td class=\"empty\">–", p->out);
        return;
    }
    if (!isfinite(point->hot.ns)) {
        fprintf(p->out, "<td class=\"%s\" title=\"", bad ? "bad" : "empty");
        text(p, point->reason);
        fputs("\">", p->out);
        text(p, point->status);
        fputs("<td class=\"empty\">–<td class=\"empty\">–", p->out);
        return;
    }
    mark_text(point->marks, marks);
    fprintf(p->out, "<td%s title=\"", marks[0] ? " class=\"dim\"" : "");
    text(p, point->kernel);
    fputs(marks[0] ? "; " : "", p->out);
    text(p, marks);
    fputs("\">", p->out);
    text(p, vkz_time_text(point->hot.ns, true, number));
    const double half = 50 * (point->hot.high - point->hot.low) / point->hot.ns;
    if (isfinite(half))
        fprintf(p->out, " <small>±%.1f %%</small>", half);
    fputs(marks[0] ? " !<td>" : "<td>", p->out);
    text(p, isfinite(point->rate) ? vkz_rate_text(point->rate, row->rate_kind, number) : "–");
    if (isfinite(point->efficiency))
        fprintf(p->out, "<td>%.0f %%", 100 * point->efficiency);
    else
        fputs("<td class=\"empty\">–", p->out);
}

static void cases_section(const struct page *p)
{
    section(p, "cases", "Cases",
            "Hot times: median and half the 95 % interval. Of the floor: the time that the "
            "bytes or the operations need at the device's own ceilings, over the time taken. "
            "“!” marks what lint warns of; point at a cell for the kernel that ran.");
    fputs("<p class=\"needs-script filters\"><label>Search <input id=\"search\" "
          "type=\"search\" placeholder=\"op, case, kernel\"></label> <label>Family <select "
          "id=\"family\"><option value=\"\">all</option>",
          p->out);
    const char *family;
    for (int f = 0; (family = vkz_dataset_family(p->d, f)); f++)
        element(p, "option", family);
    fputs("</select></label> <label>Variant <select id=\"variant\"><option "
          "value=\"\">all</option></select></label> <output id=\"shown\"></output></p>",
          p->out);
    begin_table(p, "cases-table", "Cases");
    fputs("<thead><tr><th scope=\"col\" rowspan=\"2\">op</th><th scope=\"col\" "
          "rowspan=\"2\">case</th><th scope=\"col\" rowspan=\"2\">variant</th>",
          p->out);
    for (int r = 0; r < p->d->run_count; r++) {
        fputs("<th scope=\"colgroup\" colspan=\"3\">", p->out);
        text(p, p->d->runs[r].label);
        fputs("</th>", p->out);
    }
    fputs("</tr><tr>", p->out);
    for (int r = 0; r < p->d->run_count; r++)
        fputs("<th scope=\"col\" class=\"number\">time</th><th scope=\"col\" "
              "class=\"number\">rate</th><th scope=\"col\" class=\"number\">of floor</th>",
              p->out);
    fputs("</tr></thead><tbody>\n", p->out);
    for (size_t i = 0; i < p->d->row_count; i++) {
        const struct vkz_dataset_row *row = &p->d->rows[i];
        fputs("<tr>", p->out);
        element(p, "th scope=\"row\"", row->op);
        fputs("<td>", p->out);
        case_settings(p, vkz_dataset_settings(row));
        if (row->asked_kernel[0]) {
            fputs(" <small>", p->out);
            text(p, row->asked_kernel);
            fputs(row->asked_tuning[0] ? " " : "", p->out);
            text(p, row->asked_tuning);
            fputs("</small>", p->out);
        }
        fputs("</td>", p->out);
        element(p, "td", row->variant);
        for (int r = 0; r < p->d->run_count; r++)
            case_cells(p, row, row->points[r]);
        fputs("</tr>\n", p->out);
    }
    end_table(p);
    fputs("</section>", p->out);
}

// ---- The page ----

static void script(const struct page *p, const char *source)
{
    if (source[0])
        fprintf(p->out, "<script>%s</script>\n", source);
}

enum vkz_status vkz_report_html(const struct vkz_dataset *d, FILE *out,
                                struct vkz_error *err)
{
    const struct page page = {d, out}, *p = &page;
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
          "img-src data: blob:\"><link rel=\"icon\" href=\"data:,\">"
          "<title>vkzoo report</title><style>",
          out);
    fputs(vkz_report_css, out);
    fputs("</style></head><body><a class=\"skip\" href=\"#cases\">Skip to the cases</a>"
          "<header><h1>vkzoo report</h1><p>",
          out);
    fprintf(out, "%d %s, %zu cases.", d->run_count, d->run_count == 1 ? "run" : "runs",
            d->row_count);
    fputs("</p><p class=\"needs-script\"><button id=\"theme\" type=\"button\">Light or "
          "dark</button> <button id=\"link\" type=\"button\">Copy a link to this "
          "view</button></p></header><nav aria-label=\"Sections\"><ul>",
          out);
    static const char *const before[][2] = {{"runs", "runs"}, {"means", "means"}};
    static const char *const after[][2] = {
        {"capability", "what runs"}, {"launch", "launch"}, {"tuning", "tuning"},
        {"cases", "cases"}};
    for (size_t i = 0; i < 2; i++)
        fprintf(out, "<li><a href=\"#%s\">%s</a></li>", before[i][0], before[i][1]);
    for (const struct vkz_chart *chart = vkz_charts; chart->name; chart++)
        fprintf(out, "<li><a href=\"#%s\">%s</a></li>", chart->name, chart->name);
    for (size_t i = 0; i < 4; i++)
        fprintf(out, "<li><a href=\"#%s\">%s</a></li>", after[i][0], after[i][1]);
    fputs("</ul></nav><main>", out);
    runs_section(p);
    enum vkz_status status = changes_section(p, err);
    if (status != VKZ_OK)
        return status;
    means_section(p);
    charts(p);
    capability_section(p);
    launch_section(p);
    status = tuning_section(p, err);
    if (status != VKZ_OK)
        return status;
    cases_section(p);
    fputs("</main><div id=\"detail\" role=\"dialog\" aria-label=\"Case\" hidden></div>\n",
          out);
    fputs("<script type=\"application/json\" id=\"data\">", out);
    status = vkz_page_data(d, out, err);
    if (status != VKZ_OK)
        return status;
    fputs("</script>\n", out);
    fputs("<script type=\"application/json\" id=\"specs\">{", out);
    for (const struct vkz_chart *chart = vkz_charts; chart->name; chart++)
        fprintf(out, "%s\"%s\":%s", chart == vkz_charts ? "" : ",", chart->name,
                chart->spec);
    fputs("}</script>\n", out);
    script(p, vkz_vega_js);
    script(p, vkz_vega_lite_js);
    script(p, vkz_vega_embed_js);
    script(p, vkz_report_js);
    fputs("</body></html>\n", out);
    return VKZ_OK;
}
