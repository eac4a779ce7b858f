// SPDX-License-Identifier: MIT
// What the parent asks of a worker, and how results are written as JSON. One line each way.
#ifndef VKZ_BENCH_JOB_H
#define VKZ_BENCH_JOB_H

#include <yyjson.h>

#include "bench/check.h"
#include "bench/choose.h"

enum vkz_verb { VKZ_VERB_CHECK, VKZ_VERB_BENCH, VKZ_VERB_CEILINGS };

struct vkz_job {
    enum vkz_verb verb;
    char case_id[VKZ_ID_MAX]; // "" for ceilings
    char tags[64];
    char kernel[64];          // "" with verb bench: choose by measurement
    char variant[32];         // "": the first
    char tuning[64];          // name of a kernel's tuning; "": default (check) or any (bench)
    char settings[256];       // explicit "K=V K=V" from --spec, over the tuning's own
    uint64_t seed;
    double budget_ms;         // of hot timing; cold takes half of it
    double reference_flops;   // bound on the reference's work; 0: none
    double llc_bytes;         // as measured, 0 unknown
    bool cold;
    bool fresh;               // probe again
    bool full;                // ceilings: the whole search
    bool identities;          // check: run the contract's identities on the device too
    bool statistics;
};

// Adds the job's fields to an object / reads them from one. Unknown keys are ignored.
void vkz_job_write(const struct vkz_job *job, yyjson_mut_doc *doc, yyjson_mut_val *object);
void vkz_job_read(yyjson_val *object, struct vkz_job *job);
// "kernel.variant[tuning]@..." as shown in progress and messages.
void vkz_job_label(const struct vkz_job *job, char *out, size_t size);

// One case's outcome, as the worker knows it.
struct vkz_result {
    const struct vkz_job *job;
    const struct vkz_case *c;
    const struct vkz_kernel *kernel;   // NULL when none could be chosen
    const struct vkz_variant *variant;
    const char *tuning;                // name
    const char *specialization;        // every constant's value
    const struct vkz_choice *choice;   // NULL in check
    const char *status; // "ok" "failed" "skipped" "mistrusted" "error" "device lost"
    char reason[600];
    const struct vkz_check *check;     // NULL when not checked
    const struct vkz_timing *hot, *cold;
    double tensor_bytes, scratch_bytes, shared_bytes, peak_bytes;
    const struct vkz_plan *plan;       // for groups; may be NULL
    struct vkz_trial *statistics;      // a trial made for driver statistics, or NULL
};

// The result line as a JSON object of `doc`. The parent adds the floor and efficiency.
yyjson_mut_val *vkz_result_json(yyjson_mut_doc *doc, const struct vkz_result *result);
// A line for a case whose worker died: status "crashed", "timed out" or "device lost".
yyjson_mut_val *vkz_result_lost_json(yyjson_mut_doc *doc, const struct vkz_job *job,
                                     const char *status, const char *reason);

// Device and clock for the header line.
yyjson_mut_val *vkz_device_json(yyjson_mut_doc *doc, const struct vkz_gpu_info *info);
yyjson_mut_val *vkz_clock_json(yyjson_mut_doc *doc, const struct vkz_clock *clock,
                               bool has_canary);

// A number or null: JSON has no NaN.
void vkz_json_real(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key,
                   double value);

#endif
