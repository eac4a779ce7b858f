// SPDX-License-Identifier: MIT
// vkzoo compare: what became faster or slower from one result file to another.
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "report/compare.h"

static int usage(const char *format, const char *found)
{
    fprintf(stderr, "vkzoo: ");
    fprintf(stderr, format, found);
    fprintf(stderr, "; `vkzoo help compare` lists the options\n");
    return VKZ_EXIT_USAGE;
}

// "slower" or "slower:3%" as a fraction; false for anything else.
static bool parse_fail_on(const char *text, double *fraction)
{
    char *end = NULL;
    *fraction = 0;
    if (strcmp(text, "slower") == 0)
        return true;
    if (strncmp(text, "slower:", 7) != 0)
        return false;
    *fraction = strtod(text + 7, &end) / 100;
    return end > text + 7 && strcmp(end, "%") == 0 && *fraction >= 0 && *fraction < 100;
}

static void print_troubles(const struct vkz_result_file *file)
{
    const struct vkz_style style = vkz_style_for(stderr);
    for (size_t t = 0; t < file->trouble_count; t++) {
        vkz_print_text(stderr, &style, file->path, INT_MAX);
        fprintf(stderr, ":%d: ", file->troubles[t].line);
        vkz_print_text(stderr, &style, file->troubles[t].message, INT_MAX);
        fputc('\n', stderr);
    }
}

// The status of --fail-on; nothing in common must not pass for nothing slower.
static int judged(const struct vkz_compare *compare, double fraction)
{
    const size_t unjudged = compare->pair_count - (size_t)compare->all.cases;
    if (unjudged + compare->only_a_count)
        fprintf(stderr, "vkzoo: --fail-on: not judged: %zu without a time that counts on both "
                        "sides, %zu of A missing in B\n", unjudged, compare->only_a_count);
    if (vkz_compare_worse(compare, fraction))
        return VKZ_EXIT_FAILED;
    return compare->all.cases ? VKZ_EXIT_OK : VKZ_EXIT_NOTHING;
}

int vkz_cmd_compare(const struct vkz_options *options)
{
    static const char *const levels[] = {"case", "kernel", "op"};
    enum vkz_compare_by by = VKZ_BY_CASE;
    double fraction = 0;
    struct vkz_run runs[2] = {{.file = NULL}, {.file = NULL}};
    struct vkz_store *store = NULL;
    struct vkz_compare *compare = NULL;
    struct vkz_error err = {0};
    const char *format = options->format ? options->format : options->json ? "json" : "text";
    if (options->selector_count != 2)
        return usage("compare needs two result files, %s",
                     "as in `vkzoo compare before.jsonl after.jsonl`");
    if (options->by) {
        int level = 0;
        while (level < 3 && strcmp(levels[level], options->by) != 0)
            level++;
        if (level == 3)
            return usage("--by: expected case, kernel or op, found %s", options->by);
        by = (enum vkz_compare_by)level;
    }
    if (strcmp(format, "text") && strcmp(format, "md") && strcmp(format, "csv") &&
        strcmp(format, "json"))
        return usage("--format: expected text, md, csv or json, found %s", format);
    if (options->fail_on && !parse_fail_on(options->fail_on, &fraction))
        return usage("--fail-on: expected slower or slower:3%%, with the %% sign, found %s",
                     options->fail_on);
    enum vkz_status status = VKZ_OK;
    if (!(store = vkz_store_create()))
        status = vkz_error_set(&err, VKZ_FAILED, "out of host memory");
    for (int i = 0; i < 2 && status == VKZ_OK; i++) {
        status = vkz_run_load(options->selectors[i], store, &runs[i], &err);
        if (status == VKZ_OK)
            print_troubles(runs[i].file);
    }
    if (status == VKZ_OK)
        status = vkz_compare_create(&runs[0], &runs[1], &compare, &err);
    if (status == VKZ_OK)
        status = vkz_compare_print(compare, format, by, stdout, NULL, &err);
    const int exit_code = status != VKZ_OK    ? vkz_cli_fail(&err)
                          : options->fail_on ? judged(compare, fraction)
                                             : VKZ_EXIT_OK;
    vkz_compare_destroy(&compare);
    for (int i = 0; i < 2; i++)
        vkz_run_finish(&runs[i]);
    vkz_store_destroy(&store);
    return exit_code;
}
