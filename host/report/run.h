// SPDX-License-Identifier: MIT
// A result file reduced to what comparisons and reports need: a record a case. A parsed
// line takes some 15 KiB and its record under one, so that a hundred files fit in memory.
#ifndef VKZ_REPORT_RUN_H
#define VKZ_REPORT_RUN_H

#include "report/result_file.h"
#include "report/store.h"

// A timing object ("hot", "cold") of a result line; NaN where it says nothing.
struct vkz_times {
    double ns, low, high; // median and its 95 % interval
    double min, max, per_batch;
    const double *samples; // ns, in the order they were taken
    size_t sample_count;
    // Of `bench --ab`: medians of blocks taken in turns with those of the other side, which
    // has the same id; "" without.
    const char *blocks_id;
    const double *blocks;
    size_t block_count;
    unsigned marks; // enum vkz_mark
};
// Takes any value, NULL included; the samples live in the store. False without memory.
bool vkz_times_read(yyjson_val *object, struct vkz_store *store, struct vkz_times *out);

// A case line. Texts live in the store and are never NULL: "" where the line has none.
struct vkz_record {
    int line; // in its file, from 1; 0: there is none (vkz_record_none)
    const char *verb, *op, *family, *name; // name: "gemm@m=1,n=2"
    const char *asked_kernel, *asked_variant, *asked_tuning;
    const char *kernel, *variant, *tuning, *specialization, *spirv; // spirv: hashes, joined
    const char *status, *reason, *repro, *statistics;               // statistics: JSON
    const char *ceiling;                                            // that sets the hot floor
    struct vkz_times hot, cold;
    const float *canary; // ns, one before the first group and one after every group
    size_t canary_count;
    char rate_kind; // 'f', 'o', 'b': FLOPs, operations or bytes are what it is rated by
    double flops, bytes, rate;           // rate: of the hot median, a second
    double efficiency, accuracy;         // fraction of the hot floor; error over naive's
    const char *runner_up;               // of the probe that chose
    double runner_up_ratio, candidates;  // its time over the chosen one's; how many ran
    unsigned marks;                      // enum vkz_mark
    bool counts;                         // a time that may enter a mean
};
extern const struct vkz_record vkz_record_none; // NaN, "" and 0
// From a case line, whatever it has; `number` is its line. False without memory.
bool vkz_record_read(yyjson_val *line, int number, struct vkz_store *store,
                     struct vkz_record *out);
// "gemm_tile[wide]": the kernel and tuning that were asked for; "" when neither was.
const char *vkz_asked_text(const char *kernel, const char *tuning, char out[160]);
// "gemm@m=1,n=2 gemm_tile[wide]": the case, and what was asked for.
const char *vkz_record_case(const struct vkz_record *record, char *out, size_t size);
// True unless both say how much work they are and say other things: such times are not
// compared.
bool vkz_record_same_work(const struct vkz_record *a, const struct vkz_record *b);

// One result file.
struct vkz_run {
    struct vkz_result_file *file; // header, end and troubles; its case lines are gone
    struct vkz_record *records;   // in the file's order, those with a later line left out
    size_t record_count;
    char label[120];      // given by a dataset: unique among its runs
    char device[120];     // name and driver: runs of one device differ by version and date
    int errors, warnings; // found by lint
    int ok, failed, skipped;
};

// Loads and reduces a file; statuses as vkz_result_file_load. The run's texts and samples
// live in the store. The caller finishes *out, also after a failure.
enum vkz_status vkz_run_load(const char *path, struct vkz_store *store, struct vkz_run *out,
                             struct vkz_error *err);
void vkz_run_finish(struct vkz_run *run);

#endif
