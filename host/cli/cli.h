// SPDX-License-Identifier: MIT
// The command line: options shared by the verbs, and the verbs themselves.
#ifndef VKZ_CLI_CLI_H
#define VKZ_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "vkzoo/status.h"
#include "zoo/suite.h"

enum {
    VKZ_EXIT_OK = 0,
    VKZ_EXIT_FAILED = 1, // a kernel is wrong, or a regression
    VKZ_EXIT_USAGE = 2,
    VKZ_EXIT_NOTHING = 77, // nothing could run here
    VKZ_EXIT_HARNESS = 99, // the harness or the device failed
    VKZ_EXIT_INTERRUPTED = 130, // Ctrl-C: the file has what was measured
};

enum { VKZ_MAX_SELECTORS = 1024 };

struct vkz_options {
    const char *selectors[VKZ_MAX_SELECTORS]; // suites, ops, case ids, .suite files
    int selector_count;
    const char *device, *tags, *set, *kernel, *variant, *tuning, *spec, *out, *resume;
    const char *cache_folder, *spirv;
    const char *by, *format, *fail_on, *chart, *export_format; // compare, report
    const char *ab[2]; // bench: settings of the two sides
    uint64_t seed;
    double budget_ms, timeout_s;
    int workers;
    bool json, all_kernels, fresh, no_cold, no_ceilings, no_canary, floor_limits, core_only;
    bool statistics, full, quick, strict, identities, brief;
    int fd_in, fd_out; // worker
};

struct vkz_verb_entry {
    const char *name;
    const char *summary; // one line for `vkzoo help`
    const char *help;    // usage, options, examples
    int (*run)(const struct vkz_options *options);
};

extern const struct vkz_verb_entry vkz_verbs[]; // NULL-terminated

int vkz_cmd_info(const struct vkz_options *options);
int vkz_cmd_list(const struct vkz_options *options);
int vkz_cmd_where(const struct vkz_options *options);
int vkz_cmd_check(const struct vkz_options *options);
int vkz_cmd_bench(const struct vkz_options *options);
int vkz_cmd_peak(const struct vkz_options *options);
int vkz_cmd_lint(const struct vkz_options *options);
int vkz_cmd_compare(const struct vkz_options *options);
int vkz_cmd_report(const struct vkz_options *options);
int vkz_cmd_history(const struct vkz_options *options);
int vkz_cmd_worker(const struct vkz_options *options);

// Prints "vkzoo: message" to stderr and returns the exit status that goes with it.
int vkz_cli_fail(const struct vkz_error *err);

// Suites named by the selectors (all when there are none), parsed. Caller finishes each.
struct vkz_selection {
    struct vkz_suite *suites;
    int suite_count;
    const char *const *selectors;
    int selector_count;
};
enum vkz_status vkz_selection_create(const struct vkz_options *options,
                                     struct vkz_selection *out, struct vkz_error *err);
void vkz_selection_finish(struct vkz_selection *selection);
// True when the selectors name this op (by op, suite, file or case id), or are empty.
bool vkz_selection_has(const struct vkz_selection *selection, const struct vkz_suite *suite,
                       const struct vkz_op *op);

// Every --kernel, --variant, --tuning and name in --spec is one that a selected kernel has;
// else VKZ_BAD_INPUT with what there is.
enum vkz_status vkz_selection_check_names(const struct vkz_options *options,
                                          const struct vkz_selection *selection,
                                          struct vkz_error *err);
// VKZ_BAD_INPUT for a selection without any case, with the tags there are.
enum vkz_status vkz_selection_no_case(const struct vkz_options *options,
                                      const struct vkz_selection *selection,
                                      struct vkz_error *err);

#endif
