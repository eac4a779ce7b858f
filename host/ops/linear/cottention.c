// SPDX-License-Identifier: MIT
// cottention: cosine linear attention, contract and reference.
#include "ops/linear/cottention.h"

static const struct vkz_dim dims[] = {VKZ_COTTENTION_DIMS, {0}};

static const struct vkz_axis axes[] = {VKZ_COTTENTION_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    VKZ_COTTENTION_TENSORS,
    {"o", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL, "outputs"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const struct cosine x = cosine_begin(ref, unit);
    double *o = vkz_ref_out(ref, "o"), *scale = vkz_ref_scale(ref, "o");
    real *row = vkz_ref_temp(ref, (size_t)x.v_dim * sizeof *row);
    real *size = vkz_ref_temp(ref, (size_t)x.v_dim * sizeof *size);
    struct recurrence r = recurrence_zero(ref, x.head_dim, x.v_dim);
    // Both in one: without a mask, token `added` runs ahead to the end first.
    int64_t added = 0;
    for (int64_t t = 0; t < x.len; t++) {
        for (; added < (x.causal ? t + 1 : x.len); added++) {
            for (int64_t c = 0; c < x.head_dim; c++) {
                const real k = x.k[added * x.head_dim + c];
                for (int64_t j = 0; j < x.v_dim; j++) {
                    const real y = k * x.v[added * x.v_dim + j];
                    r.s[c * x.v_dim + j] += y;
                    r.size[c * x.v_dim + j] += fabs(y);
                }
            }
        }
        memset(row, 0, (size_t)x.v_dim * sizeof *row);
        memset(size, 0, (size_t)x.v_dim * sizeof *size);
        for (int64_t c = 0; c < x.head_dim; c++) {
            recurrence_read_row(&r, c, x.q[t * x.head_dim + c], row, size);
        }
        for (int64_t j = 0; j < x.v_dim; j++) {
            o[t * x.v_dim + j] = (double)row[j];
            scale[t * x.v_dim + j] = (double)size[j];
        }
    }
}

// Queries and keys count by their direction only.
static bool check_scale(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *q = vkz_identity_float(run, two, "q"), *k = vkz_identity_float(run, two, "k");
    for (int64_t i = 0; q != NULL && k != NULL && i < vkz_identity_count(two, "q"); i++) {
        q[i] *= 4;
        k[i] *= 0.5f;
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

static const struct vkz_identity identities[] = {
    {"scale", "the length of a query or key does not matter", NULL, check_scale},
    {"linear", "doubled v doubles o", NULL, recurrence_check_linear},
    RECURRENCE_PREFIX(" && CAUSAL == CAUSAL.on"),
    {0},
};

VKZ_OP(cottention) = {
    .name = "cottention",
    .family = "linear",
    .abi = 1,
    .title = "cosine linear attention",
    .doc = "q^, k^: rows of length 1 (a row of zeros stays zero);  "
           "v'_s = v_s / n_s^σ(m_h)\n"
           "CAUSAL=on: n_s = s + 1, o_t = Σ_{s<=t} (q^_t·k^_s) v'_s\n"
           "CAUSAL=off: n_s = len, O = Q^ (K^ᵀ V')\n"
           "\n"
           "A value is divided by the length at its own place, "
           "not at the output's, as in\n"
           "the released code. Cottention arXiv 2409.18747.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "4 * batch * heads * len * head_dim * v_dim",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
