// SPDX-License-Identifier: MIT
// Do kernels, contracts and suites agree? What the build runs before anything else.
#ifndef VKZ_ZOO_AGREE_H
#define VKZ_ZOO_AGREE_H

#include "zoo/suite.h"

// Hears of every disagreement: the file it is in and what to change.
struct vkz_agree {
    void (*report)(void *context, const char *file, const char *message);
    void *context;
    int count; // disagreements reported so far
};

// A contract by itself: names, shapes, work and fills on many probing cases, its naive
// twin.
void vkz_agree_op(struct vkz_agree *agree, const struct vkz_op *op);
// A kernel with its contract: every tensor's io, type, shape and condition, and every
// expression. `probes` (may be NULL) are cases to try besides random ones.
void vkz_agree_kernel(struct vkz_agree *agree, const struct vkz_kernel *kernel,
                      const struct vkz_suite_op *probes);
// Everything this build has: ops, kernels, and the suites' texts.
void vkz_agree_all(struct vkz_agree *agree);

#endif
