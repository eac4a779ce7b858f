// SPDX-License-Identifier: MIT
// compressed_attention: softmax attention to pooled blocks, contract and reference.
#include "ops/sparse/pooled.h"
#include "zoo/identity.h"

enum { PHI_GIVEN, PHI_MEAN };

static const struct vkz_dim dims[] = {
    VKZ_POOLED_DIMS_HEADS, VKZ_POOLED_DIM_V, VKZ_POOLED_DIMS_BLOCKS, {0}};

static const struct vkz_scalar scalars[] = {VKZ_ATTENTION_SCALAR_TAU, {0}};

static const struct vkz_axis axes[] = {
    {"PHI", "given mean", "given: pooled keys and values are inputs; mean of the block"},
    {"LSE", "off on", "also write the log-sum-exp of each row"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "queries"},
    {"k", VKZ_IN, "T", "batch, kv_heads, len, head_dim", "PHI == PHI.mean", "normal(1)",
     "keys"},
    {"v", VKZ_IN, "T", "batch, kv_heads, len, v_dim", "PHI == PHI.mean", "normal(1)",
     "values"},
    {"kc", VKZ_IN, "T", "batch, kv_heads, " VKZ_POOLED_ROWS ", head_dim",
     "PHI == PHI.given", "normal(1)", "pooled keys; one row, unused, where len < lc"},
    {"vc", VKZ_IN, "T", "batch, kv_heads, " VKZ_POOLED_ROWS ", v_dim", "PHI == PHI.given",
     "normal(1)", "pooled values"},
    {"o", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL,
     "weighted sums of values"},
    {"lse", VKZ_OUT, "f32", "batch, heads, len", "LSE == LSE.on", NULL,
     "natural log-sum-exp of each row"},
    {0},
};

// Means over blocks of rows, rounded as a pooled tensor of the same kind would be kept:
// in `real`, which is float for the naive emulation and for kernels.
static real *pool(struct vkz_ref *ref, const float *rows, int64_t count, int64_t width)
{
    const int64_t lc = vkz_ref_dim(ref, "lc"), st = vkz_ref_dim(ref, "st");
    real *out = vkz_ref_temp(ref, (size_t)(count * width) * sizeof *out);
    for (int64_t c = 0; c < count; c++) {
        for (int64_t j = 0; j < lc; j++) {
            for (int64_t e = 0; e < width; e++) {
                out[c * width + e] += (real)rows[(c * st + j) * width + e];
            }
        }
        for (int64_t e = 0; e < width; e++) {
            out[c * width + e] /= (real)lc;
        }
    }
    return out;
}

static real *widen(struct vkz_ref *ref, const float *rows, int64_t count, int64_t width)
{
    real *out = vkz_ref_temp(ref, (size_t)(count * width) * sizeof *out);
    for (int64_t i = 0; i < count * width; i++) {
        out[i] = (real)rows[i];
    }
    return out;
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t heads = vkz_ref_dim(ref, "heads"), len = vkz_ref_dim(ref, "len");
    const int64_t kv_heads = vkz_ref_dim(ref, "kv_heads");
    const int64_t lc = vkz_ref_dim(ref, "lc"), st = vkz_ref_dim(ref, "st");
    const int64_t head_dim = vkz_ref_dim(ref, "head_dim");
    const int64_t v_dim = vkz_ref_dim(ref, "v_dim");
    const real tau = (real)vkz_ref_value(ref, "tau");
    const int64_t batch = unit / len / heads, head = unit / len % heads;
    const int64_t kv = batch * kv_heads + head * kv_heads / heads;
    const int64_t count = pooled_visible(unit % len, lc, st);
    const float *q = vkz_ref_in(ref, "q") + unit * head_dim;
    const real *k = NULL, *v = NULL;
    if (vkz_ref_dim(ref, "PHI") == PHI_MEAN) {
        k = pool(ref, vkz_ref_in(ref, "k") + kv * len * head_dim, count, head_dim);
        v = pool(ref, vkz_ref_in(ref, "v") + kv * len * v_dim, count, v_dim);
    } else {
        const int64_t rows = pooled_rows(len, lc, st);
        k = widen(ref, vkz_ref_in(ref, "kc") + kv * rows * head_dim, count, head_dim);
        v = widen(ref, vkz_ref_in(ref, "vc") + kv * rows * v_dim, count, v_dim);
    }
    real *s = vkz_ref_temp(ref, (size_t)(count + 1) * sizeof *s);
    real *o = vkz_ref_temp(ref, (size_t)v_dim * sizeof *o);
    real *scale = vkz_ref_temp(ref, (size_t)v_dim * sizeof *scale);
    real top = -(real)INFINITY, total = 0;
    for (int64_t c = 0; c < count; c++) {
        for (int64_t e = 0; e < head_dim; e++) {
            s[c] += (real)q[e] * k[c * head_dim + e];
        }
        s[c] *= tau;
        top = s[c] > top ? s[c] : top;
    }
    if (!(top > -(real)INFINITY)) {
        top = 0;
    }
    for (int64_t c = 0; c < count; c++) {
        const real weight = exp(s[c] - top);
        total += weight;
        for (int64_t e = 0; e < v_dim; e++) {
            o[e] += weight * v[c * v_dim + e];
            scale[e] += weight * fabs(v[c * v_dim + e]);
        }
    }
    for (int64_t e = 0; e < v_dim && total != 0; e++) {
        o[e] /= total;
        scale[e] /= total;
    }
    listed_store(ref, o, scale, v_dim, total == 0 ? -(real)INFINITY : top + log(total));
}

