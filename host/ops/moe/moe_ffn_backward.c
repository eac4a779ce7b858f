// SPDX-License-Identifier: MIT
// moe_ffn_backward: gradients of moe_ffn.
#include "ops/moe/ffn.h"
#include "zoo/identity.h"

static const struct vkz_dim dims[] = {FFN_DIMS, {0}};
static const struct vkz_scalar scalars[] = {FFN_SCALARS, {0}};
static const struct vkz_axis axes[] = {FFN_ACT, {0}};

static const struct vkz_tensor tensors[] = {
    FFN_TENSORS,
    {"dy", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "gradient of y"},
    {"dx", VKZ_OUT, "T", "rows, width", NULL, NULL, NULL},
    {"dw1", VKZ_OUT, "f32", "experts, " FFN_GATED " ? 2 * ff_width : ff_width, width", NULL,
     NULL, "0 of an expert without tokens"},
    {"dw2", VKZ_OUT, "f32", "experts, width, ff_width", NULL, NULL, NULL},
    {"dw", VKZ_OUT, "f32", "rows, topk", NULL, NULL, "0 of an entry without expert"},
    {0},
};

// One gradient with the magnitudes of its sums.
struct gradient {
    real *value, *magnitude;
};

static struct gradient gradient_new(struct vkz_ref *ref, int64_t count)
{
    return (struct gradient){vkz_ref_temp(ref, (size_t)count * sizeof(real)),
                             vkz_ref_temp(ref, (size_t)count * sizeof(real))};
}

static void gradient_write(struct vkz_ref *ref, const char *name, struct gradient g,
                           int64_t count)
{
    double *out = vkz_ref_out(ref, name), *scale = vkz_ref_scale(ref, name);
    for (int64_t i = 0; i < count; i++) {
        out[i] = (double)g.value[i];
        scale[i] = (double)g.magnitude[i];
    }
}

// What the entries of one call share; the gradients of one expert begin at w1, w2.
struct work {
    struct ffn_layer layer;
    struct gradient up, g; // a and b, then their gradients; W2ᵀ dy
};

static void entry_gradients(const struct work *work, const float *x, const float *d_y,
                            const float *w1, const float *w2, real weight,
                            struct gradient dx, struct gradient dw1, struct gradient dw2,
                            real *dw, real *dw_magnitude)
{
    const struct ffn_layer *layer = &work->layer;
    const int64_t width = layer->width, ff = layer->ff;
    const struct gradient up = work->up, g = work->g;
    ffn_up(layer, w1, x, up.value, up.magnitude);
    for (int64_t f = 0; f < ff; f++) {
        g.value[f] = 0;
        g.magnitude[f] = 0;
    }
    for (int64_t c = 0; c < width; c++) {
        for (int64_t f = 0; f < ff; f++) {
            const real term = (real)d_y[c] * (real)w2[c * ff + f];
            g.value[f] += term;
            g.magnitude[f] += fabs(term);
        }
    }
    for (int64_t f = 0; f < ff; f++) {
        const int64_t second = layer->gated ? ff + f : f;
        const real a_magnitude = up.magnitude[f], b_magnitude = up.magnitude[second];
        const struct ffn_hidden y =
            ffn_act(layer->act, up.value[f], a_magnitude, up.value[second], b_magnitude);
        *dw += g.value[f] * y.h;
        *dw_magnitude += g.magnitude[f] * (y.magnitude + fabs(y.h));
        for (int64_t c = 0; c < width; c++) {
            dw2.value[c * ff + f] += weight * y.h * (real)d_y[c];
            dw2.magnitude[c * ff + f] +=
                fabs(weight * (real)d_y[c]) * (y.magnitude + fabs(y.h));
        }
        // Slopes move with a and b too: by about as much as their magnitudes.
        const real sway = (real)1 + a_magnitude + b_magnitude;
        up.value[f] = weight * g.value[f] * y.da;
        up.magnitude[f] = fabs(weight) * g.magnitude[f] * (fabs(y.da) + sway);
        if (layer->gated) {
            up.value[second] = weight * g.value[f] * y.db;
            up.magnitude[second] = fabs(weight) * g.magnitude[f] * (fabs(y.db) + sway);
        }
    }
    for (int64_t j = 0; j < (layer->gated ? 2 : 1) * ff; j++) {
        for (int64_t c = 0; c < width; c++) {
            dw1.value[j * width + c] += up.value[j] * (real)x[c];
            dw1.magnitude[j * width + c] += up.magnitude[j] * fabs((real)x[c]);
            dx.value[c] += up.value[j] * (real)w1[j * width + c];
            dx.magnitude[c] += up.magnitude[j] * fabs((real)w1[j * width + c]);
        }
    }
}

