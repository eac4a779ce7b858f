// SPDX-License-Identifier: MIT
// relu_attention: attention whose weights are rectified scores, contract and reference.
#include "ops/attention/identities.h"

enum { NORM_VISIBLE, NORM_TK, NORM_TK_POW };

static const struct vkz_dim dims[] = {VKZ_ATTENTION_DIMS, {0}};

static const struct vkz_scalar scalars[] = {
    VKZ_ATTENTION_SCALAR_TAU,
    {"alpha", "1", "exponent of NORM=tk_pow"},
    VKZ_ATTENTION_SCALARS_MASK,
    {0},
};

static const struct vkz_axis axes[] = {
    {"MASK", VKZ_ATTENTION_MASK_VALUES, "which keys a query sees"},
    {"NORM", "visible tk tk_pow",
     "the divisor n_i: visible keys of the row, kv_len, or kv_len^alpha"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    VKZ_ATTENTION_TENSORS_QKV,
    VKZ_ATTENTION_TENSOR_SEG,
    VKZ_ATTENTION_TENSOR_O,
    {0},
};

static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // seg is the only one
    score_fill_seg(fill);
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const struct score s = score_begin(ref, unit, false, false);
    const int norm = (int)vkz_ref_dim(ref, "NORM");
    real *o = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    real *scale = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    int64_t visible = 0;
    for (int64_t j = 0; j < s.kv_len; j++) {
        if (score_visible(&s, j)) {
            const real x = score_value(&s, j);
            visible++;
            // NaN stays NaN: x < 0 is false for it.
            score_add_value(&s, j, x < 0 ? (real)0 : x,
                            x < 0 ? (real)0 : score_magnitude(&s, j), o, scale);
        }
    }
    real divisor = (real)visible;
    if (norm == NORM_TK) {
        divisor = (real)s.kv_len;
    } else if (norm == NORM_TK_POW) {
        divisor = pow((real)s.kv_len, (real)vkz_ref_value(ref, "alpha"));
    }
    for (int64_t c = 0; c < s.v_dim && visible > 0; c++) {
        o[c] /= divisor;
        scale[c] /= divisor;
    }
    score_store(vkz_ref_out(ref, "o"), o, s.v_dim);
    score_store(vkz_ref_scale(ref, "o"), scale, s.v_dim);
}

static bool check_scale_queries(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    scale_floats(vkz_identity_float(run, two, "q"), vkz_identity_count(two, "q"), 2);
    const int64_t count = vkz_identity_count(one, "o");
    double *o = vkz_identity_output(run, one, "o");
    scale_doubles(o, count, 2);
    return vkz_identity_equal(run, "o", o, vkz_identity_output(run, two, "o"), count, 2);
}

static bool check_visible_prefix(struct vkz_identity_run *run)
{
    return check_prefix_of(run, false, "NORM=visible");
}

static const struct vkz_identity identities[] = {
    IDENTITY_SCALE_VALUES,
    {"scale_queries", "doubling q doubles o", NULL, check_scale_queries},
    {"prefix", "the first queries of a causal case do not see what comes after them",
     "(MASK == MASK.causal || MASK == MASK.doc) && q_len == kv_len && q_len > 1",
     check_visible_prefix},
    {0},
};

VKZ_OP(relu_attention) = {
    .name = "relu_attention",
    .family = "attention",
    .abi = 1,
    .title = "attention with rectified scores as weights",
    .doc = "w_ij = max(0, tau q_i·k_j) / n_i on visible pairs, 0 elsewhere\n"
           "o_i = Σ_j w_ij v_j;  n_i by NORM; a row with nothing to see gives 0\n"
           "\n" VKZ_ATTENTION_MASK_DOC
           "\n"
           "The scale of an element is Σ_j tau Σ_c |q_c k_c| |v_j| / n_i over positive scores:\n"
           "weights are linear in the scores, so the scores' rounding counts in full.\n"
           "\n"
           "arXiv 2309.08586; 2410.13835 divides by the visible keys, the default here.",
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
