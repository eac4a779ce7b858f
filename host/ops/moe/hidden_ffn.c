// SPDX-License-Identifier: MIT
// hidden_ffn: a feed-forward layer of which a token uses some groups, contract and
// reference.
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"rows", "tokens", NULL},
    {"width", "elements of a token", NULL},
    {"ff_width", "elements of the hidden layer", NULL},
    {"ng", "groups of the hidden layer", "16"},
    {"nb", "blocks of the group fusion", "4"},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"nsh", "6", "groups that every token uses: the first ones"},
    {"ksel", "2", "groups in use among the others"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"ACT", "silu gelu relu", "activation"},
    {"FUSION", "off on", "groups are mixed by a Monarch matrix before the activation"},
    {0},
};

#define FUSES "FUSION == FUSION.on"

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "tokens"},
    {"m", VKZ_IN, "f32", "rows, ng", NULL, "op",
     "multipliers of the groups; 0: not in use"},
    {"wup", VKZ_IN, "T", "ff_width, width", NULL, "linear_w", NULL},
    {"wdn", VKZ_IN, "T", "width, ff_width", NULL, "linear_w", NULL},
    {"lm", VKZ_IN, "T", "nb, floordiv(ff_width, nb), floordiv(ff_width, nb)", FUSES,
     "linear_w", "first blocks"},
    {"rm", VKZ_IN, "T", "floordiv(ff_width, nb), nb, nb", FUSES, "linear_w",
     "second blocks"},
    {"y", VKZ_OUT, "T", "rows, width", NULL, NULL, NULL},
    {0},
};

// m: as hidden_gate makes them, another choice a token.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor;
    const int64_t ng = (int64_t)vkz_fill_value(fill, "ng");
    const int64_t nsh = (int64_t)vkz_fill_value(fill, "nsh");
    const int64_t ksel = (int64_t)vkz_fill_value(fill, "ksel");
    float *m = vkz_fill_float(fill);
    for (int64_t i = 0; i < vkz_fill_count(fill); i++) {
        const int64_t row = i / ng, g = i % ng, others = ng - nsh;
        const bool chosen = g >= nsh && (g - nsh + row * 5) % others < ksel;
        m[i] = g < nsh || chosen
                   ? 0.5f + (float)vkz_fill_uniform(fill, (uint64_t)i)
                   : 0.0f;
    }
}

static real act(int64_t kind, real x)
{
    return kind == 0   ? x / (1 + exp(-x))
           : kind == 1 ? x / 2 * (1 + erf(x * (real)0.70710678118654752))
                       : (x > 0 ? x : (real)0);
}

// h and its magnitude through the block-diagonal L, a transposition, and R.
static void fuse(struct vkz_ref *ref, int64_t ff, int64_t nb, real *h, real *magnitude)
{
    const int64_t size = ff / nb;
    const float *lm = vkz_ref_in(ref, "lm"), *rm = vkz_ref_in(ref, "rm");
    real *u = vkz_ref_temp(ref, (size_t)ff * sizeof *u);
    real *um = vkz_ref_temp(ref, (size_t)ff * sizeof *um);
    for (int64_t b = 0; b < nb; b++) {
        for (int64_t o = 0; o < size; o++) {
            for (int64_t i = 0; i < size; i++) {
                const real l = (real)lm[(b * size + o) * size + i];
                u[o * nb + b] += l * h[b * size + i];
                um[o * nb + b] += fabs(l) * magnitude[b * size + i];
            }
        }
    }
    for (int64_t j = 0; j < size; j++) {
        for (int64_t o = 0; o < nb; o++) {
            h[j * nb + o] = magnitude[j * nb + o] = 0;
            for (int64_t i = 0; i < nb; i++) {
                const real r = (real)rm[(j * nb + o) * nb + i];
                h[j * nb + o] += r * u[j * nb + i];
                magnitude[j * nb + o] += fabs(r) * um[j * nb + i];
            }
        }
    }
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t width = vkz_ref_dim(ref, "width"), ff = vkz_ref_dim(ref, "ff_width");
    const int64_t ng = vkz_ref_dim(ref, "ng"), kind = vkz_ref_dim(ref, "ACT");
    const float *x = vkz_ref_in(ref, "x") + row * width;
    const float *m = vkz_ref_in(ref, "m") + row * ng;
    const float *wup = vkz_ref_in(ref, "wup"), *wdn = vkz_ref_in(ref, "wdn");
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    real *h = vkz_ref_temp(ref, (size_t)ff * sizeof *h);
    real *magnitude = vkz_ref_temp(ref, (size_t)ff * sizeof *magnitude);
    for (int64_t i = 0; i < ff; i++) {
        const real factor = (real)m[i / (ff / ng)];
        if (factor == 0) {
            continue;
        }
        for (int64_t c = 0; c < width; c++) {
            const real term = (real)x[c] * (real)wup[i * width + c];
            h[i] += term;
            magnitude[i] += fabs(term);
        }
        h[i] *= factor;
        magnitude[i] *= fabs(factor);
    }
    if (vkz_ref_dim(ref, "FUSION") != 0) {
        fuse(ref, ff, vkz_ref_dim(ref, "nb"), h, magnitude);
    }
    for (int64_t c = 0; c < width; c++) {
        real sum = 0, all = 0;
        for (int64_t i = 0; i < ff; i++) {
            const real w = (real)wdn[c * ff + i];
            sum += w * act(kind, h[i]);
            all += fabs(w) * magnitude[i];
        }
        y[c] = (double)sum;
        scale[c] = (double)all;
    }
}

