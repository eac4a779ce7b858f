// SPDX-License-Identifier: MIT
// How long does a trial take? Device timestamps (or slopes), warm-up until the canary
// settles, groups between canaries, a stopping rule, hot and cold.
#ifndef VKZ_BENCH_MEASURE_H
#define VKZ_BENCH_MEASURE_H

#include "zoo/stats.h"
#include "bench/trial.h"

enum { VKZ_MAX_SAMPLES = 2048, VKZ_MAX_CANARY = 1024 };

// A fixed dependent-FMA dispatch whose time follows the core clock alone.
struct vkz_canary;
enum vkz_status vkz_canary_create(struct vkz_gpu *gpu, struct vkz_canary **out,
                                  struct vkz_error *err);
void vkz_canary_destroy(struct vkz_canary **canary);

// What a measurement needs besides the trial; shared by all cases of a run.
struct vkz_meter {
    struct vkz_gpu *gpu;
    struct vkz_batch *batch;
    struct vkz_clock clock;
    struct vkz_canary *canary; // NULL: no canary (reported as such)
    double llc_bytes;          // measured last-level cache, 0 when unknown
    double max_submit_ns;      // one submission stays under this; 0: 200 ms
    double canary_best_ns;     // best seen in this run
};

enum vkz_time_mode {
    VKZ_TIME_STAMPS, // device timestamps around a batch of dispatches
    VKZ_TIME_SLOPE,  // slope of device time over 1, 2, 4, ... dispatches
    VKZ_TIME_HOST,   // slope of host time: the device clock failed its self-test
};

enum vkz_stop { VKZ_STOP_CONVERGED, VKZ_STOP_BUDGET, VKZ_STOP_SAMPLES };

struct vkz_timing {
    bool measured;
    enum vkz_time_mode mode;
    enum vkz_stop stop;
    struct vkz_summary summary;  // ns per run of the plan
    double samples[VKZ_MAX_SAMPLES];
    int count;
    int per_batch;               // dispatch sequences a submission
    int sets;                    // buffer sets rotated: 1 = hot
    double launch_ns;            // intercept in slope mode: cost of a submission; else NaN
    double host_ns;              // median host time a run, submit and wait included
    double canary[VKZ_MAX_CANARY]; // ns, in time order
    int canary_count;
    int groups;                  // of samples between canaries, discarded ones included
    int discarded;               // groups measured again because the canary was slow
    int kept_slow;               // groups kept although slow: the budget ended
    double warmup_ms;
};

struct vkz_measure_params {
    double budget_ms; // 0: 1000
    double target;    // relative half-width that ends sampling; 0: 0.01
    bool cold;        // rotate sets larger than 4 x the last-level cache
};

enum vkz_status vkz_measure(struct vkz_meter *meter, struct vkz_trial *trial,
                            const struct vkz_measure_params *params, struct vkz_timing *out,
                            struct vkz_error *err);

// One quick batch: ns a run with `runs` runs in one submission. For probes.
enum vkz_status vkz_measure_once(struct vkz_meter *meter, struct vkz_trial *trial, int runs,
                                 double *ns, struct vkz_error *err);

const char *vkz_time_mode_name(enum vkz_time_mode mode); // "timestamps", "slope", "host slope"
const char *vkz_stop_name(enum vkz_stop stop); // "converged", "budget", "samples"

#endif
