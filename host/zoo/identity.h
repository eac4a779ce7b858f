// SPDX-License-Identifier: MIT
// Metamorphic identities: what a contract's check() sees, and who runs it.
//
// A check derives inputs from the case, edits some, asks for outputs, and compares:
//
//   static bool check_scale(struct vkz_identity_run *run)
//   {
//       struct vkz_data *one = vkz_identity_inputs(run, NULL);
//       struct vkz_data *two = vkz_identity_inputs(run, NULL);
//       float *a = vkz_identity_float(run, two, "a");
//       int64_t count = vkz_identity_count(two, "a");
//       for (int64_t i = 0; i < count; i++)
//           a[i] *= 2;
//       double *c = vkz_identity_output(run, one, "c");
//       double *d = vkz_identity_output(run, two, "c");
//       ... halve d ...
//       return vkz_identity_equal(run, "c", c, d, vkz_identity_count(one, "c"), 2);
//   }
//
// When a step cannot be done (out of memory, a device error) the run remembers why, every
// later helper does nothing, pointers are NULL and counts 0: a check that loops over
// counts needs no error handling, one that indexes by dims returns early on NULL.
#ifndef VKZ_ZOO_IDENTITY_H
#define VKZ_ZOO_IDENTITY_H

#include "zoo/data.h"

// One output of one execution. `values` has `count` doubles, allocated by the run.
struct vkz_identity_output {
    double *values;
    int64_t count; // 0: an input, or absent in this case
    // Magnitude of the sums behind the elements (the largest s_i known), 0 when unknown:
    // the largest value stands in.
    double scale;
};

struct vkz_identity_item;

struct vkz_identity_run {
    // Set by who runs it.
    const struct vkz_case *c;
    const struct vkz_variant *variant;
    int threads; // for filling inputs; 0 = all cores
    // Computes data's outputs from its inputs: outputs[i] belongs to data->arrays[i].
    // Values are as the kernel stored them. May return VKZ_SKIP (a derived case that this
    // device cannot run).
    enum vkz_status (*execute)(void *context, const struct vkz_data *data,
                               struct vkz_identity_output outputs[VKZ_MAX_TENSORS],
                               struct vkz_error *err);
    void *context;

    // Kept by the helpers; start zeroed.
    struct vkz_identity_item *items;
    struct vkz_error trouble; // status not VKZ_OK: a step could not be done
    char message[400];        // what differs, when the identity is violated
};

// ---- For checks; everything returned lives until the check ends. ----

// A dim, scalar or axis of the run's case.
double vkz_identity_value(const struct vkz_identity_run *run, const char *name);
int64_t vkz_identity_dim(const struct vkz_identity_run *run, const char *name);
// Fresh inputs of the case, with some settings replaced ("heads=1 MASK=none"; NULL:
// none). The same tensor names, seed and shape give the same values.
struct vkz_data *vkz_identity_inputs(struct vkz_identity_run *run, const char *settings);
// The values of a tensor, for reading and, before its data is executed, for editing. They
// are rounded to the storage type again before execution. NULL when the tensor is absent.
float *vkz_identity_float(struct vkz_identity_run *run, struct vkz_data *data,
                          const char *tensor);
int32_t *vkz_identity_int(struct vkz_identity_run *run, struct vkz_data *data,
                          const char *tensor);
// Elements of a tensor, input or output; 0 for NULL data and absent tensors.
int64_t vkz_identity_count(struct vkz_data *data, const char *tensor);
// An output; executes `data` when it is the first one asked for. The caller may edit it.
double *vkz_identity_output(struct vkz_identity_run *run, struct vkz_data *data,
                            const char *tensor);
// Zeroed temporary values.
double *vkz_identity_temp(struct vkz_identity_run *run, int64_t count);
// True when all values agree to `factor` units of the op's tolerance class for `tensor`'s
// storage type (both sides carry an error: 2 is the least that makes sense). NaN agrees
// with NaN, an infinity with itself. Exact classes must be equal. False after trouble.
bool vkz_identity_equal(struct vkz_identity_run *run, const char *tensor, const double *a,
                        const double *b, int64_t count, double factor);
// True when the outputs are linear in the inputs: all of `inputs` doubled, each of `outputs`
// doubles. Both end with NULL; a tensor that the case has not is passed over.
bool vkz_identity_linear(struct vkz_identity_run *run, const char *const *inputs,
                         const char *const *outputs);
// The unit of that comparison, relative to the magnitude of the sum.
double vkz_identity_tolerance(const struct vkz_case *c, enum vkz_type type);

// ---- For who runs them ----

// Runs one identity: VKZ_OK, VKZ_SKIP (it does not apply, or execute() skipped),
// VKZ_FAILED with "case: identity NAME is violated: ...", or the status of what could not
// be done. *violated (may be NULL) tells a violation from a failure of the harness.
enum vkz_status vkz_identity_check(const struct vkz_identity *identity,
                                   struct vkz_identity_run *run, bool *violated,
                                   struct vkz_error *err);
// Runs all identities of the case's op on its fp64 reference; stops at the first that is
// violated.
enum vkz_status vkz_identities_check_reference(const struct vkz_case *c,
                                               const struct vkz_variant *variant,
                                               int threads, struct vkz_error *err);

#endif
