// SPDX-License-Identifier: MIT
// vkzoo report: any number of result files as a page, a table or a chart.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "report/report.h"

static int usage(const char *message, const char *found)
{
    fprintf(stderr, "vkzoo: %s%s; `vkzoo help report` lists the options\n", message, found);
    return VKZ_EXIT_USAGE;
}

static enum vkz_status write_report(const struct vkz_dataset *dataset, const char *format,
                                    const struct vkz_options *options, FILE *out,
                                    struct vkz_error *err)
{
    if (options->export_format)
        return vkz_report_export(dataset, options->export_format, out, err);
    if (strcmp(format, "html") == 0)
        return vkz_report_html(dataset, out, err);
    if (strcmp(format, "vega") == 0)
        return vkz_report_vega(dataset, options->chart ? options->chart : "speedup", out, err);
    if (strcmp(format, "md") == 0)
        vkz_report_md(dataset, out);
    else
        vkz_report_csv(dataset, out);
    return VKZ_OK;
}

int vkz_cmd_report(const struct vkz_options *options)
{
    static const char *const formats[] = {"html", "md", "csv", "vega"};
    const char *format = options->format ? options->format : "html";
    const char *path = options->out;
    struct vkz_dataset *dataset = NULL;
    struct vkz_error err = {0};
    int known = 0;
    while (known < 4 && strcmp(formats[known], format) != 0)
        known++;
    if (known == 4)
        return usage("--format: expected html, md, csv or vega, found ", format);
    if (options->selector_count == 0)
        return usage("report needs result files, as in `vkzoo report results/*/*.jsonl`", "");
    if (options->chart && strcmp(format, "vega") != 0)
        return usage("--chart is for --format vega", "");
    if (options->export_format && options->format)
        return usage("--export is a format of its own; leave out --format", "");
    if (!path && strcmp(format, "html") == 0 && !options->export_format)
        path = "report.html";
    enum vkz_status status =
        vkz_dataset_load(options->selectors, options->selector_count, &dataset, &err);
    FILE *out = stdout;
    if (status == VKZ_OK && path && !(out = fopen(path, "w")))
        status = vkz_error_set(&err, VKZ_FAILED, "cannot write %s: %s", path,
                               strerror(errno));
    if (status == VKZ_OK) {
        for (int i = 0; i < dataset->problem_count; i++)
            fprintf(stderr, "vkzoo: %s\n", dataset->problems[i]);
        status = write_report(dataset, format, options, out, &err);
    }
    if (out && out != stdout) {
        const bool failed = ferror(out) != 0;
        if ((fclose(out) != 0 || failed) && status == VKZ_OK)
            status = vkz_error_set(&err, VKZ_FAILED, "cannot write %s: %s", path,
                                   errno ? strerror(errno) : "a part of it was lost");
        if (status == VKZ_OK)
            fprintf(stderr, "%s: %d of %d files, %zu cases\n", path, dataset->run_count,
                    options->selector_count, dataset->row_count);
    }
    vkz_dataset_destroy(&dataset);
    return status == VKZ_OK ? VKZ_EXIT_OK : vkz_cli_fail(&err);
}
