// SPDX-License-Identifier: MIT
// The charts' data as JSON, Markdown and CSV, and the charts there are.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/compare.h"
#include "report/floor.h"
#include "report/json.h"
#include "report/report.h"
#include "report/rows.h"

extern const char vkz_spec_speedup[], vkz_spec_heatmap[], vkz_spec_scaling[];
extern const char vkz_spec_roofline[], vkz_spec_accuracy[];

const struct vkz_chart vkz_charts[] = {
    {"speedup", "Speed against the baseline",
     "A dot a case with its 95 % interval, on a logarithmic axis; right of 1 is faster than "
     "the baseline. Faint where the verdict cannot tell.",
     vkz_spec_speedup},
    {"heatmap", "How close to the floor",
     "Fraction of the floor that each case reaches: the least time the device needs for the "
     "bytes or the operations, at its own measured ceilings.",
     vkz_spec_heatmap},
    {"scaling", "Time over length",
     "Series of cases that differ in their length alone, with 95 % bands: straight lines are "
     "powers of the length.",
     vkz_spec_scaling},
    {"roofline", "Roofline",
     "Rate over arithmetic intensity. The roofs are each device's measured copy bandwidth "
     "and multiply-add rate.",
     vkz_spec_roofline},
    {"accuracy", "Accuracy beside speed",
     "Largest error over that of a plain emulation in the same precision; below 1 is more "
     "accurate than plain loops.",
     vkz_spec_accuracy},
    {0},
};

bool vkz_report_has_charts(void)
{
    return vkz_vega_js[0] && vkz_vega_lite_js[0] && vkz_vega_embed_js[0];
}

static void add_real(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key,
                     double value, int digits)
{
    char text[40];
    if (!isfinite(value))
        return;
    // As few digits as tell what a chart can show: the page stays small.
    snprintf(text, sizeof text, "%.*g", digits, value);
    yyjson_mut_obj_add_val(doc, object, key, yyjson_mut_rawcpy(doc, text));
}

static void add_row(yyjson_mut_doc *doc, yyjson_mut_val *point, const struct vkz_dataset *d,
                    size_t row, int run)
{
    const struct vkz_dataset_row *r = &d->rows[row];
    yyjson_mut_obj_add_str(doc, point, "run", d->runs[run].label);
    yyjson_mut_obj_add_str(doc, point, "op", r->op);
    yyjson_mut_obj_add_str(doc, point, "family", r->family);
    yyjson_mut_obj_add_str(doc, point, "case", vkz_dataset_settings(r));
    yyjson_mut_obj_add_str(doc, point, "variant", r->variant);
}

static void add_points(yyjson_mut_doc *doc, yyjson_mut_val *root,
                       const struct vkz_dataset *d)
{
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, "points");
    char text[700];
    for (size_t i = 0; i < d->row_count; i++) {
        for (int run = 0; run < d->run_count; run++) {
            const struct vkz_dataset_row *row = &d->rows[i];
            const struct vkz_point *p = &row->points[run];
            if (!p->counts)
                continue;
            yyjson_mut_val *point = yyjson_mut_arr_add_obj(doc, array);
            add_row(doc, point, d, i, run);
            yyjson_mut_obj_add_uint(doc, point, "i", i);
            yyjson_mut_obj_add_int(doc, point, "r", run);
            snprintf(text, sizeof text, "%.100s %.20s %.500s", row->op, row->variant,
                     vkz_dataset_settings(row));
            yyjson_mut_obj_add_strcpy(doc, point, "row", text);
            yyjson_mut_obj_add_str(doc, point, "kernel", p->kernel);
            add_real(doc, point, "ns", p->ns, 6);
            add_real(doc, point, "low", p->low, 6);
            add_real(doc, point, "high", p->high, 6);
            add_real(doc, point, "efficiency", p->efficiency, 4);
            add_real(doc, point, "accuracy", p->accuracy, 4);
            if (row->flops > 0 && row->bytes > 0 && row->rate_kind != 'o') {
                add_real(doc, point, "intensity", row->flops / row->bytes, 4);
                add_real(doc, point, "gflops", row->flops / p->ns, 4);
            }
            yyjson_mut_obj_add_str(
                doc, point, "ceiling",
                vkz_json_text(vkz_json_object(p->line, "floor"), "ceiling"));
        }
    }
}

