// SPDX-License-Identifier: MIT
// Settings: the name=value pairs of a case, as spans of a text. A case is built from a
// list of them, so that suites can say which one of a line is wrong.
#ifndef VKZ_ZOO_SETTINGS_H
#define VKZ_ZOO_SETTINGS_H

#include "zoo/case.h"

struct vkz_setting {
    const char *name, *value; // spans; the byte after each must be readable
    size_t name_size, value_size;
};

enum { VKZ_SETTINGS_MAX = 64 };

// Builds a case. Later settings of a name win over the values of `base` (may be NULL),
// and naming one twice is an error. On error *wrong is the setting at fault, or -1 when
// it is the case as a whole.
enum vkz_status vkz_case_build(const struct vkz_op *op, const struct vkz_case *base,
                               const struct vkz_setting *settings, int count,
                               uint64_t seed, struct vkz_case *out, int *wrong,
                               struct vkz_error *err);

// Appends to the string in `text`, of `size` bytes; what does not fit is cut off.
void vkz_text_append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
