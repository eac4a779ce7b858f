// SPDX-License-Identifier: MIT
// vkzoo worker: the child of check, bench and peak; talks JSON lines on two descriptors.
#include "bench/worker.h"
#include "cli/cli.h"

int vkz_cmd_worker(const struct vkz_options *options)
{
    return vkz_worker_main(&(struct vkz_worker_params){
        .device = options->device,
        .floor_limits = options->floor_limits,
        .core_only = options->core_only,
        .no_canary = options->no_canary,
        .cache_folder = options->cache_folder,
        .spirv = options->spirv,
        .in = options->fd_in ? options->fd_in : 0,
        .out = options->fd_out ? options->fd_out : 1,
    });
}
