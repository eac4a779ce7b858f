// SPDX-License-Identifier: MIT
// Robust statistics of timing samples. No Vulkan in here.
#ifndef VKZ_ZOO_STATS_H
#define VKZ_ZOO_STATS_H

#include <stdint.h>

struct vkz_summary {
    int n;
    double min, q1, median, q3, max;
    double mad;       // median absolute deviation from the median
    double low, high; // 95 % percentile-bootstrap interval of the median
};

// Summarises n >= 0 samples (any order, not modified). n = 0 gives NaN everywhere.
// The bootstrap is seeded: equal samples give equal intervals.
struct vkz_summary vkz_summarize(const double *samples, int n);

// Sorts values ascending.
void vkz_sort(double *values, int n);

// The p-quantile (0..1) of sorted samples, interpolated linearly. NaN when n = 0.
double vkz_quantile(const double *sorted, int n, double p);

// Half-width of the interval over the median: the stopping rule's quantity.
double vkz_summary_relative(const struct vkz_summary *summary);

// Least-squares line y = intercept + slope * x, weights 1/x^2 (constant relative noise).
void vkz_fit_line(const double *x, const double *y, int n, double *intercept, double *slope);

// splitmix64: a small seeded generator for bootstraps and shuffles.
uint64_t vkz_random_next(uint64_t *state);

#endif
