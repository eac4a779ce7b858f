// SPDX-License-Identifier: MIT
// Expressions that are a part of a longer text: list items, fill arguments, settings.
// The whole-text calls are in vkzoo/env.h.
#ifndef VKZ_ZOO_EXPR_H
#define VKZ_ZOO_EXPR_H

#include "vkzoo/env.h"

// Evaluates text[0..size). The byte after the span must be readable (a NUL, a comma,
// ...).
enum vkz_status vkz_expr_eval_span(const char *text, size_t size,
                                   const struct vkz_env *env, double *result,
                                   struct vkz_error *err);

// Length of the item that starts at text[0]: up to the first of `separators` outside
// parentheses, or `size`.
size_t vkz_span_item(const char *text, size_t size, const char *separators);

// Prints `value` with the fewest digits that read back as the same double, or, when
// `single`, as the same float.
void vkz_number_print(double value, bool single, char out[32]);

#endif
