// SPDX-License-Identifier: MIT
// Series over runs and their change points. See report/history.h.
#include "report/history.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report/compare.h"
#include "report/json.h"
#include "zoo/stats.h"

// ---- Change points ----

enum {
    MOST_RUNS = 512,    // of a series: what comes before is history
    PERMUTATIONS = 399,
    SHORTEST = 2, // runs on either side of a change: one alone may be a bad day
};

static double median_of(const double *values, int n)
{
    double sorted[MOST_RUNS];
    memcpy(sorted, values, (size_t)n * sizeof *values);
    vkz_sort(sorted, n);
    return vkz_quantile(sorted, n, 0.5);
}

// The largest |difference of means| over its standard error's shape, over all places to
// cut: of ranks, so that one wild run does not decide. *cut: where.
static double best_cut(const double *ranks, int n, int *cut)
{
    double total = 0, left = 0, best = 0;
    *cut = 0;
    for (int i = 0; i < n; i++)
        total += ranks[i];
    for (int i = 1; i < n; i++) {
        left += ranks[i - 1];
        const double difference = left / i - (total - left) / (n - i);
        const double score = fabs(difference) * sqrt((double)i * (n - i) / n);
        if (i >= SHORTEST && n - i >= SHORTEST && score > best) {
            best = score;
            *cut = i;
        }
    }
    return best;
}

// Ranks of the values, ties the mean of theirs.
static void rank(const double *values, int n, double *ranks)
{
    for (int i = 0; i < n; i++) {
        int less = 0, equal = 0;
        for (int j = 0; j < n; j++) {
            less += values[j] < values[i];
            equal += values[j] == values[i];
        }
        ranks[i] = less + (equal + 1) / 2.0;
    }
}

// Where values[0..n) change level; 0: nowhere that can be told.
static int find_cut(const double *logs, int n)
{
    double ranks[MOST_RUNS];
    int cut, other, reached = 1;
    uint64_t state = 1;
    if (n < VKZ_HISTORY_RUNS)
        return 0;
    rank(logs, n, ranks);
    const double found = best_cut(ranks, n, &cut);
    if (!cut || fabs(median_of(logs + cut, n - cut) - median_of(logs, cut)) <=
                    log(1 + VKZ_RESOLUTION))
        return 0;
    for (int p = 0; p < PERMUTATIONS; p++) {
        for (int i = n - 1; i > 0; i--) {
            const int j = (int)(vkz_random_next(&state) % (uint64_t)(i + 1));
            const double t = ranks[i];
            ranks[i] = ranks[j];
            ranks[j] = t;
        }
        reached += best_cut(ranks, n, &other) >= found - 1e-9;
    }
    return reached < 0.05 * (PERMUTATIONS + 1) ? cut : 0;
}

// Cuts of logs[begin..end) into at[], ascending.
static void find_cuts(const double *logs, int begin, int end, int *at, int *count)
{
    const int cut = *count < VKZ_HISTORY_CHANGES ? find_cut(logs + begin, end - begin) : 0;
    if (!cut)
        return;
    find_cuts(logs, begin, begin + cut, at, count);
    if (*count < VKZ_HISTORY_CHANGES)
        at[(*count)++] = begin + cut;
    find_cuts(logs, begin + cut, end, at, count);
}

int vkz_history_changes(const double *times, int n, double *noise,
                        struct vkz_change out[VKZ_HISTORY_CHANGES])
{
    double logs[MOST_RUNS], away[MOST_RUNS];
    int at[VKZ_HISTORY_CHANGES], count = 0, begin = 0;
    double before = 0;
    *noise = (double)NAN;
    if (n < VKZ_HISTORY_RUNS || n > MOST_RUNS)
        return 0;
    for (int i = 0; i < n; i++)
        logs[i] = log(times[i]);
    find_cuts(logs, 0, n, at, &count);
    for (int c = 0; c <= count; c++) {
        const int end = c < count ? at[c] : n;
        const double level = median_of(logs + begin, end - begin);
        for (int i = begin; i < end; i++)
            away[i] = fabs(logs[i] - level);
        if (c > 0)
            out[c - 1] = (struct vkz_change){begin, exp(level - before)};
        before = level;
        begin = end;
    }
    *noise = 1.4826 * median_of(away, n);
    return count;
}

// ---- Series ----

