// SPDX-License-Identifier: MIT
// Order statistics, the percentile bootstrap of the median, and a weighted line fit.
#include "zoo/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BOOTSTRAP_ROUNDS = 400, BOOTSTRAP_MAX_SAMPLES = 512 };

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void vkz_sort(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
}

uint64_t vkz_random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

double vkz_quantile(const double *sorted, int n, double p)
{
    if (n <= 0)
        return NAN;
    const double at = p * (n - 1);
    const int below = (int)floor(at);
    const int above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

// The median of a resample of sorted data needs only the resampled ranks: counting sort of
// the ranks makes a round linear.
static double resampled_median(const double *sorted, int n, int *counts, uint64_t *state)
{
    memset(counts, 0, (size_t)n * sizeof *counts);
    for (int i = 0; i < n; i++)
        counts[vkz_random_next(state) % (uint64_t)n]++;
    const int low_rank = (n - 1) / 2, high_rank = n / 2;
    double low = sorted[n - 1];
    int seen = 0;
    for (int i = 0; i < n; i++) {
        const int before = seen;
        seen += counts[i];
        if (before <= low_rank && low_rank < seen)
            low = sorted[i];
        if (before <= high_rank && high_rank < seen)
            return 0.5 * (low + sorted[i]);
    }
    return low;
}

static void bootstrap_median(const double *sorted, int n, double *low, double *high)
{
    // Beyond a few hundred samples the interval is far below the stopping rule: thin out.
    double thin[BOOTSTRAP_MAX_SAMPLES];
    int counts[BOOTSTRAP_MAX_SAMPLES];
    double medians[BOOTSTRAP_ROUNDS];
    const int m = n < BOOTSTRAP_MAX_SAMPLES ? n : BOOTSTRAP_MAX_SAMPLES;
    for (int i = 0; i < m; i++)
        thin[i] = m == n ? sorted[i] : vkz_quantile(sorted, n, (i + 0.5) / m);
    uint64_t state = 0x766B7A6F6F626F6Fu + (uint64_t)n;
    for (int round = 0; round < BOOTSTRAP_ROUNDS; round++)
        medians[round] = resampled_median(thin, m, counts, &state);
    vkz_sort(medians, BOOTSTRAP_ROUNDS);
    *low = vkz_quantile(medians, BOOTSTRAP_ROUNDS, 0.025);
    *high = vkz_quantile(medians, BOOTSTRAP_ROUNDS, 0.975);
}

struct vkz_summary vkz_summarize(const double *samples, int n)
{
    struct vkz_summary s = {n, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    double *sorted = n > 0 ? malloc((size_t)n * sizeof *sorted) : NULL;
    if (!sorted)
        return s;
    memcpy(sorted, samples, (size_t)n * sizeof *sorted);
    vkz_sort(sorted, n);
    s.min = sorted[0];
    s.q1 = vkz_quantile(sorted, n, 0.25);
    s.median = vkz_quantile(sorted, n, 0.5);
    s.q3 = vkz_quantile(sorted, n, 0.75);
    s.max = sorted[n - 1];
    bootstrap_median(sorted, n, &s.low, &s.high);
    for (int i = 0; i < n; i++)
        sorted[i] = fabs(sorted[i] - s.median);
    vkz_sort(sorted, n);
    s.mad = vkz_quantile(sorted, n, 0.5);
    free(sorted);
    return s;
}

double vkz_summary_relative(const struct vkz_summary *summary)
{
    return 0.5 * (summary->high - summary->low) / summary->median;
}

void vkz_fit_line(const double *x, const double *y, int n, double *intercept, double *slope)
{
    double sw = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (int i = 0; i < n; i++) {
        const double w = 1.0 / (x[i] * x[i]);
        sw += w;
        sx += w * x[i];
        sy += w * y[i];
        sxx += w * x[i] * x[i];
        sxy += w * x[i] * y[i];
    }
    const double det = sw * sxx - sx * sx;
    *slope = det > 0 ? (sw * sxy - sx * sy) / det : NAN;
    *intercept = det > 0 ? (sxx * sy - sx * sxy) / det : NAN;
}
