// SPDX-License-Identifier: MIT
// index_score: the scores of the lightning indexer, contract and reference.
#include <math.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"q_len", "queries of a sequence; the last stands at the last key", NULL},
    {"kv_len", "keys of a sequence", "q_len"},
    {"hi", "heads of the indexer", NULL},
    {"di", "width of an index query and an index key", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"scale", "1 / sqrt(di)", "factor of the scores"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"qi", VKZ_IN, "T", "batch, q_len, hi, di", NULL, "normal(1)", "index queries"},
    {"ki", VKZ_IN, "T", "batch, kv_len, di", NULL, "normal(1)", "index keys, one a token"},
    {"w", VKZ_IN, "f32", "batch, q_len, hi", NULL, "normal(1)",
     "weights of the heads, of either sign"},
    {"score", VKZ_OUT, "f32", "batch, q_len, kv_len", NULL, NULL,
     "scores; -inf for keys after the query"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t q_len = vkz_ref_dim(ref, "q_len"), kv_len = vkz_ref_dim(ref, "kv_len");
    const int64_t hi = vkz_ref_dim(ref, "hi"), di = vkz_ref_dim(ref, "di");
    const real factor = (real)vkz_ref_value(ref, "scale");
    const int64_t position = unit % q_len + kv_len - q_len;
    const float *qi = vkz_ref_in(ref, "qi") + unit * hi * di;
    const float *ki = vkz_ref_in(ref, "ki") + unit / q_len * kv_len * di;
    const float *w = vkz_ref_in(ref, "w") + unit * hi;
    double *score = vkz_ref_out(ref, "score"), *scale = vkz_ref_scale(ref, "score");
    for (int64_t s = 0; s < kv_len; s++) {
        if (s > position) {
            score[s] = -INFINITY;
            continue;
        }
        real total = 0, magnitude = 0;
        for (int64_t x = 0; x < hi; x++) {
            real sum = 0, terms = 0;
            for (int64_t c = 0; c < di; c++) {
                const real term = (real)qi[x * di + c] * (real)ki[s * di + c];
                sum += term;
                terms += fabs(term);
            }
            total += (real)w[x] * (sum <= 0 ? (real)0 : sum);
            magnitude += fabs((real)w[x]) * terms;
        }
        score[s] = (double)(total * factor);
        scale[s] = (double)(magnitude * fabs(factor));
    }
}

// The score is linear in the weights, for negative ones too.
static bool check_negate_weights(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    const int64_t count = vkz_identity_count(one, "score");
    float *w = vkz_identity_float(run, two, "w");
    for (int64_t i = 0; i < vkz_identity_count(two, "w"); i++) {
        w[i] *= -2;
    }
    double *a = vkz_identity_output(run, one, "score");
    const double *b = vkz_identity_output(run, two, "score");
    for (int64_t i = 0; a != NULL && i < count; i++) {
        a[i] = isinf(a[i]) ? a[i] : -2 * a[i];
    }
    return vkz_identity_equal(run, "score", a, b, count, 4);
}

// relu(x) - relu(-x) = x: with the queries negated and subtracted, what remains is the
// dot product of the keys with the weighted sum of the queries.
static bool check_both_signs(struct vkz_identity_run *run)
{
    const int64_t hi = vkz_identity_dim(run, "hi"), di = vkz_identity_dim(run, "di");
    const int64_t q_len = vkz_identity_dim(run, "q_len");
    const int64_t kv_len = vkz_identity_dim(run, "kv_len");
    const double factor = vkz_identity_value(run, "scale");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *q = vkz_identity_float(run, two, "qi");
    for (int64_t i = 0; i < vkz_identity_count(two, "qi"); i++) {
        q[i] = -q[i];
    }
    const float *k = vkz_identity_float(run, one, "ki");
    const float *w = vkz_identity_float(run, one, "w");
    const int64_t count = vkz_identity_count(one, "score");
    const double *a = vkz_identity_output(run, one, "score");
    double *b = vkz_identity_output(run, two, "score");
    double *expected = vkz_identity_temp(run, count);
    q = vkz_identity_float(run, one, "qi");
    if (q == NULL || k == NULL || w == NULL || a == NULL || b == NULL ||
        expected == NULL) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = i / kv_len;
        const float *key = k + (row / q_len * kv_len + i % kv_len) * di;
        double sum = 0;
        for (int64_t e = 0; e < hi * di; e++) {
            sum += (double)w[row * hi + e / di] * (double)q[row * hi * di + e] *
                   (double)key[e % di];
        }
        expected[i] = isinf(a[i]) ? 0 : factor * sum;
        b[i] = isinf(a[i]) ? 0 : a[i] - b[i];
    }
    return vkz_identity_equal(run, "score", expected, b, count, 8);
}

static const struct vkz_identity identities[] = {
    {"negate_weights", "weights times -2 give scores times -2", NULL,
     check_negate_weights},
    {"both_signs", "relu(x) - relu(-x) = x", NULL, check_both_signs},
    {0},
};

VKZ_OP(index_score) = {
    .name = "index_score",
    .family = "sparse",
    .abi = 1,
    .title = "scores of the indexer that selects tokens for sparse attention",
    .doc = "score[t,s] = scale Σ_x w[t,x] max(0, qi[t,x]·ki[s]),  s <= t + kv_len - q_len\n"
           "\n"
           "Small heads, one key a token, a rectifier instead of a softmax. DeepSeek-V3.2\n"
           "arXiv 2512.02556.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .flops = "batch * q_len * (max(0, kv_len - q_len) + kv_len) * hi * di",
    .sum_length = "hi * di",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * q_len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
