// SPDX-License-Identifier: MIT
// combiner_attention: softmax over the own segment's keys and a summary of each earlier
// segment, contract and reference.
#include "ops/attention/identities.h"

enum { POOL_MAX, POOL_MEAN };

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"heads", "heads", NULL},
    {"len", "tokens of a sequence, a multiple of sg", NULL},
    {"head_dim", "width of a query, a key and a value", NULL},
    {"sg", "tokens of a segment", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {VKZ_ATTENTION_SCALAR_TAU, {0}};

static const struct vkz_axis axes[] = {
    {"POOL", "max mean", "how a segment's queries and keys become one"},
    {0},
};

#define SHAPE "batch, heads, len, head_dim"

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", SHAPE, NULL, "normal(1)", "queries"},
    {"k", VKZ_IN, "T", SHAPE, NULL, "normal(1)", "keys"},
    {"v", VKZ_IN, "T", SHAPE, NULL, "normal(1)", "values"},
    {"o", VKZ_OUT, "T", SHAPE, NULL, NULL, "weighted sums of values"},
    {0},
};

// out[c] = max or mean over the segment's rows of x.
static void pool(const float *x, int64_t rows, int64_t width, int kind, real *out)
{
    for (int64_t c = 0; c < width; c++) {
        real y = (real)x[c];
        for (int64_t j = 1; j < rows; j++) {
            const real z = (real)x[j * width + c];
            y = kind == POOL_MEAN ? y + z : z > y ? z : y;
        }
        out[c] = kind == POOL_MEAN ? y / (real)rows : y;
    }
}

static real dot(const real *a, const float *b, int64_t count)
{
    real sum = 0;
    for (int64_t c = 0; c < count; c++) {
        sum += a[c] * (real)b[c];
    }
    return sum;
}

// out[c] += factor Σ_j softmax_j(logits) v_j[c]; magnitudes alike.
static void add_softmax(const real *logits, const float *v, int64_t rows, int64_t width,
                        real factor, real *out, real *scale)
{
    real top = logits[0], total = 0;
    for (int64_t j = 1; j < rows; j++) {
        top = logits[j] > top ? logits[j] : top;
    }
    for (int64_t j = 0; j < rows; j++) {
        total += exp(logits[j] - top);
    }
    for (int64_t j = 0; j < rows; j++) {
        const real weight = factor * (exp(logits[j] - top) / total);
        for (int64_t c = 0; c < width; c++) {
            const real term = weight * (real)v[j * width + c];
            out[c] += term;
            scale[c] += fabs(term);
        }
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t len = vkz_ref_dim(ref, "len"), sg = vkz_ref_dim(ref, "sg");
    const int64_t width = vkz_ref_dim(ref, "head_dim");
    const int kind = (int)vkz_ref_dim(ref, "POOL");
    const real tau = (real)vkz_ref_value(ref, "tau");
    const int64_t base = unit / len * len * width, i = unit % len, segment = i / sg;
    const float *q = vkz_ref_in(ref, "q") + base, *k = vkz_ref_in(ref, "k") + base;
    const float *v = vkz_ref_in(ref, "v") + base;
    const size_t bytes = (size_t)width * sizeof(real);
    real *qbar = vkz_ref_temp(ref, bytes), *kbar = vkz_ref_temp(ref, bytes);
    real *inner = vkz_ref_temp(ref, (size_t)sg * sizeof(real));
    real *logits = vkz_ref_temp(ref, (size_t)(segment + sg) * sizeof(real));
    real *o = vkz_ref_temp(ref, bytes), *scale = vkz_ref_temp(ref, bytes);

    // Logits: summaries of the segments before, then the own keys up to i.
    real top = -(real)INFINITY, total = 0;
    const int64_t own = i - segment * sg + 1;
    for (int64_t x = 0; x < segment + own; x++) {
        if (x < segment) {
            pool(k + x * sg * width, sg, width, kind, kbar);
            logits[x] = tau * dot(kbar, q + i * width, width);
        } else {
            const int64_t j = segment * sg + x - segment;
            logits[x] = tau * score_dot(q + i * width, k + j * width, width);
        }
        top = logits[x] > top ? logits[x] : top;
    }
    for (int64_t x = 0; x < segment + own; x++) {
        total += exp(logits[x] - top);
    }
    for (int64_t x = 0; x < segment; x++) {
        const int64_t first = x * sg * width;
        pool(q + first, sg, width, kind, qbar);
        for (int64_t j = 0; j < sg; j++) {
            inner[j] = tau * dot(qbar, k + first + j * width, width);
        }
        add_softmax(inner, v + first, sg, width, exp(logits[x] - top) / total, o, scale);
    }
    for (int64_t x = 0; x < own; x++) {
        const real weight = exp(logits[segment + x] - top) / total;
        for (int64_t c = 0; c < width; c++) {
            const real term = weight * (real)v[(segment * sg + x) * width + c];
            o[c] += term;
            scale[c] += fabs(term);
        }
    }
    score_store(vkz_ref_out(ref, "o"), o, width);
    score_store(vkz_ref_scale(ref, "o"), scale, width);
}

// The weights of a row expand to a distribution over its tokens: values of 1 give 1.
static bool check_weights(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(
        run, "fill.q=normal(1) fill.k=normal(1) fill.v=const(1)");
    const int64_t count = vkz_identity_count(data, "o");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; expected != NULL && i < count; i++) {
        expected[i] = 1;
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, data, "o"),
                              count, 2);
}

