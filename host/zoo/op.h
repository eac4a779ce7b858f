// SPDX-License-Identifier: MIT
// An op's contract: maths, dims, tensors, tolerance and the fp64 reference.
// One file an op: host/ops/<family>/<op>.c defines `const struct vkz_op vkz_op_<op>`.
//
// A contract file is compiled twice: once with `real` = double, which gives the reference,
// and once with `real` = float, which gives the naive low-precision emulation the pass rule
// compares with: same loop, same order, kept in the kernel's accumulation type. So a
// reference function is written once, as the plain loop of the paper, in `real` and with
// <tgmath.h>; VKZ_OP(name) names the table so that both builds link together.
#ifndef VKZ_ZOO_OP_H
#define VKZ_ZOO_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "vkzoo/env.h"
#include "vkzoo/kernel.h"

#ifdef VKZ_NAIVE
typedef float real;
#define VKZ_OP(name) const struct vkz_op vkz_op_##name##_naive
#else
typedef double real;
#define VKZ_OP(name) const struct vkz_op vkz_op_##name
#endif

struct vkz_dim {
    const char *name;
    const char *doc;
    const char *value; // default expression, or NULL: the case must give it
};

struct vkz_scalar {
    const char *name;
    const char *value; // default: an expression over dims ("1/sqrt(head_dim)")
    const char *doc;
};

struct vkz_axis {
    const char *name;
    const char *values; // "none causal window": the index is the constant's value
    const char *doc;
};

struct vkz_tensor {
    const char *name;
    enum vkz_io io;
    const char *type;  // "T", "f32", "i32", ... ; see vkz_variant_type
    const char *shape; // "batch, heads, q_len, head_dim"
    const char *when;  // exists when not 0; NULL: always
    // Inputs: default fill, "normal(1)" when NULL; "op" = the contract's fill(). Arguments
    // are expressions over the case: "range(0, experts - 1)", "zipf(1.5, experts)".
    // "forward" in a backward op: the forward op's output of this name.
    const char *fill;
    const char *doc;
};

// Tolerance classes of the specifications. Integer outputs are compared exactly in every
// class: VKZ_TOL_TOPK is for ops whose integers come from vkz_ref_ambiguous choices.
enum vkz_tolerance {
    VKZ_TOL_EXACT,
    VKZ_TOL_ELEM,
    VKZ_TOL_SUM,
    VKZ_TOL_ATTN,
    VKZ_TOL_REC,
    VKZ_TOL_GRAD,
    VKZ_TOL_TOPK,
};

enum vkz_metric { VKZ_METRIC_FLOPS, VKZ_METRIC_BYTES };

// The reference's view of one case. Inputs are already rounded to the storage type and
// widened: float tensors to float (exact for f32, f16, bf16), integers to int32_t.
struct vkz_ref;

double vkz_ref_value(const struct vkz_ref *ref, const char *name);  // dim, scalar or axis
int64_t vkz_ref_dim(const struct vkz_ref *ref, const char *name);   // the same, as integer
const float *vkz_ref_in(const struct vkz_ref *ref, const char *name);     // NULL if absent
const int32_t *vkz_ref_in_int(const struct vkz_ref *ref, const char *name);
// Where to put this unit's elements of an output: count/units values, in tensor order.
// NULL when the tensor is absent (its `when` is 0). Integer outputs are stored as doubles.
double *vkz_ref_out(struct vkz_ref *ref, const char *name);
// s_i, the magnitude of the sum behind each element (sum of |terms|). 1 unless written.
double *vkz_ref_scale(struct vkz_ref *ref, const char *name);
// x as an element of that tensor is stored, to nearest even: for values that a fused op
// rounds on the way as the ops that it fuses would.
double vkz_ref_round(const struct vkz_ref *ref, const char *name, double x);
// Temporary storage of this call, zeroed, freed by the caller of the reference. Never NULL.
void *vkz_ref_temp(struct vkz_ref *ref, size_t bytes);
// For units that choose by real-valued scores: the last score chosen and the first one left
// out are closer than rounding can tell (4u max|score|, u = 2^-24, more where a score is a
// long sum), so a correct kernel may choose otherwise. The unit is left out of the
// comparison. Scores that tie exactly are not ambiguous: the lower index is chosen.
void vkz_ref_ambiguous(struct vkz_ref *ref);

