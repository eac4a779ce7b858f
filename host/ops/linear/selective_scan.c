// SPDX-License-Identifier: MIT
// selective_scan: the selective state space of Mamba, contract and reference.
#include "ops/linear/selective.h"

#include <stdio.h>
#include <string.h>

#include "zoo/identity.h"

static const struct vkz_dim dims[] = {VKZ_SELECTIVE_DIMS, {0}};
static const struct vkz_axis axes[] = {VKZ_SELECTIVE_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    VKZ_SELECTIVE_TENSORS_IN,
    {"y", VKZ_OUT, "T", "batch, len, width", NULL, NULL, "output"},
    {"ht", VKZ_OUT, "f32", "batch, width, state", "FINAL == FINAL.on", NULL, "last state"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t batch)
{
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "width");
    const int64_t states = vkz_ref_dim(ref, "state");
    const bool init = vkz_ref_dim(ref, "INIT") != 0, gate = vkz_ref_dim(ref, "GATE") != 0;
    const float *x = vkz_ref_in(ref, "x") + batch * len * width;
    const float *dt = vkz_ref_in(ref, "dt") + batch * len * width;
    const float *a = vkz_ref_in(ref, "a");
    const float *b = vkz_ref_in(ref, "b") + batch * len * states;
    const float *c = vkz_ref_in(ref, "c") + batch * len * states;
    double *y = vkz_ref_out(ref, "y"), *y_scale = vkz_ref_scale(ref, "y");
    double *ht = vkz_ref_out(ref, "ht"), *ht_scale = vkz_ref_scale(ref, "ht");
    real *h = vkz_ref_temp(ref, (size_t)states * sizeof(real));
    real *size = vkz_ref_temp(ref, (size_t)states * sizeof(real));
    for (int64_t ch = 0; ch < width; ch++) {
        const int64_t first = (batch * width + ch) * states;
        const real bias = (real)vkz_ref_in(ref, "dtb")[ch];
        const real skip = (real)vkz_ref_in(ref, "d")[ch];
        for (int64_t n = 0; n < states; n++) {
            h[n] = init ? (real)vkz_ref_in(ref, "h0")[first + n] : 0;
            size[n] = fabs(h[n]);
        }
        for (int64_t t = 0; t < len; t++) {
            const int64_t at = t * width + ch;
            const real delta = selective_softplus((real)dt[at] + bias);
            const real input = delta * (real)x[at];
            real sum = skip * (real)x[at], magnitude = fabs(sum);
            for (int64_t n = 0; n < states; n++) {
                const real keep = exp(delta * (real)a[ch * states + n]);
                const real term = input * (real)b[t * states + n];
                h[n] = keep * h[n] + term;
                size[n] = keep * size[n] + fabs(term);
                sum += h[n] * (real)c[t * states + n];
                magnitude += size[n] * fabs((real)c[t * states + n]);
            }
            if (gate) {
                const float z = vkz_ref_in(ref, "z")[batch * len * width + at];
                sum *= selective_silu((real)z);
                magnitude *= fabs(selective_silu((real)z));
            }
            y[at] = (double)sum;
            y_scale[at] = (double)magnitude;
        }
        for (int64_t n = 0; ht != NULL && n < states; n++) {
            ht[ch * states + n] = (double)h[n];
            ht_scale[ch * states + n] = (double)size[n];
        }
    }
}

// Steps of [first, first + taken) of every sequence.
static void cut(float *to, const float *from, int64_t batch, int64_t len, int64_t first,
                int64_t taken, int64_t inner)
{
    for (int64_t i = 0; to != NULL && from != NULL && i < batch; i++) {
        memcpy(to + i * taken * inner, from + (i * len + first) * inner,
               (size_t)(taken * inner) * sizeof *to);
    }
}

