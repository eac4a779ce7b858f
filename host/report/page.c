// SPDX-License-Identifier: MIT
// The report as one page that loads nothing: who was compared, what changed, means,
// charts, and around them the page itself. See report/report.h.
#include <math.h>
#include <string.h>

#include "report/charts.h"
#include "report/compare.h"
#include "report/html.h"
#include "report/json.h"
#include "report/report.h"

// ---- Who and what ----

static void runs_section(const struct vkz_html *p)
{
    vkz_html_section(
        p, "runs", "What was compared",
        "A run is one result file. Trust is what <code>vkzoo lint</code> finds in it: "
        "errors are numbers that cannot be used, warnings such that are worth less than "
        "they look.");
    vkz_html_begin_table(p, "runs-table", "Runs");
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
        vkz_html_element(p, "th scope=\"row\"", run->label);
        vkz_html_element(p, "td", vkz_json_text(device, "name"));
        snprintf(line, sizeof line, "%.60s %.120s", vkz_json_text(device, "driver"),
                 vkz_json_text(device, "driver_info"));
        vkz_html_element(p, "td", line);
        snprintf(line, sizeof line, "%.20s", vkz_json_text(header, "started"));
        if (strchr(line, 'T'))
            *strchr(line, 'T') = ' '; // "2026-11-21 21:59:46Z"
        vkz_html_element(p, "td", line);
        snprintf(line, sizeof line, "%.40s%s", vkz_json_text(tool, "commit"),
                 yyjson_is_true(yyjson_obj_get(tool, "dirty")) ? ", edited" : "");
        vkz_html_element(p, "td", line);
        snprintf(line, sizeof line, "%d ok, %d failed, %d skipped", run->ok, run->failed,
                 run->skipped);
        vkz_html_element(p, "td", line);
        snprintf(line, sizeof line, "%s%d errors, %d warnings%s",
                 run->errors     ? "✗ "
                 : run->warnings ? "! "
                                 : "✓ ",
                 run->errors, run->warnings, whole ? "" : ", not complete");
        vkz_html_element(p, "td", line);
        vkz_html_element(p, "td", run->file->path);
        fputs("</tr>\n", p->out);
    }
    vkz_html_end_table(p);
    if (p->d->problem_count) {
        fputs("<h3>Left out</h3><ul class=\"problems\">", p->out);
        for (int i = 0; i < p->d->problem_count; i++)
            vkz_html_element(p, "li", p->d->problems[i]);
        fputs("</ul>", p->out);
    }
    fputs("</section>", p->out);
}

// ---- Changes between runs of one device ----

enum { CHANGES = 1000 }; // that the page lists, of all comparisons: it must stay fit to open

// The largest changes of a comparison, at most `most`. Returns how many there were.
static int change_rows(const struct vkz_html *p, const struct vkz_compare *c, int most)
{
    int count = 0;
    for (size_t i = 0; i < c->pair_count; i++) {
        const struct vkz_pair *pair = &c->pairs[i];
        char line[120];
        if (pair->verdict == VKZ_VERDICT_SAME || pair->verdict == VKZ_VERDICT_UNKNOWN)
            continue;
        if (count++ >= most)
            continue;
        fprintf(p->out, "<tr class=\"%s\">",
                pair->verdict == VKZ_VERDICT_FASTER ? "good" : "bad");
        vkz_html_element(p, "td", vkz_verdict_name(pair->verdict));
        snprintf(line, sizeof line, "%.3f [%.3f, %.3f]", pair->ratio.value,
                 pair->ratio.low, pair->ratio.high);
        vkz_html_number_cell(p, pair->ratio.value, line);
        vkz_html_element(p, "td", pair->a->variant);
        fputs("<td>", p->out);
        vkz_html_settings(p, pair->a->name);
        fputs("</td>", p->out);
        if (pair->other_kernel)
            snprintf(line, sizeof line, "%.50s → %.50s", pair->a->kernel,
                     pair->b->kernel);
        else
            snprintf(line, sizeof line, "%s", pair->other_spirv ? "other SPIR-V" : "");
        vkz_html_element(p, "td", pair->reason[0] ? pair->reason : line);
        fputs("</tr>\n", p->out);
    }
    return count;
}

static const char *started(const struct vkz_html *p, int run)
{
    return vkz_json_text(p->d->runs[run].file->header, "started");
}

// True when `a` has a time of a case that `b` ran, or should have.
static bool in_common(const struct vkz_html *p, int a, int b)
{
    for (size_t i = 0; i < p->d->row_count; i++) {
        const struct vkz_dataset_row *row = &p->d->rows[i];
        if (row->points[a]->counts && strcmp(row->points[b]->verb, "bench") == 0)
            return true;
    }
    return false;
}

// The last run of the same device before `run` that has a case in common; -1: none.
static int earlier_run(const struct vkz_html *p, int run)
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

