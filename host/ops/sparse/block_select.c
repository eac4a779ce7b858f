// SPDX-License-Identifier: MIT
// block_select: which blocks of tokens a query attends to, contract and reference.
#include <stdio.h>

#include "ops/sparse/pooled.h"
#include "zoo/identity.h"

static const struct vkz_dim dims[] = {
    VKZ_POOLED_DIMS_HEADS,
    VKZ_POOLED_DIMS_BLOCKS,
    {"ls", "tokens of a block to select", "64"},
    {"top", "blocks to select", "16"},
    {0},
};

static const struct vkz_scalar scalars[] = {VKZ_ATTENTION_SCALAR_TAU, {0}};

static const struct vkz_axis axes[] = {
    {"STATS", "own given", "given: lse is an input, as compressed_attention wrote it"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "queries"},
    {"kc", VKZ_IN, "T", "batch, kv_heads, " VKZ_POOLED_ROWS ", head_dim", NULL,
     "normal(1)", "pooled keys; one row, unused, where len < lc"},
    {"lse", VKZ_IN, "f32", "batch, heads, len", "STATS == STATS.given", "uniform(3,4)",
     "log-sum-exp of the rows of compressed attention"},
    {"idx", VKZ_OUT, "i32", "batch, kv_heads, len, top", NULL, NULL,
     "selected blocks, ascending, then -1"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t heads = vkz_ref_dim(ref, "heads"), len = vkz_ref_dim(ref, "len");
    const int64_t kv_heads = vkz_ref_dim(ref, "kv_heads");
    const int64_t head_dim = vkz_ref_dim(ref, "head_dim");
    const int64_t lc = vkz_ref_dim(ref, "lc"), st = vkz_ref_dim(ref, "st");
    const int64_t ls = vkz_ref_dim(ref, "ls"), top = vkz_ref_dim(ref, "top");
    const real tau = (real)vkz_ref_value(ref, "tau");
    const int64_t i = unit % len, kv = unit / len, group = heads / kv_heads;
    const int64_t visible = pooled_visible(i, lc, st), own = i / ls;
    const float *kc = vkz_ref_in(ref, "kc") + kv * pooled_rows(len, lc, st) * head_dim;
    const float *lse = vkz_ref_in(ref, "lse");
    real *p = vkz_ref_temp(ref, (size_t)(visible + 1) * sizeof *p);
    real *importance = vkz_ref_temp(ref, (size_t)(own + 1) * sizeof *importance);
    real steepest = 1; // the largest score there is: an error there moves p most
    for (int64_t x = 0; x < group; x++) {
        const int64_t row = (kv * group + x) * len + i;
        const float *q = vkz_ref_in(ref, "q") + row * head_dim;
        real most = -(real)INFINITY, total = 0;
        for (int64_t c = 0; c < visible; c++) {
            p[c] = tau * score_dot(q, kc + c * head_dim, head_dim);
            most = p[c] > most ? p[c] : most;
            steepest = fabs(p[c]) > steepest ? fabs(p[c]) : steepest;
        }
        for (int64_t c = 0; c < visible; c++) {
            total += exp(p[c] - most);
        }
        for (int64_t c = 0; c < visible; c++) {
            p[c] = lse != NULL ? exp(p[c] - (real)lse[row]) : exp(p[c] - most) / total;
        }
        pooled_share(importance, own + 1, p, visible, lc, st, ls);
    }
    int32_t *chosen = vkz_ref_temp(ref, (size_t)(own + 1) * sizeof *chosen);
    real gap = 0;
    const int64_t count = pooled_select(importance, own, top, chosen, &gap);
    if ((double)gap < 4 * 0x1p-24 * sqrt((double)head_dim) * (double)steepest) {
        vkz_ref_ambiguous(ref);
    }
    double *idx = vkz_ref_out(ref, "idx");
    for (int64_t n = 0; n < top; n++) {
        idx[n] = n < count ? chosen[n] : -1;
    }
}

// A query of the first `top` blocks selects all there are.
static bool check_all(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), ls = vkz_identity_dim(run, "ls");
    const int64_t blocks = (len + ls - 1) / ls;
    char settings[64];
    snprintf(settings, sizeof settings, "top=%lld", (long long)blocks);
    struct vkz_data *data = vkz_identity_inputs(run, settings);
    const int64_t count = vkz_identity_count(data, "idx");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; expected != NULL && i < count; i++) {
        const int64_t own = i / blocks % len / ls;
        expected[i] = i % blocks <= own ? (double)(i % blocks) : -1;
    }
    return vkz_identity_equal(run, "idx", expected, vkz_identity_output(run, data, "idx"),
                              count, 1);
}

// Own block, the block before it and block 0 are selected whenever there is room.
static bool check_forced(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), ls = vkz_identity_dim(run, "ls");
    const int64_t top = vkz_identity_dim(run, "top");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const int64_t rows = vkz_identity_count(data, "idx") / top;
    const double *idx = vkz_identity_output(run, data, "idx");
    double *expected = vkz_identity_temp(run, rows);
    double *found = vkz_identity_temp(run, rows);
    for (int64_t row = 0; idx != NULL && expected != NULL && found != NULL && row < rows;
         row++) {
        const int64_t own = row % len / ls;
        expected[row] = own >= 2 ? 3 : (double)(own + 1);
        for (int64_t n = 0; n < top; n++) {
            const double j = idx[row * top + n];
            const bool near = j == (double)own || j == (double)(own - 1);
            found[row] += j == 0 || (j > 0 && near);
        }
    }
    return vkz_identity_equal(run, "idx", expected, found, rows, 1);
}

static const struct vkz_identity identities[] = {
    {"all", "with room for every block, every block is selected", NULL, check_all},
    {"forced", "the first, the own and the previous block are selected", "top >= 3",
     check_forced},
    {0},
};

VKZ_OP(block_select) = {
    .name = "block_select",
    .family = "sparse",
    .abi = 1,
    .title = "blocks that a query attends to, by its attention to pooled keys",
    .doc = "p_c = softmax_c(tau q_i·k̄_c) over c with c st + lc - 1 <= i, of each query head;\n"
           "imp[j] = Σ_heads of the group Σ_{m < ls/st} Σ_{n < lc/st} p[(ls/st) j + m - n]\n"
           "idx = the top blocks j with j ls <= i: first block 0, the query's own and the\n"
           "one before it, then by imp, ties to the lower index; ascending, then -1\n"
           "\n"
           "Terms outside the pooled keys are 0: a pooled key counts once for every stripe\n"
           "of st tokens that it shares with the block. Native sparse attention, arXiv\n"
           "2502.11089.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_POOLED_VALID " && lc % st == 0 && ls % st == 0",
    .valid_reason = "heads must be a multiple of kv_heads; lc and ls multiples of st",
    .flops = "2 * batch * heads * head_dim * " VKZ_POOLED_PAIRS " + batch * heads * len * "
             VKZ_POOLED_ROWS,
    .tolerance = VKZ_TOL_TOPK,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * kv_heads * len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
