// SPDX-License-Identifier: MIT
// Collects findings, asks the rules file by file, prints, and says how it ends.
#define _POSIX_C_SOURCE 200809L // strdup
#include "report/lint.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report/json.h"
#include "report/lint_rules.h"

static const char *const level_names[] = {"note", "warning", "error"};

enum vkz_status vkz_lint_create(struct vkz_lint **out, struct vkz_error *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? VKZ_OK : vkz_error_set(err, VKZ_FAILED, "out of host memory");
}

void vkz_lint_destroy(struct vkz_lint **lint)
{
    struct vkz_lint *l = *lint;
    if (!l)
        return;
    for (int i = 0; i < l->path_count; i++)
        free(l->paths[i]);
    free(l->paths);
    free(l->findings);
    free(l);
    *lint = NULL;
}

void vkz_lint_add(struct vkz_lint *lint, enum vkz_lint_level level, const char *kind,
                  int line, const char *format, ...)
{
    if (lint->count == lint->capacity) {
        const int capacity = lint->capacity ? 2 * lint->capacity : 64;
        struct vkz_lint_finding *more =
            realloc(lint->findings, (size_t)capacity * sizeof *more);
        if (!more) {
            lint->no_memory = true;
            return;
        }
        lint->findings = more;
        lint->capacity = capacity;
    }
    struct vkz_lint_finding *f = &lint->findings[lint->count++];
    *f = (struct vkz_lint_finding){.level = level,
                                   .kind = kind,
                                   .line = line,
                                   .path = lint->paths[lint->path_count - 1],
                                   .order = lint->count};
    va_list args;
    va_start(args, format);
    if (vsnprintf(f->message, sizeof f->message, format, args) < 0)
        f->message[0] = '\0';
    va_end(args);
}

static bool add_path(struct vkz_lint *lint, const char *path)
{
    char **paths = realloc(lint->paths, (size_t)(lint->path_count + 1) * sizeof *paths);
    if (!paths)
        return false;
    lint->paths = paths;
    paths[lint->path_count] = strdup(path);
    if (!paths[lint->path_count])
        return false;
    lint->path_count++;
    return true;
}

// A whole file's trouble reads "path:line: words"; the finding has path and line already.
static void add_unreadable(struct vkz_lint *lint, const char *path, const char *message)
{
    const size_t length = strlen(path);
    int line = 0;
    if (strncmp(message, path, length) == 0 && message[length] == ':') {
        message += length + 1;
        char *end;
        const long number = strtol(message, &end, 10);
        if (end > message && *end == ':') {
            line = (int)number;
            message = end + 1;
        }
        message += strspn(message, " ");
    }
    vkz_lint_add(lint, VKZ_LINT_ERROR, "unreadable", line, "%s", message);
}

static void check_end(struct vkz_lint *lint, const struct vkz_result_file *file)
{
    if (!file->end) {
        vkz_lint_add(lint, VKZ_LINT_ERROR, "incomplete", file->line_count,
                     "no end line: the run was cut off; --resume goes on with it");
        return;
    }
    if (!vkz_lint_end_shape(lint, file->end, file->end_line))
        return;
    const char *status = vkz_json_text(file->end, "status");
    if (strcmp(status, "interrupted") == 0)
        vkz_lint_add(lint, VKZ_LINT_WARNING, "incomplete", file->end_line,
                     "the run was interrupted; --resume goes on with it");
    else if (strcmp(status, "complete") != 0)
        vkz_lint_add(lint, VKZ_LINT_ERROR, "incomplete", file->end_line,
                     "the run ended as \"%.40s\"", status);
    // A resumed run counts its own cases only, so more lines than it counts are right.
    if (vkz_json_number(file->end, "cases") > (double)file->case_count)
        vkz_lint_add(lint, VKZ_LINT_ERROR, "incomplete", file->end_line,
                     "the run had %.0f cases, the file has %zu: lines are missing",
                     vkz_json_number(file->end, "cases"), file->case_count);
}

