// SPDX-License-Identifier: MIT
// The parent's side of check and bench: workers that may crash, hang or lose the device,
// and a list of jobs none of which is ever lost.
#ifndef VKZ_BENCH_SESSION_H
#define VKZ_BENCH_SESSION_H

#include <stdbool.h>

#include <yyjson.h>

#include "bench/job.h"

struct vkz_session_params {
    char *const *worker_argv; // program and arguments of a worker, NULL-terminated
    char *const *environment; // NAME=VALUE of workers beside one's own, or NULL
    int workers;              // side by side; 0: 1. Timing wants 1
    double timeout_ms;        // a job that says nothing for so long is hung; 0: 300 s
    // Set by a signal handler: the session stops cleanly. May be NULL.
    const volatile int *interrupted;
};

struct vkz_session;
// Copies the texts.
enum vkz_status vkz_session_create(const struct vkz_session_params *params,
                                   struct vkz_session **out, struct vkz_error *err);
void vkz_session_destroy(struct vkz_session **session); // ends the workers

// What the first ready worker said of itself: {"device":…,"clock":…}. Borrowed. Starts a
// worker when none runs; VKZ_NO_DEVICE with its words when there is nothing to run on.
enum vkz_status vkz_session_hello(struct vkz_session *session, yyjson_val **out,
                                  struct vkz_error *err);

struct vkz_session_events {
    // A job's outcome, in the order they end. `result` is borrowed. Return false to stop.
    bool (*result)(void *context, int job, yyjson_val *result);
    // A job has started or says what it does now; may be NULL.
    void (*progress)(void *context, int job, const char *what);
    void *context;
};

// Runs all jobs. A worker's death makes a result line "crashed" (with its signal), "timed
// out" or "device lost" for the job it had, and a new worker goes on with the rest. Returns
// VKZ_OK also when interrupted; VKZ_FAILED when workers cannot be kept alive at all.
enum vkz_status vkz_session_run(struct vkz_session *session, const struct vkz_job *jobs,
                                int count, const struct vkz_session_events *events,
                                struct vkz_error *err);

#endif