// Blocks of one token, one after the other, are the tokens: both forms of PHI agree.
static bool check_single(struct vkz_identity_run *run)
{
    struct vkz_data *mean = vkz_identity_inputs(run, "lc=1 st=1 PHI=mean");
    struct vkz_data *given = vkz_identity_inputs(run, "lc=1 st=1 PHI=given");
    static const char *const names[2][2] = {{"k", "kc"}, {"v", "vc"}};
    for (int i = 0; i < 2; i++) {
        const float *from = vkz_identity_float(run, mean, names[i][0]);
        float *to = vkz_identity_float(run, given, names[i][1]);
        const int64_t count = vkz_identity_count(given, names[i][1]);
        for (int64_t e = 0; from != NULL && to != NULL && e < count; e++) {
            to[e] = from[e];
        }
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, mean, "o"),
                              vkz_identity_output(run, given, "o"),
                              vkz_identity_count(mean, "o"), 2);
}

// With all pooled values 1 a row is 1, and 0 where no block is visible.
static bool check_weights(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(
        run, "LSE=on fill.q=normal(1) fill.k=normal(1) fill.v=const(1) fill.kc=normal(1) "
             "fill.vc=const(1)");
    const int64_t count = vkz_identity_count(data, "o");
    const int64_t v_dim = vkz_identity_dim(run, "v_dim");
    const double *lse = vkz_identity_output(run, data, "lse");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; lse != NULL && expected != NULL && i < count; i++) {
        expected[i] = lse[i / v_dim] == -INFINITY ? 0 : 1;
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, data, "o"),
                              count, 2);
}

static const struct vkz_identity identities[] = {
    {"single", "blocks of one token are the tokens", "len <= 256", check_single},
    {"weights", "with all values 1 a row is the sum of its weights", NULL, check_weights},
    {0},
};

VKZ_OP(compressed_attention) = {
    .name = "compressed_attention",
    .family = "sparse",
    .abi = 1,
    .title = "softmax attention to pooled blocks of tokens",
    .doc = "k̄_c = φ(k[c st .. c st + lc)), v̄_c the same;  o_i = Σ_c P_ic v̄_c,\n"
           "P_i = softmax of tau q_i·k̄_c over c with c st + lc - 1 <= i\n"
           "\n"
           "PHI: given (kc and vc are φ's results) or the mean of the block. A query before\n"
           "the end of the first block gives o = 0 and lse = -inf. First branch of native\n"
           "sparse attention, arXiv 2502.11089.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_POOLED_VALID,
    .valid_reason = "heads must be a multiple of kv_heads; lc and st at least 1",
    .flops = "2 * batch * heads * (head_dim + v_dim) * " VKZ_POOLED_PAIRS,
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
