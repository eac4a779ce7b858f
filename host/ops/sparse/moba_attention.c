// SPDX-License-Identifier: MIT
// moba_attention: every query attends to its own block of keys and to the blocks whose
// mean key suits it best, contract and reference.
#include "ops/attention/identities.h"

enum { IDX_COMPUTE, IDX_GIVEN };

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"heads", "heads", NULL},
    {"len", "tokens of a sequence", NULL},
    {"head_dim", "width of a query and a key", NULL},
    {"v_dim", "width of a value", "head_dim"},
    {"bs", "keys of a block", NULL},
    {"top", "blocks that a query attends to, its own among them", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {VKZ_ATTENTION_SCALAR_TAU, {0}};

static const struct vkz_axis axes[] = {
    {"IDX", "compute given", "whether the blocks are chosen here or given"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "queries"},
    {"k", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "keys"},
    {"v", VKZ_IN, "T", "batch, heads, len, v_dim", NULL, "normal(1)", "values"},
    {"sel", VKZ_IN, "i32", "batch, heads, len, top", "IDX == IDX.given", "op",
     "blocks of each query, no duplicates; -1 and what is not before the own block count "
     "for nothing, the own block is always there"},
    {"idx", VKZ_OUT, "i32", "batch, heads, len, top", "IDX == IDX.compute", NULL,
     "blocks of each query, ascending, -1 padded"},
    {"o", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL,
     "weighted sums of values"},
    {"lse", VKZ_OUT, "f32", "batch, heads, len", NULL, NULL,
     "natural log-sum-exp of each row"},
    {0},
};

// Blocks before the own one, each as likely as the other, ascending; then the own one.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // sel is the only one
    const int64_t len = (int64_t)vkz_fill_value(fill, "len");
    const int64_t bs = (int64_t)vkz_fill_value(fill, "bs");
    const int64_t top = (int64_t)vkz_fill_value(fill, "top");
    int32_t *out = vkz_fill_int(fill);
    for (int64_t row = 0; row < vkz_fill_count(fill) / top; row++) {
        const int64_t own = row % len / bs;
        int64_t used = 0;
        for (int64_t n = 0; n < own && used < top - 1; n++) {
            const double u = vkz_fill_uniform(fill, (uint64_t)(row * (len / bs + 1) + n));
            if (u * (double)(own - n) < (double)(top - 1 - used)) {
                out[row * top + used++] = (int32_t)n;
            }
        }
        out[row * top + used++] = (int32_t)own;
        for (; used < top; used++) {
            out[row * top + used] = -1;
        }
    }
}

struct row {
    int64_t len, bs, own, width, v_dim, i;
    const float *q, *k, *v; // the query; the head's keys and values
};

// Marks the top - 1 earlier blocks with the largest q·k̄, the lower of equals first.
static void choose(struct vkz_ref *ref, const struct row *r, int64_t top, bool *chosen)
{
    real *gate = vkz_ref_temp(ref, (size_t)(r->own + 1) * sizeof(real));
    real *mean = vkz_ref_temp(ref, (size_t)r->width * sizeof(real));
    real most = 0;
    for (int64_t n = 0; n < r->own; n++) {
        real magnitude = 0;
        gate[n] = 0;
        for (int64_t c = 0; c < r->width; c++) {
            mean[c] = 0;
            for (int64_t j = n * r->bs; j < (n + 1) * r->bs; j++) {
                mean[c] += (real)r->k[j * r->width + c];
            }
            mean[c] /= (real)r->bs;
            gate[n] += (real)r->q[c] * mean[c];
            magnitude += fabs((real)r->q[c] * mean[c]);
        }
        most = magnitude > most ? magnitude : most;
    }
    real last = 0;
    for (int64_t taken = 0; taken < top - 1 && taken < r->own; taken++) {
        int64_t best = -1;
        for (int64_t n = 0; n < r->own; n++) {
            if (!chosen[n] && (best < 0 || gate[n] > gate[best])) {
                best = n;
            }
        }
        chosen[best] = true;
        last = gate[best];
    }
    for (int64_t n = 0; n < r->own; n++) {
        const real gap = last - gate[n];
        if (top > 1 && !chosen[n] && gap > 0 &&
            gap < (real)(4 * 0x1p-24) * sqrt((real)r->width) * most) {
            vkz_ref_ambiguous(ref);
        }
    }
}

