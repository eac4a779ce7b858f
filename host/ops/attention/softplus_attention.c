// SPDX-License-Identifier: MIT
// softplus_attention: causal attention with length-scaled softplus weights, contract and
// reference.
#include "ops/attention/identities.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"heads", "query heads", NULL},
    {"kv_heads", "key and value heads; each serves heads / kv_heads query heads",
     "heads"},
    {"len", "tokens of a sequence", NULL},
    {"head_dim", "width of a query and a key", NULL},
    {"v_dim", "width of a value", "head_dim"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"SHARPEN", "off", "the second stage, which re-weights the first; not written yet"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "queries"},
    {"k", VKZ_IN, "T", "batch, kv_heads, len, head_dim", NULL, "normal(1)", "keys"},
    {"v", VKZ_IN, "T", "batch, kv_heads, len, v_dim", NULL, "normal(1)", "values"},
    {"o", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL,
     "weighted means of values"},
    {"sum1", VKZ_OUT, "f32", "batch, heads, len", NULL, NULL, "Σ_j F_ij of each row"},
    {0},
};

// 1 / max(‖x‖, 1e-12): a row of zeros has cosine 0 with everything.
static real inverse_norm(const float *x, int64_t count)
{
    const real norm = sqrt(score_dot(x, x, count));
    return (real)1 / (norm < (real)1e-12 ? (real)1e-12 : norm);
}

static real softplus(real x)
{
    const real above = x < 0 ? (real)0 : x; // not fmax, which would drop a NaN
    return above + log1p(exp(-fabs(x)));
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t heads = vkz_ref_dim(ref, "heads");
    const int64_t kv_heads = vkz_ref_dim(ref, "kv_heads");
    const int64_t len = vkz_ref_dim(ref, "len");
    const int64_t i = unit % len;
    const int64_t head = unit / len % heads;
    const int64_t kv = unit / len / heads * kv_heads + head * kv_heads / heads;
    struct score s = {
        .head_dim = vkz_ref_dim(ref, "head_dim"),
        .v_dim = vkz_ref_dim(ref, "v_dim"),
    };
    s.q = vkz_ref_in(ref, "q") + unit * s.head_dim;
    s.k = vkz_ref_in(ref, "k") + kv * len * s.head_dim;
    s.v = vkz_ref_in(ref, "v") + kv * len * s.v_dim;

    const real factor = log((real)s.head_dim) * log((real)(i + 1)) *
                        inverse_norm(s.q, s.head_dim);
    real *o = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    real *scale = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    real total = 0;
    for (int64_t j = 0; j <= i; j++) {
        const float *k = s.k + j * s.head_dim;
        const real cosine = score_dot(s.q, k, s.head_dim) * inverse_norm(k, s.head_dim);
        const real weight = softplus(factor * cosine);
        total += weight;
        score_add_value(&s, j, weight, weight, o, scale);
    }
    for (int64_t c = 0; c < s.v_dim; c++) { // softplus is positive: total is not 0
        o[c] /= total;
        scale[c] /= total;
    }
    score_store(vkz_ref_out(ref, "o"), o, s.v_dim);
    score_store(vkz_ref_scale(ref, "o"), scale, s.v_dim);
    score_store(vkz_ref_out(ref, "sum1"), &total, 1);
    score_store(vkz_ref_scale(ref, "sum1"), &total, 1);
}

// Only directions of queries and keys count.
static bool check_scale_invariant(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    scale_floats(vkz_identity_float(run, two, "q"), vkz_identity_count(two, "q"), 4);
    scale_floats(vkz_identity_float(run, two, "k"), vkz_identity_count(two, "k"), 0.5f);
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

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

static const struct vkz_identity identities[] = {
    IDENTITY_SCALE_VALUES,
    {"scale_invariant", "scaling queries and keys changes nothing", NULL,
     check_scale_invariant},
    {"weights", "with all values 1 a row is the sum of its weights, 1", NULL,
     check_weights},
    {0},
};

VKZ_OP(softplus_attention) = {
    .name = "softplus_attention",
    .family = "attention",
    .abi = 1,
    .title = "causal attention with length-scaled softplus weights",
    .doc = "q̂ = q/‖q‖, k̂ = k/‖k‖ (norms of at least 1e-12), N_i = i + 1 visible keys\n"
           "F_ij = softplus(ln head_dim · ln N_i · q̂_i·k̂_j) for j <= i\n"
           "sum1_i = Σ_j F_ij,  o_i = Σ_j F_ij v_j / sum1_i\n"
           "\n"
           "Query head x reads KV head floor(x kv_heads / heads). LSSA, arXiv\n"
           "2501.13428, first stage.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .valid = "heads % kv_heads == 0",
    .valid_reason = "heads must be a multiple of kv_heads",
    .flops = "batch * heads * len * len * (head_dim + v_dim)",
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
