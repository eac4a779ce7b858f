// SPDX-License-Identifier: MIT
// linear_scan: first-order recurrences along time, a channel each; contract and reference.
#include "ops/linear/linear_scan.h"

#include <stdio.h>
#include <string.h>

#include "zoo/identity.h"

static const struct vkz_dim dims[] = {VKZ_LINEAR_SCAN_DIMS, {0}};
static const struct vkz_axis axes[] = {VKZ_LINEAR_SCAN_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    {"a", VKZ_IN, "f32", "batch, len, width", NULL, "op",
     "factors of the state, or their logarithms"},
    {"x", VKZ_IN, "T", "batch, len, width", NULL, "normal(1)", "what is added"},
    {"h0", VKZ_IN, "f32", "batch, width", "INIT == INIT.on", "normal(1)", "first state"},
    {"h", VKZ_OUT, "T", "batch, len, width", NULL, NULL, "the state after each step"},
    {"ht", VKZ_OUT, "f32", "batch, width", "FINAL == FINAL.on", NULL, "last state"},
    {0},
};

// Gates as models have them: most keep more than half, some forget at once.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // a is the only one
    const bool log_gate = vkz_fill_value(fill, "GATE") != 0;
    float *a = vkz_fill_float(fill);
    const int64_t count = vkz_fill_count(fill);
    for (int64_t i = 0; i < count; i++) {
        const double z = vkz_fill_normal(fill, (uint64_t)i);
        const double decay = -log1p((double)exp(z)) / 4;
        a[i] = (float)(log_gate ? decay : exp(decay));
    }
}

static void reference(struct vkz_ref *ref, int64_t batch)
{
    const struct linear_scan s = linear_scan_of(ref, batch);
    const float *x = vkz_ref_in(ref, "x") + batch * s.len * s.width;
    const float *h0 = vkz_ref_in(ref, "h0");
    double *h = vkz_ref_out(ref, "h"), *h_scale = vkz_ref_scale(ref, "h");
    double *ht = vkz_ref_out(ref, "ht"), *ht_scale = vkz_ref_scale(ref, "ht");
    real *state = vkz_ref_temp(ref, (size_t)s.width * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)s.width * sizeof(real));
    for (int64_t c = 0; vkz_ref_dim(ref, "INIT") != 0 && c < s.width; c++) {
        state[c] = (real)h0[batch * s.width + c];
        magnitude[c] = fabs(state[c]);
    }
    for (int64_t t = 0; t < s.len; t++) {
        const int64_t at = linear_scan_at(&s, t);
        for (int64_t c = 0; c < s.width; c++) {
            const real a = linear_scan_gate(&s, at + c);
            state[c] = a * state[c] + (real)x[at + c];
            magnitude[c] = fabs(a) * magnitude[c] + fabs((real)x[at + c]);
            h[at + c] = (double)state[c];
            h_scale[at + c] = (double)magnitude[c];
        }
    }
    for (int64_t c = 0; ht != NULL && c < s.width; c++) {
        ht[c] = (double)state[c];
        ht_scale[c] = (double)magnitude[c];
    }
}

