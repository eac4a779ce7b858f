// SPDX-License-Identifier: MIT
// Loading result files side by side. See report/dataset.h.
#define _POSIX_C_SOURCE 200809L // strdup
#include "report/dataset.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "report/json.h"
#include "report/judge.h"
#include "report/text.h"

void vkz_dataset_print_problem(const struct vkz_dataset *d, int index, FILE *out)
{
    const struct vkz_style style = vkz_style_for(out);
    fputs("vkzoo: ", out);
    vkz_print_text(out, &style, d->problems[index], INT_MAX);
    fputc('\n', out);
}

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

// What was left out of a run's file: the first lines by name, the others counted.
static bool add_troubles(struct vkz_dataset *d, const struct vkz_result_file *file)
{
    enum { NAMED = 5 };
    bool added = true;
    for (size_t t = 0; t < file->trouble_count && t < NAMED; t++)
        added = added && add_problem(d, "%s:%d: %s", file->path, file->troubles[t].line,
                                     file->troubles[t].message);
    if (file->trouble_count > NAMED)
        added = added && add_problem(d, "%s: %zu more lines left out", file->path,
                                     file->trouble_count - NAMED);
    return added;
}

// The run whose header this one has, -1 without: a copy, or a part of one.
static int same_run(const struct vkz_dataset *d, const struct vkz_run *run)
{
    for (int r = 0; r < d->run_count; r++) {
        if (yyjson_equals(d->runs[r].file->header, run->file->header))
            return r;
    }
    return -1;
}

