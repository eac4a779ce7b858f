// SPDX-License-Identifier: MIT
// Which kernel serves a case? By measurement: a short interleaved probe per device, storage
// type and shape class, kept in the user's cache folder. Never by a feature bit.
#ifndef VKZ_BENCH_CHOOSE_H
#define VKZ_BENCH_CHOOSE_H

#include "bench/measure.h"
#include "zoo/suite.h"

enum { VKZ_CLASS_MAX = 256 };

// One way to run a case.
struct vkz_candidate {
    const struct vkz_kernel *kernel;
    const struct vkz_variant *variant;
    const char *tuning;     // name of the kernel's tuning; "default" for none
    const char *settings;   // its "K=V K=V"; NULL for the default
    uint32_t coopmat_index;
};

struct vkz_choice {
    struct vkz_candidate best;
    char by[16];          // "probe", "cache", "only" (one candidate) or "flag"
    int candidates;       // that could run
    char runner_up[160];  // "kernel.variant[tuning]", "" when there was none
    double ratio;         // runner-up's time over the best's
};

// The cache: one JSON file a device, loaded once, written after every new choice.
struct vkz_choices;
// `folder` NULL: $XDG_CACHE_HOME/vkzoo or ~/.cache/vkzoo; without either nothing is kept.
enum vkz_status vkz_choices_open(const struct vkz_gpu_info *info, const char *folder,
                                 struct vkz_choices **out, struct vkz_error *err);
void vkz_choices_close(struct vkz_choices **choices);
const char *vkz_choices_path(const struct vkz_choices *choices); // "" when nothing is kept
int vkz_choices_count(const struct vkz_choices *choices);
// Calls visit for every kept choice, newest last.
void vkz_choices_each(const struct vkz_choices *choices,
                      void (*visit)(void *context, const char *shape_class,
                                    const char *kernel, const char *variant,
                                    const char *tuning, double ratio),
                      void *context);

struct vkz_choose_params {
    struct vkz_meter *meter;
    struct vkz_choices *choices;          // NULL: no cache
    const struct vkz_kernel *const *kernels; // candidates, NULL-terminated
    const char *variant;                  // storage variant wanted ("f32"); NULL: the first
    const char *kernel;                   // only this kernel, NULL: all
    const char *tuning;                   // only this tuning name, NULL: all
    bool fresh;                           // probe again even when the cache knows
    double budget_ms;                     // of a probe; 0: 1500
};

// Candidates store and sum in the same types as `variant`: for "f16" every variant whose T is
// f16 and that sums in f32 takes part (matrix cores too), never one that changes the numbers.
enum vkz_status vkz_choose(const struct vkz_choose_params *params, const struct vkz_case *c,
                           struct vkz_data *data, struct vkz_choice *out,
                           struct vkz_error *err);

// "gemm/f32 m=1024 n=1024 k=512 TRANS=nt": dims rounded up to powers of two, axes exactly.
void vkz_shape_class(const struct vkz_case *c, const char *variant,
                     char out[VKZ_CLASS_MAX]);

#endif