// Without a group nothing comes out.
static bool check_none(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "fill.m=const(0)");
    const int64_t count = vkz_identity_count(data, "y");
    return vkz_identity_equal(run, "y", vkz_identity_temp(run, count),
                              vkz_identity_output(run, data, "y"), count, 2);
}

// What a group that is not in use weighs does not matter.
static bool check_masked(struct vkz_identity_run *run)
{
    const int64_t ff = vkz_identity_dim(run, "ff_width");
    const int64_t ng = vkz_identity_dim(run, "ng");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *one = vkz_identity_inputs(run, "rows=1");
    struct vkz_data *two = vkz_identity_inputs(run, "rows=1");
    const float *m = vkz_identity_float(run, two, "m");
    float *wup = vkz_identity_float(run, two, "wup");
    for (int64_t i = 0; m != NULL && wup != NULL && i < ff * width; i++) {
        if (m[i / width / (ff / ng)] == 0) {
            wup[i] = 3;
        }
    }
    return vkz_identity_equal(run, "y", vkz_identity_output(run, one, "y"),
                              vkz_identity_output(run, two, "y"), width, 2);
}

static const struct vkz_identity identities[] = {
    {"none", "without a group in use the output is 0", NULL, check_none},
    {"masked", "weights of groups that are not in use do not matter", NULL, check_masked},
    {0},
};

VKZ_OP(hidden_ffn) = {
    .name = "hidden_ffn",
    .family = "moe",
    .abi = 1,
    .title = "a feed-forward layer of which each token uses some groups",
    .doc = "h = wup x, h_i = m_g h_i for the ng groups of consecutive elements\n"
           "FUSION: u_b = L_b h_b for the nb blocks of h, transposed to [ff_width/nb, nb];\n"
           "  h_j = R_j u_j for its ff_width/nb rows, which follow one another\n"
           "y = wdn act(h)\n"
           "\n"
           "act(0) = 0: groups with m = 0 take no part, unless FUSION mixes them in.\n"
           "Mixture of hidden dimensions, arXiv 2412.05644; Monarch matrices 2204.00595.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "nsh >= 0 && nsh == floor(nsh) && ksel >= 0 && ksel == floor(ksel) && "
             "nsh + ksel >= 1 && nsh + ksel <= ng && ff_width % ng == 0 && "
             "(FUSION == FUSION.off || ff_width % nb == 0)",
    .valid_reason = "nsh and ksel are whole numbers of groups, 1 to ng together; ng and, "
                    "with FUSION, nb divide ff_width",
    .flops = "4 * rows * width * ff_width * (nsh + ksel) / ng + "
             "(FUSION == FUSION.on ? 2 * rows * ff_width * (ff_width / nb + nb) : 0)",
    .sum_length = "width + ff_width",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
