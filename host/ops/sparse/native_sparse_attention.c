// SPDX-License-Identifier: MIT
// native_sparse_attention: pooled, selected and near tokens, gated; contract and
// reference.
#include <stdio.h>

#include "ops/sparse/pooled.h"
#include "zoo/identity.h"

enum { KV_OWN, KV_SHARED };
enum { IDX_COMPUTE, IDX_GIVEN };

static const struct vkz_dim dims[] = {
    VKZ_POOLED_DIMS_HEADS,
    VKZ_POOLED_DIM_V,
    VKZ_POOLED_DIMS_BLOCKS,
    {"ls", "tokens of a block to select", "64"},
    {"top", "blocks to select", "16"},
    {0},
};

static const struct vkz_scalar scalars[] = {
    VKZ_ATTENTION_SCALAR_TAU,
    {"wl", "511", "tokens before the query that its window holds"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"SHARED_KV", "off on", "on: all branches read k and v"},
    {"IDX", "compute given", "given: the selected blocks are an input"},
    {0},
};

#define K_SHAPE "batch, kv_heads, len, head_dim"
#define V_SHAPE "batch, kv_heads, len, v_dim"
#define OWN_KV "SHARED_KV == SHARED_KV.off"

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "queries"},
    {"k", VKZ_IN, "T", K_SHAPE, NULL, "normal(1)", "keys of the selected blocks"},
    {"v", VKZ_IN, "T", V_SHAPE, NULL, "normal(1)", "values of the selected blocks"},
    {"k_cmp", VKZ_IN, "T", K_SHAPE, OWN_KV, "normal(1)", "keys that are pooled"},
    {"v_cmp", VKZ_IN, "T", V_SHAPE, OWN_KV, "normal(1)", "values that are pooled"},
    {"k_win", VKZ_IN, "T", K_SHAPE, OWN_KV, "normal(1)", "keys of the window"},
    {"v_win", VKZ_IN, "T", V_SHAPE, OWN_KV, "normal(1)", "values of the window"},
    {"gate", VKZ_IN, "f32", "batch, heads, len, 3", NULL, "sigm",
     "weights of the pooled, the selected and the near tokens"},
    {"idx", VKZ_IN, "i32", "batch, kv_heads, len, top", "IDX == IDX.given", "op",
     "selected blocks, none twice, in any order; below 0: none"},
    {"o", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL, "gated sums"},
    {0},
};

// Blocks among those that the query sees, the first and its own with them; where there
// are fewer than `top`, the last places are empty. Every fifth row is reversed, and its
// last block one that the query does not see.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor;
    const int64_t len = (int64_t)vkz_fill_value(fill, "len");
    const int64_t ls = (int64_t)vkz_fill_value(fill, "ls");
    const int64_t top = (int64_t)vkz_fill_value(fill, "top");
    const int64_t rows = vkz_fill_count(fill) / top;
    int32_t *idx = vkz_fill_int(fill);
    for (int64_t row = 0; row < rows; row++, idx += top) {
        const int64_t own = row % len / ls;
        int64_t count = 0;
        for (int64_t j = 0; j <= own && count < top; j++) {
            const int64_t left = own + 1 - j;
            const double u = vkz_fill_uniform(fill, (uint64_t)(row * (len / ls + 1) + j));
            if (u * (double)left < (double)(top - count) || j == 0) {
                idx[count++] = (int32_t)j;
            }
        }
        for (; count < top; count++) {
            idx[count] = -1;
        }
        for (int64_t i = 0; row % 5 == 3 && i < top / 2; i++) {
            const int32_t kept = idx[i];
            idx[i] = idx[top - 1 - i];
            idx[top - 1 - i] = kept;
        }
        if (row % 5 == 3 && top > 1 && (own + 1) * ls < len) {
            idx[0] = (int32_t)own + 1;
        }
    }
}