static struct gradient gradient_at(struct gradient g, int64_t first)
{
    return (struct gradient){g.value + first, g.magnitude + first};
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // the weights' gradients are sums over all tokens
    const struct ffn_layer layer = ffn_layer(ref);
    const int64_t rows = vkz_ref_dim(ref, "rows"), topk = vkz_ref_dim(ref, "topk");
    const int64_t experts = vkz_ref_dim(ref, "experts"), width = layer.width;
    const int64_t one = (layer.gated ? 2 : 1) * layer.ff * width, two = layer.ff * width;
    const int32_t *idx = vkz_ref_in_int(ref, "idx");
    const struct work work = {layer, gradient_new(ref, 2 * layer.ff),
                              gradient_new(ref, layer.ff)};
    const struct gradient dx = gradient_new(ref, rows * width);
    const struct gradient dw1 = gradient_new(ref, experts * one);
    const struct gradient dw2 = gradient_new(ref, experts * two);
    const struct gradient dw = gradient_new(ref, rows * topk);
    for (int64_t i = 0; i < rows * topk; i++) {
        const int64_t t = i / topk;
        if (idx[i] >= 0) {
            entry_gradients(&work, vkz_ref_in(ref, "x") + t * width,
                            vkz_ref_in(ref, "dy") + t * width,
                            vkz_ref_in(ref, "w1") + idx[i] * one,
                            vkz_ref_in(ref, "w2") + idx[i] * two,
                            (real)vkz_ref_in(ref, "w")[i], gradient_at(dx, t * width),
                            gradient_at(dw1, idx[i] * one), gradient_at(dw2, idx[i] * two),
                            &dw.value[i], &dw.magnitude[i]);
        }
    }
    gradient_write(ref, "dx", dx, rows * width);
    gradient_write(ref, "dw1", dw1, experts * one);
    gradient_write(ref, "dw2", dw2, experts * two);
    gradient_write(ref, "dw", dw, rows * topk);
}

// Doubling dy doubles every gradient.
static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"dy", NULL};
    static const char *const outputs[] = {"dx", "dw1", "dw2", "dw", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

// y is linear in every w2 and in the weights: Σ dw2 w2 = Σ dw w.
static bool check_scaling(struct vkz_identity_run *run)
{
    static const char *const names[] = {"dw2", "dw"}, *const inputs[] = {"w2", "w"};
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    double *sums[2];
    double size = 0;
    for (int x = 0; x < 2; x++) {
        const float *w = vkz_identity_float(run, data, inputs[x]);
        const double *d = vkz_identity_output(run, data, names[x]);
        sums[x] = vkz_identity_temp(run, 2);
        if (w == NULL || d == NULL || sums[x] == NULL) {
            return false;
        }
        double sum_size = 0;
        for (int64_t i = 0; i < vkz_identity_count(data, names[x]); i++) {
            sums[x][0] += d[i] * (double)w[i];
            sum_size += fabs(d[i] * (double)w[i]);
        }
        size = fmax(size, sum_size);
    }
    sums[0][1] = size;
    sums[1][1] = size;
    return vkz_identity_equal(run, "dw", sums[0], sums[1], 2, 4);
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dy doubles every gradient", NULL, check_linear},
    {"scaling", "dw2 along w2 is dw along w", NULL, check_scaling},
    {0},
};

VKZ_OP(moe_ffn_backward) = {
    .name = "moe_ffn_backward",
    .family = "moe",
    .forward = "moe_ffn",
    .abi = 1,
    .title = "gradients of moe_ffn",
    .doc = "Of each entry, e = idx[t, i], h = act(a, b), [a; b] = W1_e x_t:\n"
           "g = W2_eᵀ dy_t,  dw[t, i] = g · h,  dW2_e += w dy_t ⊗ h\n"
           "d[a; b] = w g ∘ act'(a, b),  dW1_e += d[a; b] ⊗ x_t,  dx_t += W1_eᵀ d[a; b]\n"
           "\n"
           "Without the shared expert, whose gradients are those of a dense layer. At the\n"
           "edge of relu and of the clamps the slope is 0.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = FFN_VALID,
    .valid_reason = FFN_VALID_REASON,
    .flops = "rows * topk * width * ff_width * (" FFN_GATED " ? 12 : 8)",
    .sum_length = "rows * topk + width + ff_width",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "1",
    .reference = reference,
    .fill = ffn_fill,
    .identities = identities,
    .bitwise = true,
};
