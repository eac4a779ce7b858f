// SPDX-License-Identifier: MIT
// memory_expert: low-rank experts found by a large index of keys, contract and reference.
#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"rows", "tokens", NULL},
    {"dq", "elements of a key", NULL},
    {"ne", "experts", NULL},
    {"width", "elements of a token", NULL},
    {"co", "elements of an output", "width"},
    {"rank", "rank of an expert", NULL},
    {"topk", "experts of a token", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"temp", "1", "temperature of the gate"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", "rows, dq", NULL, "normal(1)", "queries"},
    {"key", VKZ_IN, "T", "ne, dq", NULL, "normal(1)", "keys"},
    {"x", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "tokens"},
    {"a", VKZ_IN, "T", "ne, rank, width", NULL, "linear_w", "first factors"},
    {"b", VKZ_IN, "T", "ne, co, rank", NULL, "linear_w", "second factors"},
    {"y0", VKZ_IN, "T", "rows, co", NULL, "normal(1)", "output of the backbone"},
    {"idx", VKZ_OUT, "i32", "rows, topk", NULL, NULL, "experts, the best first"},
    {"g", VKZ_OUT, "f32", "rows, topk", NULL, NULL, "their gates"},
    {"y", VKZ_OUT, "T", "rows, co", NULL, NULL, NULL},
    {0},
};

static real dot(const float *a, const float *b, int64_t n, real *magnitude)
{
    real sum = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        const real term = (real)a[i] * (real)b[i];
        sum += term;
        all += fabs(term);
    }
    *magnitude = all;
    return sum;
}

static real norm(const float *a, int64_t n)
{
    real unused = 0;
    return sqrt(fmax(dot(a, a, n, &unused), (real)1e-24));
}

// The topk best, then the next one if there is one; returns the largest magnitude.
static real choose(struct vkz_ref *ref, int64_t row, int64_t *chosen, real *score)
{
    const int64_t ne = vkz_ref_dim(ref, "ne"), dq = vkz_ref_dim(ref, "dq");
    const int64_t topk = vkz_ref_dim(ref, "topk");
    const float *q = vkz_ref_in(ref, "q") + row * dq, *key = vkz_ref_in(ref, "key");
    const real q_norm = norm(q, dq);
    real largest = 0;
    int64_t count = 0;
    for (int64_t e = 0; e < ne; e++) {
        const float *k = key + e * dq;
        real magnitude = 0;
        const real below = q_norm * norm(k, dq);
        const real s = dot(q, k, dq, &magnitude) / below;
        largest = magnitude / below > largest ? magnitude / below : largest;
        // Into a list of topk + 1, behind its equals.
        int64_t at = count;
        while (at > 0 && score[at - 1] < s) {
            at--;
        }
        if (at > topk) {
            continue;
        }
        count = count < topk + 1 ? count + 1 : count;
        for (int64_t i = count - 1; i > at; i--) {
            score[i] = score[i - 1];
            chosen[i] = chosen[i - 1];
        }
        score[at] = s;
        chosen[at] = e;
    }
    for (int64_t i = 0; i + 1 < count; i++) {
        const real gap = score[i] - score[i + 1];
        if (gap > 0 && gap < 4 * (real)0x1p-24 * sqrt((real)dq) * largest) {
            vkz_ref_ambiguous(ref);
        }
    }
    return largest;
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t topk = vkz_ref_dim(ref, "topk"), width = vkz_ref_dim(ref, "width");
    const int64_t co = vkz_ref_dim(ref, "co"), rank = vkz_ref_dim(ref, "rank");
    const real temp = (real)vkz_ref_value(ref, "temp");
    const float *x = vkz_ref_in(ref, "x") + row * width;
    const float *a = vkz_ref_in(ref, "a"), *b = vkz_ref_in(ref, "b");
    const float *y0 = vkz_ref_in(ref, "y0") + row * co;
    double *idx = vkz_ref_out(ref, "idx"), *g = vkz_ref_out(ref, "g");
    double *y = vkz_ref_out(ref, "y"), *y_scale = vkz_ref_scale(ref, "y");
    real *score = vkz_ref_temp(ref, (size_t)(topk + 1) * sizeof *score);
    int64_t *chosen = vkz_ref_temp(ref, (size_t)(topk + 1) * sizeof *chosen);
    real *sum = vkz_ref_temp(ref, (size_t)co * sizeof *sum);
    real *all = vkz_ref_temp(ref, (size_t)co * sizeof *all);
    const real largest = choose(ref, row, chosen, score);
    real total = 0;
    for (int64_t i = 0; i < topk; i++) {
        total += exp((score[i] - score[0]) / temp);
    }
    for (int64_t o = 0; o < co; o++) {
        sum[o] = (real)y0[o];
        all[o] = fabs((real)y0[o]);
    }
    for (int64_t i = 0; i < topk; i++) {
        const real gate = exp((score[i] - score[0]) / temp) / total;
        const real spread = 1 + 2 * largest / temp;
        const int64_t e = chosen[i];
        idx[i] = (double)e;
        g[i] = (double)gate;
        vkz_ref_scale(ref, "g")[i] = (double)(gate * spread) + 1e-30;
        for (int64_t r = 0; r < rank; r++) {
            real magnitude = 0;
            const real z = dot(a + (e * rank + r) * width, x, width, &magnitude);
            for (int64_t o = 0; o < co; o++) {
                const real w = gate * (real)b[(e * co + o) * rank + r];
                sum[o] += w * z;
                all[o] += fabs(w) * magnitude * spread;
            }
        }
    }
    for (int64_t o = 0; o < co; o++) {
        y[o] = (double)sum[o];
        y_scale[o] = (double)all[o];
    }
}


