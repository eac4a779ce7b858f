// SPDX-License-Identifier: MIT
// A trial: one kernel, variant and tuning on one case, with guarded buffers on the device.
// Checking, timing, choosing and the ceilings all run kernels through this.
#ifndef VKZ_BENCH_TRIAL_H
#define VKZ_BENCH_TRIAL_H

#include "gpu/gpu.h"
#include "zoo/data.h"

enum { VKZ_MAX_BINDS = 32, VKZ_GUARD_BYTES = 1024 };

// Words that fill guard zones and payloads: all are NaN as f32, f16 and bf16 alike, so that
// an element read from where none is shows in the result.
#define VKZ_GUARD_WORD 0xFFC5FFC3u
#define VKZ_POISON_WORD 0x7FFF7FFDu
#define VKZ_POISON_WORD_2 0xFFFBFFFBu

// One complete set of buffers, in kernel->binds order. Absent tensors have bytes 0.
struct vkz_set {
    struct vkz_buffer buffers[VKZ_MAX_BINDS];
    struct vkz_binding *binding;
};

struct vkz_trial {
    struct vkz_gpu *gpu;
    const struct vkz_case *c;
    const struct vkz_kernel *kernel;
    const struct vkz_variant *variant;
    struct vkz_data *data; // borrowed
    struct vkz_plan *plan;
    struct vkz_set *sets;
    int set_count;
    size_t set_bytes; // payload of one set
};

struct vkz_trial_params {
    struct vkz_gpu *gpu;
    const struct vkz_case *c;
    const struct vkz_kernel *kernel;
    const struct vkz_variant *variant;
    struct vkz_data *data; // inputs; borrowed, must outlive the trial
    const char *tuning;    // "K=V K=V"; NULL: the kernel's own values
    uint32_t coopmat_index;
    bool statistics;
};

// Makes the plan and one set of buffers with inputs uploaded. VKZ_SKIP when the kernel or
// device cannot serve the case.
enum vkz_status vkz_trial_create(const struct vkz_trial_params *params,
                                 struct vkz_trial **out, struct vkz_error *err);
void vkz_trial_destroy(struct vkz_trial **trial);
// Makes sets until there are `count`, each with its own copy of the inputs.
enum vkz_status vkz_trial_grow(struct vkz_trial *trial, int count, struct vkz_error *err);
// Writes guards, inputs and poison (outputs and scratch; inout gets its input) of a set.
enum vkz_status vkz_trial_reset(struct vkz_trial *trial, int set, uint32_t poison,
                                struct vkz_error *err);
// Runs the plan once on a set and waits.
enum vkz_status vkz_trial_run(struct vkz_trial *trial, int set, struct vkz_batch *batch,
                              struct vkz_error *err);
// Index of the bind of that name, or -1 (also when absent in this case).
int vkz_trial_bind(const struct vkz_trial *trial, const char *tensor);
// Reads the payload of a bind back; `out` has vkz_plan_buffer_bytes().
enum vkz_status vkz_trial_read(struct vkz_trial *trial, int set, int bind, void *out,
                               struct vkz_error *err);
// Checks every guard zone and that inputs are what was uploaded; VKZ_OK and an empty
// `found` when all is well, else a sentence in `found`.
enum vkz_status vkz_trial_inspect(struct vkz_trial *trial, int set, char found[256],
                                  struct vkz_error *err);

#endif
