// SPDX-License-Identifier: MIT
// mhc_sinkhorn: small matrices of logits made doubly stochastic.
#include "ops/hyper/mhc.h"

static const struct vkz_dim dims[] = {{"rows", "matrices", NULL},
                                      {"streams", "rows and columns of a matrix", NULL},
                                      MHC_ITERS,
                                      {0}};
static const struct vkz_scalar scalars[] = {{"eps_sk", "1e-6", "added to every sum"},
                                            {0}};
static const struct vkz_tensor tensors[] = {
    {"logits", VKZ_IN, "f32", "rows, streams, streams", NULL, NULL, NULL},
    {"comb", VKZ_OUT, "f32", "rows, streams, streams", NULL, NULL,
     "non-negative, columns that sum to 1, rows that nearly do"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int s = (int)vkz_ref_dim(ref, "streams");
    const float *logits = vkz_ref_in(ref, "logits") + row * s * s;
    double *comb = vkz_ref_out(ref, "comb");
    real m[MHC_MAX_STREAMS * MHC_MAX_STREAMS];
    for (int i = 0; i < s * s; i++) {
        m[i] = (real)logits[i];
    }
    mhc_sinkhorn(m, s, vkz_ref_dim(ref, "iters"), (real)vkz_ref_value(ref, "eps_sk"),
                 NULL, NULL);
    for (int i = 0; i < s * s; i++) {
        comb[i] = (double)m[i];
    }
}

static bool check_columns(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "eps_sk=1e-6");
    return mhc_check_columns(run, "comb", vkz_identity_output(run, data, "comb"),
                             vkz_identity_dim(run, "rows"),
                             vkz_identity_dim(run, "streams"));
}

// What a row's logits have in common goes with the softmax (not what columns have).
static bool check_row_constants(struct vkz_identity_run *run)
{
    const int64_t s = vkz_identity_dim(run, "streams");
    struct vkz_data *one = vkz_identity_inputs(run, "fill.logits=dyadic");
    struct vkz_data *two = vkz_identity_inputs(run, "fill.logits=dyadic");
    float *logits = vkz_identity_float(run, two, "logits");
    for (int64_t i = 0; i < vkz_identity_count(two, "logits"); i++) {
        logits[i] += (float)(i / s % 3);
    }
    return vkz_identity_equal(run, "comb", vkz_identity_output(run, one, "comb"),
                              vkz_identity_output(run, two, "comb"),
                              vkz_identity_count(one, "comb"), 2);
}

// Logits that hardly differ are balanced long before 20 iterations: rows sum to 1 too.
static bool check_rows(struct vkz_identity_run *run)
{
    const int64_t s = vkz_identity_dim(run, "streams");
    struct vkz_data *data =
        vkz_identity_inputs(run, "iters=30 eps_sk=0 fill.logits=uniform(-0.5,0.5)");
    const double *comb = vkz_identity_output(run, data, "comb");
    const int64_t lines = vkz_identity_count(data, "comb") / s;
    double *sum = vkz_identity_temp(run, lines);
    double *one = vkz_identity_temp(run, lines);
    for (int64_t i = 0; comb != NULL && sum != NULL && one != NULL && i < lines; i++) {
        one[i] = 1;
        for (int64_t j = 0; j < s; j++) {
            sum[i] += comb[i * s + j];
        }
    }
    return vkz_identity_equal(run, "comb", sum, one, lines, 4);
}

static const struct vkz_identity identities[] = {
    {"columns", "columns sum to 1", "iters >= 10", check_columns},
    {"rows", "rows sum to 1 where the iteration has converged", NULL, check_rows},
    {"row_constants", "adding a constant to a row's logits changes nothing", NULL,
     check_row_constants},
    {0},
};

VKZ_OP(mhc_sinkhorn) = {
    .name = "mhc_sinkhorn",
    .family = "hyper",
    .abi = 1,
    .title = "Sinkhorn's iteration on small matrices of logits",
    .doc =
        "x = softmax of every row + eps_sk;  x ← x / (column sums + eps_sk)\n"
        "iters - 1 times: x ← x / (row sums + eps_sk), x ← x / (column sums + eps_sk)\n"
        "\n"
        "mHC arXiv 2512.24880. Columns come last, so their sums are 1; those of rows\n"
        "are 1 only as far as the iteration has converged.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = "streams <= 16",
    .valid_reason = "a lane holds a matrix of at most 16 streams",
    .flops = "rows * 4 * streams * streams * iters",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
