// SPDX-License-Identifier: MIT
// host/report from a command line, for the tests: tables, ceilings and findings of files,
// at a width and with a character set of the test's choice.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/compare.h"
#include "report/history.h"
#include "report/json.h"
#include "report/lint.h"
#include "report/report.h"
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

static int compare_files(const char *format, char **paths, const struct vkz_style *style)
{
    struct vkz_run runs[2] = {{.file = NULL}, {.file = NULL}};
    struct vkz_store *store = vkz_store_create();
    struct vkz_compare *compare = NULL;
    struct vkz_error err = {0};
    enum vkz_status status =
        store ? vkz_run_load(paths[0], store, &runs[0], &err) : VKZ_FAILED;
    if (status == VKZ_OK)
        status = vkz_run_load(paths[1], store, &runs[1], &err);
    if (status == VKZ_OK)
        status = vkz_compare_create(&runs[0], &runs[1], &compare, &err);
    if (status == VKZ_OK)
        status = vkz_compare_print(compare, format, VKZ_BY_CASE, stdout, style, &err);
    vkz_compare_destroy(&compare);
    vkz_run_finish(&runs[0]);
    vkz_run_finish(&runs[1]);
    vkz_store_destroy(&store);
    return status == VKZ_OK ? 0 : complain(err.message);
}

// md, csv, history-FORMAT, export-FORMAT of all files.
static int print_dataset(const char *what, char **paths, int count,
                         const struct vkz_style *style)
{
    struct vkz_dataset *dataset = NULL;
    struct vkz_history *history = NULL;
    struct vkz_error err = {0};
    enum vkz_status status =
        vkz_dataset_load((const char *const *)paths, count, &dataset, &err);
    for (int i = 0; status == VKZ_OK && i < dataset->problem_count; i++)
        printf("%s\n", dataset->problems[i]);
    if (status == VKZ_OK && strcmp(what, "md") == 0)
        vkz_report_md(dataset, stdout);
    else if (status == VKZ_OK && strcmp(what, "csv") == 0)
        vkz_report_csv(dataset, stdout);
    else if (status == VKZ_OK && strncmp(what, "export-", 7) == 0)
        status = vkz_report_export(dataset, what + 7, stdout, &err);
    else if (status == VKZ_OK && (status = vkz_history_create(dataset, &history, &err)) == VKZ_OK)
        vkz_history_print(history, what + strlen("history-"), stdout, style);
    vkz_history_destroy(&history);
    vkz_dataset_destroy(&dataset);
    return status == VKZ_OK ? 0 : complain(err.message);
}

// report_tool WHAT WIDTH[u][c] FILE...
int main(int argc, char **argv)
{
    static const char *const of_a_file[] = {"rows", "table", "ceilings"}; // rows: no summary
    if (argc < 4)
        return complain("usage: report_tool rows|table|ceilings|lint|lint-json|compare-FORMAT|"
                        "md|csv|history-FORMAT|export-FORMAT WIDTH[u][c] FILE...");
    const struct vkz_style style = {.width = atoi(argv[2]),
                                    .utf8 = strchr(argv[2], 'u') != NULL,
                                    .color = strchr(argv[2], 'c') != NULL};
    if (strncmp(argv[1], "lint", 4) == 0)
        return lint_files(strcmp(argv[1], "lint-json") == 0, argv + 3, argc - 3, &style);
    if (strncmp(argv[1], "compare-", 8) == 0 && argc == 5)
        return compare_files(argv[1] + 8, argv + 3, &style);
    for (int i = 0; i < 3; i++) {
        if (strcmp(argv[1], of_a_file[i]) == 0)
            return print_file(argv[1], argv[3], &style);
    }
    return print_dataset(argv[1], argv + 3, argc - 3, &style);
}
