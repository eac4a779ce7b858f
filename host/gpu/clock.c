// SPDX-License-Identifier: MIT
// The device clock's self-test, and the host clock it is compared with.
// A clock that fails here is not used: times come from host-clock slopes instead.
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gpu/internal.h"

enum { PAIRS = 128, ROUNDS = 4, MARKS = 2048, PAUSE_NS = 100000 };

static const double span_ns = 180e6; // of the comparison with the host clock

// Wrong by more than this against the host, and no figure would be worth printing.
static const double max_drift_ppm = 20000;

double vkz_host_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void refuse(struct vkz_clock *clock, const char *reason)
{
    clock->usable = false;
    snprintf(clock->reason, sizeof clock->reason, "%s", reason);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Stamps with nothing between them: their smallest difference, their usual one, and
// whether they ever run backwards.
static enum vkz_status test_pairs(struct vkz_gpu *gpu, struct vkz_clock *clock,
                                  struct vkz_error *err)
{
    struct vkz_batch *batch = NULL;
    double cost[ROUNDS * PAIRS];
    int count = 0;
    enum vkz_status status = vkz_batch_create(gpu, PAIRS + 1, &batch, err);
    for (int round = 0; round < ROUNDS && status == VKZ_OK; round++) {
        status = vkz_batch_begin(batch, err);
        if (status != VKZ_OK)
            break;
        for (int i = 0; i <= PAIRS; i++)
            vkz_batch_stamp(batch, i);
        status = vkz_batch_run(batch, 0, err);
        for (int i = 0; i < PAIRS && status == VKZ_OK; i++)
            cost[count++] = vkz_batch_elapsed_ns(batch, i, i + 1);
    }
    vkz_batch_destroy(&batch);
    if (status != VKZ_OK)
        return status;

    clock->monotonic = true;
    for (int i = 0; i < count; i++) {
        if (!(cost[i] >= 0)) // a step back, or a stamp that was never written
            clock->monotonic = false;
        else if (cost[i] > 0 && (clock->step_ns == 0 || cost[i] < clock->step_ns))
            clock->step_ns = cost[i];
    }
    qsort(cost, (size_t)count, sizeof cost[0], compare);
    clock->empty_ns = cost[count / 2];
    return VKZ_OK;
}

// One stamp on both clocks: the device's falls somewhere inside the host's window.
struct mark {
    double host_ns, window_ns, device_ns;
};

// The mark with the narrowest window among marks[first .. last).
static int best_mark(const struct mark *marks, int first, int last)
{
    int best = first;
    for (int i = first + 1; i < last; i++)
        if (marks[i].window_ns < marks[best].window_ns)
            best = i;
    return best;
}

// Submits one-stamp batches until `span_ns` has passed: the device stays awake, and among
// many windows some are narrow.
static enum vkz_status take_marks(struct vkz_gpu *gpu, double span_ns, struct mark *marks,
                                  int *count, struct vkz_error *err)
{
    struct vkz_batch *batch = NULL;
    enum vkz_status status = vkz_batch_create(gpu, 1, &batch, err);
    const double start = vkz_host_ns();
    uint64_t before = 0;
    *count = 0;
    while (status == VKZ_OK && *count < MARKS && vkz_host_ns() - start < span_ns) {
        status = vkz_batch_begin(batch, err);
        if (status != VKZ_OK)
            break;
        vkz_batch_stamp(batch, 0);
        status = vkz_batch_run(batch, 0, err);
        if (status != VKZ_OK)
            break;
        const double window = vkz_batch_host_ns(batch);
        const uint64_t ticks = vkz_batch_ticks(batch, 0);
        struct mark *mark = &marks[*count];
        mark->window_ns = window;
        mark->host_ns = vkz_host_ns() - window / 2;
        mark->device_ns = 0;
        if (*count > 0)
            mark->device_ns = mark[-1].device_ns + vkz_ticks_ns(gpu, before, ticks);
        before = ticks;
        ++*count;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    vkz_batch_destroy(&batch);
    return status;
}

static enum vkz_status test_drift(struct vkz_gpu *gpu, struct vkz_clock *clock,
                                  struct vkz_error *err)
{
    struct mark *marks = calloc(MARKS, sizeof *marks);
    if (!marks)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for the clock test");
    int count = 0;
    const enum vkz_status status = take_marks(gpu, span_ns, marks, &count, err);
    if (status == VKZ_OK && count >= 6) {
        // The outer thirds leave at least a third of the time between the two marks.
        const struct mark *a = &marks[best_mark(marks, 0, count / 3)];
        const struct mark *b = &marks[best_mark(marks, count - count / 3, count)];
        const double host = b->host_ns - a->host_ns;
        const double device = b->device_ns - a->device_ns;
        const double unsure_ppm = (a->window_ns + b->window_ns) / 2 / host * 1e6;
        clock->span_ms = host / 1e6;
        clock->drift_ppm = (device / host - 1) * 1e6;
        for (int i = 1; i < count; i++)
            if (!(marks[i].device_ns >= marks[i - 1].device_ns))
                clock->monotonic = false;
        if (device <= 0)
            refuse(clock, "the device clock stands still");
        else if (fabs(clock->drift_ppm) > max_drift_ppm + unsure_ppm)
            refuse(clock,
                   "the device clock and the host clock disagree by more than 2 %");
    }
    free(marks);
    return status;
}

enum vkz_status vkz_clock_test(struct vkz_gpu *gpu, struct vkz_clock *out,
                               struct vkz_error *err)
{
    *out = (struct vkz_clock){.usable = true, .drift_ppm = NAN};
    const double period = gpu->info.timestamp_period_ns;
    if (!gpu->info.timestamp_bits) {
        refuse(out, "the compute queue has no timestamps");
        return VKZ_OK;
    }
    if (!(period > 0) || isinf(period)) {
        refuse(out, "the driver's timestamp period is zero, infinite or no number");
        return VKZ_OK;
    }
    enum vkz_status status = test_pairs(gpu, out, err);
    if (status == VKZ_OK)
        status = test_drift(gpu, out, err);
    if (status != VKZ_OK)
        return status;
    if (!out->monotonic)
        refuse(out, "the device clock ran backwards, or a stamp was not written");
    // A clock too coarse to move between empty pairs: the drift test saw it move, and its
    // period is the best that is known of its step.
    if (out->usable && out->step_ns == 0)
        out->step_ns = period;
    return VKZ_OK;
}
