// SPDX-License-Identifier: MIT
// scan: prefix sums and their relatives along rows, contract and reference.
#include <math.h>
#include <string.h>
#include <tgmath.h>

#include "zoo/identity.h"

static const struct vkz_dim dims[] = {
    {"rows", "independent scans", NULL},
    {"cols", "elements of a scan", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"h0", "0", "OP affine: the state before every segment"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"OP", "sum max min logsumexp affine", "the associative operator"},
    {"TYPE", "float int uint", "T, or 32-bit integers (sum wraps)"},
    {"EXCLUSIVE", "off on", "an element's own value is left out"},
    {"SEGMENTED", "off on", "flagged elements start anew"},
    {0},
};

#define IS_FLOAT "TYPE == TYPE.float"
#define IS_INT "TYPE == TYPE.int"
#define IS_UINT "TYPE == TYPE.uint"

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, cols", IS_FLOAT, "normal(1)", "terms; affine: what is added"},
    {"a", VKZ_IN, "T", "rows, cols", "OP == OP.affine", "uniform(-1,1)",
     "affine: what the state is multiplied by"},
    {"flag", VKZ_IN, "u32", "rows, ceildiv(cols, 32)", "SEGMENTED == SEGMENTED.on", "op",
     "bit c % 32 of word c / 32: element c starts a segment (element 0 always does)"},
    {"xi", VKZ_IN, "i32", "rows, cols", IS_INT, "range(-2000000000,2000000000)", "terms"},
    {"xu", VKZ_IN, "u32", "rows, cols", IS_UINT, "range(-2147483648,2147483647)", "terms"},
    {"y", VKZ_OUT, "T", "rows, cols", IS_FLOAT, NULL, "running results"},
    {"yi", VKZ_OUT, "i32", "rows, cols", IS_INT, NULL, "running results"},
    {"yu", VKZ_OUT, "u32", "rows, cols", IS_UINT, NULL, "running results"},
    {0},
};

enum { OP_SUM, OP_MAX, OP_MIN, OP_LOGSUMEXP, OP_AFFINE };
enum { TYPE_FLOAT, TYPE_INT, TYPE_UINT };

// One word in eight has heads, and then a few: segments of 1 to some hundred elements.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // flag is the only one
    int32_t *flag = vkz_fill_int(fill);
    const int64_t count = vkz_fill_count(fill);
    for (int64_t i = 0; i < count; i++) {
        uint32_t word = 0;
        if (vkz_fill_uniform(fill, (uint64_t)(4 * i)) < 0.125) {
            for (uint64_t k = 1; k < 4; k++) {
                const double u = vkz_fill_uniform(fill, (uint64_t)(4 * i) + k);
                word |= (uint32_t)1 << (int)(32 * u);
            }
        }
        memcpy(&flag[i], &word, sizeof word);
    }
}

struct state {
    real h;         // sum, maximum, minimum or state; log-sum-exp: the maximum
    real sum;       // log-sum-exp: the sum relative to the maximum
    real magnitude; // of the terms
};

static void start(struct state *s, int op, real h0)
{
    s->h = op == OP_MAX || op == OP_LOGSUMEXP ? -(real)INFINITY
           : op == OP_MIN                     ? (real)INFINITY
           : op == OP_AFFINE                  ? h0
                                              : 0;
    s->sum = 0;
    s->magnitude = op == OP_AFFINE ? fabs(h0) : 0;
}

static real larger(real a, real b)
{
    return isnan(a) || a >= b ? a : b;
}

static void add_exponential(struct state *s, real x)
{
    const real top = isnan(x) ? s->h : larger(s->h, x);
    const real keep = s->h == top ? 1 : exp(s->h - top);
    s->sum = s->sum * keep + (x == top ? 1 : exp(x - top));
    s->h = top;
}

static void take(struct state *s, int op, real x, real a)
{
    switch (op) {
    case OP_SUM:
        s->h += x;
        s->magnitude += fabs(x);
        return;
    case OP_MAX:
        s->h = larger(s->h, x);
        return;
    case OP_MIN:
        s->h = -larger(-s->h, -x);
        return;
    case OP_LOGSUMEXP:
        add_exponential(s, x);
        return;
    default:
        s->h = a * s->h + x;
        s->magnitude = fabs(a) * s->magnitude + fabs(x);
        return;
    }
}

