// SPDX-License-Identifier: MIT
// route_expert_choice: every expert takes its best tokens, contract and reference.
#include <math.h>
#include <stdlib.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"rows", "tokens", NULL},
    {"experts", "experts", NULL},
    {"cap", "tokens of an expert", "min(rows, ceildiv(2 * rows, experts))"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"logits", VKZ_IN, "f32", "rows, experts", NULL, "normal(1)",
     "one a token and expert"},
    {"idx", VKZ_OUT, "i32", "experts, cap", NULL, NULL, "tokens, the best first"},
    {"w", VKZ_OUT, "f32", "experts, cap", NULL, NULL, "their weights"},
    {0},
};

struct candidate {
    real value;
    int64_t token;
};

static int better_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->value != y->value) {
        return x->value > y->value ? -1 : 1;
    }
    return x->token < y->token ? -1 : 1;
}

static void reference(struct vkz_ref *ref, int64_t expert)
{
    const int64_t rows = vkz_ref_dim(ref, "rows"), experts = vkz_ref_dim(ref, "experts");
    const int64_t cap = vkz_ref_dim(ref, "cap");
    const float *logits = vkz_ref_in(ref, "logits");
    struct candidate *list = vkz_ref_temp(ref, (size_t)rows * sizeof *list);
    for (int64_t row = 0; row < rows; row++) {
        const float *l = logits + row * experts;
        real most = (real)l[0], sum = 0;
        for (int64_t e = 1; e < experts; e++) {
            most = (real)l[e] > most ? (real)l[e] : most;
        }
        for (int64_t e = 0; e < experts; e++) {
            sum += exp((real)l[e] - most);
        }
        list[row] = (struct candidate){exp((real)l[expert] - most) / sum, row};
    }
    qsort(list, (size_t)rows, sizeof *list, better_first);
    double *idx = vkz_ref_out(ref, "idx"), *w = vkz_ref_out(ref, "w");
    double *w_scale = vkz_ref_scale(ref, "w");
    // A score is a quotient with a sum: the roundings of two of them.
    const real close = 8 * (real)0x1p-24 * list[0].value;
    for (int64_t i = 0; i < cap; i++) {
        idx[i] = (double)list[i].token;
        w[i] = (double)list[i].value;
        w_scale[i] = w[i] + 1e-30;
        if (i + 1 < rows) {
            const real gap = list[i].value - list[i + 1].value;
            if (gap > 0 && gap < close) {
                vkz_ref_ambiguous(ref);
            }
        }
    }
}

// Every expert has cap different tokens.
static bool check_full(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t cap = vkz_identity_dim(run, "cap");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const int64_t count = vkz_identity_count(data, "idx"), experts = count / cap;
    const double *idx = vkz_identity_output(run, data, "idx");
    double *seen = vkz_identity_temp(run, rows), *found = vkz_identity_temp(run, experts);
    double *expected = vkz_identity_temp(run, experts);
    if (idx == NULL || found == NULL || expected == NULL || seen == NULL) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t token = (int64_t)idx[i];
        expected[i / cap] = (double)cap;
        if (token >= 0 && token < rows && seen[token] < (double)(i / cap + 1)) {
            seen[token] = (double)(i / cap + 1);
            found[i / cap]++;
        }
    }
    return vkz_identity_equal(run, "idx", expected, found, experts, 1);
}

// A token's constant takes no part in a softmax.
static bool check_shift(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "fill.logits=dyadic");
    struct vkz_data *two = vkz_identity_inputs(run, "fill.logits=dyadic");
    float *logits = vkz_identity_float(run, two, "logits");
    const int64_t experts = vkz_identity_dim(run, "experts");
    for (int64_t i = 0; i < vkz_identity_count(two, "logits"); i++) {
        logits[i] += (float)(i / experts % 5);
    }
    return vkz_identity_equal(run, "w", vkz_identity_output(run, one, "w"),
                              vkz_identity_output(run, two, "w"),
                              vkz_identity_count(one, "w"), 2);
}

static const struct vkz_identity identities[] = {
    {"full", "every expert has cap different tokens", NULL, check_full},
    {"shift", "a constant added to a token's logits changes nothing", NULL, check_shift},
    {0},
};

VKZ_OP(route_expert_choice) = {
    .name = "route_expert_choice",
    .family = "moe",
    .abi = 1,
    .title = "every expert takes the tokens that score it highest",
    .doc = "S = softmax over experts of a token's logits\n"
           "idx_e = the cap tokens with the largest S_te, descending, ties to the lower\n"
           "token; w = S[idx_e, e]. cap = min(rows, ceil(rows cf / experts)) for a capacity\n"
           "factor cf, 2 by default. NaN is not allowed.\n"
           "\n"
           "Expert choice, arXiv 2202.09368.",
    .dims = dims,
    .tensors = tensors,
    .valid = "cap <= rows",
    .valid_reason = "an expert cannot take more tokens than there are",
    .flops = "rows * experts * 6",
    .sum_length = "4",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "experts",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