static enum vkz_status load_file(struct vkz_dataset *d, const char *path,
                                 struct vkz_error *err)
{
    struct vkz_run *run = &d->runs[d->run_count];
    struct vkz_error inner = {VKZ_OK, ""};
    const enum vkz_status status = vkz_run_load(path, d->store, run, &inner);
    bool added = true;
    if (status != VKZ_OK) {
        vkz_run_finish(run);
        if (status != VKZ_BAD_INPUT)
            return vkz_error_set(err, status, "%s", inner.message);
        added = add_problem(d, "%s", inner.message);
        return added ? VKZ_OK : vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    const int same = same_run(d, run);
    if (same < 0) {
        d->run_count++;
        added = add_troubles(d, run->file);
    } else {
        // Of a run and a part of it the whole counts.
        struct vkz_run *kept = &d->runs[same];
        const bool fuller = run->record_count > kept->record_count;
        const struct vkz_run out = fuller ? *kept : *run;
        *kept = fuller ? *run : *kept;
        *run = out;
        added = add_problem(d, "%s: %s run as %s; left out", run->file->path,
                            run->record_count < kept->record_count ? "a part of the same"
                                                                   : "the same",
                            kept->file->path);
        vkz_run_finish(run);
    }
    return added ? VKZ_OK : vkz_error_set(err, VKZ_FAILED, "out of host memory");
}

// ---- Names of the runs ----

enum driver_words { NO_DRIVER, DRIVER_VERSION, WHOLE_DRIVER };

// What tells the runs apart, from the shortest on; the last always does.
static const struct naming {
    enum driver_words driver;
    bool whole_name; // with what is in parentheses
    bool commit;
    int date_length; // of "2026-11-21T21:59:46Z"; 0: none
    bool number;
} namings[] = {
    {NO_DRIVER, false, false, 0, false},    {DRIVER_VERSION, false, false, 0, false},
    {WHOLE_DRIVER, false, false, 0, false}, {DRIVER_VERSION, true, false, 0, false},
    {DRIVER_VERSION, false, true, 0, false}, {DRIVER_VERSION, false, false, 10, false},
    {DRIVER_VERSION, false, false, 16, false}, {WHOLE_DRIVER, true, true, 20, false},
    {DRIVER_VERSION, false, false, 16, true},
};

// "Intel(R) Arc(TM) A770 Graphics (DG2)" without marks, and without what is in parentheses
// behind the name.
static void plain_name(const char *name, bool whole, char out[80])
{
    static const char *const marks[] = {"(R)", "(TM)", "(r)", "(tm)", "(C)"};
    size_t used = 0;
    while (*name && used < 79) {
        size_t skip = 0;
        for (size_t m = 0; m < sizeof marks / sizeof *marks && !skip; m++)
            skip = strncmp(name, marks[m], strlen(marks[m])) == 0 ? strlen(marks[m]) : 0;
        if (!skip && !whole && used > 0 && strncmp(name, " (", 2) == 0)
            break;
        if (skip)
            name += skip;
        else
            out[used++] = *name++;
    }
    out[used] = '\0';
}

// `words` up to any of `stop`, at most `most` characters, behind a comma.
static int add_words(char out[120], int used, const char *words, const char *stop, int most)
{
    int length = (int)strcspn(words, stop);
    length = length < most ? length : most;
    while (length > 0 && words[length - 1] == ' ')
        length--;
    while (length > 0 && (words[length] & 0xc0) == 0x80)
        length--; // not within a character
    if (length > 0)
        used += snprintf(out + used, 120 - (size_t)used, "%s%.*s", used ? ", " : "", length,
                         words);
    return used;
}

// "llvmpipe, Mesa 25.0.7, 2026-11-21 21:59" from "llvmpipe (LLVM 19.1.7, 256 bits)",
// "Mesa 25.0.7-2+deb13u1 (LLVM 19.1.7)" and "2026-11-21T21:59:46Z".
static void name_run(const struct vkz_run *run, const struct naming *n, int number,
                     char out[120])
{
    yyjson_val *header = run->file->header;
    yyjson_val *device = vkz_json_object(header, "device");
    const char *driver = vkz_json_text(device, "driver_info");
    char date[24], name[80];
    plain_name(vkz_json_text(device, "name"), n->whole_name, name);
    int used = add_words(out, 0, name[0] ? name : "unnamed device", "", 50);
    if (n->driver != NO_DRIVER)
        used = add_words(out, used, driver, n->driver == WHOLE_DRIVER ? "(" : "(-+", 30);
    if (n->commit)
        used = add_words(out, used, vkz_json_text(vkz_json_object(header, "tool"), "commit"),
                         "", 12);
    snprintf(date, sizeof date, "%.20s", vkz_json_text(header, "started"));
    if (n->date_length <= 16 && strlen(date) > 10)
        date[10] = ' '; // the T is for machines
    used = add_words(out, used, date, "", n->date_length);
    if (n->number)
        snprintf(out + used, 120 - (size_t)used, ", file %d", number);
}

// What stays when drivers are updated: runs of one device can be compared over time.
static void name_device(const struct vkz_run *run, char out[120])
{
    yyjson_val *device = vkz_json_object(run->file->header, "device");
    const char *driver = vkz_json_text(device, "driver");
    char name[80];
    plain_name(vkz_json_text(device, "name"), false, name);
    const int used = add_words(out, 0, name[0] ? name : "unnamed device", "", 79);
    if (strcmp(name, driver) != 0)
        add_words(out, used, driver, "", 38);
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
    enum { NAMINGS = sizeof namings / sizeof *namings };
    for (int r = 0; r < d->run_count; r++)
        name_device(&d->runs[r], d->runs[r].device);
    for (int n = 0; n < NAMINGS; n++) {
        for (int r = 0; r < d->run_count; r++)
            name_run(&d->runs[r], &namings[n], r + 1, d->runs[r].label);
        if (labels_unique(d))
            return;
    }
}

// ---- Rows ----

// A record and the run it is of, while rows are being collected.
struct entry {
    struct vkz_record *record;
    int run;
};

// "len=256" before "len=1024": runs of digits compare as numbers.
static int compare_natural(const char *a, const char *b)
{
    const char *x = a, *y = b;
    while (*x && *y) {
        const size_t m = strspn(x, "0123456789"), n = strspn(y, "0123456789");
        if (m && n && m != n)
            return m < n ? -1 : 1; // numbers of case names have no leading zeros
        if (*x != *y)
            return (unsigned char)*x - (unsigned char)*y;
        x++;
        y++;
    }
    return strcmp(x, y);
}

static int compare_keys(const struct entry *x, const struct entry *y)
{
    const struct vkz_record *a = x->record, *b = y->record;
    const char *const keys[][2] = {{a->family, b->family},
                                   {a->op, b->op},
                                   {a->name, b->name},
                                   {a->asked_variant, b->asked_variant},
                                   {a->asked_kernel, b->asked_kernel},
                                   {a->asked_tuning, b->asked_tuning}};
    int order = 0;
    // Equal texts are one pointer, but for families.
    for (size_t i = 0; !order && i < sizeof keys / sizeof *keys; i++)
        order = keys[i][0] == keys[i][1] ? 0 : compare_natural(keys[i][0], keys[i][1]);
    return order;
}

static int compare_entries(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    const int order = compare_keys(a, b);
    return order ? order : a->run - b->run;
}

static void begin_row(struct vkz_dataset_row *row, const struct vkz_record *r)
{
    *row = (struct vkz_dataset_row){
        .op = r->op,
        .family = r->family,
        .name = r->name,
        .variant = r->asked_variant[0] ? r->asked_variant : r->variant,
        .asked_kernel = r->asked_kernel,
        .asked_tuning = r->asked_tuning,
        .rate_kind = r->rate_kind,
        .flops = r->flops,
        .bytes = r->bytes,
    };
}

static void fill_rows(struct vkz_dataset *d, const struct entry *entries, size_t n)
{
    for (size_t i = 0; i < d->row_count * (size_t)d->run_count; i++)
        d->points[i] = &vkz_record_none;
    size_t row = 0, first = 0;
    for (size_t i = 0; i < n; i++) {
        struct vkz_record *record = entries[i].record;
        if (i > 0 && compare_keys(&entries[i - 1], &entries[i]) != 0) {
            row++;
            first = i;
        }
        // A contract may come to count otherwise: times of other work are not compared.
        if (!vkz_record_same_work(entries[first].record, record)) {
            record->marks |= VKZ_MARK_OTHER_WORK;
            record->counts = false;
        }
        d->rows[row].points = d->points + row * (size_t)d->run_count;
        d->rows[row].points[entries[i].run] = record;
    }
}

static enum vkz_status collect_rows(struct vkz_dataset *d, struct vkz_error *err)
{
    size_t total = 0, n = 0;
    for (int r = 0; r < d->run_count; r++)
        total += d->runs[r].record_count;
    struct entry *entries = malloc((total + 1) * sizeof *entries);
    if (!entries)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    for (int r = 0; r < d->run_count; r++) {
        for (size_t i = 0; i < d->runs[r].record_count; i++)
            entries[n++] = (struct entry){&d->runs[r].records[i], r};
    }
    qsort(entries, n, sizeof *entries, compare_entries);
    for (size_t i = 0; i < n; i++)
        d->row_count += i == 0 || compare_keys(&entries[i - 1], &entries[i]) != 0;
    d->rows = malloc((d->row_count + 1) * sizeof *d->rows);
    d->points = malloc((d->row_count * (size_t)d->run_count + 1) * sizeof *d->points);
    const bool enough = d->rows && d->points;
    for (size_t i = 0, row = 0; enough && i < n; i++) {
        if (i == 0 || compare_keys(&entries[i - 1], &entries[i]) != 0)
            begin_row(&d->rows[row++], entries[i].record);
    }
    if (enough)
        fill_rows(d, entries, n);
    free(entries);
    return enough ? VKZ_OK : vkz_error_set(err, VKZ_FAILED, "out of host memory");
}

// Every file's trouble: the last in the error, those before it on lines of their own.
static enum vkz_status no_run(const struct vkz_dataset *d, struct vkz_error *err)
{
    for (int i = 0; i + 1 < d->problem_count; i++)
        vkz_dataset_print_problem(d, i, stderr);
    return vkz_error_set(err, VKZ_BAD_INPUT, "%s",
                         d->problem_count ? d->problems[d->problem_count - 1]
                                          : "no result file was named");
}

enum vkz_status vkz_dataset_load(const char *const *paths, int path_count,
                                 struct vkz_dataset **out, struct vkz_error *err)
{
    struct vkz_dataset *d = calloc(1, sizeof *d);
    enum vkz_status status = VKZ_OK;
    *out = d;
    if (d) {
        d->runs = calloc((size_t)path_count + 1, sizeof *d->runs);
        d->store = vkz_store_create();
    }
    if (!d || !d->runs || !d->store) {
        vkz_dataset_destroy(out);
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    for (int i = 0; i < path_count && status == VKZ_OK; i++)
        status = load_file(d, paths[i], err);
    if (status == VKZ_OK && d->run_count == 0)
        status = no_run(d, err);
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
        vkz_run_finish(&d->runs[r]);
    for (int i = 0; i < d->problem_count; i++)
        free(d->problems[i]);
    free(d->problems);
    free(d->points);
    free(d->rows);
    free(d->runs);
    vkz_store_destroy(&d->store);
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
        const struct vkz_record *a = d->rows[i].points[baseline];
        const struct vkz_record *b = d->rows[i].points[run];
        if (a->counts && b->counts) {
            op_sum += log(b->hot.ns / a->hot.ns);
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

size_t vkz_dataset_op_end(const struct vkz_dataset *d, size_t first)
{
    size_t end = first;
    while (end < d->row_count && strcmp(d->rows[end].op, d->rows[first].op) == 0)
        end++;
    return end;
}

const char *vkz_dataset_settings(const struct vkz_dataset_row *row)
{
    const char *at = strchr(row->name, '@');
    return at ? at + 1 : row->name;
}
