// SPDX-License-Identifier: MIT
// The data behind the page's script, written a row at a time: of two hundred thousand
// points no second copy is made. The positions in a row and a point are report.js's too.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/charts.h"
#include "report/compare.h"
#include "report/html.h"
#include "report/json.h"

enum {
    DETAILED_POINTS = 20000, // of more the page has no samples: it must stay fit to open
    PAIRS = 500000,          // of more pairs of runs only those with the first are judged
    STRIP_DOTS = 60,         // samples that one strip shows
};

// ---- Texts, each once ----

struct texts {
    const char **items; // ascending
    size_t count;
};

enum { RECORD_TEXTS = 8 }; // of a point that the page shows

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void leave_each_once(struct texts *t)
{
    size_t kept = 0;
    if (t->count)
        qsort(t->items, t->count, sizeof *t->items, compare_texts);
    for (size_t k = 0; k < t->count; k++) {
        if (k == 0 || strcmp(t->items[k], t->items[k - 1]) != 0)
            t->items[kept++] = t->items[k];
    }
    t->count = kept;
}

static bool collect_texts(const struct vkz_dataset *d, struct texts *t)
{
    enum { SLACK = 1 << 16 };
    size_t capacity = 0;
    for (size_t i = 0; i < d->row_count * (size_t)d->run_count; i++) {
        if (t->count + RECORD_TEXTS > capacity) {
            leave_each_once(t); // most are there already
            capacity = 2 * t->count + SLACK;
            const char **more = realloc(t->items, capacity * sizeof *more);
            if (!more)
                return false;
            t->items = more;
        }
        const struct vkz_record *p = d->points[i];
        const char *const texts[RECORD_TEXTS] = {p->kernel,    p->ceiling, p->status,
                                                 p->reason,    p->tuning,  p->repro,
                                                 p->runner_up, p->specialization};
        memcpy(t->items + t->count, texts, sizeof texts);
        t->count += RECORD_TEXTS;
    }
    leave_each_once(t);
    return true;
}

static void add_text(yyjson_mut_doc *doc, yyjson_mut_val *array, const struct texts *t,
                     const char *text)
{
    const char **found =
        bsearch(&text, t->items, t->count, sizeof *t->items, compare_texts);
    yyjson_mut_arr_add_int(doc, array, found ? found - t->items : -1);
}

// ---- Rows ----

// A letter a pair of runs: what the later's time is to the earlier's. " ": not comparable.
static const char letters[VKZ_VERDICTS] = {[VKZ_VERDICT_BROKEN] = ' ',
                                           [VKZ_VERDICT_SLOWER] = 's',
                                           [VKZ_VERDICT_FASTER] = 'f',
                                           [VKZ_VERDICT_UNKNOWN] = '?',
                                           [VKZ_VERDICT_SAME] = '='};

static bool all_pairs(const struct vkz_dataset *d)
{
    return (double)d->row_count * d->run_count * (d->run_count - 1) / 2 <= PAIRS;
}

static bool add_verdicts(yyjson_mut_doc *doc, yyjson_mut_val *array,
                         const struct vkz_dataset *d, const struct vkz_dataset_row *row)
{
    const int runs = d->run_count, baselines = all_pairs(d) ? runs : 1;
    char *text = malloc((size_t)baselines * (size_t)runs);
    size_t used = 0;
    for (int a = 0; text && a < baselines; a++) {
        for (int b = a + 1; b < runs; b++) {
            const struct vkz_record *x = row->points[a], *y = row->points[b];
            struct vkz_ratio ratio;
            char reason[160];
            text[used++] =
                !x->counts || !y->counts
                    ? ' '
                    : letters[vkz_compare_times(&x->hot, &y->hot, &ratio, reason)];
        }
    }
    const bool added = text && yyjson_mut_arr_add_strncpy(doc, array, text, used);
    free(text);
    return added;
}

// Thousandths of `unit`: a strip of dots needs no more.
static void add_strip(yyjson_mut_doc *doc, yyjson_mut_val *point, const double *values,
                      const float *short_values, size_t count, double unit)
{
    yyjson_mut_val *array = yyjson_mut_arr_add_arr(doc, point);
    const size_t step = (count + STRIP_DOTS - 1) / STRIP_DOTS;
    for (size_t i = 0; unit > 0 && i < count; i += step) {
        const double value = values ? values[i] : (double)short_values[i];
        yyjson_mut_arr_add_sint(doc, array, (int64_t)fmax(0, fmin(9999, 1000 * value / unit)));
    }
}

static void add_details(yyjson_mut_doc *doc, yyjson_mut_val *point, const struct texts *t,
                        const struct vkz_record *p)
{
    char marks[160];
    add_text(doc, point, t, p->tuning);
    add_text(doc, point, t, p->specialization);
    add_text(doc, point, t, p->repro);
    add_text(doc, point, t, p->runner_up);
    vkz_charts_real(doc, point, NULL, p->candidates, 6);
    vkz_charts_real(doc, point, NULL, p->runner_up_ratio, 4);
    vkz_page_marks(p->marks, marks);
    yyjson_mut_arr_add_strcpy(doc, point, marks);
    add_strip(doc, point, p->hot.samples, NULL, p->hot.sample_count, p->hot.ns);
    add_strip(doc, point, NULL, p->canary, p->canary_count,
              p->canary_count ? (double)p->canary[0] : 0);
    if (p->statistics[0])
        yyjson_mut_arr_add_val(point, yyjson_mut_raw(doc, p->statistics));
}

