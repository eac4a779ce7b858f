// SPDX-License-Identifier: MIT
// Other SPIR-V in a kernel's place: for trying an edited shader without a build, and for the
// tests that show that wrong kernels are caught.
#ifndef VKZ_BENCH_OVERRIDE_H
#define VKZ_BENCH_OVERRIDE_H

#include "vkzoo/kernel.h"
#include "vkzoo/status.h"

struct vkz_override;

// `text` is KERNEL.VARIANT[.PASS]=FILE.spv; the pass may be left out when there is one only.
// The file must hold SPIR-V with the kernel's interface; that is the caller's promise.
enum vkz_status vkz_override_create(const char *text, struct vkz_override **out,
                                    struct vkz_error *err);
void vkz_override_destroy(struct vkz_override **override);

// The kernel to run in `kernel`'s place: a copy with the module replaced, or `kernel` itself.
const struct vkz_kernel *vkz_override_apply(const struct vkz_override *override,
                                            const struct vkz_kernel *kernel);

#endif
