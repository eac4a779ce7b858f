// SPDX-License-Identifier: MIT
// hidden_gate: which groups of a hidden layer a token uses, contract and reference.
#include <math.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"rows", "tokens", NULL},
    {"width", "elements of a token", NULL},
    {"ng", "groups of the hidden layer", "16"},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"nsh", "6", "groups that every token uses: the first ones"},
    {"ksel", "2", "groups chosen among the others"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "tokens"},
    {"wr", VKZ_IN, "T", "ng, width", NULL, "linear_w", "router"},
    {"idx", VKZ_OUT, "i32", "rows, max(1, ksel)", "ksel > 0", NULL,
     "groups chosen, the best first"},
    {"m", VKZ_OUT, "f32", "rows, ng", NULL, NULL, "multipliers of the groups"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t width = vkz_ref_dim(ref, "width"), ng = vkz_ref_dim(ref, "ng");
    const int64_t nsh = vkz_ref_dim(ref, "nsh"), ksel = vkz_ref_dim(ref, "ksel");
    const float *x = vkz_ref_in(ref, "x") + row * width, *wr = vkz_ref_in(ref, "wr");
    double *idx = vkz_ref_out(ref, "idx"), *m = vkz_ref_out(ref, "m");
    double *m_scale = vkz_ref_scale(ref, "m");
    real *l = vkz_ref_temp(ref, (size_t)ng * sizeof *l);
    bool *active = vkz_ref_temp(ref, (size_t)ng * sizeof *active);
    real most = (real)-3.0e38, sum = 0, magnitude = 0, gates = 0;
    for (int64_t g = 0; g < ng; g++) {
        real mine = 0;
        for (int64_t c = 0; c < width; c++) {
            const real term = (real)x[c] * (real)wr[g * width + c];
            l[g] += term;
            mine += fabs(term);
        }
        magnitude = mine > magnitude ? mine : magnitude;
        most = l[g] > most ? l[g] : most;
        active[g] = g < nsh;
    }
    for (int64_t g = 0; g < ng; g++) {
        sum += exp(l[g] - most);
    }
    real last = 0;
    for (int64_t i = 0; i <= ksel; i++) {
        int64_t best = -1;
        for (int64_t g = nsh; g < ng; g++) {
            if (!active[g] && (best < 0 || l[g] > l[best])) {
                best = g;
            }
        }
        if (best < 0) {
            break;
        }
        const real gap = last - l[best];
        if (i > 0 && gap > 0 &&
            gap < 4 * (real)0x1p-24 * sqrt((real)width) * magnitude) {
            vkz_ref_ambiguous(ref);
        }
        last = l[best];
        if (i < ksel) {
            idx[i] = (double)best;
            active[best] = true;
        }
    }
    for (int64_t g = 0; g < ng; g++) {
        gates += active[g] ? exp(l[g] - most) / sum : 0;
    }
    for (int64_t g = 0; g < ng; g++) {
        const real p = active[g] ? exp(l[g] - most) / sum : 0;
        m[g] = (double)(p * gates * (real)ng);
        m_scale[g] = m[g] * (double)(1 + 4 * magnitude) + 1e-30;
    }
}

// With equal logits and all groups in use every multiplier is 1.
static bool check_dense(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "fill.wr=const(0) nsh=ng ksel=0");
    const int64_t count = vkz_identity_count(data, "m");
    double *one = vkz_identity_temp(run, count);
    for (int64_t i = 0; one != NULL && i < count; i++) {
        one[i] = 1;
    }
    return vkz_identity_equal(run, "m", one, vkz_identity_output(run, data, "m"), count,
                              4);
}

static const struct vkz_identity identities[] = {
    {"dense", "equal logits and all groups in use give multipliers of 1", NULL,
     check_dense},
    {0},
};

VKZ_OP(hidden_gate) = {
    .name = "hidden_gate",
    .family = "moe",
    .abi = 1,
    .title = "groups of a hidden layer that a token uses, and their multipliers",
    .doc = "p = softmax(x wrᵀ) over the ng groups; active: the first nsh groups and the ksel\n"
           "largest of the others, ties to the lower index; gate = p where active, else 0\n"
           "m = ng (Σ gate) gate\n"
           "\n"
           "Mixture of hidden dimensions, arXiv 2412.05644.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = "nsh >= 0 && nsh == floor(nsh) && ksel >= 0 && ksel == floor(ksel) && "
             "nsh + ksel >= 1 && nsh + ksel <= ng",
    .valid_reason = "nsh and ksel are whole numbers of groups, 1 to ng together",
    .flops = "2 * rows * ng * width + rows * ng * 8",
    .sum_length = "width + 4",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