static void add_speedups(yyjson_mut_doc *doc, yyjson_mut_val *root,
                         const struct vkz_dataset *d, int baseline)
{
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, "speedups");
    for (size_t i = 0; i < d->row_count; i++) {
        for (int run = 0; run < d->run_count; run++) {
            const struct vkz_point *a = &d->rows[i].points[baseline];
            const struct vkz_point *b = &d->rows[i].points[run];
            struct vkz_ratio ratio;
            char reason[160];
            if (run == baseline || !a->counts || !b->counts)
                continue;
            const enum vkz_verdict verdict = vkz_compare_times(
                vkz_json_object(vkz_json_object(a->line, "time"), "hot"),
                vkz_json_object(vkz_json_object(b->line, "time"), "hot"), &ratio, reason);
            yyjson_mut_val *point = yyjson_mut_arr_add_obj(doc, array);
            add_row(doc, point, d, i, run);
            add_real(doc, point, "speedup", 1 / ratio.value, 5);
            add_real(doc, point, "slow", 1 / ratio.high, 5);
            add_real(doc, point, "fast", 1 / ratio.low, 5);
            yyjson_mut_obj_add_str(doc, point, "verdict", vkz_verdict_name(verdict));
        }
    }
}

// ---- Series over the length ----

static bool is_length(const struct vkz_setting *s)
{
    static const char *const names[] = {"len", "q_len", "kv_len"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((size_t)s->key_length == strlen(names[i]) &&
            memcmp(s->key, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

// The length of a case, 0 without one, and its name without the length.
static double split_length(const struct vkz_dataset_row *row, char rest[600])
{
    struct vkz_setting list[VKZ_SETTINGS_MAX];
    const int count = vkz_case_settings(row->name, list);
    double length = 0;
    int used = snprintf(rest, 600, "%.80s %.20s %.60s", row->op, row->variant,
                        row->asked_kernel);
    for (int s = 0; s < count; s++) {
        if (is_length(&list[s]))
            length = fmax(length, strtod(list[s].value, NULL));
        else if (used < 500)
            used += snprintf(rest + used, 600 - (size_t)used, " %.*s",
                             (int)(list[s].value + list[s].value_length - list[s].key),
                             list[s].key);
    }
    return length;
}

static bool has_partner(const struct vkz_dataset *d, size_t row, const char *rest,
                        double length)
{
    char other[600];
    for (size_t i = row; i-- > 0 && strcmp(d->rows[i].op, d->rows[row].op) == 0;) {
        const double l = split_length(&d->rows[i], other);
        if (l > 0 && fabs(l - length) > 0 && strcmp(other, rest) == 0)
            return true;
    }
    for (size_t i = row + 1;
         i < d->row_count && strcmp(d->rows[i].op, d->rows[row].op) == 0; i++) {
        const double l = split_length(&d->rows[i], other);
        if (l > 0 && fabs(l - length) > 0 && strcmp(other, rest) == 0)
            return true;
    }
    return false;
}

static void add_lengths(yyjson_mut_doc *doc, yyjson_mut_val *root,
                        const struct vkz_dataset *d)
{
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, "lengths");
    char rest[600], series[800];
    for (size_t i = 0; i < d->row_count; i++) {
        const double length = split_length(&d->rows[i], rest);
        if (!(length > 0) || !has_partner(d, i, rest, length))
            continue;
        for (int run = 0; run < d->run_count; run++) {
            const struct vkz_point *p = &d->rows[i].points[run];
            if (!p->counts)
                continue;
            yyjson_mut_val *point = yyjson_mut_arr_add_obj(doc, array);
            snprintf(series, sizeof series, "%s%s%s", rest, d->run_count > 1 ? " on " : "",
                     d->run_count > 1 ? d->runs[run].label : "");
            yyjson_mut_obj_add_strcpy(doc, point, "series", series);
            add_real(doc, point, "length", length, 9);
            add_real(doc, point, "ms", p->ns / 1e6, 6);
            add_real(doc, point, "low_ms", p->low / 1e6, 6);
            add_real(doc, point, "high_ms", p->high / 1e6, 6);
        }
    }
}

// ---- Roofs ----

static void add_roof(yyjson_mut_doc *doc, yyjson_mut_val *array, const char *run,
                     const char *name, double bandwidth, double peak)
{
    static const double at[] = {1.0 / 16, 0, 4096};
    if (!(bandwidth > 0) || !(peak > 0))
        return;
    for (size_t i = 0; i < 3; i++) {
        const double x = at[i] > 0 ? at[i] : peak / bandwidth;
        yyjson_mut_val *point = yyjson_mut_arr_add_obj(doc, array);
        yyjson_mut_obj_add_str(doc, point, "run", run);
        yyjson_mut_obj_add_str(doc, point, "roof", name);
        add_real(doc, point, "intensity", x, 5);
        add_real(doc, point, "gflops", fmin(x * bandwidth, peak) / 1e9, 5);
    }
}

static void add_roofs(yyjson_mut_doc *doc, yyjson_mut_val *root,
                      const struct vkz_dataset *d)
{
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, "roofs");
    for (int run = 0; run < d->run_count; run++) {
        yyjson_val *ceilings = vkz_json_object(d->runs[run].file->header, "ceilings");
        const double bandwidth = fmax(vkz_ceiling_rate(ceilings, "copy", NULL, NULL),
                                      vkz_ceiling_rate(ceilings, "read", NULL, NULL));
        add_roof(doc, array, d->runs[run].label, "multiply-add f32", bandwidth,
                 vkz_ceiling_rate(ceilings, "fma", "f32", NULL));
        add_roof(doc, array, d->runs[run].label, "cooperative matrix", bandwidth,
                 vkz_ceiling_rate(ceilings, "coopmat_mac", "f16", NULL));
    }
}

static yyjson_mut_doc *make_data(const struct vkz_dataset *d, int baseline,
                                 yyjson_mut_val **root)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (!doc)
        return NULL;
    *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, *root);
    add_points(doc, *root, d);
    add_speedups(doc, *root, d, baseline);
    add_lengths(doc, *root, d);
    add_roofs(doc, *root, d);
    return doc;
}