static void add_point(yyjson_mut_doc *doc, yyjson_mut_val *points, const struct texts *t,
                      int run, const struct vkz_record *p, bool details)
{
    yyjson_mut_val *point = yyjson_mut_arr_add_arr(doc, points);
    yyjson_mut_arr_add_int(doc, point, run);
    yyjson_mut_arr_add_int(doc, point, p->counts);
    vkz_charts_real(doc, point, NULL, p->hot.ns, 6);
    vkz_charts_real(doc, point, NULL, p->hot.low, 6);
    vkz_charts_real(doc, point, NULL, p->hot.high, 6);
    vkz_charts_real(doc, point, NULL, p->efficiency, 3);
    vkz_charts_real(doc, point, NULL, p->accuracy, 3);
    add_text(doc, point, t, p->kernel);
    add_text(doc, point, t, p->ceiling);
    add_text(doc, point, t, p->status);
    add_text(doc, point, t, p->reason);
    if (details)
        add_details(doc, point, t, p);
}

// Writes and frees the document; a "<" would let a text end the script element it is in.
static bool write_part(yyjson_mut_doc *doc, FILE *out)
{
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    const bool written = text != NULL;
    for (char *at = text, *next; written; at = next + 1) {
        next = strchr(at, '<');
        fwrite(at, 1, next ? (size_t)(next - at) : strlen(at), out);
        if (!next)
            break;
        fputs("\\u003c", out);
    }
    free(text);
    yyjson_mut_doc_free(doc);
    return written;
}

static bool write_row(const struct vkz_dataset *d, size_t index, const struct texts *t,
                      const struct vkz_length *length, bool details, FILE *out)
{
    const struct vkz_dataset_row *row = &d->rows[index];
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_arr(doc);
    char kind[2] = {row->rate_kind, '\0'}, asked[160];
    if (!root) {
        yyjson_mut_doc_free(doc);
        return false;
    }
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_arr_add_str(doc, root, row->op);
    yyjson_mut_arr_add_str(doc, root, row->family);
    yyjson_mut_arr_add_str(doc, root, vkz_dataset_settings(row));
    yyjson_mut_arr_add_str(doc, root, row->variant);
    yyjson_mut_arr_add_strcpy(doc, root,
                              vkz_asked_text(row->asked_kernel, row->asked_tuning, asked));
    vkz_charts_real(doc, root, NULL, row->flops, 9);
    vkz_charts_real(doc, root, NULL, row->bytes, 9);
    yyjson_mut_arr_add_strcpy(doc, root, kind);
    yyjson_mut_arr_add_str(doc, root, length->series);
    vkz_charts_real(doc, root, NULL, length->length, 9);
    if (!add_verdicts(doc, root, d, row)) {
        yyjson_mut_doc_free(doc);
        return false;
    }
    yyjson_mut_val *points = yyjson_mut_arr_add_arr(doc, root);
    for (int run = 0; run < d->run_count; run++) {
        if (row->points[run]->line)
            add_point(doc, points, t, run, row->points[run], details);
    }
    return write_part(doc, out);
}

static bool write_head(const struct vkz_dataset *d, const struct texts *t, bool details,
                       FILE *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    if (!root) {
        yyjson_mut_doc_free(doc);
        return false;
    }
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_val *runs = yyjson_mut_obj_add_arr(doc, root, "runs");
    for (int r = 0; r < d->run_count; r++)
        yyjson_mut_arr_add_str(doc, runs, d->runs[r].label);
    yyjson_mut_obj_add_bool(doc, root, "paired", all_pairs(d));
    yyjson_mut_obj_add_bool(doc, root, "tabled", d->run_count <= VKZ_TABLED_RUNS);
    yyjson_mut_obj_add_bool(doc, root, "details", details);
    yyjson_mut_val *texts = yyjson_mut_obj_add_arr(doc, root, "texts");
    for (size_t i = 0; i < t->count; i++)
        yyjson_mut_arr_add_str(doc, texts, t->items[i]);
    vkz_charts_add_roofs(doc, root, d);
    return write_part(doc, out);
}

enum vkz_status vkz_page_data(const struct vkz_dataset *d, FILE *out, struct vkz_error *err)
{
    struct texts texts = {NULL, 0};
    size_t points = 0;
    for (int r = 0; r < d->run_count; r++)
        points += d->runs[r].record_count;
    const bool details = points <= DETAILED_POINTS;
    struct vkz_length *lengths = vkz_charts_lengths(d);
    fputs("{\"head\":", out);
    bool written =
        lengths && collect_texts(d, &texts) && write_head(d, &texts, details, out);
    fputs(",\n\"rows\":[", out);
    for (size_t i = 0; written && i < d->row_count; i++) {
        fputs(i ? ",\n" : "\n", out);
        written = write_row(d, i, &texts, &lengths[i], details, out);
    }
    fputs("]}", out);
    free(texts.items);
    free(lengths);
    return written ? VKZ_OK : vkz_error_set(err, VKZ_FAILED, "out of host memory");
}
