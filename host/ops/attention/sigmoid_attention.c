// SPDX-License-Identifier: MIT
// sigmoid_attention: attention whose weights are independent of each other, contract and
// reference.
#include "ops/attention/identities.h"

static const struct vkz_dim dims[] = {VKZ_ATTENTION_DIMS, {0}};

static const struct vkz_scalar scalars[] = {
    VKZ_ATTENTION_SCALAR_TAU,
    {"beta", "-ln(kv_len)", "added to every score"},
    VKZ_ATTENTION_SCALAR_SLOPE,
    VKZ_ATTENTION_SCALARS_MASK,
    {0},
};

static const struct vkz_axis axes[] = {
    {"MASK", VKZ_ATTENTION_MASK_VALUES, "which keys a query sees"},
    {"BIAS", "none tensor alibi", "what is added to the scores"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    VKZ_ATTENTION_TENSORS_QKV,
    VKZ_ATTENTION_TENSOR_BIAS,
    VKZ_ATTENTION_TENSOR_SEG,
    VKZ_ATTENTION_TENSOR_O,
    {0},
};

static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // seg is the only one
    score_fill_seg(fill);
}

// The form that cannot overflow on either side.
static real logistic(real x)
{
    if (x >= 0) {
        return (real)1 / ((real)1 + exp(-x));
    }
    const real e = exp(x);
    return e / ((real)1 + e);
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const struct score s = score_begin(ref, unit, true, false);
    const real beta = (real)vkz_ref_value(ref, "beta");
    real *o = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    real *scale = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    for (int64_t j = 0; j < s.kv_len; j++) {
        if (score_visible(&s, j)) {
            const real weight = logistic(score_value(&s, j) + beta);
            score_add_value(&s, j, weight, weight, o, scale);
        }
    }
    score_store(vkz_ref_out(ref, "o"), o, s.v_dim);
    score_store(vkz_ref_scale(ref, "o"), scale, s.v_dim);
}

// k = 0 and beta = 0 make every weight a half. The sums over visible values are made
// here, for the masks whose visible keys are the first ones.
static bool check_half(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(
        run, "BIAS=none beta=0 fill.q=normal(1) fill.k=const(0)");
    const int64_t heads = vkz_identity_dim(run, "heads");
    const int64_t kv_heads = vkz_identity_dim(run, "kv_heads");
    const int64_t q_len = vkz_identity_dim(run, "q_len");
    const int64_t kv_len = vkz_identity_dim(run, "kv_len");
    const int64_t v_dim = vkz_identity_dim(run, "v_dim");
    const bool causal = vkz_identity_dim(run, "MASK") == MASK_CAUSAL;
    const float *v = vkz_identity_float(run, data, "v");
    const int64_t count = vkz_identity_count(data, "o");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; v != NULL && expected != NULL && i < count; i++) {
        const int64_t row = i / v_dim, head = row / q_len % heads;
        const int64_t kv = row / q_len / heads * kv_heads + head * kv_heads / heads;
        const int64_t end = causal ? row % q_len + kv_len - q_len + 1 : kv_len;
        for (int64_t j = 0; j < end; j++) {
            expected[i] += (double)v[(kv * kv_len + j) * v_dim + i % v_dim] / 2;
        }
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, data, "o"),
                              count, 2);
}

// Outputs of disjoint keys add up: no weight depends on another.
static bool check_split_keys(struct vkz_identity_run *run)
{
    const int64_t kv_len = vkz_identity_dim(run, "kv_len"), half = kv_len / 2;
    char settings[48];
    snprintf(settings, sizeof settings, "beta=%.9g", vkz_identity_value(run, "beta"));
    struct vkz_data *whole = vkz_identity_inputs(run, settings);
    struct vkz_data *first = cut_keys(run, whole, 0, half, settings);
    struct vkz_data *second = cut_keys(run, whole, half, kv_len - half, settings);
    const int64_t count = vkz_identity_count(whole, "o");
    double *o1 = vkz_identity_output(run, first, "o");
    const double *o2 = vkz_identity_output(run, second, "o");
    for (int64_t i = 0; o1 != NULL && o2 != NULL && i < count; i++) {
        o1[i] += o2[i];
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, whole, "o"), o1, count,
                              3);
}

static bool check_sigmoid_prefix(struct vkz_identity_run *run)
{
    char settings[48];
    snprintf(settings, sizeof settings, "beta=%.9g", vkz_identity_value(run, "beta"));
    return check_prefix_of(run, true, settings);
}

static const struct vkz_identity identities[] = {
    IDENTITY_SCALE_VALUES,
    IDENTITY_PERMUTE_KEYS,
    {"half", "k = 0 and beta = 0 give half the sum of the values",
     "MASK == MASK.none || MASK == MASK.causal", check_half},
    {"split_keys", "outputs of two halves of the keys add up to the whole",
     "MASK == MASK.none && BIAS != BIAS.alibi && kv_len > 1", check_split_keys},
    {"prefix", "the first queries of a causal case do not see what comes after them",
     "(MASK == MASK.causal || MASK == MASK.doc) && q_len == kv_len && q_len > 1",
     check_sigmoid_prefix},
    {0},
};

VKZ_OP(sigmoid_attention) = {
    .name = "sigmoid_attention",
    .family = "attention",
    .abi = 1,
    .title = "attention with sigmoid weights, no row statistics",
    .doc = "P_ij = σ(tau q_i·k_j + bias_ij + beta) on visible pairs, 0 elsewhere\n"
           "o_i = Σ_j P_ij v_j\n"
           "\n" VKZ_ATTENTION_MASK_DOC
           "BIAS, with p as above: tensor bias_ij;\n" VKZ_ATTENTION_ALIBI_DOC
           "\n"
           "FlashSigmoid arXiv 2409.04431. beta = -ln(kv_len) keeps the sum of weights\n"
           "near one at the start of training.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_ATTENTION_VALID,
    .valid_reason = VKZ_ATTENTION_VALID_REASON,
    .flops = "2 * batch * heads * (head_dim + v_dim) * " VKZ_ATTENTION_PAIRS5,
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * q_len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .fill = fill,
    .bitwise = true,
};
