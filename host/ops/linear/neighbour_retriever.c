// SPDX-License-Identifier: MIT
// neighbour_retriever: a soft choice of the next token that exists.
#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"len", "tokens of a sequence", NULL},
    {"width", "apply: elements of a token", "1"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"FORM", "weights apply", "the matrix P, or P x without forming it"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"e", VKZ_IN, "f32", "batch, len", NULL, "sigm", "how far each token exists, 0 to 1"},
    {"x", VKZ_IN, "T", "batch, len, width", "FORM == FORM.apply", "normal(1)", "tokens"},
    {"p", VKZ_OUT, "f32", "batch, len, len", "FORM == FORM.weights", NULL, "P"},
    {"y", VKZ_OUT, "T", "batch, len, width", "FORM == FORM.apply", NULL, "P x"},
    {0},
};

// A product of thousands of factors below 1 may leave float's range; what is lost there is
// compared with this.
#define SMALLEST 1e-30

static void reference(struct vkz_ref *ref, int64_t b)
{
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "width");
    const float *e = vkz_ref_in(ref, "e") + b * len;
    double *p = vkz_ref_out(ref, "p"), *p_scale = vkz_ref_scale(ref, "p");
    double *y = vkz_ref_out(ref, "y"), *y_scale = vkz_ref_scale(ref, "y");
    const float *x = vkz_ref_in(ref, "x");
    for (int64_t i = 0; i < len; i++) {
        real none = 1; // Π (1 - e_k): nobody between i and j exists
        real *sum = vkz_ref_temp(ref, (size_t)width * sizeof(real));
        real *magnitude = vkz_ref_temp(ref, (size_t)width * sizeof(real));
        for (int64_t j = 0; p != NULL && j <= i; j++) {
            p[i * len + j] = 0;
        }
        for (int64_t j = i + 1; j < len; j++) {
            const real weight = (real)e[j] * none;
            none *= (real)1 - (real)e[j];
            if (p != NULL) {
                p[i * len + j] = (double)weight;
                p_scale[i * len + j] = (double)weight + SMALLEST;
            }
            for (int64_t c = 0; x != NULL && c < width; c++) {
                const real term = weight * (real)x[(b * len + j) * width + c];
                sum[c] += term;
                magnitude[c] += fabs(term);
            }
        }
        if (p != NULL) {
            p[i * len + i] = (double)none;
            p_scale[i * len + i] = (double)none + SMALLEST;
        }
        for (int64_t c = 0; y != NULL && c < width; c++) {
            y[i * width + c] = (double)sum[c];
            y_scale[i * width + c] = (double)magnitude[c] + SMALLEST;
        }
    }
}

// Some later token exists, or none does.
static bool check_mass(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len");
    struct vkz_data *data = vkz_identity_inputs(run, "FORM=weights");
    const double *p = vkz_identity_output(run, data, "p");
    const int64_t rows = vkz_identity_count(data, "e");
    double *mass = vkz_identity_temp(run, rows), *one = vkz_identity_temp(run, rows);
    for (int64_t i = 0; p != NULL && one != NULL && i < rows; i++) {
        for (int64_t j = 0; j < len; j++) {
            mass[i] += p[i * len + j];
        }
        one[i] = 1;
    }
    return vkz_identity_equal(run, "p", mass, one, rows, 4);
}

static bool check_forms(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *weights = vkz_identity_inputs(run, "FORM=weights");
    struct vkz_data *apply = vkz_identity_inputs(run, "FORM=apply");
    const double *p = vkz_identity_output(run, weights, "p");
    const float *x = vkz_identity_float(run, apply, "x");
    const int64_t count = vkz_identity_count(apply, "y");
    double *expected = vkz_identity_temp(run, count);
    for (int64_t i = 0; p != NULL && x != NULL && expected != NULL && i < count; i++) {
        const int64_t row = i / width, b = row / len;
        for (int64_t j = 0; j < len; j++) {
            const double weight = j == row % len ? 0 : p[row * len + j];
            if (weight != 0) {
                expected[i] += weight * (double)x[(b * len + j) * width + i % width];
            }
        }
    }
    return vkz_identity_equal(run, "y", expected, vkz_identity_output(run, apply, "y"),
                              count, 3);
}

static const struct vkz_identity identities[] = {
    {"mass", "the weights of a row add up to 1", NULL, check_mass},
    {"forms", "apply is the matrix, without its diagonal, times x", NULL, check_forms},
    {0},
};

VKZ_OP(neighbour_retriever) = {
    .name = "neighbour_retriever",
    .family = "linear",
    .abi = 1,
    .title = "soft choice of the next token that exists",
    .doc = "P_ij = e_j Π_{i<k<j} (1 - e_k) for i < j: token j is the next that exists\n"
           "P_ii = Π_{k>i} (1 - e_k): none does; 0 to the left of it\n"
           "apply: y_i = Σ_{j>i} P_ij x_j, which is the scan from the right\n"
           "       y_i = e_{i+1} x_{i+1} + (1 - e_{i+1}) y_{i+1}\n"
           "\n"
           "The left neighbour is the same on reversed sequences.\n"
           "Continuous recursive networks, arXiv 2106.06038.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "FORM == FORM.weights ? batch * len * len : 4 * batch * len * width",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
