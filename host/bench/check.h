// SPDX-License-Identifier: MIT
// Is a kernel's output right? The pass rule: against the fp64 reference, relative to the
// naive low-precision emulation; plus poison, guards, NaN map and repeatability.
#ifndef VKZ_BENCH_CHECK_H
#define VKZ_BENCH_CHECK_H

#include "bench/trial.h"

struct vkz_check {
    bool passed;
    char why[320];          // the first thing that was wrong; empty when passed
    double max_error;       // max over elements of |y - ref| / s
    double naive_max_error; // the same for the naive emulation
    double rms_error, naive_rms_error;
    double nmse;            // worst output's sum (y-ref)^2 / sum ref^2
    bool all_written, guards_intact, nan_map_equal, repeatable;
    int64_t units, units_total; // reference units compared, of how many
    int identities;             // that were run on the device and held
};

// Accuracy as published: error over the naive emulation's error (1 when both are 0).
double vkz_check_accuracy(const struct vkz_check *check);

// Runs the trial twice with different poison and compares. VKZ_OK when the comparison could
// be made, whatever its outcome; any other status is the device's or harness's trouble.
enum vkz_status vkz_check_run(struct vkz_trial *trial, const struct vkz_reference *reference,
                              struct vkz_batch *batch, struct vkz_check *out,
                              struct vkz_error *err);

// A reference that proves little: mostly zero, nearly constant, or overflowing its storage
// type. Writes the reason to `why`; false when it can be trusted.
bool vkz_reference_mistrusted(const struct vkz_reference *reference,
                              const struct vkz_data *data, char why[160]);
// The same for inputs that do not matter: redraws each random input in turn and sees whether
// the reference changes. Costs a reference of a few units per input.
enum vkz_status vkz_case_insensitive(const struct vkz_case *c,
                                     const struct vkz_variant *variant, char why[160],
                                     bool *insensitive, struct vkz_error *err);

#endif
