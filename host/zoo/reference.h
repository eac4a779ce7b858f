// SPDX-License-Identifier: MIT
// The reference without its naive twin, for who needs no error bound.
#ifndef VKZ_ZOO_REFERENCE_H
#define VKZ_ZOO_REFERENCE_H

#include "zoo/data.h"

// As vkz_reference_create, but the outputs' `naive` is NULL and no twin is needed.
enum vkz_status vkz_reference_create_only(const struct vkz_data *data, double max_flops,
                                          int threads, struct vkz_reference **out,
                                          struct vkz_error *err);

#endif
