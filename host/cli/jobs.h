// SPDX-License-Identifier: MIT
// From the command line to jobs and the workers that do them: what check and bench share.
#ifndef VKZ_CLI_JOBS_H
#define VKZ_CLI_JOBS_H

#include "bench/session.h"
#include "cli/cli.h"

struct vkz_job_list {
    struct vkz_job *jobs;
    int count, capacity;
};

// The jobs of every case that the options select, in the order of the suites. VKZ_BAD_INPUT
// for a name that nothing has, and for a selection without a case. The caller finishes *out,
// on failure too.
enum vkz_status vkz_job_list_create(const struct vkz_options *options, enum vkz_verb verb,
                                    const struct vkz_selection *selection,
                                    struct vkz_job_list *out, struct vkz_error *err);
void vkz_job_list_finish(struct vkz_job_list *list);

// A session with workers as the options want them. `environment`: NAME=VALUE of the workers
// beside this process's own, NULL-terminated, or NULL; it must outlive the session.
enum vkz_status vkz_cli_session(const struct vkz_options *options, int workers,
                                char *const *environment, const volatile int *interrupted,
                                struct vkz_session **out, struct vkz_error *err);

// results/<device>/<time><suffix>.jsonl, its folders made when missing.
enum vkz_status vkz_cli_result_path(yyjson_val *hello, const char *suffix, char out[1024],
                                    struct vkz_error *err);
// The floors of a result line and the fractions reached, added to `line`.
void vkz_cli_add_floors(yyjson_mut_doc *doc, yyjson_mut_val *line, yyjson_val *result,
                        yyjson_val *ceilings);

// bench --ab: two settings of the same cases, in turns.
int vkz_bench_ab(const struct vkz_options *options);

#endif
