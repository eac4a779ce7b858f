// SPDX-License-Identifier: MIT
// Fills by name: the random source and the table of input distributions.
// Names and definitions are those of the specifications; see fill.c for the table.
#ifndef VKZ_ZOO_FILL_H
#define VKZ_ZOO_FILL_H

#include "zoo/data.h"

struct vkz_fill {
    const struct vkz_case *c;
    struct vkz_array *array;
    uint32_t key[2];
};

// Ten rounds of Philox 4x32 on one counter.
void vkz_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

// Says whether `text` ("heavy", "uniform(-1,1)") is a fill that the tensor can have in
// this case; arguments are expressions over the case's env. "op" needs the contract's
// fill().
enum vkz_status vkz_fill_check(const char *text, const struct vkz_op *op,
                               const struct vkz_tensor *tensor, const struct vkz_env *env,
                               struct vkz_error *err);

// The text of the fill in force for a tensor: the case's own or the contract's.
const char *vkz_case_fill(const struct vkz_case *c, const struct vkz_tensor *tensor);

// Writes array->wide (allocated by the caller), not rounded. `threads` as in
// vkz_data_create.
enum vkz_status vkz_fill_array(const struct vkz_case *c, struct vkz_array *array,
                               const char *text, int threads, struct vkz_error *err);

#endif