static const char *started(const struct vkz_dataset *d, int run)
{
    return vkz_json_text(d->runs[run].file->header, "started");
}

// Runs ordered by device, then date.
struct ordered {
    const struct vkz_dataset *dataset;
    int run;
};

static int compare_runs(const void *x, const void *y)
{
    const struct ordered *a = x, *b = y;
    const int device = strcmp(a->dataset->runs[a->run].device, b->dataset->runs[b->run].device);
    const int date = strcmp(started(a->dataset, a->run), started(b->dataset, b->run));
    return device ? device : date ? date : a->run - b->run;
}

static void find_changes(const struct vkz_dataset *d, struct vkz_series *s)
{
    double times[MOST_RUNS];
    if (s->count > MOST_RUNS) {
        s->runs += s->count - MOST_RUNS;
        s->count = MOST_RUNS;
    }
    (void)d;
    for (int i = 0; i < s->count; i++)
        times[i] = s->row->points[s->runs[i]]->hot.ns;
    s->change_count = vkz_history_changes(times, s->count, &s->noise, s->changes);
}

enum vkz_status vkz_history_create(const struct vkz_dataset *d, struct vkz_history **out,
                                   struct vkz_error *err)
{
    struct vkz_history *h = calloc(1, sizeof *h);
    const size_t cells = d->row_count * (size_t)d->run_count + 1;
    struct ordered *order = malloc((size_t)(d->run_count + 1) * sizeof *order);
    *out = h;
    if (h) {
        h->dataset = d;
        h->series = calloc(cells, sizeof *h->series);
        h->runs = malloc(cells * sizeof *h->runs);
    }
    if (!h || !h->series || !h->runs || !order) {
        free(order);
        vkz_history_destroy(out);
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    for (int r = 0; r < d->run_count; r++)
        order[r] = (struct ordered){d, r};
    qsort(order, (size_t)d->run_count, sizeof *order, compare_runs);
    size_t used = 0;
    for (int first = 0, end; first < d->run_count; first = end) {
        const char *device = d->runs[order[first].run].device;
        for (end = first; end < d->run_count &&
                          strcmp(d->runs[order[end].run].device, device) == 0;)
            end++;
        for (size_t i = 0; i < d->row_count; i++) {
            struct vkz_series *s = &h->series[h->count];
            *s = (struct vkz_series){.row = &d->rows[i], .device = device,
                                     .runs = h->runs + used};
            for (int r = first; r < end; r++) {
                if (d->rows[i].points[order[r].run]->counts)
                    s->runs[s->count++] = order[r].run;
            }
            if (s->count == 0)
                continue;
            used += (size_t)s->count;
            find_changes(d, s);
            h->count++;
        }
    }
    free(order);
    return VKZ_OK;
}

void vkz_history_destroy(struct vkz_history **history)
{
    if (!*history)
        return;
    free((*history)->series);
    free((*history)->runs);
    free(*history);
    *history = NULL;
}

// ---- Printing ----

static const char *commit_of(const struct vkz_dataset *d, int run)
{
    return vkz_json_text(vkz_json_object(d->runs[run].file->header, "tool"), "commit");
}

static const char *driver_of(const struct vkz_dataset *d, int run)
{
    return vkz_json_text(vkz_json_object(d->runs[run].file->header, "device"),
                         "driver_info");
}

static void case_text(const struct vkz_series *s, char *out, size_t size)
{
    char asked[160];
    vkz_asked_text(s->row->asked_kernel, s->row->asked_tuning, asked);
    snprintf(out, size, "%s %s%s%s", s->row->name, s->row->variant, asked[0] ? " " : "", asked);
    vkz_text_trim(out);
}

// "16.9 % slower at 0123abcd (2026-11-21), driver Mesa 26.1.6 from here".
static void change_text(const struct vkz_dataset *d, const struct vkz_series *s,
                        const struct vkz_change *c, char *out, size_t size)
{
    const int run = s->runs[c->first], before = s->runs[c->first - 1];
    const bool slower = c->ratio > 1;
    const double part = slower ? c->ratio - 1 : 1 / c->ratio - 1;
    const int used = snprintf(out, size, "%.*f %% %s from %.12s (%.10s)", part < 0.1 ? 1 : 0,
                              100 * part, slower ? "slower" : "faster", commit_of(d, run),
                              started(d, run));
    if (strcmp(driver_of(d, run), driver_of(d, before)) != 0 && used > 0 &&
        (size_t)used < size)
        snprintf(out + used, size - (size_t)used, ", with driver %.60s", driver_of(d, run));
}

static void print_device(const struct vkz_history *h, size_t first, size_t end, FILE *out,
                         const struct vkz_style *style)
{
    const struct vkz_dataset *d = h->dataset;
    double noise[4096], worst = 0;
    int known = 0, young = 0, changes = 0, longest = 0;
    for (size_t i = first; i < end; i++) {
        const struct vkz_series *s = &h->series[i];
        longest = s->count > longest ? s->count : longest;
        changes += s->change_count;
        if (!isfinite(s->noise)) {
            young++;
            continue;
        }
        if (known < (int)(sizeof noise / sizeof *noise))
            noise[known++] = s->noise;
        worst = fmax(worst, s->noise);
    }
    fprintf(out, "%s", vkz_color_on(style, VKZ_BOLD));
    vkz_print_text(out, style, h->series[first].device, 60);
    fprintf(out, "%s: %zu case%s, %d run%s at most, %d change%s\n",
            vkz_color_off(style, VKZ_BOLD), end - first, end - first == 1 ? "" : "s", longest,
            longest == 1 ? "" : "s", changes, changes == 1 ? "" : "s");
    for (size_t i = first; i < end; i++) {
        const struct vkz_series *s = &h->series[i];
        char name[700], text[300];
        if (s->change_count == 0)
            continue;
        case_text(s, name, sizeof name);
        fprintf(out, "  ");
        vkz_print_text(out, style, name, style->width - 2);
        fprintf(out, "\n");
        for (int c = 0; c < s->change_count; c++) {
            change_text(d, s, &s->changes[c], text, sizeof text);
            fprintf(out, "    ");
            vkz_print_text(out, style, text, style->width - 4);
            fprintf(out, "\n");
        }
        fprintf(out, "    %d runs, noise %.1f %%\n", s->count, 100 * s->noise);
    }
    if (known) {
        vkz_sort(noise, known);
        fprintf(out, "  noise between runs: %.1f %% in the median case, %.1f %% in the "
                     "worst: smaller changes cannot be seen\n",
                100 * noise[known / 2], 100 * worst);
    }
    if (young)
        fprintf(out, "  not enough history: %d case%s with fewer than %d runs; keep result "
                     "files, one a commit\n",
                young, young == 1 ? "" : "s", VKZ_HISTORY_RUNS);
}

static void print_text(const struct vkz_history *h, FILE *out, const struct vkz_style *style)
{
    for (size_t first = 0, end; first < h->count; first = end) {
        for (end = first; end < h->count && h->series[end].device == h->series[first].device;)
            end++;
        print_device(h, first, end, out, style);
    }
    if (h->count == 0)
        fprintf(out, "no case with a time in these files\n");
}

static void print_md(const struct vkz_history *h, FILE *out)
{
    fprintf(out, "| device | case | variant | runs | noise | first | last | changes |\n"
                 "|---|---|---|---:|---:|---:|---:|---|\n");
    for (size_t i = 0; i < h->count; i++) {
        const struct vkz_series *s = &h->series[i];
        char number[VKZ_NUMBER_MAX], text[300], asked[160];
        fprintf(out, "| ");
        vkz_print_md(out, s->device);
        fprintf(out, " | ");
        vkz_print_md(out, s->row->name);
        vkz_asked_text(s->row->asked_kernel, s->row->asked_tuning, asked);
        fprintf(out, asked[0] ? " " : "");
        vkz_print_md(out, asked);
        fprintf(out, " | ");
        vkz_print_md(out, s->row->variant);
        fprintf(out, " | %d | ", s->count);
        if (isfinite(s->noise))
            fprintf(out, "%.1f %%", 100 * s->noise);
        else
            fprintf(out, "not enough history");
        fprintf(out, " | %s",
                vkz_time_text(s->row->points[s->runs[0]]->hot.ns, true, number));
        fprintf(out, " | %s |",
                vkz_time_text(s->row->points[s->runs[s->count - 1]]->hot.ns, true, number));
        for (int c = 0; c < s->change_count; c++) {
            change_text(h->dataset, s, &s->changes[c], text, sizeof text);
            fprintf(out, c ? "; " : " ");
            vkz_print_md(out, text);
        }
        fprintf(out, " |\n");
    }
}

static int level_of(const struct vkz_series *s, int i)
{
    int level = 0;
    while (level < s->change_count && s->changes[level].first <= i)
        level++;
    return level;
}

// A line a run of a case: what a plot needs.
static void print_csv(const struct vkz_history *h, FILE *out)
{
    const struct vkz_dataset *d = h->dataset;
    fprintf(out, "device,case,variant,asked_kernel,asked_tuning,kernel,started,commit,driver,"
                 "ns,low_ns,high_ns,level,noise\n");
    for (size_t i = 0; i < h->count; i++) {
        const struct vkz_series *s = &h->series[i];
        for (int r = 0; r < s->count; r++) {
            const struct vkz_record *p = s->row->points[s->runs[r]];
            const char *texts[] = {s->device,
                                   s->row->name,
                                   s->row->variant,
                                   s->row->asked_kernel,
                                   s->row->asked_tuning,
                                   p->kernel,
                                   started(d, s->runs[r]),
                                   commit_of(d, s->runs[r]),
                                   driver_of(d, s->runs[r])};
            const double times[] = {p->hot.ns, p->hot.low, p->hot.high};
            for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
                vkz_print_csv(out, texts[t]);
                fprintf(out, ",");
            }
            for (size_t t = 0; t < sizeof times / sizeof *times; t++) {
                vkz_print_csv_number(out, times[t], 17);
                fprintf(out, ",");
            }
            fprintf(out, "%d,", level_of(s, r));
            vkz_print_csv_number(out, s->noise, 6);
            fprintf(out, "\n");
        }
    }
}

