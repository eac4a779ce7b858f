// SPDX-License-Identifier: MIT
// block_sparse_attention: softmax attention over lists of key tiles, contract and reference.
#include "ops/sparse/list.h"

#include "ops/attention/identities.h"

static const struct vkz_dim dims[] = {VKZ_ATTENTION_DIMS, VKZ_LIST_DIMS, {0}};

static const struct vkz_scalar scalars[] = {
    VKZ_ATTENTION_SCALAR_TAU,
    VKZ_ATTENTION_SCALARS_MASK,
    VKZ_LIST_SCALARS,
    {0},
};

static const struct vkz_axis axes[] = {
    {"MASK", VKZ_ATTENTION_MASK_VALUES, "which keys of a flagged tile a query sees"},
    {"LSE", "off on", "also write the log-sum-exp of each row"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    VKZ_ATTENTION_TENSORS_QKV,
    VKZ_LIST_TENSORS,
    VKZ_ATTENTION_TENSOR_SEG,
    VKZ_ATTENTION_TENSOR_O,
    {"lse", VKZ_OUT, "f32", "batch, heads, q_len", "LSE == LSE.on", NULL,
     "natural log-sum-exp of each row"},
    {0},
};

static void fill(struct vkz_fill *fill, const char *tensor)
{
    if (strcmp(tensor, "seg") == 0) {
        score_fill_seg(fill);
    } else {
        list_fill(fill, tensor);
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const struct score s = list_begin(ref, unit);
    int32_t *keys = vkz_ref_temp(ref, (size_t)s.kv_len * sizeof *keys);
    sparse_row(ref, &s, keys, list_keys(ref, &s, keys), true);
}

static int64_t list_rows(struct vkz_identity_run *run)
{
    const int64_t br = vkz_identity_dim(run, "br"), q_len = vkz_identity_dim(run, "q_len");
    return (q_len + br - 1) / br;
}

// Keeps the entries of each list whose number in it is `rest` modulo 2.
static bool keep_half(struct vkz_identity_run *run, struct vkz_data *data, int rest)
{
    const int64_t rows = list_rows(run), count = vkz_identity_count(data, "start");
    int32_t *start = vkz_identity_int(run, data, "start");
    int32_t *cols = vkz_identity_int(run, data, "cols");
    int32_t *flags = vkz_identity_int(run, data, "flags");
    int32_t kept = 0, begin = 0;
    if (start == NULL || cols == NULL || flags == NULL) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        const bool last = i % (rows + 1) == rows;
        const int32_t end = last ? begin : start[i + 1];
        begin = start[i];
        start[i] = kept;
        for (int32_t n = begin; n < end; n++) {
            if ((n - begin) % 2 == rest) {
                cols[kept] = cols[n];
                flags[kept++] = flags[n];
            }
        }
    }
    return true;
}

// The merge of the outputs over two halves of each list, by their log-sum-exp.
static bool check_split_lists(struct vkz_identity_run *run)
{
    struct vkz_data *whole = vkz_identity_inputs(run, "LSE=on");
    struct vkz_data *half[2];
    double *o[2] = {NULL, NULL}, *lse[2] = {NULL, NULL};
    for (int x = 0; x < 2; x++) {
        half[x] = vkz_identity_inputs(run, "LSE=on");
        if (half[x] == NULL || !keep_half(run, half[x], x)) {
            return false;
        }
        o[x] = vkz_identity_output(run, half[x], "o");
        lse[x] = vkz_identity_output(run, half[x], "lse");
    }
    const int64_t count = vkz_identity_count(whole, "o");
    const int64_t v_dim = vkz_identity_dim(run, "v_dim");
    double *merged = vkz_identity_temp(run, count);
    if (merged == NULL || o[0] == NULL || o[1] == NULL || !lse[0] || !lse[1]) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        const double first = lse[0][i / v_dim], second = lse[1][i / v_dim];
        const double share =
            second == -INFINITY ? 1 : 1 / (1 + (double)exp((double)(second - first)));
        merged[i] = share * o[0][i] + (1 - share) * o[1][i];
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, whole, "o"), merged, count,
                              3);
}

// Reverses every list.
static bool check_list_order(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    const int32_t *start = vkz_identity_int(run, two, "start");
    int32_t *cols = vkz_identity_int(run, two, "cols");
    int32_t *flags = vkz_identity_int(run, two, "flags");
    const int64_t rows = list_rows(run), count = vkz_identity_count(two, "start");
    for (int64_t i = 0; start && cols && flags && i < count; i++) {
        if (i % (rows + 1) == rows) {
            continue;
        }
        for (int32_t a = start[i], b = start[i + 1] - 1; a < b; a++, b--) {
            const int32_t col = cols[a], flag = flags[a];
            cols[a] = cols[b];
            flags[a] = flags[b];
            cols[b] = col;
            flags[b] = flag;
        }
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

// A value that no list shows changes nothing, whatever it is.
static bool check_unlisted(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "list=1");
    struct vkz_data *two = vkz_identity_inputs(run, "list=1");
    const int64_t bc = vkz_identity_dim(run, "bc"), kv_len = vkz_identity_dim(run, "kv_len");
    const int64_t v_dim = vkz_identity_dim(run, "v_dim");
    const int32_t *cols = vkz_identity_int(run, two, "cols");
    float *v = vkz_identity_float(run, two, "v");
    const int64_t entries = vkz_identity_count(two, "cols");
    for (int64_t i = 0; v && cols && i < vkz_identity_count(two, "v") / v_dim; i++) {
        bool listed = false;
        for (int64_t n = 0; n < entries; n++) {
            listed = listed || cols[n] == (int32_t)(i % kv_len / bc);
        }
        for (int64_t c = 0; c < v_dim && !listed; c++) {
            v[i * v_dim + c] = NAN;
        }
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

static const struct vkz_identity identities[] = {
    IDENTITY_SCALE_VALUES,
    {"split_lists", "the merge of two halves of each list is the whole", NULL,
     check_split_lists},
    {"list_order", "the order of a list changes nothing", NULL, check_list_order},
    {"unlisted", "what no list shows may be NaN", NULL, check_unlisted},
    {0},
};

VKZ_OP(block_sparse_attention) = {
    .name = "block_sparse_attention",
    .family = "sparse",
    .abi = 1,
    .title = "softmax attention over lists of key tiles",
    .doc = "o_i = sum_j P_ij v_j,  P_ij = exp(tau q_i·k_j) / sum_j exp(tau q_i·k_j),\n"
           "lse_i = ln sum_j exp(tau q_i·k_j), j over the keys of the tiles that the row\n"
           "of tiles floor(i / br) lists: entries start[row] <= n < start[row + 1], keys\n"
           "cols[n] bc <= j < (cols[n] + 1) bc. In a tile whose flag is not 0, MASK decides\n"
           "which pairs count, as in attention. Lists may be shared by the batch, by the\n"
           "heads or by both. A row with nothing to see gives o = 0 and lse = -inf.\n"
           "\n"
           "FlashAttention arXiv 2205.14135, section 3.3; Sparse Transformers 1904.10509;\n"
           "BigBird 2007.14062.\n" VKZ_ATTENTION_MASK_DOC,
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_ATTENTION_VALID " && " VKZ_LIST_VALID,
    .valid_reason = VKZ_ATTENTION_VALID_REASON VKZ_LIST_VALID_REASON,
    .flops = "2 * batch * heads * (head_dim + v_dim) * " VKZ_LIST_PAIRS,
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * q_len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .fill = fill,
    .bitwise = true,
};
