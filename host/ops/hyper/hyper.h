// SPDX-License-Identifier: MIT
// What the contracts of hyper-connections share, and of frac-connections, whose streams are
// fractions of the hidden vector: parameters, coefficients of a token, mixes.
// Included by contract files only.
#ifndef VKZ_OPS_HYPER_HYPER_H
#define VKZ_OPS_HYPER_HYPER_H

#include <stddef.h>
#include <string.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

enum { KIND_STATIC, KIND_DYNAMIC };
enum { NORM_RMS, NORM_LAYER };

#define HYPER_AXES \
    {"KIND", "static dynamic", \
     "dynamic coefficients follow the token, by tanh of products with its norm"}, \
        {"NORM", "rms layer", "norm of a stream, for dynamic coefficients"}
#define HYPER_SCALARS {"eps", "1e-6", "added to the mean square of the norm"}

#define HYPER_WHEN "KIND == KIND.dynamic"
// Shapes: of one coefficient a stream, of the mix, of a weight a column, a weight a target.
#define HYPER_INPUT_PARAMETERS(column, square) \
    {"am", VKZ_IN, "f32", column, NULL, "normal(0.5)", "static weights of the input"}, \
        {"ar", VKZ_IN, "f32", square, NULL, "normal(0.5)", \
         "static mix of the streams: source, target"}
#define HYPER_DYNAMIC_PARAMETERS(weight, target, cols) \
    {"wm", VKZ_IN, "f32", weight, HYPER_WHEN, "linear_w", "weights of alpha"}, \
        {"wr", VKZ_IN, "f32", target, HYPER_WHEN, "linear_w", \
         "weights of rho, a row a target"}, \
        {"wb", VKZ_IN, "f32", weight, HYPER_WHEN, "linear_w", "weights of beta"}, \
        {"sa", VKZ_IN, "f32", "1", HYPER_WHEN, "uniform(0.25,1)", "of alpha and rho"}, \
        {"sb", VKZ_IN, "f32", "1", HYPER_WHEN, "uniform(0.25,1)", "of beta"}, \
        {"gamma", VKZ_IN, "f32", cols, HYPER_WHEN, "uniform(0.5,1.5)", "norm weights"}
#define HYPER_PARAMETERS(column, square, weight, target, cols) \
    HYPER_INPUT_PARAMETERS(column, square), \
        {"bs", VKZ_IN, "f32", column, NULL, "normal(0.5)", \
         "static weights of the layer's output"}, \
        HYPER_DYNAMIC_PARAMETERS(weight, target, cols)
#define HYPER_STREAM_PARAMETERS \
    HYPER_PARAMETERS("streams", "streams, streams", "width", "streams, width", "width")
#define HYPER_STREAM_DIMS \
    {"rows", "tokens", NULL}, {"streams", "residual streams", NULL}, \
        {"width", "elements of a stream", NULL}

#define FRAC_PARAMETERS \
    HYPER_PARAMETERS("st * m, m", "st * m, st * m", "m, width / m", "st * m, width / m", \
                     "width / m")
#define FRAC_DIMS \
    {"rows", "tokens", NULL}, {"st", "residual streams", NULL}, \
        {"m", "fractions a stream is split in", NULL}, \
        {"width", "elements of a stream, a multiple of m", NULL}

// The shapes of a case: s streams (or fractions of streams) of c elements, and `parts`
// inputs and outputs of the layer.
struct hyper_shape {
    int64_t s, parts, c;
};

static inline struct hyper_shape hyper_streams(const struct vkz_ref *ref)
{
    return (struct hyper_shape){vkz_ref_dim(ref, "streams"), 1, vkz_ref_dim(ref, "width")};
}

static inline struct hyper_shape hyper_fractions(const struct vkz_ref *ref)
{
    const int64_t m = vkz_ref_dim(ref, "m");
    return (struct hyper_shape){vkz_ref_dim(ref, "st") * m, m, vkz_ref_dim(ref, "width") / m};
}

// A family of coefficients, value and magnitude, and for dynamic ones the tanh in it with
// the magnitude of its argument: alpha and beta are [s, parts], rho is [s, s].
struct hyper_mix {
    real *value, *magnitude, *tanh, *argument;
    int64_t columns;
};

struct hyper_row {
    struct hyper_shape shape;
    bool dynamic;
    struct hyper_mix alpha, rho, beta;
    real *xn, *xn_magnitude; // x after the norm, before gamma
    real *r;                 // 1 / sqrt(mean square + eps) of each stream
};