static void give(const struct state *s, int op, double *y, double *scale)
{
    const real value = op == OP_LOGSUMEXP && s->sum != 0 ? s->h + log(s->sum) : s->h;
    const double size = fabs((double)value);
    *y = (double)value;
    *scale = op == OP_LOGSUMEXP            ? 1 + size
             : op == OP_MAX || op == OP_MIN ? size
                                            : (double)s->magnitude;
    if (!isfinite(*scale)) {
        *scale = 1;
    }
}

static void scan_float(struct vkz_ref *ref, int64_t row, const int32_t *flag)
{
    const int64_t cols = vkz_ref_dim(ref, "cols");
    const int op = (int)vkz_ref_dim(ref, "OP");
    const bool exclusive = vkz_ref_dim(ref, "EXCLUSIVE") != 0;
    const real h0 = (real)vkz_ref_value(ref, "h0");
    const float *x = vkz_ref_in(ref, "x") + row * cols;
    const float *a = op == OP_AFFINE ? vkz_ref_in(ref, "a") + row * cols : NULL;
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    struct state s;
    start(&s, op, h0);
    for (int64_t c = 0; c < cols; c++) {
        if (flag != NULL && ((uint32_t)flag[c / 32] >> (c % 32) & 1) != 0) {
            start(&s, op, h0);
        }
        if (exclusive) {
            give(&s, op, &y[c], &scale[c]);
        }
        take(&s, op, (real)x[c], a != NULL ? (real)a[c] : 0);
        if (!exclusive) {
            give(&s, op, &y[c], &scale[c]);
        }
    }
}

// Integers as they are in memory: sums wrap, comparisons by sign or not.
static uint32_t combine(int op, bool is_signed, uint32_t s, uint32_t x)
{
    const bool less = is_signed ? (int32_t)s < (int32_t)x : s < x;
    return op == OP_SUM ? s + x : (op == OP_MAX) == less ? x : s;
}

static void scan_int(struct vkz_ref *ref, int64_t row, const int32_t *flag)
{
    const int64_t cols = vkz_ref_dim(ref, "cols");
    const int op = (int)vkz_ref_dim(ref, "OP");
    const bool exclusive = vkz_ref_dim(ref, "EXCLUSIVE") != 0;
    const bool is_signed = vkz_ref_dim(ref, "TYPE") == TYPE_INT;
    const int32_t *x = vkz_ref_in_int(ref, is_signed ? "xi" : "xu") + row * cols;
    double *y = vkz_ref_out(ref, is_signed ? "yi" : "yu");
    const uint32_t lowest = is_signed ? (uint32_t)INT32_MIN : 0;
    const uint32_t identity = op == OP_SUM ? 0 : op == OP_MAX ? lowest : ~lowest;
    uint32_t s = identity;
    for (int64_t c = 0; c < cols; c++) {
        if (flag != NULL && ((uint32_t)flag[c / 32] >> (c % 32) & 1) != 0) {
            s = identity;
        }
        const uint32_t before = s;
        s = combine(op, is_signed, s, (uint32_t)x[c]);
        const uint32_t value = exclusive ? before : s;
        y[c] = is_signed ? (double)(int32_t)value : (double)value;
    }
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t words = (vkz_ref_dim(ref, "cols") + 31) / 32;
    const int32_t *flag = vkz_ref_dim(ref, "SEGMENTED") != 0
                              ? vkz_ref_in_int(ref, "flag") + row * words
                              : NULL;
    if (vkz_ref_dim(ref, "TYPE") == TYPE_FLOAT) {
        scan_float(ref, row, flag);
    } else {
        scan_int(ref, row, flag);
    }
}

// The name of the output in this case.
static const char *output_name(const struct vkz_identity_run *run)
{
    static const char *const names[] = {"y", "yi", "yu"};
    return names[vkz_identity_dim(run, "TYPE")];
}

