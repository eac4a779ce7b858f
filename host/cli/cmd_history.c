// SPDX-License-Identifier: MIT
// vkzoo history: cases over the result files of a folder.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "report/history.h"

enum { DEEPEST = 8 }; // folders inside folders

struct paths {
    char **items;
    int count;
};

static enum vkz_status add_path(struct paths *paths, const char *path, struct vkz_error *err)
{
    char **more = realloc(paths->items, (size_t)(paths->count + 1) * sizeof *more);
    if (more)
        paths->items = more;
    char *copy = more ? strdup(path) : NULL;
    if (!copy)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    paths->items[paths->count++] = copy;
    return VKZ_OK;
}

static bool is_result(const char *name)
{
    const size_t length = strlen(name);
    return length > 6 && strcmp(name + length - 6, ".jsonl") == 0;
}

// A link to a folder may lead back to where it stands.
static bool is_link(const char *path)
{
    struct stat about;
    return lstat(path, &about) == 0 && S_ISLNK(about.st_mode);
}

// The result files in and below a folder.
static enum vkz_status add_folder(struct paths *paths, const char *folder, int depth,
                                  struct vkz_error *err)
{
    DIR *dir = opendir(folder);
    enum vkz_status status = VKZ_OK;
    if (!dir && depth > 0) {
        fprintf(stderr, "vkzoo: cannot read %s: %s; left out\n", folder, strerror(errno));
        return VKZ_OK;
    }
    if (!dir)
        return vkz_error_set(err, VKZ_BAD_INPUT, "cannot read %s: %s", folder,
                             strerror(errno));
    for (struct dirent *entry; status == VKZ_OK && (entry = readdir(dir));) {
        char path[4096];
        struct stat about;
        if (entry->d_name[0] == '.' ||
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >=
                sizeof path ||
            stat(path, &about) != 0)
            continue;
        if (S_ISDIR(about.st_mode) && depth < DEEPEST && !is_link(path))
            status = add_folder(paths, path, depth + 1, err);
        else if (S_ISREG(about.st_mode) && is_result(entry->d_name))
            status = add_path(paths, path, err);
    }
    closedir(dir);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int vkz_cmd_history(const struct vkz_options *options)
{
    const char *format = options->format ? options->format : options->json ? "json" : "text";
    struct paths paths = {0};
    struct vkz_dataset *dataset = NULL;
    struct vkz_history *history = NULL;
    struct vkz_error err = {0};
    if (strcmp(format, "text") && strcmp(format, "md") && strcmp(format, "csv") &&
        strcmp(format, "json")) {
        fprintf(stderr, "vkzoo: --format: expected text, md, csv or json, found %s; `vkzoo "
                        "help history` lists the options\n", format);
        return VKZ_EXIT_USAGE;
    }
    if (options->selector_count == 0) {
        fprintf(stderr, "vkzoo: history needs a folder of result files, as in `vkzoo history "
                        "results`; `vkzoo help history` lists the options\n");
        return VKZ_EXIT_USAGE;
    }
    enum vkz_status status = VKZ_OK;
    for (int i = 0; i < options->selector_count && status == VKZ_OK; i++) {
        struct stat about;
        const bool folder =
            stat(options->selectors[i], &about) == 0 && S_ISDIR(about.st_mode);
        status = folder ? add_folder(&paths, options->selectors[i], 0, &err)
                        : add_path(&paths, options->selectors[i], &err);
    }
    if (status == VKZ_OK && paths.count == 0)
        status = vkz_error_set(&err, VKZ_BAD_INPUT,
                               "%s has no result files (NAME.jsonl); `vkzoo bench` writes "
                               "one a run",
                               options->selectors[0]);
    if (status == VKZ_OK) {
        qsort(paths.items, (size_t)paths.count, sizeof *paths.items, by_name);
        status = vkz_dataset_load((const char *const *)paths.items, paths.count, &dataset,
                                  &err);
    }
    if (status == VKZ_OK) {
        for (int i = 0; i < dataset->problem_count; i++)
            vkz_dataset_print_problem(dataset, i, stderr);
        status = vkz_history_create(dataset, &history, &err);
    }
    if (status == VKZ_OK) {
        const struct vkz_style style = vkz_style_for(stdout);
        if (!vkz_history_print(history, format, stdout, &style))
            status = vkz_error_set(&err, VKZ_FAILED, "out of host memory");
    }
    vkz_history_destroy(&history);
    vkz_dataset_destroy(&dataset);
    for (int i = 0; i < paths.count; i++)
        free(paths.items[i]);
    free(paths.items);
    return status == VKZ_OK ? VKZ_EXIT_OK : vkz_cli_fail(&err);
}
