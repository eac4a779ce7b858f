// SPDX-License-Identifier: MIT
// The report as Markdown and CSV. See report/report.h.
#include <math.h>
#include <string.h>

#include "report/report.h"
#include "report/text.h"

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
            const struct vkz_record *p = d->rows[i].points[r];
            char number[VKZ_NUMBER_MAX];
            fprintf(out, " | %s", isfinite(p->hot.ns) ? vkz_time_text(p->hot.ns, true, number)
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
            const struct vkz_record *p = row->points[r];
            if (!p->line)
                continue;
            const char *const texts[] = {d->runs[r].label, row->family, row->op,
                                         row->name,        row->variant, p->kernel,
                                         p->tuning,        p->status};
            const double numbers[] = {p->hot.ns, p->hot.low,    p->hot.high, p->cold.ns,
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
