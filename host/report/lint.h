// SPDX-License-Identifier: MIT
// Is a result file whole, plausible and verified? Findings with file and line, and an
// exit status that scripts can use.
#ifndef VKZ_REPORT_LINT_H
#define VKZ_REPORT_LINT_H

#include <stdbool.h>
#include <stdio.h>

#include "report/result_file.h"
#include "report/text.h"
#include "vkzoo/status.h"

enum vkz_lint_level {
    VKZ_LINT_NOTE,    // good to know
    VKZ_LINT_WARNING, // a number is worth less than it looks
    VKZ_LINT_ERROR,   // a line or number cannot be used
};

struct vkz_lint_finding {
    enum vkz_lint_level level;
    const char *kind; // one word of a fixed set: "shape", "noisy", ...
    const char *path; // lives as long as the lint
    int line;         // 0: the file as a whole
    int order;        // as found, within the file
    char message[400];
};

struct vkz_lint;
enum vkz_status vkz_lint_create(struct vkz_lint **out, struct vkz_error *err);
void vkz_lint_destroy(struct vkz_lint **lint); // takes NULL
// Looks at one file and adds its findings; a file that cannot be read is a finding too.
// Anything but VKZ_OK is this program's own trouble: out of memory.
enum vkz_status vkz_lint_file(struct vkz_lint *lint, const char *path,
                              struct vkz_error *err);
// The same for a file that is loaded.
enum vkz_status vkz_lint_loaded(struct vkz_lint *lint, const struct vkz_result_file *file,
                                struct vkz_error *err);

// The findings, files in the order given and lines ascending. Borrowed.
const struct vkz_lint_finding *vkz_lint_findings(const struct vkz_lint *lint, int *count);
int vkz_lint_count(const struct vkz_lint *lint, enum vkz_lint_level level);

// A line a finding, "path:line: error: kind: message", then counts by kind.
// `style` NULL: vkz_style_for(out).
void vkz_lint_print(const struct vkz_lint *lint, FILE *out,
                    const struct vkz_style *style);
// One JSON object:
// {"files":n,"errors":n,"warnings":n,"notes":n,"findings":[{"level","kind",
// "file","line","message"}]} and a newline.
enum vkz_status vkz_lint_json(const struct vkz_lint *lint, FILE *out,
                              struct vkz_error *err);

// 0: nothing above a note (above a warning unless `strict`); 1: something is.
int vkz_lint_exit_status(const struct vkz_lint *lint, bool strict);

#endif
