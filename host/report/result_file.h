// SPDX-License-Identifier: MIT
// A result file in memory: the header, the outcome of every case, the end line, and what
// was wrong with any line. Takes any file: what cannot be used is left out and named.
#ifndef VKZ_REPORT_RESULT_FILE_H
#define VKZ_REPORT_RESULT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include <yyjson.h>

#include "vkzoo/status.h"

#define VKZ_RESULT_SCHEMA "vkzoo-result/1"

struct vkz_result_line {
    yyjson_val *value; // an object
    int line;          // from 1
    bool superseded;   // a case that has a later line: that one counts
};

// A line that is left out, and why: "not JSON: unexpected character".
struct vkz_result_trouble {
    int line; // 0: the file as a whole
    char message[200];
};

struct vkz_result_file {
    char *path;
    yyjson_val *header;            // never NULL in a loaded file
    struct vkz_result_line *cases; // in the file's order
    size_t case_count;
    struct vkz_result_line *resumes;
    size_t resume_count;
    yyjson_val
        *end;     // the last end line, NULL when the run was cut off after the last case
    int end_line; // 0 without one
    int line_count;
    struct vkz_result_trouble *troubles;
    size_t trouble_count;
    struct vkz_result_owned *owned; // what the values above live in
};

// Loads `path`. VKZ_BAD_INPUT, with file:line and what to do, when it cannot be read, is
// empty or has no vkzoo-result/1 header first; any later trouble is a line in `troubles`.
// The caller destroys *out; NULL on failure.
enum vkz_status vkz_result_file_load(const char *path, struct vkz_result_file **out,
                                     struct vkz_error *err);
// Gives back all but the header, the end line and the troubles: no case, no resume is left.
void vkz_result_file_forget_cases(struct vkz_result_file *file);
// Takes NULL and clears the pointer. Values read from the file are gone with it.
void vkz_result_file_destroy(struct vkz_result_file **file);

#endif
