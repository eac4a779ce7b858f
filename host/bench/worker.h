// SPDX-License-Identifier: MIT
// The worker process: the only one that touches Vulkan during check and bench. Reads one
// JSON job a line from its standard input, writes one JSON line an event to its output.
#ifndef VKZ_BENCH_WORKER_H
#define VKZ_BENCH_WORKER_H

#include <stdbool.h>

#include "vkzoo/status.h"

struct vkz_worker_params {
    const char *device; // as for vkz_instance_choose
    bool floor_limits, core_only, no_canary;
    const char *spirv;  // KERNEL.VARIANT[.PASS]=FILE in a kernel's place; NULL: none
    const char *cache_folder; // NULL: the user's
    int in, out;              // file descriptors
};

// Events: {"event":"ready","device":…,"clock":…}, {"event":"progress","what":…},
// {"event":"result","result":…}, {"event":"fatal","status":…,"message":…}.
// Returns the process's exit status.
int vkz_worker_main(const struct vkz_worker_params *params);

#endif