static void check_device(struct vkz_lint *lint, const struct vkz_result_file *file)
{
    yyjson_val *device = vkz_json_object(file->header, "device");
    char name[sizeof lint->first_device];
    snprintf(name, sizeof name, "%.120s, %.120s", vkz_json_text(device, "name"),
             vkz_json_text(device, "driver_info"));
    if (!lint->first_device[0]) {
        snprintf(lint->first_device, sizeof lint->first_device, "%s", name);
    } else if (strcmp(lint->first_device, name) != 0 && !lint->devices_differ) {
        lint->devices_differ = true;
        vkz_lint_add(lint, VKZ_LINT_NOTE, "mixed", 1,
                     "the files are of several devices or "
                     "drivers (%.120s; %.120s): compare with care",
                     lint->first_device, name);
    }
    for (size_t i = 0; i < file->resume_count; i++) {
        const struct vkz_result_line *resume = &file->resumes[i];
        yyjson_val *its = vkz_json_object(resume->value, "device");
        yyjson_val *tool = vkz_json_object(resume->value, "tool");
        if (its &&
            (!vkz_json_is(its, "name", vkz_json_text(device, "name")) ||
             !vkz_json_is(its, "driver_info", vkz_json_text(device, "driver_info"))))
            vkz_lint_add(lint, VKZ_LINT_ERROR, "mixed", resume->line,
                         "resumed on another device or driver than the header's");
        if (tool &&
            !vkz_json_is(tool, "commit",
                         vkz_json_text(vkz_json_object(file->header, "tool"), "commit")))
            vkz_lint_add(lint, VKZ_LINT_ERROR, "mixed", resume->line,
                         "resumed by another build than the header's");
    }
}

static void check_lines(struct vkz_lint *lint, const struct vkz_result_file *file)
{
    for (size_t i = 0; i < file->trouble_count; i++) {
        const struct vkz_result_trouble *t = &file->troubles[i];
        const bool header = strncmp(t->message, "a second header", 15) == 0;
        vkz_lint_add(lint, VKZ_LINT_ERROR, header ? "mixed" : "unreadable", t->line, "%s",
                     t->message);
    }
    for (size_t i = 0; i < file->case_count; i++) {
        const struct vkz_result_line *line = &file->cases[i];
        if (vkz_lint_case_shape(lint, line->value, line->line) && !line->superseded)
            vkz_lint_case_rules(lint, file, line);
    }
}

static int compare_lines(const void *a, const void *b)
{
    const struct vkz_lint_finding *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->order - y->order;
}

// Rules of the file, or what kept it from being read; findings in the order of lines.
static enum vkz_status look_at(struct vkz_lint *lint, const char *path,
                               const struct vkz_result_file *file, const char *unreadable,
                               struct vkz_error *err)
{
    const int first = lint->count;
    if (!add_path(lint, path))
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    if (!file) {
        add_unreadable(lint, path, unreadable);
    } else {
        if (vkz_lint_header_shape(lint, file->header))
            vkz_lint_header_rules(lint, file);
        check_device(lint, file);
        check_lines(lint, file);
        check_end(lint, file);
    }
    if (lint->no_memory)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    if (lint->count > first)
        qsort(lint->findings + first, (size_t)(lint->count - first),
              sizeof *lint->findings, compare_lines);
    return VKZ_OK;
}

enum vkz_status vkz_lint_loaded(struct vkz_lint *lint, const struct vkz_result_file *file,
                                struct vkz_error *err)
{
    return look_at(lint, file->path, file, NULL, err);
}

enum vkz_status vkz_lint_file(struct vkz_lint *lint, const char *path,
                              struct vkz_error *err)
{
    struct vkz_result_file *file = NULL;
    struct vkz_error why = {0};
    enum vkz_status status = vkz_result_file_load(path, &file, &why);
    if (status == VKZ_FAILED)
        return vkz_error_set(err, status, "%s", why.message);
    status = look_at(lint, path, file, why.message, err);
    vkz_result_file_destroy(&file);
    return status;
}

const struct vkz_lint_finding *vkz_lint_findings(const struct vkz_lint *lint, int *count)
{
    *count = lint->count;
    return lint->findings;
}