// The first steps and then the rest from their last state: one run.
static bool check_two_runs(struct vkz_identity_run *run)
{
    const int64_t batch = vkz_identity_dim(run, "batch");
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t width = vkz_identity_dim(run, "width");
    const int64_t cut = len / 2;
    char first[96], second[96];
    snprintf(first, sizeof first, "len=%lld DIR=forward FINAL=on", (long long)cut);
    snprintf(second, sizeof second, "len=%lld DIR=forward INIT=on",
             (long long)(len - cut));
    struct vkz_data *whole = vkz_identity_inputs(run, "DIR=forward");
    struct vkz_data *parts[2] = {vkz_identity_inputs(run, first),
                                 vkz_identity_inputs(run, second)};
    static const char *const names[] = {"a", "x"};
    for (int n = 0; n < 2; n++) {
        const float *from = vkz_identity_float(run, whole, names[n]);
        float *one = vkz_identity_float(run, parts[0], names[n]);
        float *two = vkz_identity_float(run, parts[1], names[n]);
        for (int64_t b = 0; from != NULL && one != NULL && two != NULL && b < batch; b++) {
            const float *row = from + b * len * width;
            memcpy(one + b * cut * width, row, (size_t)(cut * width) * sizeof *one);
            memcpy(two + b * (len - cut) * width, row + cut * width,
                   (size_t)((len - cut) * width) * sizeof *two);
        }
    }
    const float *h0 = vkz_identity_float(run, whole, "h0");
    float *start = vkz_identity_float(run, parts[0], "h0");
    if (h0 != NULL && start != NULL) {
        memcpy(start, h0, (size_t)(batch * width) * sizeof *h0);
    }
    const double *state = vkz_identity_output(run, parts[0], "ht");
    float *carried = vkz_identity_float(run, parts[1], "h0");
    for (int64_t i = 0; state != NULL && carried != NULL && i < batch * width; i++) {
        carried[i] = (float)state[i];
    }
    const double *all = vkz_identity_output(run, whole, "h");
    const double *rest = vkz_identity_output(run, parts[1], "h");
    double *expected = vkz_identity_temp(run, batch * (len - cut) * width);
    for (int64_t i = 0; all != NULL && expected != NULL && i < batch * (len - cut) * width;
         i++) {
        const int64_t b = i / ((len - cut) * width);
        expected[i] = all[i + (b + 1) * cut * width];
    }
    return vkz_identity_equal(run, "h", expected, rest, batch * (len - cut) * width, 3);
}

// Time turned round on both sides changes nothing.
static bool check_reversed(struct vkz_identity_run *run)
{
    const int64_t batch = vkz_identity_dim(run, "batch");
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *one = vkz_identity_inputs(run, "DIR=forward");
    struct vkz_data *two = vkz_identity_inputs(run, "DIR=reverse");
    static const char *const names[] = {"a", "x"};
    for (int n = 0; n < 2; n++) {
        const float *from = vkz_identity_float(run, one, names[n]);
        float *to = vkz_identity_float(run, two, names[n]);
        for (int64_t i = 0; from != NULL && to != NULL && i < batch * len * width; i++) {
            const int64_t c = i % width, t = i / width % len, b = i / width / len;
            to[(b * len + len - 1 - t) * width + c] = from[i];
        }
    }
    const double *h = vkz_identity_output(run, one, "h");
    const double *turned = vkz_identity_output(run, two, "h");
    double *expected = vkz_identity_temp(run, batch * len * width);
    for (int64_t i = 0; h != NULL && expected != NULL && i < batch * len * width; i++) {
        const int64_t c = i % width, t = i / width % len, b = i / width / len;
        expected[(b * len + len - 1 - t) * width + c] = h[i];
    }
    return vkz_identity_equal(run, "h", expected, turned, batch * len * width, 2);
}

static const struct vkz_identity identities[] = {
    {"two_runs", "[0,n) then [n,len) with the carried state is one run", "len > 1",
     check_two_runs},
    {"reversed", "reversed inputs with DIR=reverse give reversed outputs", NULL,
     check_reversed},
    {0},
};

VKZ_OP(linear_scan) = {
    .name = "linear_scan",
    .family = "linear",
    .abi = 1,
    .title = "first-order linear recurrence along time, a channel each",
    .doc = "h_t = a_t h_{t-1} + x_t, element-wise over channels\n"
           "\n"
           "GATE=log_a: a_t = exp(a). DIR=reverse starts at the last step. The recurrence\n"
           "of HGRN 2311.04823, RG-LRU 2402.19427 (x scaled before), minimal gated units.\n"
           "Steps compose as (a1,x1) ∘ (a2,x2) = (a1 a2, a2 x1 + x2).",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "2 * batch * len * width",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
