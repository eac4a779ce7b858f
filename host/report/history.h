// SPDX-License-Identifier: MIT
// Cases over many runs of one device: how much the times scatter, and where their level
// changed.
#ifndef VKZ_REPORT_HISTORY_H
#define VKZ_REPORT_HISTORY_H

#include <stdio.h>

#include "report/dataset.h"
#include "report/text.h"

enum {
    VKZ_HISTORY_RUNS = 8,    // fewer say nothing: 4 against 4 is the least that can tell
    VKZ_HISTORY_CHANGES = 8, // kept a case
};

// The level is another one from run `first` on.
struct vkz_change {
    int first;    // index into the series
    double ratio; // of the level after to the level before, of times
};

// Change points of a series of times in order, found by splitting it in two where that
// tells most, and each part again: each split has p < 0.05 in a permutation test of its
// statistic and moves the level by more than VKZ_RESOLUTION. *noise becomes the scatter
// around the levels, relative, robust: 1.4826 times the median absolute deviation. Fewer
// than VKZ_HISTORY_RUNS times: no changes, and NaN. Returns the number of changes.
int vkz_history_changes(const double *times, int n, double *noise,
                        struct vkz_change out[VKZ_HISTORY_CHANGES]);

// A case on a device.
struct vkz_series {
    const struct vkz_dataset_row *row;
    const char *device;
    int *runs; // of the dataset, in the order of their dates
    int count;
    double noise; // NaN: not enough history
    struct vkz_change changes[VKZ_HISTORY_CHANGES];
    int change_count;
};

struct vkz_history {
    const struct vkz_dataset *dataset;
    struct vkz_series *series; // by device, then in the dataset's order
    size_t count;
    int *runs; // what the series' runs lie in
};

// Borrows the dataset. VKZ_FAILED only without memory.
enum vkz_status vkz_history_create(const struct vkz_dataset *dataset,
                                   struct vkz_history **out, struct vkz_error *err);
void vkz_history_destroy(struct vkz_history **history); // takes NULL

// "text", "md", "csv", "json"; false for another name.
bool vkz_history_print(const struct vkz_history *history, const char *format, FILE *out,
                       const struct vkz_style *style);

#endif
