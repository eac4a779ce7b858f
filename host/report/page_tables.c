// SPDX-License-Identifier: MIT
// The page's tables with a column a run: what runs where, launch costs, choices, cases.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/compare.h"
#include "report/floor.h"
#include "report/html.h"
#include "report/json.h"
#include "report/judge.h"
#include "report/text.h"
#include "zoo/stats.h"

// A table up to its body: one or two columns (`second` may be NULL), then one a run.
static void begin_run_table(const struct vkz_html *p, const char *id, const char *caption,
                            const char *first, const char *second)
{
    vkz_html_begin_table(p, id, caption);
    fputs("<thead><tr>", p->out);
    vkz_html_element(p, "th scope=\"col\"", first);
    if (second)
        vkz_html_element(p, "th scope=\"col\"", second);
    for (int r = 0; r < p->d->run_count; r++)
        vkz_html_element(p, "th scope=\"col\" class=\"number\"", p->d->runs[r].label);
    fputs("</tr></thead><tbody>\n", p->out);
}

// ---- Capabilities ----

// What did not run, each reason once in a row of cases.
static void why_not(const struct vkz_html *p)
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
            const char *const parts[] = {d->runs[r].label,   ": ", d->rows[i].name, " ",
                                         d->rows[i].variant, ": ", point->status,   ", ",
                                         point->reason};
            for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
                vkz_html_text(p, parts[k]);
            fputs("</li>\n", p->out);
        }
    }
    fputs(any ? "</ul></details>" : "<p>Every case that was asked for ran.</p>", p->out);
}

void vkz_page_capability(const struct vkz_html *p)
{
    vkz_html_section(p, "capability", "What runs where",
                     "A cell counts the cases that ran; “–” was not asked for. What "
                     "could not run says "
                     "why when pointed at, and in the list below the table.");
    begin_run_table(p, "capability-table", "Cases that ran, by op and variant", "op", "variant");
    const struct vkz_dataset *d = p->d;
    // Rows of one op are neighbours, but its variants are not: look at each once.
    for (size_t first = 0, end; first < d->row_count; first = end) {
        end = vkz_dataset_op_end(d, first);
        for (size_t i = first; i < end; i++) {
            bool seen = false;
            for (size_t j = first; j < i && !seen; j++)
                seen = strcmp(d->rows[j].variant, d->rows[i].variant) == 0;
            if (seen)
                continue;
            fputs("<tr>", p->out);
            vkz_html_element(p, "th scope=\"row\"", d->rows[first].op);
            vkz_html_element(p, "td", d->rows[i].variant);
            for (int r = 0; r < d->run_count; r++) {
                int ran = 0, wrong = 0, skipped = 0;
                const char *why = "";
                for (size_t j = i; j < end; j++) {
                    const struct vkz_record *point = d->rows[j].points[r];
                    if (!point->line ||
                        strcmp(d->rows[j].variant, d->rows[i].variant) != 0)
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
                        wrong     ? "bad"
                        : ran     ? "good"
                        : skipped ? "dim"
                                  : "empty");
                vkz_html_text(p, why);
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
    }
    vkz_html_end_table(p);
    why_not(p);
    fputs("</section>", p->out);
}

// ---- Launch costs and ceilings ----

static const char *ceiling_text(yyjson_val *ceilings, const char *op, const char *variant,
                                char kind, char out[VKZ_NUMBER_MAX])
{
    const double best = vkz_ceiling_rate(ceilings, op, variant, NULL);
    return best > 0 ? vkz_rate_text(best, kind, out) : "–";
}

void vkz_page_launch(const struct vkz_html *p)
{
    static const struct {
        const char *key, *title;
    } costs[] = {{"empty_dispatch_ns", "a dispatch in a batch"},
                 {"submit_to_fence_ns", "submit and wait"}};
    vkz_html_section(
        p, "launch", "Launch costs and ceilings",
        "What a dispatch costs before it does anything, and the best rates that were "
        "found on each device.");
    begin_run_table(p, "launch-table", "Launch costs and ceilings", "what", NULL);
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
            vkz_html_number_cell(p, ns,
                                 isfinite(ns) ? vkz_time_text(ns, true, number) : "");
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
            vkz_html_text(
                p, ceiling_text(vkz_json_object(p->d->runs[r].file->header, "ceilings"),
                                rates[i].op, rates[i].variant, rates[i].kind, number));
            fputs("</td>", p->out);
        }
        fputs("</tr>\n", p->out);
    }
    vkz_html_end_table(p);
    fputs("</section>", p->out);
}

