// SPDX-License-Identifier: MIT
// The layer of experts: what moe_ffn and its backward op share. Included by contract files
// only.
#ifndef VKZ_OPS_MOE_FFN_H
#define VKZ_OPS_MOE_FFN_H

#include "ops/gemm/product.h"
#include "ops/moe/map.h"

enum { ACT_SWIGLU, ACT_RELU, ACT_GELU, ACT_SWIGLU_CLAMP };

#define FFN_GATED "(ACT == ACT.swiglu || ACT == ACT.swiglu_clamp)"
#define FFN_DIMS \
    {"rows", "tokens", NULL}, {"width", "elements of a token", NULL}, \
        {"experts", "experts", NULL}, {"topk", "experts of a token", NULL}, \
        {"ff_width", "hidden elements of an expert", NULL}
#define FFN_SCALARS \
    {"load", "0", \
     "the fill's routing: 0 uniform; 1 zipf(1.5); 2 one expert takes all; 3 one takes " \
     "none; 4 rows with -1 entries"}
#define FFN_ACT \
    {"ACT", "swiglu relu gelu swiglu_clamp", \
     "of the hidden elements; gelu is the erf form, swiglu_clamp that of gpt-oss"}
#define FFN_TENSORS \
    {"x", VKZ_IN, "T", "rows, width", NULL, "normal(1)", "a row a token"}, \
        {"w1", VKZ_IN, "T", "experts, " FFN_GATED " ? 2 * ff_width : ff_width, width", NULL, \
         "linear_w", "gate first, then up; without gate ff_width rows"}, \
        {"w2", VKZ_IN, "T", "experts, width, ff_width", NULL, "linear_w", "down"}, \
        {"idx", VKZ_IN, "i32", "rows, topk", NULL, "op", "expert of each entry, -1: none"}, \
        {"w", VKZ_IN, "f32", "rows, topk", NULL, "uniform(0,1)", "weight of each entry"}
#define FFN_VALID "load >= 0 && load <= 4 && load == floor(load)"
#define FFN_VALID_REASON "load is one of 0..4"

static inline void ffn_fill(struct vkz_fill *fill, const char *tensor)
{
    struct map_case c;
    (void)tensor; // idx
    ROUTE_CASE(c, vkz_fill_value, fill);
    map_route(&c, vkz_fill_int(fill));
}

static inline real ffn_sigmoid(real x)
{
    return (real)1 / ((real)1 + exp(-x));
}

// What an activation gives and its slopes along both arguments, with the magnitudes.
struct ffn_hidden {
    real h, magnitude;
    real da, db;
};

static inline struct ffn_hidden ffn_act(int act, real a, real a_magnitude, real b,
                                        real b_magnitude)
{
    struct ffn_hidden y = {0};
    if (act == ACT_RELU) {
        y.h = a < 0 ? (real)0 : a;
        y.da = a > 0;
    } else if (act == ACT_GELU) {
        y.h = product_gelu(a);
        y.da = (real)0.5 * ((real)1 + erf(a * (real)0.70710678118654752440)) +
               a * (real)0.39894228040143267794 * exp((real)-0.5 * a * a);
    } else {
        const bool clamped = act == ACT_SWIGLU_CLAMP;
        const real slope = clamped ? (real)1.702 : (real)1;
        const real gate = clamped && a > 7 ? (real)7 : a;
        const real held = b > 7 ? (real)7 : b < -7 ? (real)-7 : b;
        const real up = clamped ? held + (real)1 : b;
        const real sigma = ffn_sigmoid(slope * gate);
        y.h = gate * sigma * up;
        y.da = clamped && a > 7 ? 0
                                : up * sigma * ((real)1 + slope * gate * ((real)1 - sigma));
        y.db = clamped && held != b ? 0 : gate * sigma;
        y.magnitude = (fabs(up) + clamped) * a_magnitude +
                      fabs(gate * sigma) * (b_magnitude + clamped);
        return y;
    }
    y.magnitude = a_magnitude; // no slope is above 1.13
    return y;
}

// The case's weights.
struct ffn_layer {
    int64_t width, ff;
    int act;
    bool gated;
};

static inline struct ffn_layer ffn_layer(const struct vkz_ref *ref)
{
    const int act = (int)vkz_ref_dim(ref, "ACT");
    return (struct ffn_layer){.width = vkz_ref_dim(ref, "width"),
                              .ff = vkz_ref_dim(ref, "ff_width"),
                              .act = act,
                              .gated = act == ACT_SWIGLU || act == ACT_SWIGLU_CLAMP};
}

// a and b (when gated) of one token: `sum` and `magnitude` have 2 ff elements.
static inline void ffn_up(const struct ffn_layer *layer, const float *w1, const float *x,
                          real *sum, real *magnitude)
{
    const struct product_row row = {
        .a = x,
        .a_step = 1,
        .b = w1,
        .b_by_column = true,
        .n = layer->gated ? 2 * layer->ff : layer->ff,
        .k = layer->width,
    };
    product_row_run(&row, sum, magnitude);
}

#endif