static void copy_all(struct vkz_identity_run *run, struct vkz_data *to,
                     struct vkz_data *from, const char *name)
{
    float *values = vkz_identity_float(run, to, name);
    const float *source = vkz_identity_float(run, from, name);
    if (values != NULL && source != NULL) {
        memcpy(values, source, (size_t)vkz_identity_count(to, name) * sizeof *values);
    }
}

// [0,n) and then [n,len) from the carried state are one run.
static bool check_two_runs(struct vkz_identity_run *run)
{
    const int64_t batch = vkz_identity_dim(run, "batch");
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t width = vkz_identity_dim(run, "width");
    const int64_t states = vkz_identity_dim(run, "state");
    const int64_t half = len / 2, rest = len - half;
    char first[64], second[64];
    snprintf(first, sizeof first, "len=%lld FINAL=on", (long long)half);
    snprintf(second, sizeof second, "len=%lld INIT=on", (long long)rest);
    struct vkz_data *whole = vkz_identity_inputs(run, NULL);
    struct vkz_data *one = vkz_identity_inputs(run, first);
    struct vkz_data *two = vkz_identity_inputs(run, second);
    static const char *const names[] = {"x", "dt", "z", "b", "c"};
    for (int i = 0; i < 5; i++) {
        const int64_t inner = i < 3 ? width : states;
        const float *from = vkz_identity_float(run, whole, names[i]);
        cut(vkz_identity_float(run, one, names[i]), from, batch, len, 0, half, inner);
        cut(vkz_identity_float(run, two, names[i]), from, batch, len, half, rest, inner);
    }
    static const char *const shared[] = {"dtb", "d", "a"};
    for (int i = 0; i < 3; i++) {
        copy_all(run, one, whole, shared[i]);
        copy_all(run, two, whole, shared[i]);
    }
    copy_all(run, one, whole, "h0");
    const double *state = vkz_identity_output(run, one, "ht");
    float *carried = vkz_identity_float(run, two, "h0");
    for (int64_t i = 0; state != NULL && carried != NULL && i < batch * width * states;
         i++) {
        carried[i] = (float)state[i];
    }
    const double *all = vkz_identity_output(run, whole, "y");
    double *expected = vkz_identity_temp(run, batch * rest * width);
    for (int64_t i = 0; all != NULL && expected != NULL && i < batch * rest * width; i++) {
        const int64_t at = i / (rest * width);
        expected[i] = all[i + (at + 1) * half * width];
    }
    return vkz_identity_equal(run, "y", expected, vkz_identity_output(run, two, "y"),
                              batch * rest * width, 3);
}

// y is linear in x where the state starts at 0.
static bool check_double(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "INIT=off");
    struct vkz_data *two = vkz_identity_inputs(run, "INIT=off");
    const int64_t count = vkz_identity_count(one, "y");
    float *x = vkz_identity_float(run, two, "x");
    for (int64_t i = 0; x != NULL && i < count; i++) {
        x[i] *= 2;
    }
    double *y = vkz_identity_output(run, one, "y");
    for (int64_t i = 0; y != NULL && i < count; i++) {
        y[i] *= 2;
    }
    return vkz_identity_equal(run, "y", y, vkz_identity_output(run, two, "y"), count, 2);
}

static const struct vkz_identity identities[] = {
    {"two_runs", "[0,n) then [n,len) with the carried state is one run", "len > 1",
     check_two_runs},
    {"double", "doubling x doubles y", NULL, check_double},
    {0},
};

VKZ_OP(selective_scan) = {
    .name = "selective_scan",
    .family = "linear",
    .abi = 1,
    .title = "selective state space: input-dependent steps, a diagonal state a channel",
    .doc = "Δ = softplus(dt + dtb)\n"
           "h_t = e^{Δ_t A} ∘ h_{t-1} + (Δ_t x_t) B_t;  y_t = h_t·C_t + D x_t\n"
           "\n"
           "A channel has `state` states; B and C are shared by all channels. GATE: y is\n"
           "multiplied by silu(z). Mamba, arXiv 2312.00752.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "9 * batch * len * width * state",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