// ---- Tuning ----

// What a run's probes chose among an op's cases: how often, and by how much.
static void choice_cell(const struct vkz_html *p, size_t first, size_t end, int run,
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
    vkz_html_number_cell(p, median, line);
}

enum vkz_status vkz_page_tuning(const struct vkz_html *p, struct vkz_error *err)
{
    const struct vkz_dataset *d = p->d;
    double *gains = malloc((d->row_count + 1) * sizeof *gains);
    if (!gains)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    vkz_html_section(
        p, "tuning", "What choosing was worth",
        "Where several kernels or settings can serve a case, a probe on the device "
        "chooses: how many times as long the runner-up took, as the median over an op's "
        "cases, with the least, the most and the number of cases. A case's own choice "
        "is shown with its samples.");
    begin_run_table(p, "tuning-table", "Choices", "op", NULL);
    for (size_t first = 0, end; first < d->row_count; first = end) {
        bool any = false;
        end = vkz_dataset_op_end(d, first);
        for (size_t i = first; i < end; i++) {
            for (int r = 0; r < d->run_count; r++)
                any = any || isfinite(d->rows[i].points[r]->runner_up_ratio);
        }
        if (!any)
            continue;
        fputs("<tr>", p->out);
        vkz_html_element(p, "th scope=\"row\"", d->rows[first].op);
        for (int r = 0; r < d->run_count; r++)
            choice_cell(p, first, end, r, gains);
        fputs("</tr>\n", p->out);
    }
    vkz_html_end_table(p);
    fputs("</section>", p->out);
    free(gains);
    return VKZ_OK;
}

// ---- Cases ----

void vkz_page_marks(unsigned marks, char out[160])
{
    static const struct {
        unsigned mark;
        const char *name;
    } names[] = {{VKZ_MARK_UNVERIFIED, "unverified"},
                 {VKZ_MARK_IMPOSSIBLE, "impossible"},
                 {VKZ_MARK_MISTRUSTED, "mistrusted"},
                 {VKZ_MARK_THROTTLED, "throttled"},
                 {VKZ_MARK_NOISY, "noisy"},
                 {VKZ_MARK_OTHER_WORK, "other work than the first run's"},
                 {VKZ_MARK_FEW, "few samples"}};
    out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (marks & names[i].mark)
            snprintf(out + strlen(out), 160 - strlen(out), "%s%s", out[0] ? ", " : "",
                     names[i].name);
    }
}

// Three cells a run, without end tags: they are most of a large page. What orders a
// column is in the script's data.
static void case_cells(const struct vkz_html *p, const struct vkz_dataset_row *row,
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
        vkz_html_text(p, point->reason);
        fputs("\">", p->out);
        vkz_html_text(p, point->status);
        fputs("<td class=\"empty\">–<td class=\"empty\">–", p->out);
        return;
    }
    vkz_page_marks(point->marks, marks);
    fprintf(p->out, "<td%s title=\"", marks[0] ? " class=\"dim\"" : "");
    vkz_html_text(p, point->kernel);
    fputs(marks[0] ? "; " : "", p->out);
    vkz_html_text(p, marks);
    fputs("\">", p->out);
    vkz_html_text(p, vkz_time_text(point->hot.ns, true, number));
    const double half = 50 * (point->hot.high - point->hot.low) / point->hot.ns;
    if (isfinite(half))
        fprintf(p->out, " <small>±%.1f %%</small>", half);
    fputs(marks[0] ? " !<td>" : "<td>", p->out);
    vkz_html_text(p, isfinite(point->rate)
                         ? vkz_rate_text(point->rate, row->rate_kind, number)
                         : "–");
    if (isfinite(point->efficiency))
        fprintf(p->out, "<td>%.0f %%", 100 * point->efficiency);
    else
        fputs("<td class=\"empty\">–", p->out);
}

