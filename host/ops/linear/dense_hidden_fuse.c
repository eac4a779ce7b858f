// SPDX-License-Identifier: MIT
// dense_hidden_fuse: hidden states of earlier layers, gated and added before a norm.
#include "ops/linear/dense_hidden.h"

static const struct vkz_dim dims[] = {DENSE_HIDDEN_DIMS, {0}};
static const struct vkz_scalar scalars[] = {DENSE_HIDDEN_SCALARS, {0}};
static const struct vkz_tensor tensors[] = {
    DENSE_HIDDEN_TENSORS,
    {"o", VKZ_OUT, "T", "rows, width", NULL, NULL, "the normalised sums"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const struct dense_row d = dense_row(ref, row);
    double *o = vkz_ref_out(ref, "o"), *scale = vkz_ref_scale(ref, "o");
    for (int64_t c = 0; c < d.width; c++) {
        const real factor = (real)d.w[c] * d.r;
        o[c] = (double)(factor * d.s[c]);
        scale[c] = (double)(fabs(factor) * d.s_magnitude[c]);
    }
}

static bool same_output(struct vkz_identity_run *run, struct vkz_data *one,
                        struct vkz_data *two)
{
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

static bool check_permute_past(struct vkz_identity_run *run)
{
    const int64_t m = vkz_identity_dim(run, "m");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    const float *from = vkz_identity_float(run, one, "past");
    float *to = vkz_identity_float(run, two, "past");
    const int64_t count = vkz_identity_count(one, "past"), layer = count / m;
    for (int64_t i = 0; from != NULL && to != NULL && i < count; i++) {
        to[i] = from[(m - 1 - i / layer) * layer + i % layer];
    }
    return same_output(run, one, two);
}

// Without eps the norm takes any common factor away.
static bool check_scale(struct vkz_identity_run *run)
{
    static const char *const scaled[] = {"y", "past"};
    struct vkz_data *one = vkz_identity_inputs(run, "eps=0");
    struct vkz_data *two = vkz_identity_inputs(run, "eps=0");
    for (int x = 0; x < 2; x++) {
        float *values = vkz_identity_float(run, two, scaled[x]);
        for (int64_t i = 0; i < vkz_identity_count(two, scaled[x]); i++) {
            values[i] *= 2;
        }
    }
    return same_output(run, one, two);
}

static bool check_closed_gate(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "fill.gate=const(0)");
    struct vkz_data *two =
        vkz_identity_inputs(run, "fill.gate=const(0) fill.past=uniform(-1,1)");
    return same_output(run, one, two);
}

static const struct vkz_identity identities[] = {
    {"permute_past", "the order of the earlier layers does not matter", "m > 1",
     check_permute_past},
    {"scale", "with eps = 0, doubling y and past changes nothing", NULL, check_scale},
    {"closed_gate", "a gate of 0 hides the earlier layers", NULL, check_closed_gate},
    {0},
};

VKZ_OP(dense_hidden_fuse) = {
    .name = "dense_hidden_fuse",
    .family = "linear",
    .abi = 1,
    .title = "gated sum of earlier layers' hidden states, and its RMS norm",
    .doc = "s = y + silu(gate) ∘ Σ_{i<m} past_i\n"
           "o = w ∘ s / sqrt(mean(s²) + eps)\n"
           "\n"
           "gate = W2 silu(W1 x) and the projections of past are products of `gemm`;\n"
           "DenseSSM and DenseRetNet fuse their keys and values this way.\n"
           "DenseMamba arXiv 2403.00818.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .flops = "rows * width * (m + 8)",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