int vkz_lint_count(const struct vkz_lint *lint, enum vkz_lint_level level)
{
    int count = 0;
    for (int i = 0; i < lint->count; i++)
        count += lint->findings[i].level == level;
    return count;
}

int vkz_lint_exit_status(const struct vkz_lint *lint, bool strict)
{
    return vkz_lint_count(lint, VKZ_LINT_ERROR) > 0 ||
           (strict && vkz_lint_count(lint, VKZ_LINT_WARNING) > 0);
}

static void print_finding(const struct vkz_lint_finding *f, FILE *out,
                          const struct vkz_style *style)
{
    static const enum vkz_color colors[] = {VKZ_DIM, VKZ_YELLOW, VKZ_RED};
    const int whole = 1 << 20;
    vkz_print_text(out, style, f->path, whole);
    if (f->line > 0)
        fprintf(out, ":%d", f->line);
    fprintf(out, ": %s%s%s: %s: ", vkz_color_on(style, colors[f->level]),
            level_names[f->level], vkz_color_off(style, colors[f->level]), f->kind);
    vkz_print_text(out, style, f->message, whole);
    fputc('\n', out);
}

static void print_kinds(const struct vkz_lint *lint, FILE *out)
{
    for (int i = 0; i < lint->count; i++) {
        const char *kind = lint->findings[i].kind;
        int before = 0, count = 0;
        for (int k = 0; k < lint->count; k++) {
            const bool same = strcmp(lint->findings[k].kind, kind) == 0;
            before += same && k < i;
            count += same;
        }
        if (before == 0)
            fprintf(out, "  %4d  %s\n", count, kind);
    }
}

static const char *plural(int count)
{
    return count == 1 ? "" : "s";
}

void vkz_lint_print(const struct vkz_lint *lint, FILE *out, const struct vkz_style *style)
{
    const struct vkz_style found = style ? *style : vkz_style_for(out);
    const int errors = vkz_lint_count(lint, VKZ_LINT_ERROR);
    const int warnings = vkz_lint_count(lint, VKZ_LINT_WARNING);
    const int remarks = vkz_lint_count(lint, VKZ_LINT_NOTE);
    for (int i = 0; i < lint->count; i++)
        print_finding(&lint->findings[i], out, &found);
    if (lint->count > 0)
        fputc('\n', out);
    print_kinds(lint, out);
    fprintf(out, "%d error%s, %d warning%s, %d note%s in %d file%s: %s\n", errors,
            plural(errors), warnings, plural(warnings), remarks, plural(remarks),
            lint->path_count, plural(lint->path_count),
            errors     ? "not fit to be kept"
            : warnings ? "usable, with the warnings in mind"
                       : "fit to be kept");
}

enum vkz_status vkz_lint_json(const struct vkz_lint *lint, FILE *out,
                              struct vkz_error *err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list;
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_int(doc, root, "files", lint->path_count);
    yyjson_mut_obj_add_int(doc, root, "errors", vkz_lint_count(lint, VKZ_LINT_ERROR));
    yyjson_mut_obj_add_int(doc, root, "warnings", vkz_lint_count(lint, VKZ_LINT_WARNING));
    yyjson_mut_obj_add_int(doc, root, "notes", vkz_lint_count(lint, VKZ_LINT_NOTE));
    list = yyjson_mut_obj_add_arr(doc, root, "findings");
    for (int i = 0; i < lint->count; i++) {
        const struct vkz_lint_finding *f = &lint->findings[i];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
        yyjson_mut_obj_add_str(doc, o, "level", level_names[f->level]);
        yyjson_mut_obj_add_str(doc, o, "kind", f->kind);
        yyjson_mut_obj_add_str(doc, o, "file", f->path);
        yyjson_mut_obj_add_int(doc, o, "line", f->line);
        yyjson_mut_obj_add_str(doc, o, "message", f->message);
    }
    // Paths are bytes, and a long message may be cut in the middle of a character.
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    yyjson_mut_doc_free(doc);
    const bool written = text && fputs(text, out) >= 0 && fputc('\n', out) >= 0;
    free(text);
    return written ? VKZ_OK : vkz_error_set(err, VKZ_FAILED, "cannot write the findings");
}