static inline void hyper_normalise(struct vkz_ref *ref, struct hyper_row *h, const real *x)
{
    const int64_t c = h->shape.c;
    const bool layer = vkz_ref_dim(ref, "NORM") == NORM_LAYER;
    for (int64_t i = 0; i < h->shape.s; i++) {
        real mean = 0, square = 0;
        for (int64_t l = 0; layer && l < c; l++) {
            mean += x[i * c + l] / (real)c;
        }
        for (int64_t l = 0; l < c; l++) {
            const real d = x[i * c + l] - mean;
            square += d * d;
        }
        h->r[i] = (real)1 / sqrt(square / (real)c + (real)vkz_ref_value(ref, "eps"));
        for (int64_t l = 0; l < c; l++) {
            h->xn[i * c + l] = (x[i * c + l] - mean) * h->r[i];
            h->xn_magnitude[i * c + l] = (fabs(x[i * c + l]) + fabs(mean)) * h->r[i];
        }
    }
}

static inline struct hyper_mix hyper_mix(struct vkz_ref *ref, const struct hyper_row *h,
                                         int64_t columns, const char *fixed,
                                         const char *weights, const char *factor)
{
    const int64_t s = h->shape.s, c = h->shape.c;
    const size_t size = (size_t)(s * columns) * sizeof(real);
    struct hyper_mix mix = {
        .value = vkz_ref_temp(ref, size),
        .magnitude = vkz_ref_temp(ref, size),
        .tanh = vkz_ref_temp(ref, size),
        .argument = vkz_ref_temp(ref, size),
        .columns = columns,
    };
    for (int64_t i = 0; i < s * columns; i++) {
        mix.value[i] = fixed != NULL ? (real)vkz_ref_in(ref, fixed)[i] : (real)0;
        mix.magnitude[i] = fabs(mix.value[i]);
        if (!h->dynamic) {
            continue;
        }
        const float *w = vkz_ref_in(ref, weights) + i % columns * c;
        const float *gamma = vkz_ref_in(ref, "gamma");
        const real *x = h->xn + i / columns * c, *xm = h->xn_magnitude + i / columns * c;
        const real a = (real)vkz_ref_in(ref, factor)[0];
        real dot = 0;
        for (int64_t l = 0; l < c; l++) {
            dot += x[l] * (real)gamma[l] * (real)w[l];
            mix.argument[i] += xm[l] * fabs((real)gamma[l] * (real)w[l]);
        }
        const real t = tanh(dot);
        mix.tanh[i] = t;
        mix.value[i] += a * t;
        mix.magnitude[i] += fabs(a) * (fabs(t) + ((real)1 - t * t) * mix.argument[i]);
    }
    return mix;
}

// Coefficients of the token whose streams are x. A backward pass does not need beta's
// static part: NULL.
static inline struct hyper_row hyper_row(struct vkz_ref *ref, struct hyper_shape shape,
                                         const real *x, const char *fixed_beta)
{
    const size_t size = (size_t)(shape.s * shape.c) * sizeof(real);
    struct hyper_row h = {
        .shape = shape,
        .dynamic = vkz_ref_dim(ref, "KIND") == KIND_DYNAMIC,
        .xn = vkz_ref_temp(ref, size),
        .xn_magnitude = vkz_ref_temp(ref, size),
        .r = vkz_ref_temp(ref, (size_t)shape.s * sizeof(real)),
    };
    if (h.dynamic) {
        hyper_normalise(ref, &h, x);
    }
    h.alpha = hyper_mix(ref, &h, shape.parts, "am", "wm", "sa");
    h.rho = hyper_mix(ref, &h, shape.s, "ar", "wr", "sa");
    h.beta = hyper_mix(ref, &h, shape.parts, fixed_beta, "wb", "sb");
    return h;
}

// out_j = Σ_i mix_ij x_i for all columns j of the mix.
static inline void hyper_apply(const struct hyper_mix *mix, struct hyper_shape shape,
                               const real *x, double *out, double *scale)
{
    for (int64_t j = 0; j < mix->columns; j++) {
        for (int64_t l = 0; l < shape.c; l++) {
            real sum = 0, magnitude = 0;
            for (int64_t i = 0; i < shape.s; i++) {
                const real value = x[i * shape.c + l];
                sum += mix->value[i * mix->columns + j] * value;
                magnitude += mix->magnitude[i * mix->columns + j] * fabs(value);
            }
            out[j * shape.c + l] = (double)sum;
            scale[j * shape.c + l] = (double)magnitude;
        }
    }
}

