// SPDX-License-Identifier: MIT
// range_attention: every query attends to a range of keys of its own, contract and
// reference.
#include "ops/attention/identities.h"

static const struct vkz_dim dims[] = {VKZ_ATTENTION_DIMS, {0}};

static const struct vkz_scalar scalars[] = {
    VKZ_ATTENTION_SCALAR_TAU,
    {"span", "min(32, kv_len)",
     "mean length of a range: what the fill draws and FLOPs count"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    VKZ_ATTENTION_TENSORS_QKV,
    {"lo", VKZ_IN, "i32", "batch, q_len", NULL, "op",
     "first key of the range; may be below 0"},
    {"hi", VKZ_IN, "i32", "batch, q_len", NULL, "op",
     "end of the range; may be past the keys or below lo"},
    VKZ_ATTENTION_TENSOR_O,
    {0},
};

// Ranges that walk along the keys, each of any length up to twice the mean: their ends
// overlap, run backwards and leave the keys here and there. lo and hi are filled apart
// from each other, so that both start from numbers of (row, purpose) alone.
static uint32_t mix(uint64_t row, uint32_t purpose)
{
    uint64_t x = (row * 2 + purpose + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)(x >> 33);
}

static void fill(struct vkz_fill *fill, const char *tensor)
{
    const int64_t q_len = (int64_t)vkz_fill_value(fill, "q_len");
    const int64_t kv_len = (int64_t)vkz_fill_value(fill, "kv_len");
    const int64_t span = (int64_t)vkz_fill_value(fill, "span");
    const int64_t count = vkz_fill_count(fill);
    int32_t *out = vkz_fill_int(fill);
    for (int64_t i = 0; i < count; i++) {
        const int64_t length = mix((uint64_t)i, 0) % (2 * span + 1);
        const int64_t jitter = mix((uint64_t)i, 1) % 9 - 4;
        const int64_t middle = (i % q_len * kv_len + kv_len / 2) / q_len;
        const int64_t lo = middle + jitter - length / 2;
        out[i] = (int32_t)(tensor[0] == 'l' ? lo : lo + length);
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t heads = vkz_ref_dim(ref, "heads");
    const int64_t kv_heads = vkz_ref_dim(ref, "kv_heads");
    const int64_t q_len = vkz_ref_dim(ref, "q_len");
    const int64_t kv_len = vkz_ref_dim(ref, "kv_len");
    const int64_t batch = unit / q_len / heads;
    const int64_t kv = batch * kv_heads + unit / q_len % heads * kv_heads / heads;
    struct score s = {
        .head_dim = vkz_ref_dim(ref, "head_dim"),
        .v_dim = vkz_ref_dim(ref, "v_dim"),
        .tau = (real)vkz_ref_value(ref, "tau"),
        .q = vkz_ref_in(ref, "q"),
    };
    s.q += unit * s.head_dim;
    s.k = vkz_ref_in(ref, "k") + kv * kv_len * s.head_dim;
    s.v = vkz_ref_in(ref, "v") + kv * kv_len * s.v_dim;
    const int64_t at = batch * q_len + unit % q_len;
    const int32_t first = vkz_ref_in_int(ref, "lo")[at];
    const int32_t last = vkz_ref_in_int(ref, "hi")[at];
    const int64_t lo = first > 0 ? first : 0, hi = last < kv_len ? last : kv_len;

    real *o = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    real *scale = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    real top = -(real)INFINITY, total = 0;
    for (int64_t j = lo; j < hi; j++) {
        const real x = score_value(&s, j);
        top = x > top ? x : top;
    }
    for (int64_t j = lo; j < hi; j++) {
        const real weight = exp(score_value(&s, j) - top);
        total += weight;
        score_add_value(&s, j, weight, weight, o, scale);
    }
    for (int64_t c = 0; c < s.v_dim && lo < hi; c++) {
        o[c] /= total;
        scale[c] /= total;
    }
    score_store(vkz_ref_out(ref, "o"), o, s.v_dim);
    score_store(vkz_ref_scale(ref, "o"), scale, s.v_dim);
}

// A range of one key copies its value.
static bool check_single(struct vkz_identity_run *run)
{
    const int64_t heads = vkz_identity_dim(run, "heads");
    const int64_t kv_heads = vkz_identity_dim(run, "kv_heads");
    const int64_t q_len = vkz_identity_dim(run, "q_len");
    const int64_t kv_len = vkz_identity_dim(run, "kv_len");
    const int64_t v_dim = vkz_identity_dim(run, "v_dim");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    int32_t *lo = vkz_identity_int(run, data, "lo");
    int32_t *hi = vkz_identity_int(run, data, "hi");
    const float *v = vkz_identity_float(run, data, "v");
    for (int64_t i = 0; i < vkz_identity_count(data, "lo"); i++) {
        lo[i] = (int32_t)(i * 7 % kv_len);
        hi[i] = lo[i] + 1;
    }
    const double *o = vkz_identity_output(run, data, "o");
    const int64_t count = vkz_identity_count(data, "o");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; o != NULL && expected != NULL && v != NULL && i < count; i++) {
        const int64_t row = i / v_dim, batch = row / q_len / heads;
        const int64_t kv = batch * kv_heads + row / q_len % heads * kv_heads / heads;
        const int64_t key = (batch * q_len + row % q_len) * 7 % kv_len;
        expected[i] = (double)v[(kv * kv_len + key) * v_dim + i % v_dim];
    }
    return vkz_identity_equal(run, "o", expected, o, count, 2);
}

// With all values 1 a row is the sum of its weights: 1, or 0 where its range is empty.
static bool check_weights(struct vkz_identity_run *run)
{
    const int64_t heads = vkz_identity_dim(run, "heads");
    const int64_t q_len = vkz_identity_dim(run, "q_len");
    const int64_t kv_len = vkz_identity_dim(run, "kv_len");
    const int64_t v_dim = vkz_identity_dim(run, "v_dim");
    struct vkz_data *data =
        vkz_identity_inputs(run, "fill.q=normal(1) fill.k=normal(1) fill.v=const(1)");
    const int32_t *lo = vkz_identity_int(run, data, "lo");
    const int32_t *hi = vkz_identity_int(run, data, "hi");
    const int64_t count = vkz_identity_count(data, "o");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; expected != NULL && lo != NULL && hi != NULL && i < count; i++) {
        const int64_t row = i / v_dim, at = row / q_len / heads * q_len + row % q_len;
        expected[i] = (lo[at] > 0 ? lo[at] : 0) < (hi[at] < kv_len ? hi[at] : kv_len);
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, data, "o"),
                              count, 2);
}

