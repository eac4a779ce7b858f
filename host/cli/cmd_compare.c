// SPDX-License-Identifier: MIT
// vkzoo compare: what became faster or slower from one result file to another.
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

// "slower", "slower:3%" or "slower:0.03" as a fraction; false for anything else.
static bool parse_fail_on(const char *text, double *fraction)
{
    *fraction = 0;
    if (strncmp(text, "slower", 6) != 0)
        return false;
    if (!text[6])
        return true;
    char *end = NULL;
    *fraction = text[6] == ':' ? strtod(text + 7, &end) : -1;
    if (!end || end == text + 7)
        return false;
    if (*end == '%') {
        *fraction /= 100;
        end++;
    }
    return !*end && *fraction >= 0 && *fraction < 100;
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
        return usage("--fail-on: expected slower or slower:3%%, found %s", options->fail_on);
    enum vkz_status status = VKZ_OK;
    if (!(store = vkz_store_create()))
        status = vkz_error_set(&err, VKZ_FAILED, "out of host memory");
    for (int i = 0; i < 2 && status == VKZ_OK; i++) {
        status = vkz_run_load(options->selectors[i], store, &runs[i], &err);
        const struct vkz_result_file *file = runs[i].file;
        for (size_t t = 0; status == VKZ_OK && t < file->trouble_count; t++)
            fprintf(stderr, "%s:%d: left out: %s\n", file->path, file->troubles[t].line,
                    file->troubles[t].message);
    }
    if (status == VKZ_OK)
        status = vkz_compare_create(&runs[0], &runs[1], &compare, &err);
    int exit_code = VKZ_EXIT_OK;
    if (status == VKZ_OK) {
        vkz_compare_print(compare, format, by, stdout, NULL);
        if (options->fail_on && vkz_compare_worse(compare, fraction))
            exit_code = VKZ_EXIT_FAILED;
        // Nothing in common must not pass for nothing slower.
        if (options->fail_on && compare->pair_count == 0)
            exit_code = VKZ_EXIT_NOTHING;
    } else {
        exit_code = vkz_cli_fail(&err);
    }
    vkz_compare_destroy(&compare);
    for (int i = 0; i < 2; i++)
        vkz_run_finish(&runs[i]);
    vkz_store_destroy(&store);
    return exit_code;
}
