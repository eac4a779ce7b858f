// SPDX-License-Identifier: MIT
// memory_forget: memory slots drift by a bias and are brought back to length 1.
#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"rows", "memory slots", NULL},
    {"width", "elements of a slot", NULL},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"m", VKZ_IN, "T", "rows, width", NULL, "op", "the memory"},
    {"bias", VKZ_IN, "T", "rows, width", NULL, "op", "drift of each slot"},
    {"o", VKZ_OUT, "T", "rows, width", NULL, NULL, "the memory afterwards"},
    {0},
};

// Every seventh slot is empty, and stays so.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor;
    const int64_t width = (int64_t)vkz_fill_value(fill, "width");
    float *values = vkz_fill_float(fill);
    for (int64_t i = 0; i < vkz_fill_count(fill); i++) {
        values[i] = i / width % 7 == 3 ? 0 : (float)vkz_fill_normal(fill, (uint64_t)i);
    }
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t width = vkz_ref_dim(ref, "width");
    const float *m = vkz_ref_in(ref, "m") + row * width;
    const float *bias = vkz_ref_in(ref, "bias") + row * width;
    double *o = vkz_ref_out(ref, "o"), *scale = vkz_ref_scale(ref, "o");
    real square = 0;
    for (int64_t c = 0; c < width; c++) {
        const real x = (real)m[c] + (real)bias[c];
        square += x * x;
    }
    const real least = (real)1e-6, length = sqrt(square);
    const real divisor = length < least ? least : length;
    for (int64_t c = 0; c < width; c++) {
        o[c] = (double)(((real)m[c] + (real)bias[c]) / divisor);
        scale[c] = (double)((fabs((real)m[c]) + fabs((real)bias[c])) / divisor);
    }
}

// Rows have length 1, or are 0.
static bool check_length(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const float *m = vkz_identity_float(run, data, "m");
    const float *bias = vkz_identity_float(run, data, "bias");
    const double *o = vkz_identity_output(run, data, "o");
    double *got = vkz_identity_temp(run, rows), *want = vkz_identity_temp(run, rows);
    for (int64_t i = 0; o != NULL && got != NULL && want != NULL && i < rows; i++) {
        double length = 0;
        for (int64_t c = i * width; c < (i + 1) * width; c++) {
            const double x = (double)m[c] + (double)bias[c];
            got[i] += o[c] * o[c];
            length += x * x;
        }
        want[i] = fmin(1, length * 1e12);
    }
    return vkz_identity_equal(run, "o", got, want, rows, 4);
}

static bool check_scale(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"m", "bias"};
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    for (int x = 0; x < 2; x++) {
        float *values = vkz_identity_float(run, two, inputs[x]);
        for (int64_t i = 0; i < vkz_identity_count(two, inputs[x]); i++) {
            values[i] *= 4;
        }
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

static const struct vkz_identity identities[] = {
    {"length", "every slot has length 1 afterwards, or is 0", NULL, check_length},
    {"scale", "a common factor of m and bias changes nothing", NULL, check_scale},
    {0},
};

VKZ_OP(memory_forget) = {
    .name = "memory_forget",
    .family = "linear",
    .abi = 1,
    .title = "biased memory normalisation: slots that nobody writes fade to their bias",
    .doc = "o_i = (m_i + bias_i) / max(‖m_i + bias_i‖, 1e-6)\n"
           "\n"
           "The forgetting step of Memformer, arXiv 2010.06891.",
    .dims = dims,
    .tensors = tensors,
    .flops = "rows * width * 4",
    .tolerance = VKZ_TOL_ELEM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
