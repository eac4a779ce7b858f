// SPDX-License-Identifier: MIT
// The result file as it is written: one header line, one line a case, flushed line by line,
// so that whatever ends the run, what was measured is in the file.
#ifndef VKZ_BENCH_JOURNAL_H
#define VKZ_BENCH_JOURNAL_H

#include <stdbool.h>

#include <yyjson.h>

#include "vkzoo/status.h"

struct vkz_journal;

// Creates `path`; a file that holds anything is refused (results are never overwritten). A
// file that nothing was written to is removed when it is closed.
enum vkz_status vkz_journal_create(const char *path, struct vkz_journal **out,
                                   struct vkz_error *err);
// Opens a file that was cut off, anywhere: a last line that is not whole is dropped, once
// there is something to write behind it. Lines already there answer vkz_journal_has.
enum vkz_status vkz_journal_resume(const char *path, struct vkz_journal **out,
                                   struct vkz_error *err);
void vkz_journal_close(struct vkz_journal **journal);

// Appends one JSON value as a line and flushes it to the disk. A full disk is VKZ_FAILED:
// the file keeps every whole line before.
enum vkz_status vkz_journal_write(struct vkz_journal *journal, yyjson_val *line,
                                  struct vkz_error *err);
// The header of a resumed file, or NULL. Borrowed.
yyjson_val *vkz_journal_header(const struct vkz_journal *journal);
// True when the file has an outcome for that (verb, case, asked kernel, variant, tuning)
// other than "crashed", "timed out" or "device lost", which are tried again.
bool vkz_journal_has(const struct vkz_journal *journal, const char *key);
// How many lines of a resumed file say that a kernel is wrong.
int vkz_journal_failed(const struct vkz_journal *journal);
// That key of a result line or a job, in `out`.
void vkz_journal_key(const char *verb, const char *case_id, const char *kernel,
                     const char *variant, const char *tuning, char *out, size_t size);
const char *vkz_journal_path(const struct vkz_journal *journal);

#endif
