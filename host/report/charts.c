// SPDX-License-Identifier: MIT
// The charts there are, and their data: what `--format vega` writes and the page shows.
#include "report/charts.h"

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
     "the baseline. Grey where the verdict cannot tell.",
     vkz_spec_speedup},
    {"heatmap", "How close to the floor",
     "Fraction of the floor that each case reaches: the least time the device needs for the "
     "bytes or the operations, at its own measured ceilings.",
     vkz_spec_heatmap},
    {"scaling", "Time over length",
     "Series of cases that differ in one number alone, with 95 % bands: the length of a "
     "sequence, or the rows of a layer. A power of the length is a straight line; a colour "
     "an op, so that what grows slower is seen to pass the others. Choose an op in the "
     "legend to see it alone.",
     vkz_spec_scaling},
    {"roofline", "Roofline",
     "Rate over arithmetic intensity. The roofs are each device's measured bandwidth and "
     "multiply-add rate.",
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

// ---- Series over the length ----

// What a series runs over: the first kind of name that the case has.
static const char *const length_names[][4] = {{"len", "q_len", "kv_len"},
                                              {"rows", "tokens", "m"}};
enum { LENGTH_KINDS = sizeof length_names / sizeof *length_names };

static bool is_length(const struct vkz_setting *s, int kind)
{
    for (size_t i = 0; i < 4 && length_names[kind][i]; i++) {
        const char *name = length_names[kind][i];
        if ((size_t)s->key_length == strlen(name) &&
            memcmp(s->key, name, strlen(name)) == 0)
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
    int kind = 0, used = 0;
    for (bool found = false; kind < LENGTH_KINDS && !found; kind += !found) {
        for (int s = 0; s < count; s++)
            found = found || is_length(&list[s], kind);
        if (found)
            break;
    }
    if (kind == LENGTH_KINDS)
        return 0;
    used = snprintf(rest, 600, "%.80s %.20s", row->op, row->variant);
    if (row->asked_kernel[0])
        used += snprintf(rest + used, 600 - (size_t)used, " %.60s", row->asked_kernel);
    for (int s = 0; s < count; s++) {
        if (is_length(&list[s], kind))
            length = fmax(length, strtod(list[s].value, NULL));
        else if (used < 500)
            used += snprintf(rest + used, 600 - (size_t)used, " %.*s",
                             (int)(list[s].value + list[s].value_length - list[s].key),
                             list[s].key);
    }
    return length;
}

static int compare_series(const void *x, const void *y)
{
    const struct vkz_length *a = *(struct vkz_length *const *)x;
    const struct vkz_length *b = *(struct vkz_length *const *)y;
    const int order = strcmp(a->series, b->series);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

struct vkz_length *vkz_charts_lengths(const struct vkz_dataset *d)
{
    struct vkz_length *lengths = calloc(d->row_count + 1, sizeof *lengths);
    struct vkz_length **order = malloc((d->row_count + 1) * sizeof *order);
    bool enough = lengths && order;
    size_t n = 0;
    char rest[600];
    for (size_t i = 0; enough && i < d->row_count; i++) {
        lengths[i].length = split_length(&d->rows[i], rest);
        lengths[i].series = "";
        if (!(lengths[i].length > 0))
            continue;
        lengths[i].series = vkz_store_text(d->store, rest);
        enough = lengths[i].series != NULL;
        order[n++] = &lengths[i];
    }
    if (enough)
        qsort(order, n, sizeof *order, compare_series);
    // A length alone is no series.
    for (size_t first = 0, end; enough && first < n; first = end) {
        for (end = first + 1;
             end < n && strcmp(order[end]->series, order[first]->series) == 0;)
            end++;
        const bool several = order[first]->length < order[end - 1]->length;
        for (size_t i = first; !several && i < end; i++)
            order[i]->series = "";
    }
    free(order);
    if (!enough) {
        free(lengths);
        return NULL;
    }
    return lengths;
}

// ---- Points ----

void vkz_charts_real(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, double value,
                     int digits)
{
    char text[40];
    // As few digits as tell what a chart can show: the page stays small.
    snprintf(text, sizeof text, "%.*g", digits, value);
    yyjson_mut_val *number =
        isfinite(value) ? yyjson_mut_rawcpy(doc, text) : yyjson_mut_null(doc);
    if (!key)
        yyjson_mut_arr_add_val(to, number);
    else if (isfinite(value))
        yyjson_mut_obj_add_val(doc, to, key, number);
}

static void add_row(yyjson_mut_doc *doc, yyjson_mut_val *point, const struct vkz_dataset *d,
                    size_t row, int run)
{
    const struct vkz_dataset_row *r = &d->rows[row];
    char asked[160];
    yyjson_mut_obj_add_str(doc, point, "run", d->runs[run].label);
    yyjson_mut_obj_add_str(doc, point, "op", r->op);
    yyjson_mut_obj_add_str(doc, point, "family", r->family);
    yyjson_mut_obj_add_str(doc, point, "case", vkz_dataset_settings(r));
    yyjson_mut_obj_add_str(doc, point, "variant", r->variant);
    yyjson_mut_obj_add_strcpy(doc, point, "asked",
                              vkz_asked_text(r->asked_kernel, r->asked_tuning, asked));
}

static bool add_points(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct vkz_dataset *d)
{
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, "points");
    struct vkz_length *lengths = vkz_charts_lengths(d);
    for (size_t i = 0; lengths && i < d->row_count; i++) {
        const struct vkz_dataset_row *row = &d->rows[i];
        for (int run = 0; run < d->run_count; run++) {
            const struct vkz_record *p = row->points[run];
            if (!p->counts)
                continue;
            yyjson_mut_val *point = yyjson_mut_arr_add_obj(doc, array);
            add_row(doc, point, d, i, run);
            yyjson_mut_obj_add_str(doc, point, "kernel", p->kernel);
            vkz_charts_real(doc, point, "ns", p->hot.ns, 6);
            vkz_charts_real(doc, point, "low", p->hot.low, 6);
            vkz_charts_real(doc, point, "high", p->hot.high, 6);
            vkz_charts_real(doc, point, "efficiency", p->efficiency, 4);
            vkz_charts_real(doc, point, "accuracy", p->accuracy, 4);
            if (row->rate_kind != 'o') { // whole numbers are not the roofline's FLOPs
                vkz_charts_real(doc, point, "flops", row->flops, 9);
                vkz_charts_real(doc, point, "bytes", row->bytes, 9);
            }
            if (lengths[i].series[0]) {
                yyjson_mut_obj_add_str(doc, point, "series", lengths[i].series);
                vkz_charts_real(doc, point, "length", lengths[i].length, 9);
            }
            yyjson_mut_obj_add_str(doc, point, "ceiling", p->ceiling);
        }
    }
    const bool enough = lengths != NULL;
    free(lengths);
    return enough;
}

static void add_speedups(yyjson_mut_doc *doc, yyjson_mut_val *root,
                         const struct vkz_dataset *d)
{
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, "speedups");
    for (size_t i = 0; i < d->row_count; i++) {
        for (int run = 1; run < d->run_count; run++) {
            const struct vkz_record *a = d->rows[i].points[0], *b = d->rows[i].points[run];
            struct vkz_ratio ratio;
            char reason[160];
            if (!a->counts || !b->counts)
                continue;
            const enum vkz_verdict verdict =
                vkz_compare_times(&a->hot, &b->hot, &ratio, reason);
            yyjson_mut_val *point = yyjson_mut_arr_add_obj(doc, array);
            add_row(doc, point, d, i, run);
            vkz_charts_real(doc, point, "speedup", 1 / ratio.value, 5);
            vkz_charts_real(doc, point, "slow", 1 / ratio.high, 5);
            vkz_charts_real(doc, point, "fast", 1 / ratio.low, 5);
            yyjson_mut_obj_add_str(doc, point, "verdict", vkz_verdict_name(verdict));
            yyjson_mut_obj_add_str(doc, point, "kernel", b->kernel);
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
        vkz_charts_real(doc, point, "intensity", x, 5);
        vkz_charts_real(doc, point, "gflops", fmin(x * bandwidth, peak) / 1e9, 5);
    }
}

void vkz_charts_add_roofs(yyjson_mut_doc *doc, yyjson_mut_val *root,
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
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    char *text = NULL;
    if (spec && doc) {
        yyjson_mut_val *whole = yyjson_val_mut_copy(doc, yyjson_doc_get_root(spec));
        yyjson_mut_val *data = yyjson_mut_obj_add_obj(doc, whole, "datasets");
        yyjson_mut_doc_set_root(doc, whole);
        // A container's width is the page's; a picture needs one of its own.
        if (yyjson_mut_is_str(yyjson_mut_obj_get(whole, "width"))) {
            yyjson_mut_obj_remove_key(whole, "width");
            yyjson_mut_obj_add_int(doc, whole, "width", 640);
        }
        add_speedups(doc, data, d);
        vkz_charts_add_roofs(doc, data, d);
        if (add_points(doc, data, d))
            text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    }
    if (text)
        fprintf(out, "%s\n", text);
    const bool written = text != NULL;
    free(text);
    yyjson_mut_doc_free(doc);
    yyjson_doc_free(spec);
    return written ? VKZ_OK : vkz_error_set(err, VKZ_FAILED, "out of host memory");
}
