// SPDX-License-Identifier: MIT
// Names and their numbers, and the expressions over them that kernels, contracts and suites
// are written in.
//
// Expressions: numbers, names (letters, digits, _ and .), + - * / (true division) %
// unary - ! ( ) == != < <= > >= && || c ? a : b, and the functions ceildiv(a,b)
// floordiv(a,b) min max abs sqrt ln log2 exp exp2 pow floor ceil round, and
// next_pow2(x), prev_pow2(x). `AXIS.value` (MASK.causal) is the number of an axis value.
// All arithmetic is in double, exact for integers below 2^53.
//
// Names the device sets, for kernels that adapt: subgroup_size, max_invocations,
// max_shared_bytes, compute_units (1 when unknown), is_cpu (0 or 1), CM_M, CM_N, CM_K (0
// without cooperative matrix).
#ifndef VKZOO_ENV_H
#define VKZOO_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vkzoo/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VKZ_ENV_MAX = 96 };

// A flat, copyable map. Names are borrowed (string literals or catalogue text).
struct vkz_env {
    int count;
    struct {
        const char *name;
        double value;
        const char *values; // an axis: names of its values, "none causal window", or NULL
    } vars[VKZ_ENV_MAX];
};

// Sets or replaces; asserts that there is room.
void vkz_env_set(struct vkz_env *env, const char *name, double value);
// The same for an axis: `values` (borrowed, "none causal window") makes AXIS.value names
// known without an entry each.
void vkz_env_set_axis(struct vkz_env *env, const char *name, int value, const char *values);
// Finds; returns false and leaves *value alone when unknown. NULL value is allowed.
bool vkz_env_get(const struct vkz_env *env, const char *name, double *value);

// Evaluates `text`. On error the message names the column and what was expected, or the
// unknown name. NULL text evaluates to 1 (an absent condition holds).
enum vkz_status vkz_expr_eval(const char *text, const struct vkz_env *env, double *result,
                              struct vkz_error *err);
// The same, and the result must be an integer >= 0 (a size, a count).
enum vkz_status vkz_expr_size(const char *text, const struct vkz_env *env, int64_t *result,
                              struct vkz_error *err);

enum { VKZ_MAX_DIMS = 8 };

// Evaluates a shape "a, b, c" into extents; an empty text is a scalar tensor (0 dims, 1
// element). Returns the element count in *count with overflow checked.
enum vkz_status vkz_shape_eval(const char *text, const struct vkz_env *env,
                               int64_t extents[VKZ_MAX_DIMS], int *dims, int64_t *count,
                               struct vkz_error *err);

#ifdef __cplusplus
}
#endif
#endif