static void take_given(struct vkz_ref *ref, int64_t unit, int64_t top, int64_t own,
                       bool *chosen)
{
    const int32_t *sel = vkz_ref_in_int(ref, "sel") + unit * top;
    for (int64_t x = 0; x < top; x++) {
        if (sel[x] >= 0 && sel[x] < own) {
            chosen[sel[x]] = true;
        }
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t top = vkz_ref_dim(ref, "top");
    struct row r = {
        .len = vkz_ref_dim(ref, "len"),
        .bs = vkz_ref_dim(ref, "bs"),
        .width = vkz_ref_dim(ref, "head_dim"),
        .v_dim = vkz_ref_dim(ref, "v_dim"),
    };
    r.i = unit % r.len;
    r.own = r.i / r.bs;
    r.q = vkz_ref_in(ref, "q") + unit * r.width;
    r.k = vkz_ref_in(ref, "k") + unit / r.len * r.len * r.width;
    r.v = vkz_ref_in(ref, "v") + unit / r.len * r.len * r.v_dim;

    bool *chosen = vkz_ref_temp(ref, (size_t)(r.own + 1));
    if (vkz_ref_dim(ref, "IDX") == IDX_GIVEN) {
        take_given(ref, unit, top, r.own, chosen);
    } else {
        choose(ref, &r, top, chosen);
    }
    chosen[r.own] = true;
    double *idx = vkz_ref_out(ref, "idx");
    for (int64_t n = 0, x = 0; idx != NULL && x < top; n++) {
        if (n > r.own || chosen[n]) {
            idx[x++] = n > r.own ? -1 : (double)n;
        }
    }

    const real tau = (real)vkz_ref_value(ref, "tau");
    real *logits = vkz_ref_temp(ref, (size_t)(r.i + 1) * sizeof(real));
    real *o = vkz_ref_temp(ref, (size_t)r.v_dim * sizeof(real));
    real *scale = vkz_ref_temp(ref, (size_t)r.v_dim * sizeof(real));
    real most = -(real)INFINITY, total = 0;
    for (int64_t j = 0; j <= r.i; j++) {
        if (chosen[j / r.bs]) {
            logits[j] = tau * score_dot(r.q, r.k + j * r.width, r.width);
            most = logits[j] > most ? logits[j] : most;
        }
    }
    for (int64_t j = 0; j <= r.i; j++) {
        if (chosen[j / r.bs]) {
            const real weight = exp(logits[j] - most);
            total += weight;
            for (int64_t c = 0; c < r.v_dim; c++) {
                const real term = weight * (real)r.v[j * r.v_dim + c];
                o[c] += term;
                scale[c] += fabs(term);
            }
        }
    }
    for (int64_t c = 0; c < r.v_dim; c++) {
        o[c] /= total;
        scale[c] /= total;
    }
    score_store(vkz_ref_out(ref, "o"), o, r.v_dim);
    score_store(vkz_ref_scale(ref, "o"), scale, r.v_dim);
    const real lse = most + log(total);
    const real lse_scale = fabs(lse) > 1 ? fabs(lse) : (real)1;
    score_store(vkz_ref_out(ref, "lse"), &lse, 1);
    score_store(vkz_ref_scale(ref, "lse"), &lse_scale, 1);
}

// As many blocks as there are, and one block of all tokens: both are causal attention.
static bool check_causal(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), bs = vkz_identity_dim(run, "bs");
    char every[64], one[64];
    snprintf(every, sizeof every, "IDX=compute top=%lld",
             (long long)((len + bs - 1) / bs));
    snprintf(one, sizeof one, "IDX=compute top=1 bs=%lld", (long long)len);
    struct vkz_data *blocks = vkz_identity_inputs(run, every);
    struct vkz_data *whole = vkz_identity_inputs(run, one);
    return vkz_identity_equal(run, "o", vkz_identity_output(run, blocks, "o"),
                              vkz_identity_output(run, whole, "o"),
                              vkz_identity_count(blocks, "o"), 3);
}

// Handing the chosen blocks back gives the same rows.
static bool check_given(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "IDX=compute");
    struct vkz_data *two = vkz_identity_inputs(run, "IDX=given");
    const double *idx = vkz_identity_output(run, one, "idx");
    int32_t *sel = vkz_identity_int(run, two, "sel");
    for (int64_t i = 0; idx != NULL && i < vkz_identity_count(two, "sel"); i++) {
        sel[i] = (int32_t)idx[i];
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

// The order of the given blocks means nothing.
static bool check_order(struct vkz_identity_run *run)
{
    const int64_t top = vkz_identity_dim(run, "top");
    struct vkz_data *one = vkz_identity_inputs(run, "IDX=given");
    struct vkz_data *two = vkz_identity_inputs(run, "IDX=given");
    int32_t *sel = vkz_identity_int(run, two, "sel");
    const int32_t *from = vkz_identity_int(run, one, "sel");
    for (int64_t i = 0; from != NULL && i < vkz_identity_count(two, "sel"); i++) {
        sel[i] = from[i / top * top + top - 1 - i % top];
    }
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
    {"causal", "all blocks, and one block of all tokens, are causal attention", NULL,
     check_causal},
    {"given", "handing the chosen blocks back changes nothing", NULL, check_given},
    {"order", "the order of given blocks means nothing", NULL, check_order},
    {"weights", "with all values 1 every row is 1", NULL, check_weights},
    {0},
};

// Visible pairs of a head: the own block, and min(n, top - 1) whole blocks before block
// n.
#define BLOCKS "ceildiv(len, bs)"
#define EARLY "min(" BLOCKS ", top - 1)"
#define PAIRS \
    "(len * (min(bs, len) + 1) / 2 + bs * bs * (" EARLY " * (" EARLY " - 1) / 2 + (" \
    BLOCKS " - " EARLY ") * (top - 1)))"

VKZ_OP(moba_attention) = {
    .name = "moba_attention",
    .family = "sparse",
    .abi = 1,
    .title = "attention over the own block of keys and the best of the earlier ones",
    .doc = "k̄_n = mean of k_j over block n (bs keys);  g_n = q_i·k̄_n for n < own = floor(i/bs)\n"
           "blocks of query i: its own, then the top - 1 largest g_n (the lower index of\n"
           "equals), at most as many as there are; o_i = softmax attention over the tokens\n"
           "j <= i of those blocks with logits tau q_i·k_j\n"
           "\n"
           "Mixture of block attention, arXiv 2502.13189.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .flops = "batch * heads * ((IDX == IDX.compute ? len * " BLOCKS " * head_dim : 0)"
             " + 2 * (head_dim + v_dim) * " PAIRS ")",
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * len",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
