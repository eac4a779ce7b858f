// SPDX-License-Identifier: MIT
// ssd: the scan of Mamba-2, contract and reference.
#include <stdio.h>
#include <string.h>

#include "ops/linear/recurrence.h"
#include "ops/linear/recurrence_identities.h"
#include "ops/linear/ssd.h"

static const struct vkz_dim dims[] = {SSD_DIMS, {0}};
static const struct vkz_scalar scalars[] = {SSD_SCALARS, {0}};
static const struct vkz_axis axes[] = {SSD_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    SSD_INPUTS,
    {"y", VKZ_OUT, "T", "batch, heads, len, head_dim", NULL, NULL, "the result"},
    {"s0", VKZ_IN, "f32", SSD_STATE, "INIT == INIT.on", "normal(1)", "state before"},
    {"st", VKZ_OUT, "f32", SSD_STATE, "FINAL == FINAL.on", NULL, "state after"},
    {0},
};

// One head of one sequence; the magnitudes follow |terms| as the state follows the terms.
static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t heads = vkz_ref_dim(ref, "heads"), groups = vkz_ref_dim(ref, "groups");
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "head_dim");
    const int64_t ns = vkz_ref_dim(ref, "state");
    const int64_t h = unit % heads, group = unit / heads * groups + h * groups / heads;
    const float *x = vkz_ref_in(ref, "x") + unit * len * width;
    const float *dt = vkz_ref_in(ref, "dt") + unit * len;
    const float *b = vkz_ref_in(ref, "b") + group * len * ns;
    const float *c = vkz_ref_in(ref, "c") + group * len * ns;
    const float *z = vkz_ref_in(ref, "z");
    const real dtb = (real)vkz_ref_in(ref, "dtb")[h];
    const real a = -exp((real)vkz_ref_in(ref, "alog")[h]);
    const real skip = (real)vkz_ref_in(ref, "d_skip")[h];
    double *y = vkz_ref_out(ref, "y"), *y_scale = vkz_ref_scale(ref, "y");
    const struct recurrence state = recurrence_begin(ref, unit, ns, width);
    for (int64_t t = 0; t < len; t++) {
        real slope;
        const real step = ssd_step(ref, (real)dt[t] + dtb, &slope);
        const real keep = exp(step * a);
        for (int64_t j = 0; j < width; j++) {
            const real xj = (real)x[t * width + j];
            real sum = skip * xj, terms = fabs(sum);
            for (int64_t n = 0; n < ns; n++) {
                const real in = (real)b[t * ns + n] * (step * xj);
                const real out = (real)c[t * ns + n];
                real *s = &state.s[n * width + j], *m = &state.size[n * width + j];
                *s = keep * *s + in;
                *m = keep * *m + fabs(in);
                sum += out * *s;
                terms += fabs(out) * *m;
            }
            if (z != NULL) {
                const real gate = (real)z[(unit * len + t) * width + j];
                const real factor = gate * ssd_sigmoid(gate);
                sum *= factor;
                terms *= fabs(factor);
            }
            y[t * width + j] = (double)sum;
            y_scale[t * width + j] = (double)terms;
        }
    }
    recurrence_end(&state, ref);
}

// What is forgotten at a token of infinite step: exp(-1000 A) is 0.
static bool check_reset(struct vkz_identity_run *run)
{
    return recurrence_reset(run, "dt", 1000, NULL, 0);
}

// Without b the state only decays: from 0, what is left is the skip.
static bool check_zero_b(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "INIT=off GATE=off FINAL=off");
    float *b = vkz_identity_float(run, data, "b");
    const float *x = vkz_identity_float(run, data, "x");
    const float *skip = vkz_identity_float(run, data, "d_skip");
    const int64_t heads = vkz_identity_dim(run, "heads");
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t block = len * vkz_identity_dim(run, "head_dim");
    const int64_t count = vkz_identity_count(data, "y");
    double *expected = vkz_identity_temp(run, count);
    if (b == NULL || x == NULL || skip == NULL || expected == NULL) {
        return false;
    }
    memset(b, 0, (size_t)vkz_identity_count(data, "b") * sizeof *b);
    for (int64_t i = 0; i < count; i++) {
        expected[i] = (double)x[i] * (double)skip[i / block % heads];
    }
    return vkz_identity_equal(run, "y", expected, vkz_identity_output(run, data, "y"),
                              count, 2);
}

// b and c copied out to every head are those of the group.
static bool check_groups(struct vkz_identity_run *run)
{
    static const char *const shared[] = {"b", "c"};
    const int64_t heads = vkz_identity_dim(run, "heads");
    const int64_t groups = vkz_identity_dim(run, "groups");
    const int64_t block = vkz_identity_dim(run, "len") * vkz_identity_dim(run, "state");
    char settings[64];
    snprintf(settings, sizeof settings, "groups=%lld", (long long)heads);
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, settings);
    for (int i = 0; i < 2; i++) {
        const float *from = vkz_identity_float(run, one, shared[i]);
        float *to = vkz_identity_float(run, two, shared[i]);
        const int64_t blocks = vkz_identity_count(two, shared[i]) / block;
        for (int64_t x = 0; from != NULL && to != NULL && x < blocks; x++) {
            const int64_t group = x / heads * groups + x % heads * groups / heads;
            memcpy(to + x * block, from + group * block, (size_t)block * sizeof *to);
        }
    }
    return vkz_identity_equal(run, "y", vkz_identity_output(run, one, "y"),
                              vkz_identity_output(run, two, "y"),
                              vkz_identity_count(one, "y"), 2);
}

static const struct vkz_identity identities[] = {
    RECURRENCE_PREFIX(""),
    RECURRENCE_SPLIT(""),
    RECURRENCE_LINEAR,
    {"reset", "an endless step makes the past count for nothing", "CLAMP == CLAMP.off",
     check_reset},
    {"zero_b", "without b only the skip is left", NULL, check_zero_b},
    {"groups", "sharing b and c is copying them", "groups < heads", check_groups},
    {0},
};

VKZ_OP(ssd) = {
    .name = "ssd",
    .family = "linear",
    .abi = 1,
    .title = "state space duality, the scan of Mamba-2",
    .doc = "Δ_t = softplus(dt_t + dtb) (as it is above 20), CLAMP: kept within [lo, hi]\n"
           "S_t = e^(Δ_t A) S_(t-1) + B_t ⊗ (Δ_t x_t),  A = -e^alog\n"
           "y_t = C_tᵀ S_t + D x_t,  GATE: y_t ∘ silu(z_t)\n"
           "\n"
           "This is linear attention with k = B, q = C, v = Δx and the log decay ΔA.\n"
           "Head h uses b and c of group ⌊h groups / heads⌋. "
           "B, C and D of the papers are\n"
           "b, c and d_skip here.\n"
           "\n"
           "Mamba-2, arXiv 2405.21060.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = SSD_VALID,
    .valid_reason = SSD_VALID_REASON,
    .flops = "4 * batch * heads * len * head_dim * state",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
