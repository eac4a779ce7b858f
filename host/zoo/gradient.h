// SPDX-License-Identifier: MIT
// Backward ops and the forward ops they belong to: saved outputs, finite differences.
#ifndef VKZ_ZOO_GRADIENT_H
#define VKZ_ZOO_GRADIENT_H

#include "zoo/data.h"

// Gives every input whose fill is "forward" the value of the forward op's output of that
// name, computed by its fp64 reference from the inputs both ops have. Does nothing for an
// op without such inputs. Called by vkz_data_create when all else is filled.
enum vkz_status vkz_forward_fill(struct vkz_data *data, int threads, struct vkz_error *err);

// Holds the gradients of a backward op's reference against central differences of its
// forward op's reference, along random directions in each input, with the sum of
// (upstream gradient) x (output) as the loss. Units of the difference that remains: 1 is
// `tolerance` of the sum of |gradient x step|. VKZ_SKIP when the op is no backward op.
enum vkz_status vkz_gradient_check(const struct vkz_case *c, double tolerance, int threads,
                                   struct vkz_error *err);

#endif
