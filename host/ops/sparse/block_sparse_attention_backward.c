// SPDX-License-Identifier: MIT
// block_sparse_attention_backward: gradients of attention over lists of key tiles, contract
// and reference.
#include "ops/sparse/list.h"


static const struct vkz_dim dims[] = {VKZ_ATTENTION_DIMS, VKZ_LIST_DIMS, {0}};

static const struct vkz_scalar scalars[] = {
    VKZ_ATTENTION_SCALAR_TAU,
    VKZ_ATTENTION_SCALARS_MASK,
    VKZ_LIST_SCALARS,
    {0},
};

static const struct vkz_axis axes[] = {
    {"MASK", VKZ_ATTENTION_MASK_VALUES, "which keys of a flagged tile a query sees"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    VKZ_ATTENTION_TENSORS_QKV,
    VKZ_LIST_TENSORS,
    VKZ_ATTENTION_TENSOR_SEG,
    {"o", VKZ_IN, "T", VKZ_ATTENTION_O_SHAPE, NULL, "forward", "the forward op's outputs"},
    {"lse", VKZ_IN, "f32", "batch, heads, q_len", NULL, "forward",
     "natural log-sum-exp of each row"},
    {"do", VKZ_IN, "T", VKZ_ATTENTION_O_SHAPE, NULL, "normal(1)", "gradient of o"},
    {"startT", VKZ_IN, "i32", "list_batch, list_heads, ceildiv(kv_len, bc) + 1", NULL, "op",
     "where the list of each column of tiles begins"},
    {"colsT", VKZ_IN, "i32", "nnz", NULL, "op", "query tiles of every column of tiles"},
    {"flagsT", VKZ_IN, "u32", "nnz", NULL, "op", "their flags"},
    {"dq", VKZ_OUT, "T", VKZ_ATTENTION_Q_SHAPE, NULL, NULL, "gradient of q"},
    {"dk", VKZ_OUT, "T", VKZ_ATTENTION_K_SHAPE, NULL, NULL, "gradient of k"},
    {"dv_", VKZ_OUT, "T", VKZ_ATTENTION_V_SHAPE, NULL, NULL, "gradient of v"},
    {0},
};

// The column lists: a counting sort of the row lists, in which rows ascend.
struct columns {
    const struct list_case *c;
    int32_t *out;
    int32_t *place; // of each column of each list: its next entry
    char what;      // n count, c cols, f flags
};

static void column_visit(void *context, int64_t list, int64_t row, int64_t before,
                         const int32_t *cols, int64_t count)
{
    const struct columns *x = context;
    (void)before;
    for (int64_t n = 0; n < count; n++) {
        int32_t *place = &x->place[list * x->c->tiles + cols[n]];
        if (x->what == 'c') {
            x->out[*place] = (int32_t)row;
        } else if (x->what == 'f') {
            x->out[*place] = list_flag(x->c, row, cols[n]);
        }
        *place += 1;
    }
}

static void fill_columns(struct vkz_fill *fill, const char *tensor)
{
    static _Thread_local int32_t cols[LIST_TILES_MAX], place[LIST_TILES_MAX];
    struct list_case c;
    LIST_CASE(c, vkz_fill_value, fill);
    const int64_t lists = c.list_batch * c.list_heads;
    int32_t *out = vkz_fill_int(fill);
    for (int64_t i = 0; i < vkz_fill_count(fill); i++) {
        out[i] = tensor[0] == 'c' ? -1 : 0;
    }
    if (lists * c.tiles > LIST_TILES_MAX) {
        return;
    }
    struct columns x = {&c, out, place, 'n'};
    memset(place, 0, (size_t)(lists * c.tiles) * sizeof *place);
    list_walk(&c, cols, column_visit, &x);
    int32_t begin = 0;
    for (int64_t i = 0; i < lists * c.tiles; i++) {
        const int32_t count = place[i];
        place[i] = begin;
        begin += count;
        if (tensor[0] == 's') {
            out[i + i / c.tiles] = place[i];
            out[i + i / c.tiles + 1] = begin;
        }
    }
    if (tensor[0] != 's') {
        x.what = tensor[0];
        list_walk(&c, cols, column_visit, &x);
    }
}

static void fill(struct vkz_fill *fill, const char *tensor)
{
    if (strcmp(tensor, "seg") == 0) {
        score_fill_seg(fill);
    } else if (tensor[strlen(tensor) - 1] == 'T') {
        fill_columns(fill, tensor);
    } else {
        list_fill(fill, tensor);
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    sparse_backward(ref, unit, vkz_ref_dim(ref, "q_len"), list_begin, list_keys);
}

static const struct vkz_identity identities[] = {
    SPARSE_IDENTITY_SCALE_GRADIENT,
    {0},
};

VKZ_OP(block_sparse_attention_backward) = {
    .name = "block_sparse_attention_backward",
    .family = "sparse",
    .forward = "block_sparse_attention",
    .abi = 1,
    .title = "gradients of softmax attention over lists of key tiles",
    .doc = "P_ij = exp(tau q_i·k_j - lse_i),  dS_ij = tau P_ij (do_i·v_j - do_i·o_i)\n"
           "dq_i = sum_j dS_ij k_j,  dk_j = sum_i dS_ij q_i,  dv_j = sum_i P_ij do_i\n"
           "over the pairs that block_sparse_attention shows; a key sums over the heads it\n"
           "serves. The column lists startT, colsT, flagsT hold the same tiles as start,\n"
           "cols, flags, by columns.\n"
           "\n"
           "FlashAttention arXiv 2205.14135, 2307.08691.\n" VKZ_ATTENTION_MASK_DOC,
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_ATTENTION_VALID " && " VKZ_LIST_VALID,
    .valid_reason = VKZ_ATTENTION_VALID_REASON VKZ_LIST_VALID_REASON,
    .flops = "5 * batch * heads * (head_dim + v_dim) * " VKZ_LIST_PAIRS,
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * kv_heads",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .fill = fill,
    .bitwise = true,
};