// The inclusive scan, one element later, is the exclusive one.
static bool check_shifted(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t cols = vkz_identity_dim(run, "cols");
    const char *name = output_name(run);
    struct vkz_data *one = vkz_identity_inputs(run, "EXCLUSIVE=off SEGMENTED=off");
    struct vkz_data *two = vkz_identity_inputs(run, "EXCLUSIVE=on SEGMENTED=off");
    const double *inclusive = vkz_identity_output(run, one, name);
    const double *exclusive = vkz_identity_output(run, two, name);
    double *expected = vkz_identity_temp(run, rows * cols);
    if (inclusive == NULL || exclusive == NULL || expected == NULL) {
        return false;
    }
    for (int64_t i = 0; i < rows * cols; i++) {
        expected[i] = i % cols == 0 ? exclusive[i] : inclusive[i - 1];
    }
    return vkz_identity_equal(run, name, expected, exclusive, rows * cols, 2);
}

// Where every element is a head, an inclusive scan copies (affine: h0 is 0 here).
static bool check_all_heads(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t cols = vkz_identity_dim(run, "cols");
    static const char *const inputs[] = {"x", "xi", "xu"};
    const char *input = inputs[vkz_identity_dim(run, "TYPE")];
    const char *name = output_name(run);
    struct vkz_data *data = vkz_identity_inputs(run, "EXCLUSIVE=off SEGMENTED=on h0=0");
    int32_t *flag = vkz_identity_int(run, data, "flag");
    for (int64_t i = 0; flag != NULL && i < vkz_identity_count(data, "flag"); i++) {
        flag[i] = -1;
    }
    const bool is_float = vkz_identity_dim(run, "TYPE") == TYPE_FLOAT;
    const float *x = is_float ? vkz_identity_float(run, data, input) : NULL;
    const int32_t *xi = is_float ? NULL : vkz_identity_int(run, data, input);
    double *expected = vkz_identity_temp(run, rows * cols);
    if (expected == NULL || (x == NULL && xi == NULL)) {
        return false;
    }
    for (int64_t i = 0; i < rows * cols; i++) {
        expected[i] = is_float                                       ? (double)x[i]
                      : vkz_identity_dim(run, "TYPE") == TYPE_INT ? (double)xi[i]
                                                                  : (double)(uint32_t)xi[i];
    }
    return vkz_identity_equal(run, name, expected, vkz_identity_output(run, data, name),
                              rows * cols, 2);
}

// With a = 1 and h0 = 0 the affine scan is the sum.
static bool check_affine_sum(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "OP=affine h0=0");
    struct vkz_data *two = vkz_identity_inputs(run, "OP=sum");
    float *a = vkz_identity_float(run, one, "a");
    for (int64_t i = 0; a != NULL && i < vkz_identity_count(one, "a"); i++) {
        a[i] = 1;
    }
    return vkz_identity_equal(run, "y", vkz_identity_output(run, one, "y"),
                              vkz_identity_output(run, two, "y"),
                              vkz_identity_count(one, "y"), 2);
}

static const struct vkz_identity identities[] = {
    {"shifted", "the exclusive scan is the inclusive one, shifted", NULL, check_shifted},
    {"all_heads", "segments of one element copy", NULL, check_all_heads},
    {"affine_sum", "the affine scan with a = 1 is the sum", "OP == OP.affine",
     check_affine_sum},
    {0},
};

VKZ_OP(scan) = {
    .name = "scan",
    .family = "optimizer",
    .abi = 1,
    .title = "running sums, maxima and linear recurrences along rows",
    .doc = "y_c = x_0 ∘ x_1 ∘ ... ∘ x_c  (EXCLUSIVE: up to x_{c-1})\n"
           "\n"
           "affine: h_c = a_c h_{c-1} + x_c, h_{-1} = h0, as the pair operator\n"
           "(a1,x1) ∘ (a2,x2) = (a2 a1, a2 x1 + x2). SEGMENTED: a flagged element starts\n"
           "from nothing (affine: from h0). Of nothing the sum is 0, the maximum and the\n"
           "log-sum-exp -infinity, the minimum infinity; for integers the extremes of the\n"
           "type. NaN stays from where it appears to the end of its segment.\n"
           "Blelloch, Prefix Sums and Their Applications, 1990; Sengupta et al., Scan\n"
           "Primitives for GPU Computing, 2007.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "TYPE == TYPE.float || OP <= OP.min",
    .valid_reason = "integers have sum, max and min only",
    .flops = "rows * cols",
    .sum_length = "cols",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
