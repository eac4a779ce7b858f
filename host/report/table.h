// SPDX-License-Identifier: MIT
// What a run ends with on the terminal: the table of its cases, or of the device's
// ceilings, and a summary that says what to do next.
#ifndef VKZ_REPORT_TABLE_H
#define VKZ_REPORT_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include <yyjson.h>

#include "report/result_file.h"
#include "report/text.h"
#include "vkzoo/status.h"

// Collects result lines. A later line of the same case, kernel, variant and tuning
// replaces the one before, as in a result file.
struct vkz_table;
enum vkz_status vkz_table_create(struct vkz_table **out, struct vkz_error *err);
void vkz_table_destroy(struct vkz_table **table); // takes NULL
// Copies what it needs of a case line; other lines are passed over.
enum vkz_status vkz_table_add(struct vkz_table *table, yyjson_val *line,
                              struct vkz_error *err);
// Every case of a file that counts.
enum vkz_status vkz_table_add_file(struct vkz_table *table,
                                   const struct vkz_result_file *file,
                                   struct vkz_error *err);

// Outcomes so far, as in the end line of a result file.
struct vkz_table_counts {
    int cases, ok, failed, skipped, mistrusted;
    int errors; // error, crashed, timed out, device lost
};
struct vkz_table_counts vkz_table_count(const struct vkz_table *table);

// Prints the cases, grouped by op: a row a case for bench lines, a row a kernel and
// variant for check lines. `style` NULL: vkz_style_for(out).
void vkz_table_print(const struct vkz_table *table, FILE *out,
                     const struct vkz_style *style);

struct vkz_table_summary {
    const char *path;   // of the result file; NULL: none was written
    const char *verb;   // "bench" or "check", for the advice
    yyjson_val *header; // for the device and the ceilings line; may be NULL
    double seconds;     // of the run; 0: not said
    bool interrupted;   // the run was cut off: how to resume it is said
};
void vkz_table_print_summary(const struct vkz_table *table, FILE *out,
                             const struct vkz_style *style,
                             const struct vkz_table_summary *summary);

// The table of a header's ceilings: rates, the bandwidth curve, launch costs, what was
// left out. `ceilings` may be NULL or JSON null, which says so.
void vkz_ceilings_print(yyjson_val *ceilings, FILE *out, const struct vkz_style *style);
// The ceilings in a line: "read 12.3 GB/s, fma f32 95.1 GFLOP/s, ...". Ends with a
// newline; prints nothing without ceilings.
void vkz_ceilings_print_line(yyjson_val *ceilings, FILE *out,
                             const struct vkz_style *style);

#endif