static void change(const struct vkz_html *p, int a, int b, const struct vkz_compare *c)
{
    char line[400];
    int verdicts[VKZ_VERDICTS] = {0};
    for (size_t i = 0; i < c->pair_count; i++)
        verdicts[c->pairs[i].verdict]++;
    fputs("<h3>", p->out);
    vkz_html_text(p, p->d->runs[a].label);
    fputs(" → ", p->out);
    vkz_html_text(p, p->d->runs[b].label);
    fputs("</h3>", p->out);
    if (isfinite(c->all.ratio.value))
        snprintf(line, sizeof line, "Geometric mean %.3f [%.3f, %.3f]; ",
                 c->all.ratio.value, c->all.ratio.low, c->all.ratio.high);
    else
        snprintf(line, sizeof line, "No time that counts is in both; ");
    const size_t used = strlen(line);
    snprintf(
        line + used, sizeof line - used,
        "%d slower, %d faster, %d the same, %d cannot be told, %d broken; %zu cases only "
        "in the earlier, %zu only in the later.",
        verdicts[VKZ_VERDICT_SLOWER], verdicts[VKZ_VERDICT_FASTER],
        verdicts[VKZ_VERDICT_SAME], verdicts[VKZ_VERDICT_UNKNOWN],
        verdicts[VKZ_VERDICT_BROKEN], c->only_a_count, c->only_b_count);
    vkz_html_element(p, "p", line);
    if (verdicts[VKZ_VERDICT_SLOWER] + verdicts[VKZ_VERDICT_FASTER] +
            verdicts[VKZ_VERDICT_BROKEN] ==
        0)
        return;
    char id[32];
    snprintf(id, sizeof id, "changes-%d", b);
    snprintf(line, sizeof line, "Changes to %s", p->d->runs[b].label);
    vkz_html_begin_table(p, id, line);
    fputs("<thead><tr><th scope=\"col\">verdict</th><th scope=\"col\" "
          "class=\"number\">ratio</th><th scope=\"col\">variant</th><th "
          "scope=\"col\">case</th><th scope=\"col\">remark</th></tr></thead><tbody>",
          p->out);
    const int most = CHANGES / p->d->run_count > 20 ? CHANGES / p->d->run_count : 20;
    const int count = change_rows(p, c, most);
    vkz_html_end_table(p);
    if (count > most) {
        snprintf(line, sizeof line, "And %d more; `vkzoo compare` lists them all.",
                 count - most);
        vkz_html_element(p, "p", line);
    }
}

