// SPDX-License-Identifier: MIT
// depth_route: which tokens go through a layer, contract and reference.
#include "ops/moe/depth.h"

static const struct vkz_dim dims[] = {DEPTH_DIMS, {0}};

static const struct vkz_scalar scalars[] = {
    {"ratio", "0.5", "fraction of the targets that is kept, 0 to 1"},
    {"alpha", "0.2", "factor of tanh, positive"},
    {"beta", "1", "added to it"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"ACT", "linear sigmoid tanh", "of a token's score; tanh: alpha tanh(r) + beta"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "batch, len, width", NULL, "normal(1)", "tokens"},
    {"w", VKZ_IN, "T", "width", NULL, "linear_w", "router"},
    {"target", VKZ_IN, "u32", "batch, ceildiv(len, 32)", NULL, "op",
     "bit t % 32 of word t / 32: token t may be skipped"},
    {"idx", VKZ_OUT, "i32", "batch, kmax", NULL, NULL, "kept tokens, ascending, then -1"},
    {"count", VKZ_OUT, "i32", "batch", NULL, NULL, "how many are kept"},
    {"omega", VKZ_OUT, "f32", "batch, len", NULL, NULL, "weights of all tokens"},
    {"xk", VKZ_OUT, "T", "batch, kmax, width", NULL, NULL, "the kept tokens, then zeros"},
    {0},
};

static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor;
    for (int64_t i = 0; i < vkz_fill_count(fill); i++) {
        vkz_fill_int(fill)[i] = depth_target_word(fill, i);
    }
}

struct candidate {
    real value;
    int64_t token;
};

static int better_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->value != y->value) {
        return x->value > y->value ? -1 : 1;
    }
    return x->token < y->token ? -1 : 1;
}

static real act(const struct vkz_ref *ref, real r, real *slope)
{
    const real alpha = (real)vkz_ref_value(ref, "alpha");
    const real beta = (real)vkz_ref_value(ref, "beta");
    switch (vkz_ref_dim(ref, "ACT")) {
    case 1: {
        const real s = 1 / (1 + exp(-r));
        *slope = s;
        return s;
    }
    case 2:
        *slope = alpha;
        return alpha * tanh(r) + beta;
    default:
        *slope = 1;
        return r;
    }
}

static void reference(struct vkz_ref *ref, int64_t sequence)
{
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "width");
    const int64_t kmax = vkz_ref_dim(ref, "kmax");
    const float *x = vkz_ref_in(ref, "x") + sequence * len * width;
    const float *w = vkz_ref_in(ref, "w");
    const uint32_t *target =
        (const uint32_t *)vkz_ref_in_int(ref, "target") + sequence * ((len + 31) / 32);
    double *idx = vkz_ref_out(ref, "idx"), *omega = vkz_ref_out(ref, "omega");
    double *omega_scale = vkz_ref_scale(ref, "omega"), *xk = vkz_ref_out(ref, "xk");
    struct candidate *list = vkz_ref_temp(ref, (size_t)len * sizeof *list);
    bool *kept = vkz_ref_temp(ref, (size_t)len * sizeof *kept);
    int64_t targets = 0, count = 0;
    real largest = 0;
    for (int64_t t = 0; t < len; t++) {
        real r = 0, magnitude = 0, slope = 0;
        for (int64_t c = 0; c < width; c++) {
            const real term = (real)w[c] * (real)x[t * width + c];
            r += term;
            magnitude += fabs(term);
        }
        const real o = act(ref, r, &slope);
        omega[t] = (double)o;
        omega_scale[t] = (double)(fabs(o) + slope * magnitude);
        largest = magnitude > largest ? magnitude : largest;
        kept[t] = (target[t / 32] >> t % 32 & 1) == 0;
        if (!kept[t]) {
            list[targets++] = (struct candidate){r, t};
        }
    }
    // In float, as everywhere: another rounding could give another count.
    const float wanted = (float)vkz_ref_value(ref, "ratio") * (float)targets;
    const int64_t keep = (int64_t)wanted < targets ? (int64_t)wanted : targets;
    qsort(list, (size_t)targets, sizeof *list, better_first);
    for (int64_t i = 0; i < keep; i++) {
        kept[list[i].token] = true;
    }
    if (keep > 0 && keep < targets) {
        const real gap = list[keep - 1].value - list[keep].value;
        if (gap > 0 && gap < 4 * (real)0x1p-24 * sqrt((real)width) * largest) {
            vkz_ref_ambiguous(ref);
        }
    }
    for (int64_t i = 0; i < kmax; i++) {
        idx[i] = -1;
    }
    for (int64_t i = 0; i < kmax * width; i++) {
        xk[i] = 0;
        vkz_ref_scale(ref, "xk")[i] = 1e-30;
    }
    for (int64_t t = 0; t < len; t++) {
        if (kept[t] && count < kmax) {
            idx[count] = (double)t;
            for (int64_t c = 0; c < width; c++) {
                xk[count * width + c] = (double)x[t * width + c];
            }
        }
        count += kept[t];
    }
    vkz_ref_out(ref, "count")[0] = (double)count;
}

// With ratio 1 every token is kept, in its place.
static bool check_all(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "ratio=1");
    const float *x = vkz_identity_float(run, data, "x");
    const int64_t count = vkz_identity_count(data, "x");
    double *copy = vkz_identity_temp(run, count);
    for (int64_t i = 0; x != NULL && copy != NULL && i < count; i++) {
        copy[i] = (double)x[i];
    }
    return vkz_identity_equal(run, "xk", copy, vkz_identity_output(run, data, "xk"),
                              count, 1);
}

static const struct vkz_identity identities[] = {
    {"all", "with ratio 1 every token is kept in its place", "kmax == len", check_all},
    {0},
};

VKZ_OP(depth_route) = {
    .name = "depth_route",
    .family = "moe",
    .abi = 1,
    .title = "tokens that go through a layer, by a learned score",
    .doc = "r_t = w·x_t; omega_t = r | σ(r) | alpha tanh(r) + beta\n"
           "Of the targets of a sequence the floor(ratio targets) with the largest r are\n"
           "kept, ties to the lower index; what is no target is always kept. omega rises\n"
           "with r: the choice is by r, which does not saturate.\n"
           "idx = kept tokens in their order, xk = their rows; only kmax have room, count\n"
           "counts all. The product ratio targets is rounded to float.\n"
           "\n"
           "Mixture of depths arXiv 2404.02258, p-MoD 2412.04449.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "ratio >= 0 && ratio <= 1 && alpha > 0",
    .valid_reason = "ratio is a fraction, alpha positive",
    .flops = "2 * batch * len * width",
    .sum_length = "width",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
