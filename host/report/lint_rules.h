// SPDX-License-Identifier: MIT
// Between the files of lint: how a rule reports, and the rules. A rule that runs out of
// memory for findings says so once, through vkz_lint_file.
#ifndef VKZ_REPORT_LINT_RULES_H
#define VKZ_REPORT_LINT_RULES_H

#include <yyjson.h>

#include "report/lint.h"
#include "report/result_file.h"

struct vkz_lint {
    char **paths;
    int path_count;
    struct vkz_lint_finding *findings;
    int count, capacity;
    char first_device[256]; // of the first file that names one
    bool devices_differ;
    bool no_memory;
};

// Adds a finding to the file being looked at.
void vkz_lint_add(struct vkz_lint *lint, enum vkz_lint_level level, const char *kind,
                  int line, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 5, 6)))
#endif
    ;

// Required keys and types. False when the line has not the shape of its type.
bool vkz_lint_header_shape(struct vkz_lint *lint, yyjson_val *header);
bool vkz_lint_case_shape(struct vkz_lint *lint, yyjson_val *value, int line);
bool vkz_lint_end_shape(struct vkz_lint *lint, yyjson_val *end, int line);

// What a well-shaped header and case say of the numbers in them.
void vkz_lint_header_rules(struct vkz_lint *lint, const struct vkz_result_file *file);
void vkz_lint_case_rules(struct vkz_lint *lint, const struct vkz_result_file *file,
                         const struct vkz_result_line *line);

#endif