static bool print_json(const struct vkz_history *h, FILE *out)
{
    const struct vkz_dataset *d = h->dataset;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, root);
    for (size_t i = 0; i < h->count && root; i++) {
        const struct vkz_series *s = &h->series[i];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, root);
        yyjson_mut_obj_add_str(doc, o, "device", s->device);
        yyjson_mut_obj_add_str(doc, o, "case", s->row->name);
        yyjson_mut_obj_add_str(doc, o, "variant", s->row->variant);
        yyjson_mut_obj_add_str(doc, o, "asked_kernel", s->row->asked_kernel);
        yyjson_mut_obj_add_str(doc, o, "asked_tuning", s->row->asked_tuning);
        if (isfinite(s->noise))
            yyjson_mut_obj_add_real(doc, o, "noise", s->noise);
        else
            yyjson_mut_obj_add_null(doc, o, "noise");
        yyjson_mut_val *runs = yyjson_mut_obj_add_arr(doc, o, "runs");
        for (int r = 0; r < s->count; r++) {
            yyjson_mut_val *run = yyjson_mut_arr_add_obj(doc, runs);
            yyjson_mut_obj_add_str(doc, run, "started", started(d, s->runs[r]));
            yyjson_mut_obj_add_str(doc, run, "commit", commit_of(d, s->runs[r]));
            yyjson_mut_obj_add_str(doc, run, "driver", driver_of(d, s->runs[r]));
            yyjson_mut_obj_add_real(doc, run, "ns", s->row->points[s->runs[r]]->hot.ns);
            yyjson_mut_obj_add_int(doc, run, "level", level_of(s, r));
        }
        yyjson_mut_val *changes = yyjson_mut_obj_add_arr(doc, o, "changes");
        for (int c = 0; c < s->change_count; c++) {
            yyjson_mut_val *change = yyjson_mut_arr_add_obj(doc, changes);
            yyjson_mut_obj_add_int(doc, change, "run", s->changes[c].first);
            yyjson_mut_obj_add_real(doc, change, "time_ratio", s->changes[c].ratio);
        }
    }
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    if (text)
        fprintf(out, "%s\n", text);
    const bool written = text != NULL;
    free(text);
    yyjson_mut_doc_free(doc);
    return written;
}

bool vkz_history_print(const struct vkz_history *h, const char *format, FILE *out,
                       const struct vkz_style *style)
{
    if (strcmp(format, "text") == 0)
        print_text(h, out, style);
    else if (strcmp(format, "md") == 0)
        print_md(h, out);
    else if (strcmp(format, "csv") == 0)
        print_csv(h, out);
    else
        return strcmp(format, "json") == 0 && print_json(h, out);
    return true;
}
