// SPDX-License-Identifier: MIT
// vkzoo report: any number of result files as a page, a table or a chart.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

// A report is written beside its place and put there when it is whole, so that nothing is
// lost by a mistake on the way. What is no file (a pipe, a device) is written as it comes.
struct output {
    const char *path;
    char partial[4096];
    FILE *file;
};

static enum vkz_status open_output(struct output *o, const char *path,
                                   const struct vkz_options *options, struct vkz_error *err)
{
    struct stat target, input;
    const bool exists = stat(path, &target) == 0;
    o->path = path;
    for (int i = 0; exists && S_ISREG(target.st_mode) && i < options->selector_count; i++) {
        if (stat(options->selectors[i], &input) == 0 && input.st_dev == target.st_dev &&
            input.st_ino == target.st_ino)
            return vkz_error_set(err, VKZ_BAD_INPUT,
                                 "--out %s is one of the result files; name another file",
                                 path);
    }
    const bool direct = exists && !S_ISREG(target.st_mode);
    if (!direct && (size_t)snprintf(o->partial, sizeof o->partial, "%s.partial", path) >=
                       sizeof o->partial)
        return vkz_error_set(err, VKZ_BAD_INPUT, "--out: the name is too long");
    if (direct)
        o->partial[0] = '\0';
    o->file = fopen(direct ? path : o->partial, "w");
    return o->file ? VKZ_OK
                   : vkz_error_set(err, VKZ_FAILED, "cannot write %s: %s",
                                   direct ? path : o->partial, strerror(errno));
}

// Puts the file in its place if all went well, else takes it away.
static enum vkz_status close_output(struct output *o, enum vkz_status status,
                                    struct vkz_error *err)
{
    if (!o->file)
        return status;
    const bool failed = ferror(o->file) != 0;
    const bool lost = fclose(o->file) != 0 || failed ||
                      (status == VKZ_OK && o->partial[0] && rename(o->partial, o->path) != 0);
    if (lost && status == VKZ_OK)
        status = vkz_error_set(err, VKZ_FAILED, "cannot write %s: %s", o->path,
                               errno ? strerror(errno) : "a part of it was lost");
    if (status != VKZ_OK && o->partial[0])
        remove(o->partial);
    return status;
}

int vkz_cmd_report(const struct vkz_options *options)
{
    static const char *const formats[] = {"html", "md", "csv", "vega"};
    const char *format = options->format ? options->format : "html";
    const char *path = options->out;
    struct vkz_dataset *dataset = NULL;
    struct vkz_error err = {0};
    struct output output = {.file = NULL};
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
    if (status == VKZ_OK && path)
        status = open_output(&output, path, options, &err);
    if (status == VKZ_OK) {
        for (int i = 0; i < dataset->problem_count; i++)
            vkz_dataset_print_problem(dataset, i, stderr);
        status = write_report(dataset, format, options, path ? output.file : stdout, &err);
    }
    status = close_output(&output, status, &err);
    if (status == VKZ_OK && path)
        fprintf(stderr, "%s: %d of %d files, %zu case%s\n", path, dataset->run_count,
                options->selector_count, dataset->row_count,
                dataset->row_count == 1 ? "" : "s");
    vkz_dataset_destroy(&dataset);
    return status == VKZ_OK ? VKZ_EXIT_OK : vkz_cli_fail(&err);
}
