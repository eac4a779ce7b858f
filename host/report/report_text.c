// SPDX-License-Identifier: MIT
// The report as Markdown and CSV. See report/report.h.
#include <math.h>
#include <string.h>

#include "report/report.h"
#include "report/text.h"

// How many times as fast as the first run; NULL: all families.
static void print_mean(FILE *out, const struct vkz_dataset *d, int run, const char *family)
{
    const double mean = 1 / vkz_dataset_ratio(d, run, 0, family, NULL);
    if (isfinite(mean))
        fprintf(out, " | %.3f", mean);
    else
        fprintf(out, " | -");
}

static void print_point(FILE *out, const struct vkz_record *p)
{
    char number[VKZ_NUMBER_MAX];
    fprintf(out, " | ");
    vkz_print_md(out, p->hot.ns > 0 ? vkz_time_text(p->hot.ns, true, number)
                      : p->line     ? p->status
                                    : "-");
    if (p->hot.ns > 0 && isfinite(p->efficiency))
        fprintf(out, " (%.0f %%)", 100 * p->efficiency);
}

void vkz_report_md(const struct vkz_dataset *d, FILE *out)
{
    const char *family;
    char asked[160];
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
        fprintf(out, " | %d | %d", d->runs[r].errors, d->runs[r].warnings);
        print_mean(out, d, r, NULL);
        for (int f = 0; (family = vkz_dataset_family(d, f)); f++)
            print_mean(out, d, r, family);
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
        vkz_asked_text(d->rows[i].asked_kernel, d->rows[i].asked_tuning, asked);
        fprintf(out, asked[0] ? " " : "");
        vkz_print_md(out, asked);
        fprintf(out, " | ");
        vkz_print_md(out, d->rows[i].variant);
        for (int r = 0; r < d->run_count; r++)
            print_point(out, d->rows[i].points[r]);
        fprintf(out, " |\n");
    }
}

void vkz_report_csv(const struct vkz_dataset *d, FILE *out)
{
    fprintf(out, "run,family,op,case,variant,asked_kernel,asked_tuning,kernel,tuning,"
                 "status,ns,low_ns,high_ns,cold_ns,"
                 "rate_per_s,efficiency,accuracy\n");
    for (size_t i = 0; i < d->row_count; i++) {
        for (int r = 0; r < d->run_count; r++) {
            const struct vkz_dataset_row *row = &d->rows[i];
            const struct vkz_record *p = row->points[r];
            if (!p->line)
                continue;
            const char *const texts[] = {d->runs[r].label, row->family,       row->op,
                                         row->name,        row->variant,      row->asked_kernel,
                                         row->asked_tuning, p->kernel,        p->tuning,
                                         p->status};
            const double numbers[] = {p->hot.ns, p->hot.low,    p->hot.high, p->cold.ns,
                                      p->rate, p->efficiency, p->accuracy};
            for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
                vkz_print_csv(out, texts[t]);
                fputc(',', out);
            }
            for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
                fputs(n ? "," : "", out);
                vkz_print_csv_number(out, numbers[n], 9);
            }
            fputc('\n', out);
        }
    }
}