// Of many runs: how many have a time, the fastest, the slowest, and the best use of a floor.
static void range_cells(const struct vkz_html *p, const struct vkz_dataset_row *row)
{
    int count = 0, fastest = -1, slowest = -1;
    double best = (double)NAN;
    char line[200], number[VKZ_NUMBER_MAX];
    for (int r = 0; r < p->d->run_count; r++) {
        const struct vkz_record *point = row->points[r];
        if (!point->counts)
            continue;
        count++;
        if (fastest < 0 || point->hot.ns < row->points[fastest]->hot.ns)
            fastest = r;
        if (slowest < 0 || point->hot.ns > row->points[slowest]->hot.ns)
            slowest = r;
        best = fmax(best, point->efficiency);
    }
    snprintf(line, sizeof line, "%d", count);
    vkz_html_number_cell(p, count, line);
    for (int side = 0; side < 2; side++) {
        const int r = side ? slowest : fastest;
        if (r < 0) {
            vkz_html_number_cell(p, (double)NAN, "");
            continue;
        }
        snprintf(line, sizeof line, "%s  %.120s",
                 vkz_time_text(row->points[r]->hot.ns, true, number), p->d->runs[r].label);
        vkz_html_number_cell(p, row->points[r]->hot.ns, line);
    }
    snprintf(line, sizeof line, "%.0f %%", 100 * best);
    vkz_html_number_cell(p, best, line);
}

static void case_headings(const struct vkz_html *p)
{
    const bool tabled = p->d->run_count <= VKZ_TABLED_RUNS;
    fputs("<thead><tr><th scope=\"col\" rowspan=\"2\">op</th><th scope=\"col\" "
          "rowspan=\"2\">case</th><th scope=\"col\" rowspan=\"2\">variant</th>",
          p->out);
    if (!tabled)
        fputs("<th scope=\"col\" class=\"number\">runs</th><th scope=\"col\" "
              "class=\"number\">fastest</th><th scope=\"col\" class=\"number\">slowest</th>"
              "<th scope=\"col\" class=\"number\">best of floor</th>",
              p->out);
    for (int r = 0; tabled && r < p->d->run_count; r++) {
        fputs("<th scope=\"colgroup\" colspan=\"3\">", p->out);
        vkz_html_text(p, p->d->runs[r].label);
        fputs("</th>", p->out);
    }
    fputs("</tr><tr>", p->out);
    for (int r = 0; tabled && r < p->d->run_count; r++)
        fputs("<th scope=\"col\" class=\"number\">time</th><th scope=\"col\" "
              "class=\"number\">rate</th><th scope=\"col\" class=\"number\">of floor</th>",
              p->out);
    fputs("</tr></thead><tbody>\n", p->out);
}

void vkz_page_cases(const struct vkz_html *p)
{
    const bool tabled = p->d->run_count <= VKZ_TABLED_RUNS;
    vkz_html_section(
        p, "cases", "Cases",
        tabled ? "Hot times: median and half the 95 % interval. Of the floor: the time that "
                 "the bytes or the operations need at the device's own ceilings, over the "
                 "time taken. “!” marks what lint warns of. Choose a row, or press Enter on "
                 "it, for the kernels that ran, samples and how to run it again."
               : "Hot times. Of so many runs the fastest and the slowest are named; choose a "
                 "case for every run's. Of the floor: the time that the bytes or the "
                 "operations need at the device's own ceilings, over the time taken.");
    fputs(
        "<p class=\"needs-script filters\"><label>Search <input id=\"search\" "
        "type=\"search\" placeholder=\"op, case, kernel\"></label> <label>Family <select "
        "id=\"family\"><option value=\"\">all</option>",
        p->out);
    const char *family;
    for (int f = 0; (family = vkz_dataset_family(p->d, f)); f++)
        vkz_html_element(p, "option", family);
    fputs("</select></label> <label>Variant <select id=\"variant\"><option "
          "value=\"\">all</option></select></label> <output id=\"shown\"></output></p>",
          p->out);
    vkz_html_begin_table(p, "cases-table", "Cases");
    case_headings(p);
    for (size_t i = 0; i < p->d->row_count; i++) {
        const struct vkz_dataset_row *row = &p->d->rows[i];
        char asked[160];
        fputs("<tr>", p->out);
        vkz_html_element(p, "th scope=\"row\"", row->op);
        fputs("<td>", p->out);
        vkz_html_settings(p, vkz_dataset_settings(row));
        vkz_asked_text(row->asked_kernel, row->asked_tuning, asked);
        if (asked[0]) {
            fputs(" ", p->out);
            vkz_html_element(p, "small", asked);
        }
        fputs("</td>", p->out);
        vkz_html_element(p, "td", row->variant);
        for (int r = 0; tabled && r < p->d->run_count; r++)
            case_cells(p, row, row->points[r]);
        if (!tabled)
            range_cells(p, row);
        fputs("</tr>\n", p->out);
    }
    vkz_html_end_table(p);
    fputs("</section>", p->out);
}