char *vkz_report_data(const struct vkz_dataset *d, int baseline)
{
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = make_data(d, baseline, &root);
    char *text = doc ? yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL) : NULL;
    yyjson_mut_doc_free(doc);
    return text;
}

// ---- What the page shows of one case ----

// Thousandths of the median: samples and canaries need no more to be looked at.
static void add_relative(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key,
                         yyjson_val *values, double unit)
{
    enum { MOST = 60 };
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, object, key);
    yyjson_val *value;
    size_t i, count;
    yyjson_arr_foreach(values, i, count, value) {
        if (i < MOST && unit > 0 && yyjson_is_num(value))
            yyjson_mut_arr_add_sint(doc, array,
                                    (int64_t)fmin(9999, 1000 * yyjson_get_num(value) / unit));
    }
}

char *vkz_report_details(const struct vkz_dataset *d)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (!doc)
        return NULL;
    yyjson_mut_val *rows = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, rows);
    for (size_t i = 0; i < d->row_count; i++) {
        yyjson_mut_val *row = yyjson_mut_arr_add_arr(doc, rows);
        for (int run = 0; run < d->run_count; run++) {
            const struct vkz_point *p = &d->rows[i].points[run];
            yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, row);
            if (!p->line)
                continue;
            yyjson_val *hot = vkz_json_object(vkz_json_object(p->line, "time"), "hot");
            yyjson_val *canary = vkz_json_array(hot, "canary_ns");
            yyjson_mut_obj_add_str(doc, o, "status", p->status);
            yyjson_mut_obj_add_str(doc, o, "reason", p->reason);
            yyjson_mut_obj_add_str(doc, o, "kernel", p->kernel);
            yyjson_mut_obj_add_str(doc, o, "tuning", p->tuning);
            yyjson_mut_obj_add_str(doc, o, "spec", vkz_json_text(p->line, "specialization"));
            yyjson_mut_obj_add_str(doc, o, "repro", vkz_json_text(p->line, "repro"));
            add_relative(doc, o, "samples", vkz_json_array(hot, "samples_ns"), p->ns);
            add_relative(doc, o, "canary", canary,
                         yyjson_get_num(yyjson_arr_get_first(canary)));
            yyjson_val *statistics = yyjson_obj_get(p->line, "statistics");
            if (statistics)
                yyjson_mut_obj_add_val(doc, o, "statistics",
                                       yyjson_val_mut_copy(doc, statistics));
        }
    }
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    yyjson_mut_doc_free(doc);
    return text;
}

// ---- Vega-Lite ----

