// SPDX-License-Identifier: MIT
// Reads JSON Lines a line at a time; a line is parsed into a document of its own, so that
// one broken line costs nothing but itself.
#define _POSIX_C_SOURCE 200809L // getline
#include "report/result_file.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "report/json.h"

struct vkz_result_owned {
    yyjson_doc **docs;
    size_t doc_count, doc_capacity;
    size_t case_capacity, resume_capacity, trouble_capacity;
    bool foreign; // behind a second header: lines of another run, named once
};

// Makes room for one more element.
static bool grow(void *array, size_t count, size_t *capacity, size_t element)
{
    if (count < *capacity)
        return true;
    const size_t more = *capacity ? 2 * *capacity : 32;
    void *old, *bigger;
    memcpy(&old, array, sizeof old);
    bigger = more > SIZE_MAX / element ? NULL : realloc(old, more * element);
    if (!bigger)
        return false;
    memcpy(array, &bigger, sizeof bigger);
    *capacity = more;
    return true;
}

static bool add_trouble(struct vkz_result_file *file, int line, const char *message)
{
    if (!grow(&file->troubles, file->trouble_count, &file->owned->trouble_capacity,
              sizeof *file->troubles))
        return false;
    struct vkz_result_trouble *t = &file->troubles[file->trouble_count++];
    t->line = line;
    snprintf(t->message, sizeof t->message, "%s", message);
    return true;
}

static bool add_line(struct vkz_result_line **lines, size_t *count, size_t *capacity,
                     yyjson_val *value, int line)
{
    if (!grow(lines, *count, capacity, sizeof **lines))
        return false;
    (*lines)[(*count)++] = (struct vkz_result_line){.value = value, .line = line};
    return true;
}

static enum vkz_status take_header(struct vkz_result_file *file, yyjson_val *root,
                                   struct vkz_error *err)
{
    const char *schema = vkz_json_text(root, "schema");
    if (strcmp(schema, VKZ_RESULT_SCHEMA) == 0) {
        file->header = root;
        return VKZ_OK;
    }
    if (strncmp(schema, "vkzoo-result/", 13) == 0)
        return vkz_error_set(
            err, VKZ_BAD_INPUT,
            "%s:1: the file is %.40s, this vkzoo reads " VKZ_RESULT_SCHEMA
            "; use the vkzoo that wrote it",
            file->path, schema);
    return vkz_error_set(err, VKZ_BAD_INPUT,
                         "%s:1: no " VKZ_RESULT_SCHEMA " header; give a "
                         "file that `vkzoo bench` or `vkzoo check --out` wrote",
                         file->path);
}

// Sorts a line that is JSON to where it belongs. False: out of memory.
static bool take_object(struct vkz_result_file *file, yyjson_val *root, int number)
{
    struct vkz_result_owned *owned = file->owned;
    const char *type = vkz_json_text(root, "type");
    if (owned->foreign)
        return true;
    if (!yyjson_is_obj(root))
        return add_trouble(file, number, "not an object: left out");
    if (yyjson_obj_get(root, "schema") || strcmp(type, "header") == 0) {
        owned->foreign = true;
        return add_trouble(
            file, number,
            "a second header: it and every line below it are left out; a file "
            "has one run, so split it here");
    }
    if (strcmp(type, "case") == 0) {
        file->end = NULL; // a resumed run goes on behind an end line
        file->end_line = 0;
        return add_line(&file->cases, &file->case_count, &owned->case_capacity, root,
                        number);
    }
    if (strcmp(type, "resume") == 0) {
        file->end = NULL;
        file->end_line = 0;
        return add_line(&file->resumes, &file->resume_count, &owned->resume_capacity,
                        root, number);
    }
    if (strcmp(type, "end") == 0) {
        file->end = root;
        file->end_line = number;
        return true;
    }
    char message[120];
    if (type[0])
        snprintf(message, sizeof message, "unknown type \"%.60s\": left out", type);
    else
        snprintf(message, sizeof message, "no type: left out");
    return add_trouble(file, number, message);
}

static enum vkz_status take_line(struct vkz_result_file *file, char *line, size_t size,
                                 bool whole, int number, struct vkz_error *err)
{
    struct vkz_result_owned *owned = file->owned;
    yyjson_read_err why = {0};
    char message[160];
    if (!grow(&owned->docs, owned->doc_count, &owned->doc_capacity, sizeof *owned->docs))
        goto no_memory;
    yyjson_doc *doc = yyjson_read_opts(line, size, 0, NULL, &why);
    if (!doc && why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        goto no_memory;
    if (!doc && !file->header)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "%s:1: not JSON (%s), so no result file; "
                             "give one that `vkzoo bench` wrote",
                             file->path, why.msg ? why.msg : "empty line");
    if (!doc) {
        // yyjson's words for both: what differs is what the user can do.
        snprintf(message, sizeof message,
                 whole ? "not JSON (%s): left out" : "cut off in mid-line (%s): left out",
                 why.msg ? why.msg : "empty line");
        if (add_trouble(file, number, message))
            return VKZ_OK;
        goto no_memory;
    }
    owned->docs[owned->doc_count++] = doc;
    if (!file->header)
        return take_header(file, yyjson_doc_get_root(doc), err);
    if (take_object(file, yyjson_doc_get_root(doc), number))
        return VKZ_OK;
no_memory:
    return vkz_error_set(err, VKZ_FAILED, "%s:%d: out of host memory", file->path,
                         number);
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return (hash ^ 0xffu) * 0x100000001b3u;
}

