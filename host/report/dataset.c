// SPDX-License-Identifier: MIT
// Loading result files side by side. See report/dataset.h.
#define _POSIX_C_SOURCE 200809L // strdup
#include "report/dataset.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "report/json.h"
#include "report/judge.h"
#include "report/lint.h"
#include "zoo/op.h"

static bool add_problem(struct vkz_dataset *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool add_problem(struct vkz_dataset *d, const char *format, ...)
{
    char line[700];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    char **more = realloc(d->problems, (size_t)(d->problem_count + 1) * sizeof *more);
    char *copy = strdup(line);
    if (more)
        d->problems = more;
    if (!more || !copy) {
        free(copy);
        return false;
    }
    d->problems[d->problem_count++] = copy;
    return true;
}

static bool same_run(const struct vkz_result_file *a, const struct vkz_result_file *b)
{
    return a->case_count == b->case_count && yyjson_equals(a->header, b->header);
}

static enum vkz_status load_file(struct vkz_dataset *d, const char *path,
                                 struct vkz_error *err)
{
    struct vkz_result_file *file = NULL;
    struct vkz_lint *lint = NULL;
    struct vkz_error inner = {VKZ_OK, ""};
    if (vkz_result_file_load(path, &file, &inner) != VKZ_OK) {
        if (inner.status != VKZ_BAD_INPUT)
            return vkz_error_set(err, inner.status, "%s", inner.message);
        return add_problem(d, "%s", inner.message)
                   ? VKZ_OK
                   : vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    for (int r = 0; r < d->run_count; r++) {
        if (same_run(d->runs[r].file, file)) {
            const bool added = add_problem(d, "%s: the same run as %s; left out", path,
                                           d->runs[r].file->path);
            vkz_result_file_destroy(&file);
            return added ? VKZ_OK : vkz_error_set(err, VKZ_FAILED, "out of host memory");
        }
    }
    struct vkz_run *run = &d->runs[d->run_count++];
    *run = (struct vkz_run){.file = file};
    for (size_t t = 0; t < file->trouble_count && t < 5; t++) {
        if (!add_problem(d, "%s:%d: left out: %s", path, file->troubles[t].line,
                         file->troubles[t].message))
            return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    if (file->trouble_count > 5 &&
        !add_problem(d, "%s: %zu more lines left out", path, file->trouble_count - 5))
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    enum vkz_status status = vkz_lint_create(&lint, err);
    if (status == VKZ_OK)
        status = vkz_lint_file(lint, path, err);
    if (status == VKZ_OK) {
        run->errors = vkz_lint_count(lint, VKZ_LINT_ERROR);
        run->warnings = vkz_lint_count(lint, VKZ_LINT_WARNING);
    }
    vkz_lint_destroy(&lint);
    return status;
}

// ---- Names of the runs ----

// "Mesa 25.0.7-2+deb13u1 (LLVM 19.1.7)" without what is in parentheses.
static void describe_run(struct vkz_run *run, bool driver, bool version, bool date,
                         char out[120])
{
    yyjson_val *device = vkz_json_object(run->file->header, "device");
    const char *name = vkz_json_text(device, "name");
    const char *info = vkz_json_text(device, "driver_info");
    const char *commit =
        vkz_json_text(vkz_json_object(run->file->header, "tool"), "commit");
    const int name_length = (int)strcspn(name, "(");
    const int info_length = (int)strcspn(info, "(");
    int used = snprintf(out, 120, "%.*s", name_length > 50 ? 50 : name_length, name);
    while (used > 0 && out[used - 1] == ' ')
        out[--used] = '\0';
    if (driver && info[0])
        used += snprintf(out + used, 120 - (size_t)used, ", %.*s",
                         info_length > 30 ? 30 : info_length, info);
    while (used > 0 && out[used - 1] == ' ')
        out[--used] = '\0';
    if (version && commit[0])
        used += snprintf(out + used, 120 - (size_t)used, ", %.12s", commit);
    if (date)
        snprintf(out + used, 120 - (size_t)used, ", %.20s",
                 vkz_json_text(run->file->header, "started"));
    if (!out[0])
        snprintf(out, 120, "unnamed device");
}

static bool labels_unique(const struct vkz_dataset *d)
{
    for (int i = 0; i < d->run_count; i++) {
        for (int j = 0; j < i; j++) {
            if (strcmp(d->runs[i].label, d->runs[j].label) == 0)
                return false;
        }
    }
    return true;
}

// The shortest description that tells all runs apart.
static void label_runs(struct vkz_dataset *d)
{
    for (int level = 1; level <= 4; level++) {
        for (int r = 0; r < d->run_count; r++) {
            struct vkz_run *run = &d->runs[r];
            describe_run(run, true, level >= 2, level >= 3, run->label);
            describe_run(run, false, false, false, run->device);
            if (level == 4) {
                char text[120];
                memcpy(text, run->label, sizeof text);
                snprintf(run->label, sizeof run->label, "%.100s, file %d", text, r + 1);
            }
        }
        if (labels_unique(d))
            return;
    }
}

// ---- Rows ----

// A line and the run it is of, while rows are being collected.
struct entry {
    yyjson_val *line;
    int run;
    const char *family;
};

static int compare_keys(const struct entry *a, const struct entry *b)
{
    static const char *const keys[] = {"op", "case", "asked_variant", "asked_kernel",
                                       "asked_tuning"};
    const int order = strcmp(a->family, b->family);
    for (size_t i = 0; !order && i < sizeof keys / sizeof *keys; i++) {
        const int key_order = strcmp(vkz_json_text(a->line, keys[i]),
                                     vkz_json_text(b->line, keys[i]));
        if (key_order)
            return key_order;
    }
    return order;
}

static int compare_entries(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    const int order = compare_keys(a, b);
    return order ? order : a->run - b->run;
}

static void take_point(struct vkz_point *p, yyjson_val *line)
{
    yyjson_val *time = vkz_json_object(line, "time"), *hot = vkz_json_object(time, "hot");
    yyjson_val *work = vkz_json_object(line, "work");
    const char *metric = vkz_json_is(work, "metric", "bytes") ? "bytes" : "flops";
    p->line = line;
    p->kernel = vkz_json_text(line, "kernel");
    p->tuning = vkz_json_text(line, "tuning");
    p->status = vkz_json_text(line, "status");
    p->reason = vkz_json_text(line, "reason");
    p->ns = vkz_json_number(hot, "median_ns");
    p->low = vkz_json_number(hot, "low_ns");
    p->high = vkz_json_number(hot, "high_ns");
    p->cold_ns = vkz_json_number(vkz_json_object(time, "cold"), "median_ns");
    p->rate = p->ns > 0 ? vkz_json_number(work, metric) / p->ns * 1e9 : (double)NAN;
    p->efficiency = vkz_json_number(line, "efficiency");
    p->accuracy = vkz_json_number(vkz_json_object(line, "check"), "accuracy");
    p->marks = vkz_case_marks(line);
    p->counts = p->ns > 0 && isfinite(p->ns) && strcmp(p->status, "ok") == 0 &&
                !(p->marks & (VKZ_MARK_UNVERIFIED | VKZ_MARK_IMPOSSIBLE |
                              VKZ_MARK_MISTRUSTED));
}

static void begin_row(struct vkz_dataset_row *row, const struct entry *e)
{
    yyjson_val *work = vkz_json_object(e->line, "work");
    const char *unit = vkz_json_text(work, "unit");
    row->op = vkz_json_text(e->line, "op");
    row->family = e->family;
    row->name = vkz_json_text(e->line, "case");
    row->variant = vkz_json_text(e->line, "asked_variant");
    if (!row->variant[0])
        row->variant = vkz_json_text(e->line, "variant");
    row->asked_kernel = vkz_json_text(e->line, "asked_kernel");
    row->asked_tuning = vkz_json_text(e->line, "asked_tuning");
    row->flops = vkz_json_number(work, "flops");
    row->bytes = vkz_json_number(work, "bytes");
    row->rate_kind = vkz_json_is(work, "metric", "bytes") ? 'b'
                     : strcmp(unit, "int") == 0 || strcmp(unit, "idot") == 0 ? 'o'
                                                                             : 'f';
}

static void count_status(struct vkz_run *run, const char *status)
{
    if (strcmp(status, "ok") == 0)
        run->ok++;
    else if (strcmp(status, "skipped") == 0)
        run->skipped++;
    else
        run->failed++;
}

static enum vkz_status collect_rows(struct vkz_dataset *d, struct vkz_error *err)
{
    size_t total = 0, n = 0;
    for (int r = 0; r < d->run_count; r++)
        total += d->runs[r].file->case_count;
    struct entry *entries = malloc((total + 1) * sizeof *entries);
    d->rows = calloc(total + 1, sizeof *d->rows);
    if (!entries || !d->rows) {
        free(entries);
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    for (int r = 0; r < d->run_count; r++) {
        const struct vkz_result_file *file = d->runs[r].file;
        for (size_t i = 0; i < file->case_count; i++) {
            yyjson_val *line = file->cases[i].value;
            if (file->cases[i].superseded)
                continue;
            const struct vkz_op *op = vkz_op_find(vkz_json_text(line, "op"));
            entries[n++] = (struct entry){line, r, op ? op->family : "other"};
            count_status(&d->runs[r], vkz_json_text(line, "status"));
        }
    }
    qsort(entries, n, sizeof *entries, compare_entries);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || compare_keys(&entries[i - 1], &entries[i]) != 0)
            begin_row(&d->rows[d->row_count++], &entries[i]);
    }
    d->points = calloc(d->row_count * (size_t)d->run_count + 1, sizeof *d->points);
    if (!d->points) {
        free(entries);
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    const double none = (double)NAN;
    for (size_t i = 0; i < d->row_count * (size_t)d->run_count; i++)
        d->points[i] = (struct vkz_point){NULL, "",   "",   "",   "",   none, none,
                                          none, none, none, none, none, 0,    false};
    size_t row = 0;
    for (size_t i = 0; i < n; i++) {
        row += i > 0 && compare_keys(&entries[i - 1], &entries[i]) != 0;
        d->rows[row].points = d->points + row * (size_t)d->run_count;
        take_point(&d->rows[row].points[entries[i].run], entries[i].line);
    }
    free(entries);
    return VKZ_OK;
}

enum vkz_status vkz_dataset_load(const char *const *paths, int path_count,
                                 struct vkz_dataset **out, struct vkz_error *err)
{
    struct vkz_dataset *d = calloc(1, sizeof *d);
    enum vkz_status status = VKZ_OK;
    *out = d;
    if (d)
        d->runs = calloc((size_t)path_count + 1, sizeof *d->runs);
    if (!d || !d->runs) {
        vkz_dataset_destroy(out);
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    for (int i = 0; i < path_count && status == VKZ_OK; i++)
        status = load_file(d, paths[i], err);
    if (status == VKZ_OK && d->run_count == 0)
        status = vkz_error_set(err, VKZ_BAD_INPUT, "%s",
                               d->problem_count ? d->problems[0]
                                                : "no result file was named");
    if (status == VKZ_OK) {
        label_runs(d);
        status = collect_rows(d, err);
    }
    if (status != VKZ_OK)
        vkz_dataset_destroy(out);
    return status;
}

void vkz_dataset_destroy(struct vkz_dataset **dataset)
{
    struct vkz_dataset *d = *dataset;
    if (!d)
        return;
    for (int r = 0; r < d->run_count; r++)
        vkz_result_file_destroy(&d->runs[r].file);
    for (int i = 0; i < d->problem_count; i++)
        free(d->problems[i]);
    free(d->problems);
    free(d->points);
    free(d->rows);
    free(d->runs);
    free(d);
    *dataset = NULL;
}

// ---- Means ----

static double family_log(const struct vkz_dataset *d, size_t first, size_t end, int run,
                         int baseline, int *rows)
{
    double sum = 0, op_sum = 0;
    int ops = 0, op_rows = 0;
    for (size_t i = first; i < end; i++) {
        const struct vkz_point *a = &d->rows[i].points[baseline];
        const struct vkz_point *b = &d->rows[i].points[run];
        if (a->counts && b->counts) {
            op_sum += log(b->ns / a->ns);
            op_rows++;
            *rows += 1;
        }
        if (i + 1 == end || strcmp(d->rows[i].op, d->rows[i + 1].op) != 0) {
            if (op_rows) {
                sum += op_sum / op_rows;
                ops++;
            }
            op_sum = 0;
            op_rows = 0;
        }
    }
    return ops ? sum / ops : (double)NAN;
}

double vkz_dataset_ratio(const struct vkz_dataset *d, int run, int baseline,
                         const char *family, int *rows)
{
    double sum = 0;
    int families = 0, found = 0;
    for (size_t first = 0; first < d->row_count;) {
        size_t end = first + 1;
        while (end < d->row_count && strcmp(d->rows[end].family, d->rows[first].family) == 0)
            end++;
        if (!family || strcmp(d->rows[first].family, family) == 0) {
            const double mean = family_log(d, first, end, run, baseline, &found);
            if (isfinite(mean)) {
                sum += mean;
                families++;
            }
        }
        first = end;
    }
    if (rows)
        *rows = found;
    return families ? exp(sum / families) : (double)NAN;
}

const char *vkz_dataset_family(const struct vkz_dataset *d, int index)
{
    for (size_t i = 0; i < d->row_count; i++) {
        if (i == 0 || strcmp(d->rows[i].family, d->rows[i - 1].family) != 0) {
            if (index-- == 0)
                return d->rows[i].family;
        }
    }
    return NULL;
}

const char *vkz_dataset_settings(const struct vkz_dataset_row *row)
{
    const char *at = strchr(row->name, '@');
    return at ? at + 1 : row->name;
}
