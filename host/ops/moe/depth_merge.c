// SPDX-License-Identifier: MIT
// depth_merge: a layer's results for kept tokens back among all, contract and reference.
#include "ops/moe/depth.h"

static const struct vkz_dim dims[] = {DEPTH_DIMS, {0}};

static const struct vkz_axis axes[] = {
    {"KIND", "mod symmetric", "symmetric: skipped targets are weighted too"},
    {0},
};

#define SYMMETRIC "KIND == KIND.symmetric"

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "batch, len, width", NULL, "normal(1)", "tokens"},
    {"res", VKZ_IN, "T", "batch, kmax, width", SYMMETRIC, "normal(1)",
     "residual stream of the kept tokens"},
    {"f", VKZ_IN, "T", "batch, kmax, width", NULL, "normal(1)", "the layer's output"},
    {"idx", VKZ_IN, "i32", "batch, kmax", NULL, "op", "kept tokens, ascending, then -1"},
    {"omega", VKZ_IN, "f32", "batch, len", NULL, "uniform(0.5,1.5)", "weights"},
    {"target", VKZ_IN, "u32", "batch, ceildiv(len, 32)", SYMMETRIC, "op",
     "bit t % 32 of word t / 32: token t is weighted"},
    {"y", VKZ_OUT, "T", "batch, len, width", NULL, NULL, NULL},
    {0},
};

// idx: what is no target and a third of the rest.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    const int64_t len = (int64_t)vkz_fill_value(fill, "len");
    const int64_t kmax = (int64_t)vkz_fill_value(fill, "kmax");
    const int64_t batch = (int64_t)vkz_fill_value(fill, "batch");
    int32_t *to = vkz_fill_int(fill);
    for (int64_t i = 0; i < vkz_fill_count(fill); i++) {
        to[i] = tensor[0] == 't' ? depth_target_word(fill, i) : -1;
    }
    for (int64_t s = 0; tensor[0] == 'i' && s < batch; s++) {
        int64_t count = 0;
        for (int64_t t = 0; t < len && count < kmax; t++) {
            if (!depth_is_target(s, t, batch) || (t * 11 + s) % 3 == 0) {
                to[s * kmax + count++] = (int32_t)t;
            }
        }
    }
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "width");
    const int64_t kmax = vkz_ref_dim(ref, "kmax");
    const int64_t sequence = unit / len, t = unit % len;
    const int32_t *idx = vkz_ref_in_int(ref, "idx") + sequence * kmax;
    const int32_t *target = vkz_ref_in_int(ref, "target");
    const float *x = vkz_ref_in(ref, "x") + unit * width, *res = vkz_ref_in(ref, "res");
    const float *f = vkz_ref_in(ref, "f");
    const real omega = (real)vkz_ref_in(ref, "omega")[unit];
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    int64_t place = -1;
    for (int64_t i = 0; i < kmax; i++) {
        place = idx[i] == t ? sequence * kmax + i : place;
    }
    const bool weighted =
        target == NULL ||
        ((uint32_t)target[sequence * ((len + 31) / 32) + t / 32] >> t % 32 & 1) != 0;
    for (int64_t c = 0; c < width; c++) {
        const real own = (real)x[c];
        real first = own, second = 0;
        if (place >= 0) {
            first = res != NULL ? (real)res[place * width + c] : own;
            second = (weighted ? omega : 1) * (real)f[place * width + c];
        } else if (res != NULL && weighted) {
            first = omega * own;
        }
        y[c] = (double)(first + second);
        scale[c] = (double)(fabs(first) + fabs(second));
    }
}

// With every token kept, res = x and omega 1 this is a plain residual layer.
static bool check_plain(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "fill.omega=const(1)");
    const int64_t len = vkz_identity_dim(run, "len");
    const float *x = vkz_identity_float(run, data, "x");
    const float *f = vkz_identity_float(run, data, "f");
    int32_t *idx = vkz_identity_int(run, data, "idx");
    const bool symmetric = vkz_identity_dim(run, "KIND") != 0;
    float *res = symmetric ? vkz_identity_float(run, data, "res") : NULL;
    const int64_t count = vkz_identity_count(data, "x");
    double *sum = vkz_identity_temp(run, count);
    for (int64_t i = 0; i < vkz_identity_count(data, "idx"); i++) {
        idx[i] = (int32_t)(i % len);
    }
    for (int64_t i = 0; x != NULL && f != NULL && sum != NULL && i < count; i++) {
        sum[i] = (double)x[i] + (double)f[i];
        if (res != NULL) {
            res[i] = x[i];
        }
    }
    return vkz_identity_equal(run, "y", sum, vkz_identity_output(run, data, "y"), count,
                              2);
}

static const struct vkz_identity identities[] = {
    {"plain", "all kept with weight 1 is a plain residual layer", "kmax == len",
     check_plain},
    {0},
};

VKZ_OP(depth_merge) = {
    .name = "depth_merge",
    .family = "moe",
    .abi = 1,
    .title = "a layer's results for the kept tokens back among all tokens",
    .doc = "mod: kept y = x + omega f, others y = x\n"
           "symmetric: kept targets y = res + omega f, skipped targets y = omega x,\n"
           "  kept tokens that are no targets y = res + f; others y = x\n"
           "\n"
           "Mixture of depths arXiv 2404.02258, p-MoD 2412.04449.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "2 * batch * len * width",
    // A token reads its row of x or of res, and f where it was kept: how many were, the
    // data say, so f is not counted.
    .bytes = "2 * T.bytes * batch * len * width",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch * len",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
