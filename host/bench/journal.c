// SPDX-License-Identifier: MIT
// Append-only JSON Lines. Resuming reads what is there, cuts an unfinished last line off and
// goes on behind it.
#include "bench/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct vkz_journal {
    int fd;
    char path[1024];
    yyjson_doc *header;
    char **keys; // of the outcomes a resumed file has
    size_t key_count, key_capacity;
    int failed;
    bool is_new;       // made by us, nothing written yet
    bool has_fragment; // a resumed file's last line is not whole: it ends at `whole`
    off_t whole;
};

const char *vkz_journal_path(const struct vkz_journal *journal)
{
    return journal->path;
}

yyjson_val *vkz_journal_header(const struct vkz_journal *journal)
{
    return yyjson_doc_get_root(journal->header);
}

void vkz_journal_key(const char *verb, const char *case_id, const char *kernel,
                     const char *variant, const char *tuning, char *out, size_t size)
{
    snprintf(out, size, "%s|%s|%s|%s|%s", verb, case_id, kernel, variant, tuning);
}

void vkz_journal_close(struct vkz_journal **journal)
{
    struct vkz_journal *j = *journal;
    if (!j)
        return;
    if (j->is_new)
        unlink(j->path);
    if (j->fd >= 0)
        close(j->fd);
    for (size_t i = 0; i < j->key_count; i++)
        free(j->keys[i]);
    free(j->keys);
    yyjson_doc_free(j->header);
    free(j);
    *journal = NULL;
}

static enum vkz_status journal_open(const char *path, int flags, struct vkz_journal **out,
                                    struct vkz_error *err)
{
    struct vkz_journal *j = calloc(1, sizeof *j);
    *out = j;
    if (!j)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    snprintf(j->path, sizeof j->path, "%s", path);
    j->fd = open(path, flags | O_CLOEXEC, 0666);
    if (j->fd >= 0)
        return VKZ_OK;
    const int reason = errno;
    vkz_journal_close(out);
    const bool makes = (flags & O_CREAT) != 0;
    const bool full = reason == ENOSPC || reason == EDQUOT || reason == EIO;
    return vkz_error_set(err, full ? VKZ_FAILED : VKZ_BAD_INPUT, "%s: %s%s", path,
                         strerror(reason),
                         reason == EEXIST ? "; results are never overwritten: give another "
                                            "--out, or --resume to go on with it"
                         : makes ? "; give --out a file in a folder that can be written"
                                 : "; give --resume a result file that can be written");
}

enum vkz_status vkz_journal_create(const char *path, struct vkz_journal **out,
                                   struct vkz_error *err)
{
    struct stat st;
    // An empty file, as mktemp makes one, holds no results.
    const bool empty = stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
    const enum vkz_status status = journal_open(
        path, O_WRONLY | O_CREAT | O_APPEND | (empty ? 0 : O_EXCL), out, err);
    if (status == VKZ_OK)
        (*out)->is_new = !empty;
    return status;
}

static bool remember(struct vkz_journal *j, const char *key)
{
    if (j->key_count == j->key_capacity) {
        const size_t capacity = j->key_capacity ? 2 * j->key_capacity : 64;
        char **keys = realloc(j->keys, capacity * sizeof *keys);
        if (!keys)
            return false;
        j->keys = keys;
        j->key_capacity = capacity;
    }
    j->keys[j->key_count] = strdup(key);
    return j->keys[j->key_count] && ++j->key_count;
}

static const char *text(yyjson_val *object, const char *key)
{
    const char *s = yyjson_get_str(yyjson_obj_get(object, key));
    return s ? s : "";
}

static bool is_final(const char *status)
{
    return strcmp(status, "crashed") != 0 && strcmp(status, "timed out") != 0 &&
           strcmp(status, "device lost") != 0;
}