// Means of the first `count` blocks of rows.
static real *pool(struct vkz_ref *ref, const float *rows, int64_t count, int64_t width)
{
    const int64_t lc = vkz_ref_dim(ref, "lc"), st = vkz_ref_dim(ref, "st");
    real *out = vkz_ref_temp(ref, (size_t)(count * width + 1) * sizeof *out);
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

// p = softmax_c(tau q·k_c). Returns the largest |score|, at least 1.
static real weigh(const float *q, const real *k, int64_t count, int64_t width, real tau,
                  real *p)
{
    real top = -(real)INFINITY, total = 0, steepest = 1;
    for (int64_t c = 0; c < count; c++) {
        real sum = 0;
        for (int64_t e = 0; e < width; e++) {
            sum += (real)q[e] * k[c * width + e];
        }
        p[c] = tau * sum;
        top = p[c] > top ? p[c] : top;
        steepest = fabs(p[c]) > steepest ? fabs(p[c]) : steepest;
    }
    for (int64_t c = 0; c < count; c++) {
        p[c] = exp(p[c] - top);
        total += p[c];
    }
    for (int64_t c = 0; c < count; c++) {
        p[c] /= total;
    }
    return steepest;
}

struct row {
    int64_t len, head_dim, v_dim, i, kv;
    real tau;
    real *o, *scale, *part, *part_scale, *temp;
    int32_t *keys;
};

static void add_branch(const struct row *r, real gate)
{
    for (int64_t e = 0; e < r->v_dim; e++) {
        r->o[e] += gate * r->part[e];
        r->scale[e] += fabs(gate) * r->part_scale[e];
    }
}

// A branch over the tokens in r->keys.
static void add_tokens(struct vkz_ref *ref, const struct row *r, const char *k,
                       const char *v, const float *q, int64_t count, real gate)
{
    const struct listed a = {
        .q = q,
        .k = vkz_ref_in(ref, k) + r->kv * r->len * r->head_dim,
        .v = vkz_ref_in(ref, v) + r->kv * r->len * r->v_dim,
        .head_dim = r->head_dim,
        .v_dim = r->v_dim,
        .k_pitch = r->head_dim,
        .v_pitch = r->v_dim,
        .tau = r->tau,
    };
    (void)listed_softmax(&a, r->keys, count, r->temp, r->part, r->part_scale);
    add_branch(r, gate);
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t heads = vkz_ref_dim(ref, "heads"), len = vkz_ref_dim(ref, "len");
    const int64_t kv_heads = vkz_ref_dim(ref, "kv_heads"), group = heads / kv_heads;
    const int64_t lc = vkz_ref_dim(ref, "lc"), st = vkz_ref_dim(ref, "st");
    const int64_t ls = vkz_ref_dim(ref, "ls"), top = vkz_ref_dim(ref, "top");
    const int64_t wl = vkz_ref_dim(ref, "wl");
    const bool shared = vkz_ref_dim(ref, "SHARED_KV") == KV_SHARED;
    struct row r = {
        .len = len,
        .head_dim = vkz_ref_dim(ref, "head_dim"),
        .v_dim = vkz_ref_dim(ref, "v_dim"),
        .i = unit % len,
        .kv = unit / len / group,
        .tau = (real)vkz_ref_value(ref, "tau"),
        .temp = vkz_ref_temp(ref, (size_t)len * sizeof(real)),
        .keys = vkz_ref_temp(ref, (size_t)len * sizeof(int32_t)),
    };
    r.o = vkz_ref_temp(ref, (size_t)r.v_dim * sizeof(real));
    r.scale = vkz_ref_temp(ref, (size_t)r.v_dim * sizeof(real));
    r.part = vkz_ref_temp(ref, (size_t)r.v_dim * sizeof(real));
    r.part_scale = vkz_ref_temp(ref, (size_t)r.v_dim * sizeof(real));
    const float *queries = vkz_ref_in(ref, "q"), *q = queries + unit * r.head_dim;
    const float *gate = vkz_ref_in(ref, "gate") + 3 * unit;

    // Pooled tokens.
    const int64_t visible = pooled_visible(r.i, lc, st);
    const char *k_cmp = shared ? "k" : "k_cmp", *v_cmp = shared ? "v" : "v_cmp";
    const real *kc = pool(ref, vkz_ref_in(ref, k_cmp) + r.kv * len * r.head_dim, visible,
                          r.head_dim);
    const real *vc = pool(ref, vkz_ref_in(ref, v_cmp) + r.kv * len * r.v_dim, visible,
                          r.v_dim);
    real *p = vkz_ref_temp(ref, (size_t)(visible + 1) * sizeof *p);
    (void)weigh(q, kc, visible, r.head_dim, r.tau, p);
    for (int64_t c = 0; c < visible; c++) {
        for (int64_t e = 0; e < r.v_dim; e++) {
            r.part[e] += p[c] * vc[c * r.v_dim + e];
            r.part_scale[e] += p[c] * fabs(vc[c * r.v_dim + e]);
        }
    }
    add_branch(&r, (real)gate[0]);

    // Which blocks: by the attention of all heads of the group.
    const int64_t own = r.i / ls;
    int32_t *chosen = vkz_ref_temp(ref, (size_t)(own + 1) * sizeof *chosen);
    const int32_t *blocks = chosen;
    int64_t count = 0;
    if (vkz_ref_dim(ref, "IDX") == IDX_GIVEN) {
        blocks = vkz_ref_in_int(ref, "idx") + (r.kv * len + r.i) * top;
        count = top;
    } else {
        real *importance = vkz_ref_temp(ref, (size_t)(own + 1) * sizeof *importance);
        real steepest = 1, gap = 0;
        for (int64_t x = 0; x < group; x++) {
            const float *other = queries + ((r.kv * group + x) * len + r.i) * r.head_dim;
            const real most = weigh(other, kc, visible, r.head_dim, r.tau, p);
            steepest = most > steepest ? most : steepest;
            pooled_share(importance, own + 1, p, visible, lc, st, ls);
        }
        count = pooled_select(importance, own, top, chosen, &gap);
        if ((double)gap < 4 * 0x1p-24 * sqrt((double)r.head_dim) * (double)steepest) {
            vkz_ref_ambiguous(ref);
        }
    }
    int64_t tokens = 0;
    for (int64_t n = 0; n < count; n++) {
        const int64_t begin = blocks[n] * ls;
        for (int64_t j = begin; blocks[n] >= 0 && j < begin + ls && j <= r.i; j++) {
            r.keys[tokens++] = (int32_t)j;
        }
    }
    add_tokens(ref, &r, "k", "v", q, tokens, (real)gate[1]);

    // Near tokens.
    tokens = 0;
    for (int64_t j = r.i > wl ? r.i - wl : 0; j <= r.i; j++) {
        r.keys[tokens++] = (int32_t)j;
    }
    add_tokens(ref, &r, shared ? "k" : "k_win", shared ? "v" : "v_win", q, tokens,
               (real)gate[2]);

    score_store(vkz_ref_out(ref, "o"), r.o, r.v_dim);
    score_store(vkz_ref_scale(ref, "o"), r.scale, r.v_dim);
}

static void set_gates(struct vkz_identity_run *run, struct vkz_data *data, float cmp,
                      float sel, float win)
{
    float *gate = vkz_identity_float(run, data, "gate");
    for (int64_t i = 0; gate != NULL && i < vkz_identity_count(data, "gate"); i += 3) {
        gate[i] = cmp;
        gate[i + 1] = sel;
        gate[i + 2] = win;
    }
}

// With every block selected and a window over everything, the two branches are the same
// attention.
static bool check_all(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), ls = vkz_identity_dim(run, "ls");
    char settings[96];
    snprintf(settings, sizeof settings, "SHARED_KV=on IDX=compute top=%lld wl=%lld",
             (long long)((len + ls - 1) / ls), (long long)len);
    struct vkz_data *one = vkz_identity_inputs(run, settings);
    struct vkz_data *two = vkz_identity_inputs(run, settings);
    set_gates(run, one, 0, 1, 0);
    set_gates(run, two, 0, 0, 1);
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

// The result is the sum of what its branches give alone.
static bool check_sum(struct vkz_identity_run *run)
{
    static const float gates[4][3] = {{1, 0.5f, 2}, {1, 0, 0}, {0, 0.5f, 0}, {0, 0, 2}};
    double *o[4];
    int64_t count = 0;
    for (int i = 0; i < 4; i++) {
        struct vkz_data *data = vkz_identity_inputs(run, NULL);
        set_gates(run, data, gates[i][0], gates[i][1], gates[i][2]);
        o[i] = vkz_identity_output(run, data, "o");
        count = vkz_identity_count(data, "o");
    }
    for (int64_t i = 0; o[1] != NULL && o[2] != NULL && o[3] != NULL && i < count; i++) {
        o[1][i] += o[2][i] + o[3][i];
    }
    return vkz_identity_equal(run, "o", o[0], o[1], count, 4);
}

static const struct vkz_identity identities[] = {
    {"all", "all blocks selected is a window over everything", NULL, check_all},
    {"sum", "the result is the sum of what its branches give alone", NULL, check_sum},
    {0},
};

// Pairs of one head: pooled, selected (in whole blocks but for the query's own), near.
#define SELECTED \
    "(min(len, top * ls) * (min(len, top * ls) + 1) / 2" \
    " + (len - min(len, top * ls)) * ((top - 1) * ls + (ls + 1) / 2))"
#define NEAR \
    "(min(len, wl + 1) * (min(len, wl + 1) + 1) / 2" \
    " + (len - min(len, wl + 1)) * (wl + 1))"

VKZ_OP(native_sparse_attention) = {
    .name = "native_sparse_attention",
    .family = "sparse",
    .abi = 1,
    .title = "gated sum of attention to pooled, selected and near tokens",
    .doc = "o = g_0 o_cmp + g_1 o_sel + g_2 o_win, the gates given as they multiply\n"
           "o_cmp  compressed_attention with PHI=mean: blocks of lc tokens every st\n"
           "o_sel  softmax attention to the tokens j <= i of the blocks of ls tokens that\n"
           "       block_select chooses, or that idx names\n"
           "o_win  softmax attention to the tokens i - wl <= j <= i\n"
           "\n"
           "Each branch has its own keys and values unless SHARED_KV is on. Native sparse\n"
           "attention, arXiv 2502.11089.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_POOLED_VALID " && lc % st == 0 && ls % st == 0 && wl >= 0 && wl == "
                               "floor(wl)",
    .valid_reason = "heads must be a multiple of kv_heads; lc and ls multiples of st; wl a "
                    "whole number",
    .flops = "2 * batch * heads * (head_dim + v_dim) * (" VKZ_POOLED_PAIRS " + " SELECTED
             " + " NEAR ")",
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .fill = fill,
    .bitwise = true,
};