// Segments of one token summarise themselves, one segment has nothing to summarise: both
// are causal attention.
static bool check_causal(struct vkz_identity_run *run)
{
    char one[32];
    snprintf(one, sizeof one, "sg=%lld", (long long)vkz_identity_dim(run, "len"));
    struct vkz_data *tokens = vkz_identity_inputs(run, "sg=1");
    struct vkz_data *whole = vkz_identity_inputs(run, one);
    return vkz_identity_equal(run, "o", vkz_identity_output(run, tokens, "o"),
                              vkz_identity_output(run, whole, "o"),
                              vkz_identity_count(tokens, "o"), 3);
}

// What comes after a segment does not show in it, nor what comes after a token.
static bool check_future(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), half = len / 2;
    const int64_t width = vkz_identity_dim(run, "head_dim");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    static const char *const tensors_[] = {"q", "k", "v"};
    const int64_t count = vkz_identity_count(one, "o");
    for (int t = 0; t < 3; t++) {
        float *x = vkz_identity_float(run, two, tensors_[t]);
        for (int64_t i = 0; x != NULL && i < count; i++) {
            if (i / width % len >= half) {
                x[i] = -x[i];
            }
        }
    }
    double *a = vkz_identity_output(run, one, "o");
    double *b = vkz_identity_output(run, two, "o");
    for (int64_t i = 0; a != NULL && b != NULL && i < count; i++) {
        if (i / width % len >= half) {
            b[i] = a[i];
        }
    }
    return vkz_identity_equal(run, "o", a, b, count, 2);
}

static const struct vkz_identity identities[] = {
    IDENTITY_SCALE_VALUES,
    {"weights", "with all values 1 every row is 1", NULL, check_weights},
    {"causal", "segments of one token and one segment are both causal attention", NULL,
     check_causal},
    {"future", "nothing sees what comes after it", "len > 1", check_future},
    {0},
};

VKZ_OP(combiner_attention) = {
    .name = "combiner_attention",
    .family = "sparse",
    .abi = 1,
    .title = "attention over the own segment and summaries of the earlier ones",
    .doc = "segment r:  q̄_r = pool_j q_j,  k̄_r = pool_j k_j,\n"
           "            v̄_r = Σ_j softmax_j(tau q̄_r·k_j) v_j   over the whole segment\n"
           "query i of segment s: one softmax over tau q_i·k_j (j of segment s, j <= i)\n"
           "            and tau q_i·k̄_r (r < s);  o_i = Σ_j p_j v_j + Σ_r p_r v̄_r\n"
           "\n"
           "Combiner-fixed, arXiv 2107.05768.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "len % sg == 0",
    .valid_reason = "len must be a multiple of sg",
    .flops = "batch * heads * len * head_dim * (2 * (sg + 1) + 2 * (len / sg - 1) + 4)",
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
