// SPDX-License-Identifier: MIT
// Identities of hyper_pre and frac_pre. Included by their contracts only.
#ifndef VKZ_OPS_HYPER_HYPER_IDENTITIES_H
#define VKZ_OPS_HYPER_HYPER_IDENTITIES_H

#include "ops/hyper/hyper.h"

// What a contract calls its streams, and the fractions they are split in (NULL: none).
struct hyper_names {
    const char *streams, *parts;
};

static inline int64_t hyper_names_parts(const struct vkz_identity_run *run,
                                        const struct hyper_names *names)
{
    return names->parts ? vkz_identity_dim(run, names->parts) : 1;
}

// Initial values on numbers of their own: h0 is the first stream, y is x, and beta adds
// fraction x of the layer to fraction x of every stream.
static inline bool hyper_check_initial(struct vkz_identity_run *run,
                                       const struct hyper_names *names)
{
    const int64_t parts = hyper_names_parts(run, names);
    const int64_t s = vkz_identity_dim(run, names->streams) * parts;
    const int64_t c = vkz_identity_dim(run, "width") / parts;
    struct vkz_data *data = vkz_identity_inputs(
        run, vkz_identity_dim(run, "KIND") == KIND_DYNAMIC
                 ? "fill.x=normal(1) fill.am=op fill.ar=op fill.bs=op fill.wm=op "
                   "fill.wr=op fill.wb=op fill.sa=op fill.sb=op fill.gamma=const(1)"
                 : "fill.x=normal(1) fill.am=op fill.ar=op fill.bs=op");
    const float *x = vkz_identity_float(run, data, "x");
    const int64_t count = vkz_identity_count(data, "x");
    const int64_t rows = vkz_identity_dim(run, "rows");
    double *streams = vkz_identity_temp(run, count);
    double *first = vkz_identity_temp(run, rows * parts * c);
    double *depth = vkz_identity_temp(run, rows * s * parts);
    if (x == NULL || streams == NULL || first == NULL || depth == NULL) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = i / (s * c), l = i % (s * c);
        streams[i] = (double)x[i];
        if (l < parts * c) {
            first[row * parts * c + l] = (double)x[i];
        }
    }
    for (int64_t i = 0; i < rows * s * parts; i++) {
        depth[i] = i / parts % parts == i % parts;
    }
    return vkz_identity_equal(run, "y", streams, vkz_identity_output(run, data, "y"),
                              count, 2) &&
           vkz_identity_equal(run, "h0", first, vkz_identity_output(run, data, "h0"),
                              rows * parts * c, 2) &&
           vkz_identity_equal(run, "beta", depth, vkz_identity_output(run, data, "beta"),
                              rows * s * parts, 2);
}

static inline bool hyper_same(struct vkz_identity_run *run, struct vkz_data *one,
                              struct vkz_data *two)
{
    static const char *const outputs[] = {"h0", "y", "beta"};
    for (int i = 0; i < 3; i++) {
        if (!vkz_identity_equal(run, outputs[i], vkz_identity_output(run, one, outputs[i]),
                                vkz_identity_output(run, two, outputs[i]),
                                vkz_identity_count(one, outputs[i]), 2)) {
            return false;
        }
    }
    return true;
}

static inline bool hyper_check_static(struct vkz_identity_run *run)
{
    // On numbers of its own: 0 times a NaN is NaN.
    return hyper_same(
        run,
        vkz_identity_inputs(run, "fill.x=normal(1) fill.sa=const(0) fill.sb=const(0)"),
        vkz_identity_inputs(run, "fill.x=normal(1) KIND=static"));
}

// Rows of `size` in opposite order, in every block of `n` rows, in blocks of `parts` rows
// that stay together. An involution.
static inline void hyper_reverse(float *x, int64_t count, int64_t n, int64_t parts,
                                 int64_t size)
{
    for (int64_t i = 0; x != NULL && i < count; i++) {
        const int64_t at = i / size % n;
        const int64_t other = (n / parts - 1 - at / parts) * parts + at % parts;
        if (other > at) {
            const float keep = x[i];
            x[i] = x[i + (other - at) * size];
            x[i + (other - at) * size] = keep;
        }
    }
}

static inline void hyper_reverse_double(double *x, int64_t count, int64_t n,
                                        int64_t parts, int64_t size)
{
    for (int64_t i = 0; x != NULL && i < count; i++) {
        const int64_t at = i / size % n;
        const int64_t other = (n / parts - 1 - at / parts) * parts + at % parts;
        if (other > at) {
            const double keep = x[i];
            x[i] = x[i + (other - at) * size];
            x[i + (other - at) * size] = keep;
        }
    }
}

// Streams in opposite order with all that belongs to them: h0 stays, y and beta turn.
static inline bool hyper_check_permute(struct vkz_identity_run *run,
                                       const struct hyper_names *names)
{
    const int64_t parts = hyper_names_parts(run, names);
    const int64_t s = vkz_identity_dim(run, names->streams) * parts;
    const int64_t c = vkz_identity_dim(run, "width") / parts;
    const struct { const char *name; int64_t size; } turned[] = {
        {"x", c}, {"am", parts}, {"bs", parts}, {"ar", s}, {"ar", 1}, {"wr", c},
    };
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    for (size_t i = 0; i < sizeof turned / sizeof *turned; i++) {
        hyper_reverse(vkz_identity_float(run, two, turned[i].name),
                      vkz_identity_count(two, turned[i].name), s, parts, turned[i].size);
    }
    hyper_reverse_double(vkz_identity_output(run, two, "y"), vkz_identity_count(two, "y"),
                         s, parts, c);
    hyper_reverse_double(vkz_identity_output(run, two, "beta"),
                         vkz_identity_count(two, "beta"), s, parts, parts);
    return hyper_same(run, one, two);
}

#endif
