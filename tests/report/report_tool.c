// SPDX-License-Identifier: MIT
// host/report from a command line, for the tests: tables, ceilings and findings of files,
// at a width and with a character set of the test's choice.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/json.h"
#include "report/lint.h"
#include "report/table.h"

static int complain(const char *message)
{
    fprintf(stderr, "%s\n", message);
    return 2;
}

static int print_file(const char *what, const char *path, const struct vkz_style *style)
{
    struct vkz_result_file *file = NULL;
    struct vkz_table *table = NULL;
    struct vkz_error err = {0};
    enum vkz_status status = vkz_result_file_load(path, &file, &err);
    if (status == VKZ_OK)
        status = vkz_table_create(&table, &err);
    if (status == VKZ_OK)
        status = vkz_table_add_file(table, file, &err);
    if (status == VKZ_OK) {
        if (strcmp(what, "ceilings") == 0)
            vkz_ceilings_print(yyjson_obj_get(file->header, "ceilings"), stdout, style);
        else
            vkz_table_print(table, stdout, style);
        const struct vkz_table_summary summary = {
            .path = path,
            .verb = vkz_json_text(file->header, "verb"),
            .header = file->header,
            .seconds = vkz_json_number(file->end, "seconds"),
            .interrupted = vkz_json_is(file->end, "status", "interrupted"),
        };
        if (strcmp(what, "table") == 0)
            vkz_table_print_summary(table, stdout, style, &summary);
    }
    vkz_table_destroy(&table);
    vkz_result_file_destroy(&file);
    return status == VKZ_OK ? 0 : complain(err.message);
}

static int lint_files(bool json, char **paths, int count, const struct vkz_style *style)
{
    struct vkz_lint *lint = NULL;
    struct vkz_error err = {0};
    enum vkz_status status = vkz_lint_create(&lint, &err);
    for (int i = 0; i < count && status == VKZ_OK; i++)
        status = vkz_lint_file(lint, paths[i], &err);
    if (status == VKZ_OK && json)
        status = vkz_lint_json(lint, stdout, &err);
    else if (status == VKZ_OK)
        vkz_lint_print(lint, stdout, style);
    const int exit_status =
        status == VKZ_OK ? vkz_lint_exit_status(lint, false) : complain(err.message);
    vkz_lint_destroy(&lint);
    return exit_status;
}

// report_tool rows|table|ceilings|lint|lint-json WIDTH[u][c] FILE... ; rows: no summary
int main(int argc, char **argv)
{
    if (argc < 4)
        return complain(
            "usage: report_tool rows|table|ceilings|lint|lint-json WIDTH[u][c] "
            "FILE...");
    const struct vkz_style style = {.width = atoi(argv[2]),
                                    .utf8 = strchr(argv[2], 'u') != NULL,
                                    .color = strchr(argv[2], 'c') != NULL};
    if (strncmp(argv[1], "lint", 4) == 0)
        return lint_files(strcmp(argv[1], "lint-json") == 0, argv + 3, argc - 3, &style);
    return print_file(argv[1], argv[3], &style);
}
