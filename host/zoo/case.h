// SPDX-License-Identifier: MIT
// A case: an op with numbers. Suites and command lines make them; everything else reads.
#ifndef VKZ_ZOO_CASE_H
#define VKZ_ZOO_CASE_H

#include "zoo/op.h"

enum { VKZ_CASE_FILLS = 12, VKZ_ID_MAX = 512 };

struct vkz_case {
    const struct vkz_op *op;
    // Dims, axes (by number; AXIS.value names are known) and scalars, all resolved. Scalars
    // are rounded to f32, what a kernel gets, so that the reference sees the same number.
    struct vkz_env env;
    struct {
        const char *tensor; // the contract's string
        char fill[48];
    } fills[VKZ_CASE_FILLS]; // overrides of the contract's fills
    int fill_count;
    uint64_t seed;
    char tags[64];       // "smoke,check"
    char id[VKZ_ID_MAX]; // op@k=v,... : dims always, the rest where it is not the default
    const char *file;    // where it was written (borrowed from the suite), or NULL
    int line;
};

// Builds a case from "k=v k=v" or "k=v,k=v" (dims, scalars, axes by value name or number,
// fill.TENSOR=fill). Everything not given takes its default; a dim without one is an error.
// Dims are constant expressions >= 1, scalars expressions over dims and axes
// ("beta=-ln(kv_len)").
enum vkz_status vkz_case_parse(const struct vkz_op *op, const char *text, uint64_t seed,
                               struct vkz_case *out, struct vkz_error *err);
// Parses "op@k=v,..." as printed in `id`.
enum vkz_status vkz_case_parse_id(const char *id, uint64_t seed, struct vkz_case *out,
                                  struct vkz_error *err);
// A copy with some values replaced ("heads=1 MASK=none"). What the case had set stays, what
// equals its default is computed again from the new values. `out` may be `base`.
enum vkz_status vkz_case_with(const struct vkz_case *base, const char *settings,
                              struct vkz_case *out, struct vkz_error *err);

// A tensor's extents in a case; *count 0 and VKZ_OK when its `when` is 0.
enum vkz_status vkz_case_tensor(const struct vkz_case *c, const struct vkz_tensor *tensor,
                                int64_t extents[VKZ_MAX_DIMS], int *dims, int64_t *count,
                                struct vkz_error *err);
// FLOPs and minimal bytes of the case with the variant's storage types (NULL: T is f32). NaN
// when the contract's expression is wrong, which the agreement check finds.
double vkz_case_flops(const struct vkz_case *c);
double vkz_case_bytes(const struct vkz_case *c, const struct vkz_variant *variant);

#endif
