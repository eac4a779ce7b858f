// SPDX-License-Identifier: MIT
// gathered_attention: softmax attention to tokens named one by one, contract and
// reference.
#include <stdio.h>

#include "ops/sparse/listed.h"
#include "zoo/identity.h"

enum { VALUE_OWN, VALUE_PREFIX };

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"heads", "query heads; all read the one KV head", NULL},
    {"q_len", "queries of a sequence; the last stands at the last key", NULL},
    {"kv_len", "tokens of a sequence", "q_len"},
    {"head_dim", "width of a query and a key", NULL},
    {"v_dim", "width of a value", "head_dim"},
    {"top", "places in the list of a query", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {VKZ_ATTENTION_SCALAR_TAU, {0}};

static const struct vkz_axis axes[] = {
    {"VALUE", "own prefix_of_key", "prefix_of_key: a value is the first part of its key"},
    {"LSE", "off on", "also write the log-sum-exp of each row"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", "batch, heads, q_len, head_dim", NULL, "normal(1)", "queries"},
    {"k", VKZ_IN, "T", "batch, kv_len, head_dim", NULL, "normal(1)", "keys"},
    {"v", VKZ_IN, "T", "batch, kv_len, v_dim", "VALUE == VALUE.own", "normal(1)",
     "values"},
    {"idx", VKZ_IN, "i32", "batch, q_len, top", NULL, "op",
     "tokens of each query, none twice; below 0: none"},
    {"o", VKZ_OUT, "T", "batch, heads, q_len, v_dim", NULL, NULL,
     "weighted sums of values"},
    {"lse", VKZ_OUT, "f32", "batch, heads, q_len", "LSE == LSE.on", NULL,
     "natural log-sum-exp of each row"},
    {0},
};

// A row of `top` places among the tokens that the query sees: all of them, or a random
// choice, ascending. Every eighth row has its order reversed, holes, and a token that the
// query does not see.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor;
    const int64_t q_len = (int64_t)vkz_fill_value(fill, "q_len");
    const int64_t kv_len = (int64_t)vkz_fill_value(fill, "kv_len");
    const int64_t top = (int64_t)vkz_fill_value(fill, "top");
    const int64_t rows = vkz_fill_count(fill) / top;
    int32_t *idx = vkz_fill_int(fill);
    for (int64_t row = 0; row < rows; row++, idx += top) {
        const int64_t seen = row % q_len + kv_len - q_len + 1;
        int64_t count = 0;
        for (int64_t j = 0; j < seen && count < top; j++) {
            const double u = vkz_fill_uniform(fill, (uint64_t)(row * kv_len + j));
            if (u * (double)(seen - j) < (double)(top - count)) {
                idx[count++] = (int32_t)j;
            }
        }
        for (; count < top; count++) {
            idx[count] = -1;
        }
        for (int64_t i = 0; row % 8 == 5 && i < top / 2; i++) {
            const int32_t kept = idx[i];
            idx[i] = i % 3 == 1 ? -1 : idx[top - 1 - i];
            idx[top - 1 - i] = kept;
        }
        if (row % 8 == 5 && seen > 0 && seen < kv_len) {
            idx[top / 2] = (int32_t)seen;
        }
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t heads = vkz_ref_dim(ref, "heads"), q_len = vkz_ref_dim(ref, "q_len");
    const int64_t kv_len = vkz_ref_dim(ref, "kv_len"), top = vkz_ref_dim(ref, "top");
    const int64_t query = unit % q_len, batch = unit / q_len / heads;
    const int64_t position = query + kv_len - q_len;
    struct listed a = {
        .head_dim = vkz_ref_dim(ref, "head_dim"),
        .v_dim = vkz_ref_dim(ref, "v_dim"),
        .tau = (real)vkz_ref_value(ref, "tau"),
    };
    a.k_pitch = a.head_dim;
    a.q = vkz_ref_in(ref, "q") + unit * a.head_dim;
    a.k = vkz_ref_in(ref, "k") + batch * kv_len * a.head_dim;
    if (vkz_ref_dim(ref, "VALUE") == VALUE_OWN) {
        a.v = vkz_ref_in(ref, "v") + batch * kv_len * a.v_dim;
        a.v_pitch = a.v_dim;
    } else {
        a.v = a.k;
        a.v_pitch = a.head_dim;
    }
    const int32_t *idx = vkz_ref_in_int(ref, "idx") + (batch * q_len + query) * top;
    int32_t *keys = vkz_ref_temp(ref, (size_t)top * sizeof *keys);
    int64_t count = 0;
    for (int64_t i = 0; i < top; i++) {
        if (idx[i] >= 0 && idx[i] <= position) {
            keys[count++] = idx[i];
        }
    }
    real *temp = vkz_ref_temp(ref, (size_t)top * sizeof *temp);
    real *o = vkz_ref_temp(ref, (size_t)a.v_dim * sizeof *o);
    real *scale = vkz_ref_temp(ref, (size_t)a.v_dim * sizeof *scale);
    const real lse = listed_softmax(&a, keys, count, temp, o, scale);
    listed_store(ref, o, scale, a.v_dim, lse);
}

// The order of the list does not matter.
static bool check_order(struct vkz_identity_run *run)
{
    const int64_t top = vkz_identity_dim(run, "top");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    int32_t *idx = vkz_identity_int(run, two, "idx");
    const int64_t count = vkz_identity_count(two, "idx");
    for (int64_t i = 0; idx != NULL && i < count; i++) {
        const int64_t other = i / top * top + top - 1 - i % top;
        if (i < other) {
            const int32_t kept = idx[i];
            idx[i] = idx[other];
            idx[other] = kept;
        }
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

// With every visible token in the list, a token that the query does not see changes
// nothing: dense causal attention.
static bool check_future(struct vkz_identity_run *run)
{
    const int64_t q_len = vkz_identity_dim(run, "q_len");
    const int64_t kv_len = vkz_identity_dim(run, "kv_len");
    char settings[64];
    snprintf(settings, sizeof settings, "top=%lld", (long long)kv_len);
    struct vkz_data *one = vkz_identity_inputs(run, settings);
    struct vkz_data *two = vkz_identity_inputs(run, settings);
    int32_t *visible = vkz_identity_int(run, one, "idx");
    int32_t *all = vkz_identity_int(run, two, "idx");
    const int64_t count = vkz_identity_count(one, "idx");
    for (int64_t i = 0; visible != NULL && all != NULL && i < count; i++) {
        const int64_t position = i / kv_len % q_len + kv_len - q_len;
        all[i] = (int32_t)(i % kv_len);
        visible[i] = all[i] <= position ? all[i] : -1;
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

static const struct vkz_identity identities[] = {
    {"order", "the order of the list does not matter", NULL, check_order},
    {"future", "tokens after the query in the list change nothing", NULL, check_future},
    {0},
};

VKZ_OP(gathered_attention) = {
    .name = "gathered_attention",
    .family = "sparse",
    .abi = 1,
    .title = "softmax attention of each query to its own list of tokens",
    .doc = "o_i = Σ_x P_ix v_x,  P_i = softmax over x of tau q_i·k_x,  x in idx_i with\n"
           "0 <= x <= i + kv_len - q_len;  lse_i = ln Σ_x exp(tau q_i·k_x)\n"
           "\n"
           "All heads of a query read one list and one KV head. A row with nothing to see\n"
           "gives o = 0 and lse = -inf. DeepSeek-V3.2 arXiv 2512.02556.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "VALUE == VALUE.own || v_dim <= head_dim",
    .valid_reason = "a value that is the first part of its key is at most as wide",
    .flops = "2 * batch * heads * (head_dim + v_dim) * " SUM_QUERIES("kv_len - q_len + 1",
                                                                     "top"),
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * q_len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .fill = fill,
    .bitwise = true,
};