// The width connection of one token: h0, mixed streams and depth weights.
static inline void hyper_pre_row(struct vkz_ref *ref, struct hyper_shape shape,
                                 const real *x, const char *y, const char *beta)
{
    const struct hyper_row h = hyper_row(ref, shape, x, "bs");
    hyper_apply(&h.alpha, shape, x, vkz_ref_out(ref, "h0"), vkz_ref_scale(ref, "h0"));
    hyper_apply(&h.rho, shape, x, vkz_ref_out(ref, y), vkz_ref_scale(ref, y));
    double *out = vkz_ref_out(ref, beta), *scale = vkz_ref_scale(ref, beta);
    for (int64_t i = 0; i < shape.s * shape.parts; i++) {
        out[i] = (double)h.beta.value[i];
        scale[i] = (double)h.beta.magnitude[i];
    }
}

// The depth connection of one token: z_i = y_i + Σ_x beta_ix f_x.
static inline void hyper_post_row(struct vkz_ref *ref, struct hyper_shape shape,
                                  int64_t row, real *z, real *magnitude)
{
    const int64_t s = shape.s, c = shape.c, parts = shape.parts;
    const float *f = vkz_ref_in(ref, "f") + row * parts * c;
    const float *y = vkz_ref_in(ref, "y") + row * s * c;
    const float *beta = vkz_ref_in(ref, "beta") + row * s * parts;
    for (int64_t i = 0; i < s; i++) {
        for (int64_t l = 0; l < c; l++) {
            z[i * c + l] = (real)y[i * c + l];
            magnitude[i * c + l] = fabs(z[i * c + l]);
            for (int64_t x = 0; x < parts; x++) {
                const real term = (real)beta[i * parts + x] * (real)f[x * c + l];
                z[i * c + l] += term;
                magnitude[i * c + l] += fabs(term);
            }
        }
    }
}

static inline void hyper_post_store(struct vkz_ref *ref, struct hyper_shape shape,
                                    int64_t row)
{
    const int64_t size = shape.s * shape.c;
    real *z = vkz_ref_temp(ref, (size_t)size * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)size * sizeof(real));
    double *out = vkz_ref_out(ref, "z"), *scale = vkz_ref_scale(ref, "z");
    hyper_post_row(ref, shape, row, z, magnitude);
    for (int64_t i = 0; i < size; i++) {
        out[i] = (double)z[i];
        scale[i] = (double)magnitude[i];
    }
}

// beta = 1 (of fraction x for fraction x): the layer's output is added to every stream.
static inline bool hyper_check_unit_beta(struct vkz_identity_run *run, int64_t parts)
{
    struct vkz_data *data = vkz_identity_inputs(run, "fill.f=normal(1) fill.y=normal(1)");
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t width = vkz_identity_dim(run, "width");
    const int64_t count = vkz_identity_count(data, "z");
    const float *f = vkz_identity_float(run, data, "f");
    const float *y = vkz_identity_float(run, data, "y");
    float *beta = vkz_identity_float(run, data, "beta");
    double *expected = vkz_identity_temp(run, count);
    if (f == NULL || y == NULL || beta == NULL || expected == NULL) {
        return false;
    }
    for (int64_t i = 0; i < vkz_identity_count(data, "beta"); i++) {
        beta[i] = i / parts % parts == i % parts;
    }
    for (int64_t i = 0; i < count; i++) {
        expected[i] = (double)y[i] + (double)f[i / (count / rows) * width + i % width];
    }
    return vkz_identity_equal(run, "z", expected, vkz_identity_output(run, data, "z"),
                              count, 2);
}

// The floats of row `row` of an input as reals.
static inline real *hyper_load(struct vkz_ref *ref, const char *name, int64_t row,
                               int64_t size)
{
    const float *from = vkz_ref_in(ref, name) + row * size;
    real *to = vkz_ref_temp(ref, (size_t)size * sizeof(real));
    for (int64_t i = 0; i < size; i++) {
        to[i] = (real)from[i];
    }
    return to;
}

// Initial values: layer 0 reads stream 0 (fraction x of the layer from fraction x), the
// streams are kept, everything of the layer is added to all of them.
static inline void hyper_fill(struct vkz_fill *fill, const char *tensor, int64_t s,
                              int64_t parts)
{
    float *to = vkz_fill_float(fill);
    const int64_t count = vkz_fill_count(fill);
    for (int64_t i = 0; i < count; i++) {
        if (strcmp(tensor, "am") == 0) {
            to[i] = i / parts == i % parts;
        } else if (strcmp(tensor, "ar") == 0) {
            to[i] = i / s == i % s;
        } else if (strcmp(tensor, "bs") == 0) {
            to[i] = i / parts % parts == i % parts;
        } else {
            to[i] = strcmp(tensor, "sa") == 0 || strcmp(tensor, "sb") == 0 ? 0.01f : 0;
        }
    }
}

#endif
