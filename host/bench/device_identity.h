// SPDX-License-Identifier: MIT
// The contracts' identities run on a kernel: they check full-size cases with no reference.
#ifndef VKZ_BENCH_DEVICE_IDENTITY_H
#define VKZ_BENCH_DEVICE_IDENTITY_H

#include "bench/trial.h"

struct vkz_device_identity_params {
    const struct vkz_trial_params *trial; // gpu, kernel, variant, tuning; its data is unused
    struct vkz_batch *batch;
};

// Runs every identity of the case's op that applies. *held counts those that held. On the
// first violation `found` says which and how; empty when none was violated.
enum vkz_status vkz_device_identities(const struct vkz_device_identity_params *params,
                                      const struct vkz_case *c, int *held, char found[400],
                                      struct vkz_error *err);

#endif