static enum vkz_status changes_section(const struct vkz_html *p, struct vkz_error *err)
{
    bool opened = false;
    for (int b = 0; b < p->d->run_count; b++) {
        struct vkz_compare *c = NULL;
        const int a = earlier_run(p, b);
        if (a < 0)
            continue;
        if (!opened)
            vkz_html_section(
                p, "changes", "Slower first: what changed on one device",
                "Each run against the one before it on that device. Time of the later "
                "over the earlier run, with a 95 % interval; above 1 the later is "
                "slower. "
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

static void means_section(const struct vkz_html *p)
{
    char shown[64];
    vkz_html_section(
        p, "means", "How many times as fast",
        "Geometric means of speed over the baseline, on the cases both have and whose "
        "check passed: cases weigh the same in their op, ops in their family, families "
        "in all. Above 1 is faster than the baseline.");
    fputs("<p class=\"needs-script\"><label>Baseline <select id=\"baseline\">", p->out);
    for (int r = 0; r < p->d->run_count; r++) {
        fprintf(p->out, "<option value=\"%d\">", r);
        vkz_html_text(p, p->d->runs[r].label);
        fputs("</option>", p->out);
    }
    fputs("</select></label></p>", p->out);
    vkz_html_begin_table(p, "means-table", "Geometric means by family");
    fputs("<thead><tr><th scope=\"col\">run</th><th scope=\"col\" "
          "class=\"number\">all</th>",
          p->out);
    const char *family;
    for (int f = 0; (family = vkz_dataset_family(p->d, f)); f++) {
        fputs("<th scope=\"col\" class=\"number\">", p->out);
        vkz_html_text(p, family);
        fputs("</th>", p->out);
    }
    fputs("<th scope=\"col\" class=\"number\">cases</th></tr></thead><tbody>\n", p->out);
    for (int r = 0; r < p->d->run_count; r++) {
        int rows = 0;
        const double all = 1 / vkz_dataset_ratio(p->d, r, 0, NULL, &rows);
        fprintf(p->out, "<tr data-run=\"%d\"><th scope=\"row\">", r);
        vkz_html_text(p, p->d->runs[r].label);
        fputs("</th>", p->out);
        snprintf(shown, sizeof shown, "%.3f", all);
        vkz_html_number_cell(p, all, shown);
        for (int f = 0; (family = vkz_dataset_family(p->d, f)); f++) {
            const double mean = 1 / vkz_dataset_ratio(p->d, r, 0, family, NULL);
            snprintf(shown, sizeof shown, "%.3f", mean);
            vkz_html_number_cell(p, mean, shown);
        }
        snprintf(shown, sizeof shown, "%d", rows);
        vkz_html_number_cell(p, rows, shown);
        fputs("</tr>\n", p->out);
    }
    vkz_html_end_table(p);
    fputs("</section>", p->out);
}

static void charts(const struct vkz_html *p)
{
    for (const struct vkz_chart *chart = vkz_charts; chart->name; chart++) {
        vkz_html_section(p, chart->name, chart->title, chart->note);
        fprintf(
            p->out,
            "<div class=\"chart\" data-chart=\"%s\" role=\"group\" aria-label=\"%s\">"
            "<p class=\"no-chart\">%s</p></div></section>",
            chart->name, chart->title,
            vkz_report_has_charts()
                ? "The chart needs scripts; the numbers are in the tables."
                : "This program was built without the Vega bundles: on Debian install "
                  "libjs-vega, node-vega-lite and node-vega-embed and configure again. "
                  "The numbers are in the tables.");
    }
}

// ---- The page ----

static const struct {
    const char *source, *sha256;
} scripts[] = {
    {vkz_vega_js, vkz_vega_js_sha256},
    {vkz_vega_lite_js, vkz_vega_lite_js_sha256},
    {vkz_vega_embed_js, vkz_vega_embed_js_sha256},
    {vkz_report_js, vkz_report_js_sha256},
};
enum { SCRIPTS = sizeof scripts / sizeof *scripts };

// Nothing may be loaded, and no script run but those above: should a text ever get past
// the escapes, it is a text still. Vega compiles its expressions, hence unsafe-eval.
static void head(const struct vkz_html *p)
{
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "script-src 'unsafe-eval'",
          p->out);
    for (size_t i = 0; i < SCRIPTS; i++) {
        if (scripts[i].source[0])
            fprintf(p->out, " 'sha256-%s'", scripts[i].sha256);
    }
    fputs("; style-src 'unsafe-inline'; img-src data: blob:\">"
          "<link rel=\"icon\" href=\"data:,\"><title>vkzoo report</title><style>",
          p->out);
    fputs(vkz_report_css, p->out);
    fputs("</style></head>", p->out);
}

static void link_to(const struct vkz_html *p, const char *id, const char *name)
{
    fprintf(p->out, "<li><a href=\"#%s\">%s</a></li>", id, name);
}

static void header(const struct vkz_html *p)
{
    bool changes = false;
    for (int r = 0; r < p->d->run_count; r++)
        changes = changes || earlier_run(p, r) >= 0;
    fprintf(p->out,
            "<body><a class=\"skip\" href=\"#cases\">Skip to the cases</a><header>"
            "<h1>vkzoo report</h1><p>%d run%s, %zu case%s.</p><p class=\"needs-script\">"
            "<button id=\"theme\" type=\"button\">Light or dark</button> "
            "<button id=\"link\" type=\"button\">Copy a link to this view</button></p>"
            "</header><nav aria-label=\"Sections\"><ul>",
            p->d->run_count, p->d->run_count == 1 ? "" : "s", p->d->row_count,
            p->d->row_count == 1 ? "" : "s");
    link_to(p, "runs", "runs");
    if (changes)
        link_to(p, "changes", "changes");
    link_to(p, "means", "means");
    for (const struct vkz_chart *chart = vkz_charts; chart->name; chart++)
        link_to(p, chart->name, chart->name);
    link_to(p, "capability", "what runs");
    link_to(p, "launch", "launch");
    link_to(p, "tuning", "tuning");
    link_to(p, "cases", "cases");
    fputs("</ul></nav>", p->out);
}

static enum vkz_status sections(const struct vkz_html *p, struct vkz_error *err)
{
    runs_section(p);
    enum vkz_status status = changes_section(p, err);
    if (status != VKZ_OK)
        return status;
    means_section(p);
    charts(p);
    vkz_page_capability(p);
    vkz_page_launch(p);
    status = vkz_page_tuning(p, err);
    if (status == VKZ_OK)
        vkz_page_cases(p);
    return status;
}

static enum vkz_status data(const struct vkz_html *p, struct vkz_error *err)
{
    fputs("<script type=\"application/json\" id=\"data\">", p->out);
    const enum vkz_status status = vkz_page_data(p->d, p->out, err);
    fputs("</script>\n<script type=\"application/json\" id=\"specs\">{", p->out);
    for (const struct vkz_chart *chart = vkz_charts; chart->name; chart++)
        fprintf(p->out, "%s\"%s\":%s", chart == vkz_charts ? "" : ",", chart->name,
                chart->spec);
    fputs("}</script>\n", p->out);
    return status;
}

enum vkz_status vkz_report_html(const struct vkz_dataset *d, FILE *out,
                                struct vkz_error *err)
{
    const struct vkz_html page = {d, out}, *p = &page;
    head(p);
    header(p);
    fputs("<main>", out);
    enum vkz_status status = sections(p, err);
    fputs("</main><div id=\"detail\" role=\"dialog\" aria-label=\"Case\" hidden></div>\n",
          out);
    if (status == VKZ_OK)
        status = data(p, err);
    for (size_t i = 0; i < SCRIPTS; i++) {
        if (scripts[i].source[0])
            fprintf(out, "<script>%s</script>\n", scripts[i].source);
    }
    fputs("</body></html>\n", out);
    return status;
}