static bool check_gates(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t topk = vkz_identity_dim(run, "topk");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const double *g = vkz_identity_output(run, data, "g");
    double *sum = vkz_identity_temp(run, rows), *one = vkz_identity_temp(run, rows);
    for (int64_t i = 0; g != NULL && sum != NULL && one != NULL && i < rows * topk; i++) {
        sum[i / topk] += g[i];
        one[i / topk] = 1;
    }
    return vkz_identity_equal(run, "g", sum, one, rows, 8);
}

// A query's length does not matter.
static bool check_length(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *q = vkz_identity_float(run, two, "q");
    for (int64_t i = 0; i < vkz_identity_count(two, "q"); i++) {
        q[i] *= 4;
    }
    return vkz_identity_equal(run, "y", vkz_identity_output(run, one, "y"),
                              vkz_identity_output(run, two, "y"),
                              vkz_identity_count(one, "y"), 2);
}

static const struct vkz_identity identities[] = {
    {"gates", "the gates of a token add up to 1", NULL, check_gates},
    {"length", "a query's length does not matter", NULL, check_length},
    {0},
};

VKZ_OP(memory_expert) = {
    .name = "memory_expert",
    .family = "moe",
    .abi = 1,
    .title = "low-rank experts found by cosine in a large index of keys",
    .doc = "s_i = q·key_i / (|q| |key_i|); idx = the topk largest, ties to the lower index\n"
           "g = softmax(s[idx] / temp);  y = y0 + Σ_i g_i B_i (A_i x)\n"
           "\n"
           "Mixture of memory experts, arXiv 2406.17642.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = "topk <= ne && temp > 0",
    .valid_reason = "topk is at most ne, temp positive",
    .flops = "2 * rows * ne * dq + 2 * rows * topk * rank * (width + co)",
    .bytes = "(rows * dq + ne * dq + rows * (width + 2 * co) + "
             "min(rows * topk, ne) * rank * (width + co)) * T.bytes + 8 * rows * topk",
    .sum_length = "dq + width + rank * topk",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
