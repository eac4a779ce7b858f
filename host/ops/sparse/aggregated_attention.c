// SPDX-License-Identifier: MIT
// aggregated_attention: one softmax over a window of pixels and over pooled tokens,
// contract and reference.
#include "ops/attention/identities.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent images", NULL},
    {"heads", "heads", NULL},
    {"hh", "rows of the map", NULL},
    {"ww", "columns of the map", NULL},
    {"head_dim", "width of a query, a key and a value", NULL},
    {"win", "side of the window, odd", NULL},
    {"np", "pooled tokens", NULL},
    {0},
};

static const struct vkz_axis axes[] = {
    {"TOKENS", "off on", "also weigh the window's values by learnable tokens"},
    {0},
};

#define MAP_SHAPE "batch, heads, hh * ww, head_dim"

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", MAP_SHAPE, NULL, "normal(1)", "queries"},
    {"k", VKZ_IN, "T", MAP_SHAPE, NULL, "normal(1)", "keys"},
    {"v", VKZ_IN, "T", MAP_SHAPE, NULL, "normal(1)", "values"},
    {"kp", VKZ_IN, "T", "batch, heads, np, head_dim", NULL, "normal(1)", "pooled keys"},
    {"vp", VKZ_IN, "T", "batch, heads, np, head_dim", NULL, "normal(1)", "pooled values"},
    {"qe", VKZ_IN, "f32", "heads, head_dim", NULL, "normal(0.3)", "query embedding"},
    {"temp", VKZ_IN, "f32", "heads", NULL, "const(4.1510)",
     "temperature before softplus, which makes 1/0.24 of the default"},
    {"bl", VKZ_IN, "f32", "heads, win * win", NULL, "normal(0.5)", "bias of the window"},
    {"bp", VKZ_IN, "T", "heads, hh * ww, np", NULL, "normal(0.5)",
     "bias of the pooled tokens"},
    {"tok", VKZ_IN, "f32", "heads, head_dim, win * win", "TOKENS == TOKENS.on",
     "normal(0.1)", "learnable tokens"},
    {"btok", VKZ_IN, "f32", "heads, win * win", "TOKENS == TOKENS.on", "normal(0.1)",
     "their bias"},
    {"o", VKZ_OUT, "T", MAP_SHAPE, NULL, NULL, "weighted sums of values"},
    {0},
};

// to = x / max(‖x‖, 1e-12)
static void normalise(const float *x, int64_t count, real *to)
{
    const real norm = sqrt(score_dot(x, x, count));
    const real factor = (real)1 / (norm < (real)1e-12 ? (real)1e-12 : norm);
    for (int64_t c = 0; c < count; c++) {
        to[c] = (real)x[c] * factor;
    }
}

static real dot(const real *a, const real *b, int64_t count)
{
    real sum = 0;
    for (int64_t c = 0; c < count; c++) {
        sum += a[c] * b[c];
    }
    return sum;
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t heads = vkz_ref_dim(ref, "heads");
    const int64_t hh = vkz_ref_dim(ref, "hh"), ww = vkz_ref_dim(ref, "ww");
    const int64_t d = vkz_ref_dim(ref, "head_dim"), np = vkz_ref_dim(ref, "np");
    const int64_t win = vkz_ref_dim(ref, "win"), area = win * win;
    const bool tokens = vkz_ref_dim(ref, "TOKENS") != 0;
    const int64_t map = unit / (hh * ww), head = map % heads, i = unit % (hh * ww);
    const int64_t y = i / ww, x = i % ww;
    const float *k = vkz_ref_in(ref, "k") + map * hh * ww * d;
    const float *v = vkz_ref_in(ref, "v") + map * hh * ww * d;
    const float *kp = vkz_ref_in(ref, "kp") + map * np * d;
    const float *vp = vkz_ref_in(ref, "vp") + map * np * d;
    const float *bl = vkz_ref_in(ref, "bl") + head * area;
    const float *bp = vkz_ref_in(ref, "bp") + (head * hh * ww + i) * np;

    // at[w]: the pixel under window place w, -1 outside the map.
    int64_t *at = vkz_ref_temp(ref, (size_t)area * sizeof *at);
    int64_t inside = 0;
    for (int64_t w = 0; w < area; w++) {
        const int64_t r = y + w / win - win / 2, c = x + w % win - win / 2;
        at[w] = r >= 0 && r < hh && c >= 0 && c < ww ? r * ww + c : -1;
        inside += at[w] >= 0;
    }

    const size_t bytes = (size_t)d * sizeof(real);
    real *unit_q = vkz_ref_temp(ref, bytes), *qs = vkz_ref_temp(ref, bytes);
    real *unit_k = vkz_ref_temp(ref, bytes);
    real *o = vkz_ref_temp(ref, bytes), *scale = vkz_ref_temp(ref, bytes);
    normalise(vkz_ref_in(ref, "q") + unit * d, d, unit_q);
    const real temp = (real)vkz_ref_in(ref, "temp")[head];
    const real softplus = (temp < 0 ? (real)0 : temp) + log1p(exp(-fabs(temp)));
    for (int64_t c = 0; c < d; c++) {
        qs[c] = (unit_q[c] + (real)vkz_ref_in(ref, "qe")[head * d + c]) * softplus *
                log((real)(inside + np));
    }

    real *s = vkz_ref_temp(ref, (size_t)(area + np) * sizeof(real));
    real top = -(real)INFINITY, total = 0;
    for (int64_t w = 0; w < area + np; w++) {
        if (w < area && at[w] < 0) {
            continue;
        }
        normalise(w < area ? k + at[w] * d : kp + (w - area) * d, d, unit_k);
        s[w] = dot(qs, unit_k, d) + (real)(w < area ? bl[w] : bp[w - area]);
        top = s[w] > top ? s[w] : top;
    }
    for (int64_t w = 0; w < area + np; w++) {
        if (w >= area || at[w] >= 0) {
            s[w] = exp(s[w] - top);
            total += s[w];
        }
    }
    for (int64_t w = 0; w < area + np; w++) {
        if (w < area && at[w] < 0) {
            continue;
        }
        real weight = s[w] / total, magnitude = weight;
        if (tokens && w < area) {
            const float *tok = vkz_ref_in(ref, "tok") + head * d * area + w;
            const real bias = (real)vkz_ref_in(ref, "btok")[head * area + w];
            weight += bias;
            magnitude += fabs(bias);
            for (int64_t c = 0; c < d; c++) {
                weight += unit_q[c] * (real)tok[c * area];
                magnitude += fabs(unit_q[c] * (real)tok[c * area]);
            }
        }
        const float *value = w < area ? v + at[w] * d : vp + (w - area) * d;
        for (int64_t c = 0; c < d; c++) {
            o[c] += weight * (real)value[c];
            scale[c] += magnitude * fabs((real)value[c]);
        }
    }
    score_store(vkz_ref_out(ref, "o"), o, d);
    score_store(vkz_ref_scale(ref, "o"), scale, d);
}