static const struct vkz_identity identities[] = {
    IDENTITY_SCALE_VALUES,
    {"single", "a range of one key copies its value",
     "batch * kv_heads > 0", check_single},
    {"weights", "with all values 1 a row is 1, or 0 where its range is empty", NULL,
     check_weights},
    {0},
};

VKZ_OP(range_attention) = {
    .name = "range_attention",
    .family = "sparse",
    .abi = 1,
    .title = "softmax attention over a range of keys of each query's own",
    .doc = "o_i = Σ_j p_ij v_j,  p_i = softmax over lo_i <= j < hi_i of tau q_i·k_j\n"
           "\n"
           "A range is cut to the keys there are; an empty one gives o = 0. Query head x\n"
           "reads KV head floor(x kv_heads / heads); ranges are shared by the heads.\n"
           "Segmental: lo = t_{u-1} + 1, hi = t_u + 1; window: t_u ± w; hard: hi = lo + 1,\n"
           "o = v. arXiv 2103.16710; sliding documents.",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .valid = "heads % kv_heads == 0 && span >= 0 && span == floor(span)",
    .valid_reason = "heads must be a multiple of kv_heads, span a whole number",
    .flops = "2 * batch * heads * q_len * min(span, kv_len) * (head_dim + v_dim)",
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * q_len",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
