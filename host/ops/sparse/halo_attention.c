// SPDX-License-Identifier: MIT
// halo_attention: blocks of pixels attend to a window around the block, contract and
// reference.
#include "ops/attention/identities.h"

enum { PAD_MASK, PAD_ZERO };

static const struct vkz_dim dims[] = {
    {"batch", "independent maps", NULL},
    {"hh", "rows of the map, a multiple of bs", NULL},
    {"ww", "columns of the map, a multiple of bs", NULL},
    {"heads", "heads", NULL},
    {"head_dim", "width of a query and a key", NULL},
    {"v_dim", "width of a value", "head_dim"},
    {"bs", "side of a block of queries", NULL},
    {"halo", "pixels by which the window reaches past its block on each side", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {VKZ_ATTENTION_SCALAR_TAU, {0}};

static const struct vkz_axis axes[] = {
    {"REL", "off on", "relative positions, by rows and by columns"},
    {"PAD", "mask zero", "outside the map: nothing, or keys and values of 0"},
    {0},
};

#define TABLE "2 * (bs + 2 * halo) - 1, head_dim"

static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", "batch, hh, ww, heads, head_dim", NULL, "normal(1)", "queries"},
    {"k", VKZ_IN, "T", "batch, hh, ww, heads, head_dim", NULL, "normal(1)", "keys"},
    {"v", VKZ_IN, "T", "batch, hh, ww, heads, v_dim", NULL, "normal(1)", "values"},
    {"rh", VKZ_IN, "T", TABLE, "REL == REL.on", "normal(0.3)", "vectors of row offsets"},
    {"rw", VKZ_IN, "T", TABLE, "REL == REL.on", "normal(0.3)",
     "vectors of column offsets"},
    {"o", VKZ_OUT, "T", "batch, hh, ww, heads, v_dim", NULL, NULL,
     "weighted sums of values"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t hh = vkz_ref_dim(ref, "hh"), ww = vkz_ref_dim(ref, "ww");
    const int64_t heads = vkz_ref_dim(ref, "heads");
    const int64_t d = vkz_ref_dim(ref, "head_dim"), v_dim = vkz_ref_dim(ref, "v_dim");
    const int64_t bs = vkz_ref_dim(ref, "bs"), halo = vkz_ref_dim(ref, "halo");
    const int64_t side = bs + 2 * halo;
    const bool rel = vkz_ref_dim(ref, "REL") != 0;
    const bool zero = vkz_ref_dim(ref, "PAD") == PAD_ZERO;
    const real tau = (real)vkz_ref_value(ref, "tau");
    const int64_t head = unit % heads, pixel = unit / heads;
    const int64_t x = pixel % ww, y = pixel / ww % hh, map = pixel / ww / hh * hh * ww;
    const float *q = vkz_ref_in(ref, "q") + unit * d;
    const float *rh = vkz_ref_in(ref, "rh"), *rw = vkz_ref_in(ref, "rw");

    // at[w]: row of k and v under window place w, -1 outside the map.
    int64_t *at = vkz_ref_temp(ref, (size_t)(side * side) * sizeof *at);
    real *s = vkz_ref_temp(ref, (size_t)(side * side) * sizeof(real));
    real top = -(real)INFINITY, total = 0;
    for (int64_t w = 0; w < side * side; w++) {
        const int64_t wy = w / side, wx = w % side;
        const int64_t ky = y / bs * bs + wy - halo, kx = x / bs * bs + wx - halo;
        const bool inside = ky >= 0 && ky < hh && kx >= 0 && kx < ww;
        at[w] = inside ? (map + ky * ww + kx) * heads + head : -1;
        if (!inside && !zero) {
            continue;
        }
        s[w] = inside ? tau * score_dot(q, vkz_ref_in(ref, "k") + at[w] * d, d) : (real)0;
        if (rel) {
            s[w] += score_dot(q, rh + (wy - y % bs + side - 1) * d, d) +
                    score_dot(q, rw + (wx - x % bs + side - 1) * d, d);
        }
        top = s[w] > top ? s[w] : top;
    }
    real *o = vkz_ref_temp(ref, (size_t)v_dim * sizeof(real));
    real *scale = vkz_ref_temp(ref, (size_t)v_dim * sizeof(real));
    for (int64_t w = 0; w < side * side; w++) {
        if (at[w] < 0 && !zero) {
            continue;
        }
        const real weight = exp(s[w] - top);
        total += weight;
        for (int64_t c = 0; c < v_dim && at[w] >= 0; c++) {
            const real term = weight * (real)vkz_ref_in(ref, "v")[at[w] * v_dim + c];
            o[c] += term;
            scale[c] += fabs(term);
        }
    }
    for (int64_t c = 0; c < v_dim; c++) {
        o[c] /= total;
        scale[c] /= total;
    }
    score_store(vkz_ref_out(ref, "o"), o, v_dim);
    score_store(vkz_ref_scale(ref, "o"), scale, v_dim);
}

static bool check_weights(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "PAD=mask fill.v=const(1)");
    const int64_t count = vkz_identity_count(data, "o");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; expected != NULL && i < count; i++) {
        expected[i] = 1;
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, data, "o"),
                              count, 2);
}

