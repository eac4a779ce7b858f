// SPDX-License-Identifier: MIT
// Suites: the line-oriented text that says what exists and which cases are run.
//
//   # comment
//   op gemm
//   kernel gemm_naive
//   kernel gemm_tile
//   case smoke,quick   m=128 n=128 k=128
//   case check         m:n:k=1:2:7,16:17:63 TRANS=nt,nn,tn     # 2 x 3 cases
//
// A case line has tags, then settings; commas in a value make the product of cases, `a:b=`
// zips names; commas and colons in parentheses are left alone. `fill.q=heavy` overrides a
// fill. A case written twice is one case with the tags of both lines. An op without `kernel`
// lines means all its kernels. The same text registers ops and kernels at build time
// (tools/zoocc reads `op` and `kernel` lines) and is read by the program, from suites/
// compiled in, or from a user's own file.
#ifndef VKZ_ZOO_SUITE_H
#define VKZ_ZOO_SUITE_H

#include "zoo/case.h"

struct vkz_suite_op {
    const struct vkz_op *op;
    const struct vkz_kernel **kernels; // in suite order
    int kernel_count;
    struct vkz_case *cases;
    int case_count;
    int line;
};

struct vkz_suite {
    char *name; // file name without folder
    struct vkz_suite_op *ops;
    int op_count;
};

// Parses `text` (need not end with a newline; `size` bytes). Every error gives
// "name:line:column: expected ...". Refuses unknown ops, kernels, tags ("smoke quick check
// bench-cpu bench-gpu apps" and any lower-case word), more than 100000 cases.
enum vkz_status vkz_suite_parse(const char *name, const char *text, size_t size,
                                uint64_t seed, struct vkz_suite *out, struct vkz_error *err);
enum vkz_status vkz_suite_load(const char *path, uint64_t seed, struct vkz_suite *out,
                               struct vkz_error *err);
// Frees what the suite owns and zeroes it; a zeroed suite is fine.
void vkz_suite_finish(struct vkz_suite *suite);

// The suites compiled into this program: names and texts, NULL-terminated.
struct vkz_suite_text {
    const char *name;
    const char *text;
    size_t size;
};
extern const struct vkz_suite_text vkz_suite_texts[];

// True when `tag` is one of the comma-separated `tags`.
bool vkz_tag_match(const char *tags, const char *tag);

#endif