// For the contract's own fills: the tensor to write (float or int32_t by its type), and a
// counter-based random source: the same (seed, tensor, index) gives the same number.
struct vkz_fill;
double vkz_fill_value(const struct vkz_fill *fill, const char *name); // dim, scalar, axis
float *vkz_fill_float(struct vkz_fill *fill);
int32_t *vkz_fill_int(struct vkz_fill *fill);
int64_t vkz_fill_count(const struct vkz_fill *fill);
double vkz_fill_uniform(const struct vkz_fill *fill, uint64_t index); // [0,1)
double vkz_fill_normal(const struct vkz_fill *fill, uint64_t index);  // N(0,1)

// A metamorphic identity: a property that holds without a reference, so that it can check
// the kernel (or the reference itself) at full size. See zoo/identity.h for what `run` sees.
struct vkz_identity_run;
struct vkz_identity {
    const char *name; // "permute_keys"
    const char *doc;  // one sentence
    const char *when; // applies when not 0; NULL: always
    // Returns false and a message when the identity is violated.
    bool (*check)(struct vkz_identity_run *run);
};

struct vkz_op {
    const char *name;
    const char *family;
    // A backward op: the op whose gradients it computes. It has the forward op's inputs by
    // the same names, `dy` in for an output y, and out `dx` for an input x (`dv_` where `dv`
    // is taken). Unit tests hold it against central differences of the forward op.
    const char *forward;
    int abi;
    const char *title; // one line
    const char *doc;   // maths and source, as shown by `list` and `where`
    const struct vkz_dim *dims;          // all arrays end with a NULL name; NULL: empty
    const struct vkz_scalar *scalars;
    const struct vkz_axis *axes;
    const struct vkz_tensor *tensors;    // binding order
    const char *valid; // expression that must hold for a case, or NULL
    const char *valid_reason;
    const char *flops; // expression
    const char *bytes; // expression (T.bytes is the size of a T), or NULL: every input and
                       // output tensor once, what is updated in place twice
    const char *sum_length; // K of the tolerance class `sum` and `rec`; NULL: 1
    enum vkz_tolerance tolerance;
    enum vkz_metric metric;
    // The ceiling this op's FLOPs are held against: "fma", "int", "exp2", ... ; NULL: "fma"
    const char *unit;
    // Work unit of the reference: outputs split in this many equal consecutive parts, each
    // computed by one call. "batch*heads*q_len" = output rows; "1" = all at once.
    const char *units;
    bool sampled; // large cases may compute a subset of the units
    void (*reference)(struct vkz_ref *ref, int64_t unit);
    // Fills tensors whose fill is "op". May be NULL.
    void (*fill)(struct vkz_fill *fill, const char *tensor);
    const struct vkz_identity *identities;
    bool bitwise; // outputs are the same bits run to run (almost always true)
};

// Every op of this build and its naive twin, NULL-terminated, in suite order.
extern const struct vkz_op *const vkz_ops[];
extern const struct vkz_op *const vkz_ops_naive[];

// The op of that name or NULL.
const struct vkz_op *vkz_op_find(const char *name);
const struct vkz_op *vkz_op_find_naive(const char *name);
// Number of the axis value of that name, or -1.
int vkz_axis_value(const struct vkz_axis *axis, const char *value);
// Name of value number `index`, copied to `out` (at most 64 bytes with NUL); false if none.
bool vkz_axis_name(const struct vkz_axis *axis, int index, char out[64]);

#endif