// Without relative positions, windows that cover the map see all of it: the size of the
// blocks no longer matters.
static bool check_cover(struct vkz_identity_run *run)
{
    const int64_t hh = vkz_identity_dim(run, "hh"), ww = vkz_identity_dim(run, "ww");
    const int64_t reach = hh > ww ? hh : ww;
    char blocks[96], pixels[96];
    snprintf(blocks, sizeof blocks, "REL=off PAD=mask halo=%lld", (long long)reach);
    snprintf(pixels, sizeof pixels, "REL=off PAD=mask bs=1 halo=%lld", (long long)reach);
    struct vkz_data *one = vkz_identity_inputs(run, blocks);
    struct vkz_data *two = vkz_identity_inputs(run, pixels);
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 3);
}

// A column of blocks shifted to the left: rows whose windows lie in what both maps have
// are the same, one block further on.
static bool check_shift(struct vkz_identity_run *run)
{
    const int64_t ww = vkz_identity_dim(run, "ww"), bs = vkz_identity_dim(run, "bs");
    const int64_t halo = vkz_identity_dim(run, "halo");
    const int64_t lines = vkz_identity_dim(run, "batch") * vkz_identity_dim(run, "hh");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    static const char *const names[] = {"q", "k", "v"};
    for (int t = 0; t < 3; t++) {
        const float *from = vkz_identity_float(run, one, names[t]);
        float *to = vkz_identity_float(run, two, names[t]);
        const int64_t line = vkz_identity_count(one, names[t]) / lines, step = line / ww;
        for (int64_t y = 0; from != NULL && to != NULL && y < lines; y++) {
            memcpy(to + y * line, from + y * line + bs * step,
                   (size_t)(line - bs * step) * sizeof *to);
        }
    }
    const int64_t count = vkz_identity_count(one, "o"), step = count / lines / ww;
    const double *a = vkz_identity_output(run, one, "o");
    const double *b = vkz_identity_output(run, two, "o");
    double *expected = vkz_identity_temp(run, count);
    double *got = vkz_identity_temp(run, count);
    for (int64_t i = 0; a != NULL && b != NULL && expected != NULL && got != NULL &&
                        i < count; i++) {
        const int64_t block = i / step % ww / bs * bs;
        if (block - halo >= 0 && block + 2 * bs + halo <= ww) {
            expected[i] = a[i + bs * step];
            got[i] = b[i];
        }
    }
    return vkz_identity_equal(run, "o", expected, got, count, 2);
}

static const struct vkz_identity identities[] = {
    IDENTITY_SCALE_VALUES,
    {"weights", "with all values 1 every row is 1", NULL, check_weights},
    {"cover", "windows that cover the map make dense attention", "hh * ww <= 1024",
     check_cover},
    {"shift", "shifting the map by a block shifts o", "ww > bs", check_shift},
    {0},
};

#define SIDE "(bs + 2 * halo)"

VKZ_OP(halo_attention) = {
    .name = "halo_attention",
    .family = "sparse",
    .abi = 1,
    .title = "blocks of pixels attend to a window around the block",
    .doc = "w0 = bs + 2 halo; the key at place (wy,wx) of the window of a block, the query at\n"
           "place (by,bx) of the block:\n"
           "S = tau q·k + [REL] q·rh[wy-by+w0-1] + q·rw[wx-bx+w0-1]\n"
           "o = softmax over the window of S, times v\n"
           "\n"
           "PAD=mask: places outside the map count for nothing; zero: k = v = 0 there. The\n"
           "relative terms are not multiplied by tau. HaloNet, arXiv 2103.12731.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "hh % bs == 0 && ww % bs == 0",
    .valid_reason = "hh and ww must be multiples of bs",
    .flops = "2 * batch * hh * ww * heads * " SIDE " * " SIDE " * (head_dim + v_dim) + "
             "(REL == REL.on ? 4 * batch * hh * ww * heads * " SIDE " * head_dim : 0)",
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * hh * ww * heads",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
