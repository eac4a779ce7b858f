// SPDX-License-Identifier: MIT
// Two result files held against each other: a verdict a case, geometric means, what is
// missing. Times of b over times of a, so above 1 b is slower.
#ifndef VKZ_REPORT_COMPARE_H
#define VKZ_REPORT_COMPARE_H

#include <stdio.h>

#include "report/run.h"
#include "report/text.h"

// A difference below this is not called faster or slower, whatever the samples say: two
// runs of one program on one machine differ by as much (placement of code and data).
#define VKZ_RESOLUTION 0.01
// The same: the interval lies within this much of 1.
#define VKZ_SAMENESS 0.02
enum { VKZ_COMPARE_SAMPLES = 5, VKZ_COMPARE_BLOCKS = 4 }; // fewer say nothing

enum vkz_verdict {
    VKZ_VERDICT_BROKEN, // ran in a, wrong or dead in b
    VKZ_VERDICT_SLOWER,
    VKZ_VERDICT_FASTER,
    VKZ_VERDICT_UNKNOWN, // cannot tell, and `reason` says why
    VKZ_VERDICT_SAME,
    VKZ_VERDICTS,
};
const char *vkz_verdict_name(enum vkz_verdict verdict); // "cannot tell"

struct vkz_ratio {
    double value, low, high; // 95 % interval; NaN when unknown
};

// What two hot timings say. Slower or faster: the interval of
// the ratio of medians leaves 1 out, a rank test of the raw samples agrees (p < 0.05), and
// the difference is above VKZ_RESOLUTION. `reason` is filled for VKZ_VERDICT_UNKNOWN. Two
// sides of one `bench --ab` are judged by their blocks.
enum vkz_verdict vkz_compare_times(const struct vkz_times *a, const struct vkz_times *b,
                                   struct vkz_ratio *ratio, char reason[160]);

// The same for medians of `count` blocks a side, the i-th of b taken beside the i-th of a:
// what drifts meanwhile weighs on both alike. From the log ratios of the pairs, with
// Student's interval of their mean.
enum vkz_verdict vkz_compare_blocks(const double *a, const double *b, size_t count,
                                    struct vkz_ratio *ratio, char reason[160]);

struct vkz_pair {
    const struct vkz_record *a, *b;
    enum vkz_verdict verdict;
    struct vkz_ratio ratio;
    char reason[160]; // why it cannot be told, or what broke
    bool counts;      // in the means
    bool other_kernel, other_spirv; // b ran something else than a
};

// Judges the pair's two records: everything else of it is filled in.
void vkz_compare_pair(struct vkz_pair *pair);

// A geometric mean. Cases weigh the same in their op, ops in their family, families in all.
struct vkz_mean {
    char name[96]; // "", "gemm", "gemm/gemv", or an op's kernel and variant
    int cases;
    struct vkz_ratio ratio;
    int verdicts[VKZ_VERDICTS];
};

enum vkz_compare_by { VKZ_BY_CASE, VKZ_BY_KERNEL, VKZ_BY_OP };

struct vkz_compare {
    const struct vkz_run *a, *b;
    struct vkz_pair *pairs; // by verdict, the largest differences first
    size_t pair_count;
    const struct vkz_record **only_a, **only_b; // cases that the other file has not
    size_t only_a_count, only_b_count;
    struct vkz_mean *kernels, *ops, *families;
    size_t kernel_count, op_count, family_count;
    struct vkz_mean all;
};

// Borrows the runs. VKZ_FAILED only without memory.
enum vkz_status vkz_compare_create(const struct vkz_run *a, const struct vkz_run *b,
                                   struct vkz_compare **out, struct vkz_error *err);
void vkz_compare_destroy(struct vkz_compare **compare); // takes NULL

// True when something broke, or is slower by more than `fraction`.
bool vkz_compare_worse(const struct vkz_compare *compare, double fraction);

// "text", "md", "csv" or "json"; VKZ_BAD_INPUT, with the words there are, for another
// format. `style` NULL: vkz_style_for(out).
enum vkz_status vkz_compare_print(const struct vkz_compare *compare, const char *format,
                                  enum vkz_compare_by by, FILE *out,
                                  const struct vkz_style *style, struct vkz_error *err);

#endif