enum vkz_status vkz_report_vega(const struct vkz_dataset *d, const char *chart, FILE *out,
                                struct vkz_error *err)
{
    const struct vkz_chart *found = vkz_charts;
    while (found->name && strcmp(found->name, chart) != 0)
        found++;
    if (!found->name)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "--chart: expected speedup, heatmap, scaling, roofline or "
                             "accuracy, found %s",
                             chart);
    yyjson_doc *spec = yyjson_read(found->spec, strlen(found->spec), 0);
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = spec ? make_data(d, 0, &root) : NULL;
    if (!doc) {
        yyjson_doc_free(spec);
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    yyjson_mut_val *whole = yyjson_val_mut_copy(doc, yyjson_doc_get_root(spec));
    yyjson_mut_obj_add_val(doc, whole, "datasets", root);
    // A container's width is the page's; a picture needs one of its own.
    yyjson_mut_val *width = yyjson_mut_obj_get(whole, "width");
    if (yyjson_mut_is_str(width)) {
        yyjson_mut_obj_remove_key(whole, "width");
        yyjson_mut_obj_add_int(doc, whole, "width", 640);
    }
    yyjson_mut_doc_set_root(doc, whole);
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    if (text)
        fprintf(out, "%s\n", text);
    const bool written = text != NULL;
    free(text);
    yyjson_mut_doc_free(doc);
    yyjson_doc_free(spec);
    return written ? VKZ_OK : vkz_error_set(err, VKZ_FAILED, "out of host memory");
}

// ---- Markdown and CSV ----

void vkz_report_md(const struct vkz_dataset *d, FILE *out)
{
    const char *family;
    fprintf(out, "| run | errors | warnings | all");
    for (int f = 0; (family = vkz_dataset_family(d, f)); f++) {
        fprintf(out, " | ");
        vkz_print_md(out, family);
    }
    fprintf(out, " |\n|---|---|---|---");
    for (int f = 0; vkz_dataset_family(d, f); f++)
        fprintf(out, "|---");
    fprintf(out, "|\n");
    for (int r = 0; r < d->run_count; r++) {
        fprintf(out, "| ");
        vkz_print_md(out, d->runs[r].label);
        fprintf(out, " | %d | %d | %.3f", d->runs[r].errors, d->runs[r].warnings,
                1 / vkz_dataset_ratio(d, r, 0, NULL, NULL));
        for (int f = 0; (family = vkz_dataset_family(d, f)); f++) {
            const double mean = 1 / vkz_dataset_ratio(d, r, 0, family, NULL);
            if (isfinite(mean))
                fprintf(out, " | %.3f", mean);
            else
                fprintf(out, " | -");
        }
        fprintf(out, " |\n");
    }
    fprintf(out, "\nTimes as fast as the first run, geometric means. Times per case:\n\n"
                 "| op | case | variant");
    for (int r = 0; r < d->run_count; r++) {
        fprintf(out, " | ");
        vkz_print_md(out, d->runs[r].label);
    }
    fprintf(out, " |\n|---|---|---");
    for (int r = 0; r < d->run_count; r++)
        fprintf(out, "|---");
    fprintf(out, "|\n");
    for (size_t i = 0; i < d->row_count; i++) {
        fprintf(out, "| ");
        vkz_print_md(out, d->rows[i].op);
        fprintf(out, " | ");
        vkz_print_md(out, vkz_dataset_settings(&d->rows[i]));
        fprintf(out, " | ");
        vkz_print_md(out, d->rows[i].variant);
        for (int r = 0; r < d->run_count; r++) {
            const struct vkz_point *p = &d->rows[i].points[r];
            char number[VKZ_NUMBER_MAX];
            fprintf(out, " | %s", isfinite(p->ns) ? vkz_time_text(p->ns, true, number)
                                  : p->line       ? p->status
                                                  : "-");
            if (isfinite(p->efficiency))
                fprintf(out, " (%.0f %%)", 100 * p->efficiency);
        }
        fprintf(out, " |\n");
    }
}

void vkz_report_csv(const struct vkz_dataset *d, FILE *out)
{
    fprintf(out, "run,family,op,case,variant,kernel,tuning,status,ns,low_ns,high_ns,cold_ns,"
                 "rate_per_s,efficiency,accuracy\n");
    for (size_t i = 0; i < d->row_count; i++) {
        for (int r = 0; r < d->run_count; r++) {
            const struct vkz_dataset_row *row = &d->rows[i];
            const struct vkz_point *p = &row->points[r];
            if (!p->line)
                continue;
            const char *const texts[] = {d->runs[r].label, row->family, row->op,
                                         row->name,        row->variant, p->kernel,
                                         p->tuning,        p->status};
            const double numbers[] = {p->ns,   p->low,        p->high,    p->cold_ns,
                                      p->rate, p->efficiency, p->accuracy};
            for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
                vkz_print_csv(out, texts[t]);
                fputc(',', out);
            }
            for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
                if (isfinite(numbers[n]))
                    fprintf(out, "%s%.9g", n ? "," : "", numbers[n]);
                else if (n)
                    fputc(',', out);
            }
            fputc('\n', out);
        }
    }
}
