// SPDX-License-Identifier: MIT
// monotonic_alignment: expected alignment of attention that only moves forward.
#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent pairs of sequences", NULL},
    {"u", "output steps", NULL},
    {"len", "inputs to choose from", NULL},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"p", VKZ_IN, "f32", "batch, u, len", NULL, "op",
     "chance that step u stops at input t when it gets there"},
    {"a", VKZ_OUT, "f32", "batch, u, len", NULL, NULL,
     "chance that step u ends at input t"},
    {0},
};

// Logistic of normals; the second step stops where it is, and the last but one of several
// nowhere, so that after it nothing is left.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor;
    const int64_t steps = (int64_t)vkz_fill_value(fill, "u");
    const int64_t len = (int64_t)vkz_fill_value(fill, "len");
    float *p = vkz_fill_float(fill);
    for (int64_t i = 0; i < vkz_fill_count(fill); i++) {
        const int64_t step = i / len % steps;
        const double x = vkz_fill_normal(fill, (uint64_t)i);
        p[i] = (float)(1 / (1 + (double)exp(-x)));
        if (step == 1) {
            p[i] = 1;
        } else if (steps > 5 && step == steps - 2) {
            p[i] = 0;
        }
    }
}

// A chance below this is compared as if it were as large: float may lose it.
#define SMALLEST 1e-30

static void reference(struct vkz_ref *ref, int64_t b)
{
    const int64_t steps = vkz_ref_dim(ref, "u"), len = vkz_ref_dim(ref, "len");
    const float *p = vkz_ref_in(ref, "p") + b * steps * len;
    double *a = vkz_ref_out(ref, "a"), *scale = vkz_ref_scale(ref, "a");
    real *before = vkz_ref_temp(ref, (size_t)len * sizeof(real));
    before[0] = 1;
    for (int64_t u = 0; u < steps; u++) {
        real q = 0, go_on = 0; // chance to get to t; of not stopping at t - 1
        for (int64_t t = 0; t < len; t++) {
            const int64_t at = u * len + t;
            q = go_on * q + before[t];
            go_on = (real)1 - (real)p[at];
            before[t] = (real)p[at] * q;
            a[at] = (double)before[t];
            scale[at] = (double)before[t] + SMALLEST;
        }
    }
}

// Nothing is gained on the way: Σ_t a_ut <= Σ_t a_(u-1)t <= 1.
static bool check_mass(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t steps = vkz_identity_dim(run, "u");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const double *a = vkz_identity_output(run, data, "a");
    const int64_t rows = vkz_identity_count(data, "a") / len;
    double *gained = vkz_identity_temp(run, rows + 1);
    double *nothing = vkz_identity_temp(run, rows + 1);
    double last = 1;
    if (a == NULL || gained == NULL || nothing == NULL) {
        return false;
    }
    for (int64_t row = 0; row < rows; row++) {
        double mass = 0;
        last = row % steps == 0 ? 1 : last;
        for (int64_t t = 0; t < len; t++) {
            mass += a[row * len + t];
        }
        gained[row] = fmax(mass - last, 0);
        last = mass;
    }
    gained[rows] = nothing[rows] = 1; // what a sum may be off by is relative to this
    return vkz_identity_equal(run, "a", gained, nothing, rows + 1, 4);
}

// Who stops everywhere stays at the first input.
static bool check_stay(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len");
    struct vkz_data *data = vkz_identity_inputs(run, "fill.p=const(1)");
    const int64_t count = vkz_identity_count(data, "a");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; expected != NULL && i < count; i += len) {
        expected[i] = 1;
    }
    return vkz_identity_equal(run, "a", expected, vkz_identity_output(run, data, "a"),
                              count, 2);
}

static const struct vkz_identity identities[] = {
    {"mass", "no step is likelier to end somewhere than the one before", NULL, check_mass},
    {"stay", "with p = 1 every step stays at the first input", NULL, check_stay},
    {0},
};

VKZ_OP(monotonic_alignment) = {
    .name = "monotonic_alignment",
    .family = "sparse",
    .abi = 1,
    .title = "expected alignment of attention that only moves forward",
    .doc = "q_{u,t} = (1 - p_{u,t-1}) q_{u,t-1} + a_{u-1,t},  a_{u,t} = p_{u,t} q_{u,t}\n"
           "with q_{u,-1} = 0 and a_{-1} = (1, 0, 0, ...)\n"
           "\n"
           "The form with cumulative products and quotients underflows; the recurrence\n"
           "does not. Monotonic attention, arXiv 1704.00784.",
    .dims = dims,
    .tensors = tensors,
    .flops = "3 * batch * u * len",
    .sum_length = "len + u",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
