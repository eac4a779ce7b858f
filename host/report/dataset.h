// SPDX-License-Identifier: MIT
// Any number of result files as one set of numbers: runs (a file each), rows (a case and
// variant), and what each run measured of each row. What reports are made from.
#ifndef VKZ_REPORT_DATASET_H
#define VKZ_REPORT_DATASET_H

#include <stdio.h>

#include "report/run.h"

// A case, a variant and what was asked for by name.
struct vkz_dataset_row {
    const char *op, *family, *name, *variant, *asked_kernel, *asked_tuning;
    char rate_kind; // 'f', 'o', 'b'
    double flops, bytes;
    const struct vkz_record **points; // one a run; &vkz_record_none: the run has not this row
};

struct vkz_dataset {
    struct vkz_run *runs;
    int run_count;
    struct vkz_dataset_row *rows; // by family, op, case, variant
    size_t row_count;
    char **problems; // a line each: files and lines that were left out
    int problem_count;
    const struct vkz_record **points; // what the rows' points lie in
    struct vkz_store *store;          // texts and samples of the records
};

// Loads the files; what cannot be used becomes a problem, and only when no file is left
// VKZ_BAD_INPUT. The caller destroys *out.
enum vkz_status vkz_dataset_load(const char *const *paths, int path_count,
                                 struct vkz_dataset **out, struct vkz_error *err);
void vkz_dataset_destroy(struct vkz_dataset **dataset); // takes NULL
// A problem as one line, whatever bytes a file's text has.
void vkz_dataset_print_problem(const struct vkz_dataset *dataset, int index, FILE *out);

// Geometric mean of the times of `run` over those of `baseline`, on the rows of a family
// (NULL: families weigh the same) that both have; ops weigh the same in their family.
// NaN without a common row; *rows (may be NULL) counts them.
double vkz_dataset_ratio(const struct vkz_dataset *dataset, int run, int baseline,
                         const char *family, int *rows);
// Names of the families, in order; `index` from 0; NULL after the last.
const char *vkz_dataset_family(const struct vkz_dataset *dataset, int index);

// The row behind the last that is of the same op as row `first`: an op's rows are neighbours.
size_t vkz_dataset_op_end(const struct vkz_dataset *dataset, size_t first);

// "m=1,n=2" of the row's "gemm@m=1,n=2".
const char *vkz_dataset_settings(const struct vkz_dataset_row *row);

#endif
