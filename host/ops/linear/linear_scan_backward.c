// SPDX-License-Identifier: MIT
// linear_scan_backward: the gradient of linear_scan, a recurrence the other way.
#include "ops/linear/linear_scan.h"

static const struct vkz_dim dims[] = {VKZ_LINEAR_SCAN_DIMS, {0}};
static const struct vkz_axis axes[] = {VKZ_LINEAR_SCAN_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    {"a", VKZ_IN, "f32", "batch, len, width", NULL, "op", "as in linear_scan"},
    {"h0", VKZ_IN, "f32", "batch, width", "INIT == INIT.on", "normal(1)", "first state"},
    {"h", VKZ_IN, "T", "batch, len, width", NULL, "forward", "the forward output"},
    {"dh", VKZ_IN, "T", "batch, len, width", NULL, "normal(1)", "gradient of h"},
    {"dht", VKZ_IN, "f32", "batch, width", "FINAL == FINAL.on", "normal(1)",
     "gradient of the last state"},
    {"da", VKZ_OUT, "f32", "batch, len, width", NULL, NULL, "gradient of a"},
    {"dx", VKZ_OUT, "T", "batch, len, width", NULL, NULL, "gradient of x"},
    {"dh0", VKZ_OUT, "f32", "batch, width", "INIT == INIT.on", NULL, "gradient of h0"},
    {0},
};

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
    const bool init = vkz_ref_dim(ref, "INIT") != 0;
    const bool final = vkz_ref_dim(ref, "FINAL") != 0;
    const float *h = vkz_ref_in(ref, "h") + batch * s.len * s.width;
    const float *dh = vkz_ref_in(ref, "dh") + batch * s.len * s.width;
    double *da = vkz_ref_out(ref, "da"), *da_scale = vkz_ref_scale(ref, "da");
    double *dx = vkz_ref_out(ref, "dx"), *dx_scale = vkz_ref_scale(ref, "dx");
    double *dh0 = vkz_ref_out(ref, "dh0"), *dh0_scale = vkz_ref_scale(ref, "dh0");
    for (int64_t c = 0; c < s.width; c++) {
        const int64_t state = batch * s.width + c;
        // What comes from the step after, already times that step's factor.
        real carried = final ? (real)vkz_ref_in(ref, "dht")[state] : 0;
        real magnitude = fabs(carried);
        for (int64_t t = s.len - 1; t >= 0; t--) {
            const int64_t at = linear_scan_at(&s, t) + c;
            const real a = linear_scan_gate(&s, at);
            const real before = t > 0  ? (real)h[linear_scan_at(&s, t - 1) + c]
                                : init ? (real)vkz_ref_in(ref, "h0")[state]
                                       : 0;
            const real g = (real)dh[at] + carried;
            const real size = fabs((real)dh[at]) + magnitude;
            const real slope = s.log_gate ? a * before : before;
            dx[at] = (double)g;
            dx_scale[at] = (double)size;
            da[at] = (double)(g * slope);
            da_scale[at] = (double)(size * fabs(slope));
            carried = a * g;
            magnitude = fabs(a) * size;
        }
        if (dh0 != NULL) {
            dh0[c] = (double)carried;
            dh0_scale[c] = (double)magnitude;
        }
    }
}

VKZ_OP(linear_scan_backward) = {
    .name = "linear_scan_backward",
    .family = "linear",
    .forward = "linear_scan",
    .abi = 1,
    .title = "gradient of linear_scan",
    .doc = "dx_t = dh_t + a_{t+1} dx_{t+1}, da_t = dx_t h_{t-1}, dh0 = a_0 dx_0\n"
           "\n"
           "For GATE=log_a, da_t is also multiplied by a_t. dht is added to the last dh.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "4 * batch * len * width",
    .sum_length = "len",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .bitwise = true,
};
