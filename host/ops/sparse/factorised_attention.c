// SPDX-License-Identifier: MIT
// factorised_attention: the factorised patterns of sparse transformers, contract and
// reference.
#include "ops/sparse/pattern.h"
#include "ops/sparse/row.h"

#include "ops/attention/identities.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"heads", "heads", NULL},
    {"len", "tokens of a sequence", NULL},
    {"head_dim", "width of a query, a key and a value", NULL},
    {"l", "stride, or width of the local window", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {
    VKZ_ATTENTION_SCALAR_TAU,
    {"cw", "8", "fixed: summary columns of a stride"},
    {"nv", "4", "fixed: heads take their summaries from nv places in turn"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"PATTERN", VKZ_PATTERN_FACTORISED, "which keys a query sees"},
    {0},
};

#define SHAPE "batch, heads, len, head_dim"

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", SHAPE, NULL, "normal(1)", "queries"},
    {"k", VKZ_IN, "T", SHAPE, NULL, "normal(1)", "keys"},
    {"v", VKZ_IN, "T", SHAPE, NULL, "normal(1)", "values"},
    {"o", VKZ_OUT, "T", SHAPE, NULL, NULL, "weighted sums of values"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const struct score s = sparse_causal_begin(ref, unit, vkz_ref_dim(ref, "heads"),
                                               vkz_ref_dim(ref, "head_dim"));
    struct pattern x = {.kind = (int)vkz_ref_dim(ref, "PATTERN"),
                        .l = vkz_ref_dim(ref, "l"), .cw = vkz_ref_dim(ref, "cw"),
                        .nv = vkz_ref_dim(ref, "nv")};
    pattern_head(&x, s.head);
    int32_t *keys = vkz_ref_temp(ref, (size_t)s.kv_len * sizeof *keys);
    int64_t count = 0;
    for (int64_t j = 0; j <= s.position; j++) {
        if (pattern_sees(&x, s.position, j)) {
            keys[count++] = (int32_t)j;
        }
    }
    sparse_row(ref, &s, keys, count, false);
}

// The strided pattern is causal attention within each residue class modulo l: one class,
// taken out, as a local pattern that sees everything before.
static bool check_residues(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), l = vkz_identity_dim(run, "l");
    const int64_t d = vkz_identity_dim(run, "head_dim");
    const int64_t blocks = vkz_identity_dim(run, "batch") * vkz_identity_dim(run, "heads");
    const int64_t residue = (l < len ? l : len) / 2, taken = (len - residue + l - 1) / l;
    char settings[96];
    snprintf(settings, sizeof settings, "PATTERN=local len=%lld l=%lld", (long long)taken,
             (long long)taken);
    struct vkz_data *whole = vkz_identity_inputs(run, NULL);
    struct vkz_data *part = vkz_identity_inputs(run, settings);
    static const char *const names[] = {"q", "k", "v"};
    for (int n = 0; n < 3; n++) {
        const float *from = vkz_identity_float(run, whole, names[n]);
        float *to = vkz_identity_float(run, part, names[n]);
        for (int64_t i = 0; from != NULL && to != NULL && i < blocks * taken; i++) {
            const int64_t token = residue + i % taken * l;
            memcpy(to + i * d, from + (i / taken * len + token) * d,
                   (size_t)d * sizeof *to);
        }
    }
    const int64_t count = vkz_identity_count(part, "o");
    const double *o = vkz_identity_output(run, whole, "o");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; o != NULL && expected != NULL && i < count; i++) {
        const int64_t token = residue + i / d % taken * l;
        expected[i] = o[(i / d / taken * len + token) * d + i % d];
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, part, "o"), count,
                              2);
}

// A window, and a stride, that reach back to the first token are both causal attention;
// so are a stride of 1 and their union.
static bool check_causal(struct vkz_identity_run *run)
{
    static const char *const others[] = {"PATTERN=strided l=1", "PATTERN=strided_merged l=1",
                                         "PATTERN=fixed l=1 cw=1 nv=1"};
    char settings[64];
    snprintf(settings, sizeof settings, "PATTERN=local l=%lld",
             (long long)vkz_identity_dim(run, "len"));
    struct vkz_data *one = vkz_identity_inputs(run, settings);
    const double *o = vkz_identity_output(run, one, "o");
    const int64_t count = vkz_identity_count(one, "o");
    for (int i = 0; i < 3; i++) {
        struct vkz_data *two = vkz_identity_inputs(run, others[i]);
        if (!vkz_identity_equal(run, "o", o, vkz_identity_output(run, two, "o"), count, 2)) {
            return false;
        }
    }
    return true;
}

static const struct vkz_identity identities[] = {
    IDENTITY_SCALE_VALUES,
    {"residues", "strided is causal attention on each residue class modulo l",
     "PATTERN == PATTERN.strided", check_residues},
    {"causal", "a window of all tokens and a stride of 1 are causal attention",
     "PATTERN == PATTERN.local", check_causal},
    {0},
};

// Strides that are whole, and what is left.
#define WHOLE "floordiv(len, l)"
#define REST "(len - " WHOLE " * l)"
#define PAIRS_LOCAL "(len * min(l, len) - min(l, len) * (min(l, len) - 1) / 2)"
#define PAIRS_STRIDED "((" WHOLE " + 1) * (l * " WHOLE " / 2 + " REST "))"
#define PAIRS_FIXED \
    "(" WHOLE " * l * (l + 1) / 2 + " REST " * (" REST " + 1) / 2" \
    " + min(cw, l) * " WHOLE " * (l * (" WHOLE " - 1) / 2 + " REST "))"

VKZ_OP(factorised_attention) = {
    .name = "factorised_attention",
    .family = "sparse",
    .abi = 1,
    .title = "causal attention over a window, a stride, or summary columns",
    .doc = "o_i = sum_j P_ij v_j,  P_i = softmax over the visible j <= i of tau q_i·k_j\n"
           "  local           i - l < j:  l keys, the token itself included\n"
           "  strided         (i - j) mod l = 0\n"
           "  strided_merged  either of these; the token itself counts once\n"
           "  fixed           floor(i / l) = floor(j / l), or\n"
           "                  l - cw (v + 1) <= j mod l < l - cw v,  v = head mod nv\n"
           "\n"
           "Sparse Transformers, arXiv 1904.10509.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "cw >= 1 && cw == floor(cw) && nv >= 1 && nv == floor(nv)",
    .valid_reason = "cw and nv must be whole numbers of at least 1",
    .flops = "4 * batch * heads * head_dim * (PATTERN == PATTERN.local ? " PAIRS_LOCAL
             " : PATTERN == PATTERN.strided ? " PAIRS_STRIDED
             " : PATTERN == PATTERN.fixed ? " PAIRS_FIXED
             " : " PAIRS_LOCAL " + " PAIRS_STRIDED " - len)",
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * len",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