static bool check_weights(struct vkz_identity_run *run)
{
    struct vkz_data *data =
        vkz_identity_inputs(run, "TOKENS=off fill.v=const(1) fill.vp=const(1)");
    const int64_t count = vkz_identity_count(data, "o");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; expected != NULL && i < count; i++) {
        expected[i] = 1;
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, data, "o"),
                              count, 2);
}

// Only directions of queries and keys count.
static bool check_scale_invariant(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    scale_floats(vkz_identity_float(run, two, "q"), vkz_identity_count(two, "q"), 4);
    scale_floats(vkz_identity_float(run, two, "k"), vkz_identity_count(two, "k"), 0.5f);
    scale_floats(vkz_identity_float(run, two, "kp"), vkz_identity_count(two, "kp"), 2);
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

static bool check_scale_both(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    scale_floats(vkz_identity_float(run, two, "v"), vkz_identity_count(two, "v"), 2);
    scale_floats(vkz_identity_float(run, two, "vp"), vkz_identity_count(two, "vp"), 2);
    const int64_t count = vkz_identity_count(one, "o");
    double *o = vkz_identity_output(run, one, "o");
    scale_doubles(o, count, 2);
    return vkz_identity_equal(run, "o", o, vkz_identity_output(run, two, "o"), count, 2);
}

static const struct vkz_identity identities[] = {
    {"weights", "without tokens, with all values 1, every row is 1", NULL, check_weights},
    {"scale_invariant", "scaling queries and keys changes nothing", NULL,
     check_scale_invariant},
    {"scale_values", "doubling v and vp doubles o", NULL, check_scale_both},
    {0},
};

VKZ_OP(aggregated_attention) = {
    .name = "aggregated_attention",
    .family = "sparse",
    .abi = 1,
    .title = "one softmax over a window of pixels and over pooled tokens",
    .doc = "q̂ = q/‖q‖ (norms of at least 1e-12), n_i = places of the window inside the map\n"
           "qs_i = (q̂_i + qe) · softplus(temp) · ln(n_i + np)\n"
           "s_w = qs_i·k̂_{i+w} + bl_w over the window;  s_x = qs_i·k̂p_x + bp_ix\n"
           "P = softmax over both;\n"
           "o_i = Σ_w (P_w + [TOKENS] q̂_i·tok_w + btok_w) v_{i+w} + Σ_x P_x vp_x\n"
           "\n"
           "Places outside the map count for nothing. Pixel-focused attention of\n"
           "TransNeXt, arXiv 2311.17132.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .valid = "win % 2 == 1",
    .valid_reason = "win must be odd",
    .flops = "batch * heads * hh * ww * head_dim * (4 * (win * win + np) + "
             "(TOKENS == TOKENS.on ? 2 * win * win : 0))",
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads * hh * ww",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