static enum vkz_status take_line(struct vkz_journal *j, const char *line, size_t size,
                                 int number, struct vkz_error *err)
{
    yyjson_doc *doc = yyjson_read(line, size, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    char key[1200];
    enum vkz_status status = VKZ_OK;
    if (!doc) {
        status = vkz_error_set(err, VKZ_BAD_INPUT, "%s:%d: not a JSON line; mend or remove it "
                               "before resuming", j->path, number);
    } else if (number == 1) {
        if (strcmp(text(root, "schema"), "vkzoo-result/1") != 0)
            status = vkz_error_set(err, VKZ_BAD_INPUT, "%s:1: expected a vkzoo-result/1 header",
                                   j->path);
        else
            j->header = doc;
        if (j->header)
            return VKZ_OK;
    } else if (strcmp(text(root, "type"), "case") == 0 && is_final(text(root, "status"))) {
        vkz_journal_key(text(root, "verb"), text(root, "case"), text(root, "asked_kernel"),
                        text(root, "asked_variant"), text(root, "asked_tuning"), key,
                        sizeof key);
        j->failed += strcmp(text(root, "status"), "failed") == 0;
        if (!remember(j, key))
            status = vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    yyjson_doc_free(doc);
    return status;
}

static char *read_all(int fd, size_t *size)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return NULL;
    char *all = malloc((size_t)st.st_size + 1);
    *size = 0;
    while (all && *size < (size_t)st.st_size) {
        const ssize_t got = read(fd, all + *size, (size_t)st.st_size - *size);
        if (got <= 0)
            break;
        *size += (size_t)got;
    }
    return all;
}

enum vkz_status vkz_journal_resume(const char *path, struct vkz_journal **out,
                                   struct vkz_error *err)
{
    enum vkz_status status = journal_open(path, O_RDWR | O_APPEND, out, err);
    if (status != VKZ_OK)
        return status;
    struct vkz_journal *j = *out;
    size_t size = 0, start = 0;
    char *all = read_all(j->fd, &size);
    int number = 1;
    if (!all)
        status = vkz_error_set(err, VKZ_FAILED, "%s: cannot be read: %s", path,
                               strerror(errno));
    while (status == VKZ_OK) {
        const char *end = memchr(all + start, '\n', size - start);
        if (!end)
            break;
        status = take_line(j, all + start, (size_t)(end - all) - start, number++, err);
        start = (size_t)(end - all) + 1;
    }
    if (status == VKZ_OK && !j->header)
        status = vkz_error_set(err, VKZ_BAD_INPUT, "%s: no whole header line to resume from; "
                               "start a new file", path);
    j->has_fragment = start < size;
    j->whole = (off_t)start;
    free(all);
    if (status != VKZ_OK)
        vkz_journal_close(out);
    return status;
}

bool vkz_journal_has(const struct vkz_journal *journal, const char *key)
{
    for (size_t i = 0; i < journal->key_count; i++) {
        if (strcmp(journal->keys[i], key) == 0)
            return true;
    }
    return false;
}

int vkz_journal_failed(const struct vkz_journal *journal)
{
    return journal->failed;
}

enum vkz_status vkz_journal_write(struct vkz_journal *journal, yyjson_val *line,
                                  struct vkz_error *err)
{
    size_t size = 0, written = 0;
    if (journal->has_fragment && ftruncate(journal->fd, journal->whole) != 0)
        return vkz_error_set(err, VKZ_FAILED, "%s: cannot cut the unfinished line off: %s",
                             journal->path, strerror(errno));
    journal->has_fragment = false;
    char *text_line = yyjson_val_write(line, YYJSON_WRITE_INF_AND_NAN_AS_NULL, &size);
    struct stat before;
    if (!text_line || fstat(journal->fd, &before) != 0) {
        free(text_line);
        return vkz_error_set(err, VKZ_FAILED, "%s: cannot format a line", journal->path);
    }
    text_line[size++] = '\n';
    while (written < size) {
        const ssize_t n = write(journal->fd, text_line + written, size - written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        written += (size_t)n;
    }
    free(text_line);
    journal->is_new = journal->is_new && written < size;
    if (written == size && (fsync(journal->fd) == 0 || errno == EINVAL || errno == EROFS))
        return VKZ_OK;
    const int reason = errno;
    // Leave whole lines only; when even that fails, resuming drops the fragment.
    if (S_ISREG(before.st_mode) && ftruncate(journal->fd, before.st_size) != 0)
        return vkz_error_set(err, VKZ_FAILED, "%s: %s", journal->path, strerror(reason));
    return vkz_error_set(err, VKZ_FAILED, "%s: %s; every result before this one is in the "
                         "file: make room and run again with --resume %s",
                         journal->path, strerror(reason), journal->path);
}