static const char *const key_names[] = {"verb", "case", "asked_kernel", "asked_variant",
                                        "asked_tuning"};
enum { KEY_NAMES = sizeof key_names / sizeof *key_names };

static bool same_key(yyjson_val *a, yyjson_val *b)
{
    for (int k = 0; k < KEY_NAMES; k++) {
        if (strcmp(vkz_json_text(a, key_names[k]), vkz_json_text(b, key_names[k])) != 0)
            return false;
    }
    return true;
}

// Marks every case line that has a later one of the same key.
static bool mark_superseded(struct vkz_result_file *file)
{
    size_t slots = 64;
    while (slots < 2 * file->case_count)
        slots *= 2;
    size_t *table = calloc(slots, sizeof *table); // index + 1
    if (!table)
        return false;
    for (size_t i = file->case_count; i-- > 0;) {
        uint64_t hash = 0xcbf29ce484222325u;
        for (int k = 0; k < KEY_NAMES; k++)
            hash = hash_text(hash, vkz_json_text(file->cases[i].value, key_names[k]));
        size_t at = (size_t)(hash ^ hash >> 32) & (slots - 1);
        while (table[at] &&
               !same_key(file->cases[table[at] - 1].value, file->cases[i].value))
            at = (at + 1) & (slots - 1);
        if (table[at])
            file->cases[i].superseded = true;
        else
            table[at] = i + 1;
    }
    free(table);
    return true;
}

static enum vkz_status read_lines(struct vkz_result_file *file, FILE *in,
                                  struct vkz_error *err)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    enum vkz_status status = VKZ_OK;
    errno = 0;
    while (status == VKZ_OK && (size = getline(&line, &capacity, in)) >= 0) {
        const bool whole = size > 0 && line[size - 1] == '\n';
        if (file->line_count < INT_MAX)
            file->line_count++;
        status =
            take_line(file, line, (size_t)size - whole, whole, file->line_count, err);
        errno = 0;
    }
    const int reason = errno;
    free(line);
    if (status == VKZ_OK && (ferror(in) || (reason && !feof(in))))
        return vkz_error_set(err, VKZ_BAD_INPUT, "%s: cannot be read: %s", file->path,
                             strerror(reason ? reason : EIO));
    if (status == VKZ_OK && !file->header)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "%s:1: the file is empty; run `vkzoo bench` "
                             "to make one",
                             file->path);
    return status;
}

enum vkz_status vkz_result_file_load(const char *path, struct vkz_result_file **out,
                                     struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    struct vkz_result_file *file = calloc(1, sizeof *file);
    FILE *in = NULL;
    *out = file;
    if (file) {
        file->path = strdup(path);
        file->owned = calloc(1, sizeof *file->owned);
    }
    if (!file || !file->path || !file->owned) {
        status = vkz_error_set(err, VKZ_FAILED, "out of host memory");
        goto fail;
    }
    in = fopen(path, "rb");
    if (!in) {
        status = vkz_error_set(err, VKZ_BAD_INPUT, "%s: %s", path, strerror(errno));
        goto fail;
    }
    status = read_lines(file, in, err);
    if (status != VKZ_OK)
        goto fail;
    if (!mark_superseded(file)) {
        status = vkz_error_set(err, VKZ_FAILED, "out of host memory");
        goto fail;
    }
    fclose(in);
    return VKZ_OK;
fail:
    if (in)
        fclose(in);
    vkz_result_file_destroy(out);
    return status;
}

void vkz_result_file_forget_cases(struct vkz_result_file *file)
{
    struct vkz_result_owned *owned = file->owned;
    size_t kept = 0;
    for (size_t i = 0; i < owned->doc_count; i++) {
        yyjson_val *root = yyjson_doc_get_root(owned->docs[i]);
        if (root == file->header || root == file->end)
            owned->docs[kept++] = owned->docs[i];
        else
            yyjson_doc_free(owned->docs[i]);
    }
    owned->doc_count = kept;
    free(file->cases);
    free(file->resumes);
    file->cases = file->resumes = NULL;
    file->case_count = file->resume_count = 0;
    owned->case_capacity = owned->resume_capacity = 0;
}

void vkz_result_file_destroy(struct vkz_result_file **file)
{
    struct vkz_result_file *f = *file;
    if (!f)
        return;
    if (f->owned) {
        for (size_t i = 0; i < f->owned->doc_count; i++)
            yyjson_doc_free(f->owned->docs[i]);
        free(f->owned->docs);
    }
    free(f->owned);
    free(f->cases);
    free(f->resumes);
    free(f->troubles);
    free(f->path);
    free(f);
    *file = NULL;
}
