// SPDX-License-Identifier: MIT
// sgmv: the side paths of many adapters over one batch, every row with its own.
#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

enum { FORM_SEGMENTS, FORM_PER_ROW };
enum { PHASE_BOTH, PHASE_SHRINK, PHASE_EXPAND };

static const struct vkz_dim dims[] = {
    {"rows", "tokens", NULL},
    {"k", "width in", NULL},
    {"n", "width out", NULL},
    {"rank", "largest rank of an adapter", NULL},
    {"na", "adapters", NULL},
    {"nseg", "segments of rows", "min(rows, na)"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"FORM", "segments per_row", "whether ids are of segments or of rows"},
    {"PHASE", "both shrink expand", "v = A x, y += s B v, or both"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, k", "PHASE != PHASE.expand", "normal(1)", NULL},
    {"a", VKZ_IN, "T", "na, rank, k", "PHASE != PHASE.expand", "linear_w", NULL},
    {"b", VKZ_IN, "T", "na, n, rank", "PHASE != PHASE.shrink", "linear_w", NULL},
    {"seg", VKZ_IN, "i32", "nseg + 1", "FORM == FORM.segments", "op",
     "ascending: segment s is rows [seg_s, seg_s+1)"},
    {"ids", VKZ_IN, "i32", "FORM == FORM.segments ? nseg : rows", NULL, "op",
     "adapter, -1 for none"},
    {"scale", VKZ_IN, "f32", "na", "PHASE != PHASE.shrink", "uniform(0.5,2)", NULL},
    {"ranks", VKZ_IN, "i32", "na", NULL, "op", "1 to rank; the rest is not read"},
    {"vin", VKZ_IN, "f32", "rows, rank", "PHASE == PHASE.expand", "normal(1)",
     "what shrink gave"},
    {"v", VKZ_OUT, "f32", "rows, rank", "PHASE == PHASE.shrink", NULL,
     "A x; zeros beyond the adapter's rank and for rows without one"},
    {"y", VKZ_INOUT, "T", "rows, n", "PHASE != PHASE.shrink", "normal(1)",
     "added to; rows without an adapter stay"},
    {0},
};

// The adapter of a row or -1.
static int64_t adapter_of(const int32_t *seg, const int32_t *ids, int64_t nseg,
                          int64_t row)
{
    if (seg == NULL) {
        return ids[row];
    }
    for (int64_t s = 0; s < nseg; s++) {
        if (seg[s] <= row && row < seg[s + 1]) {
            return ids[s];
        }
    }
    return -1;
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t k = vkz_ref_dim(ref, "k"), n = vkz_ref_dim(ref, "n");
    const int64_t rank = vkz_ref_dim(ref, "rank");
    const int phase = (int)vkz_ref_dim(ref, "PHASE");
    const int64_t adapter =
        adapter_of(vkz_ref_in_int(ref, "seg"), vkz_ref_in_int(ref, "ids"),
                   vkz_ref_dim(ref, "nseg"), row);
    const int64_t own = adapter < 0 ? 0 : vkz_ref_in_int(ref, "ranks")[adapter];
    real *v = vkz_ref_temp(ref, (size_t)rank * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)rank * sizeof(real));
    for (int64_t j = 0; j < own; j++) {
        if (phase == PHASE_EXPAND) {
            v[j] = (real)vkz_ref_in(ref, "vin")[row * rank + j];
            magnitude[j] = fabs(v[j]);
        } else {
            const float *x = vkz_ref_in(ref, "x") + row * k;
            const float *a = vkz_ref_in(ref, "a") + (adapter * rank + j) * k;
            for (int64_t i = 0; i < k; i++) {
                v[j] += (real)x[i] * (real)a[i];
                magnitude[j] += fabs((real)x[i] * (real)a[i]);
            }
        }
    }
    if (phase == PHASE_SHRINK) {
        double *out = vkz_ref_out(ref, "v"), *scale = vkz_ref_scale(ref, "v");
        for (int64_t j = 0; j < rank; j++) {
            out[j] = (double)v[j];
            scale[j] = (double)magnitude[j];
        }
        return;
    }
    const float *before = vkz_ref_in(ref, "y") + row * n;
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    for (int64_t o = 0; o < n; o++) {
        real sum = 0, terms = 0;
        for (int64_t j = 0; j < own; j++) {
            const real b = (real)vkz_ref_in(ref, "b")[(adapter * n + o) * rank + j];
            sum += b * v[j];
            terms += fabs(b) * magnitude[j];
        }
        const real s = own > 0 ? (real)vkz_ref_in(ref, "scale")[adapter] : 0;
        y[o] = (double)((real)before[o] + s * sum);
        scale[o] = (double)(fabs((real)before[o]) + fabs(s) * terms);
    }
}

// Cuts are uniform and then sorted: some segments are empty. One id in eight is -1.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    int32_t *values = vkz_fill_int(fill);
    const int64_t count = vkz_fill_count(fill);
    const double rows = vkz_fill_value(fill, "rows");
    for (int64_t i = 0; i < count; i++) {
        const double u = vkz_fill_uniform(fill, (uint64_t)(2 * i));
        if (tensor[0] == 's') {
            values[i] = i == 0 ? 0 : (int32_t)(i == count - 1 ? rows : u * (rows + 1));
            for (int64_t j = i; j > 0 && values[j - 1] > values[j]; j--) {
                const int32_t kept = values[j];
                values[j] = values[j - 1];
                values[j - 1] = kept;
            }
        } else if (tensor[0] == 'i') {
            const bool none = vkz_fill_uniform(fill, (uint64_t)(2 * i + 1)) < 0.125;
            values[i] = none ? -1 : (int32_t)(u * vkz_fill_value(fill, "na"));
        } else {
            values[i] = 1 + (int32_t)(u * vkz_fill_value(fill, "rank"));
        }
    }
}

static const char *result_of(struct vkz_identity_run *run)
{
    return vkz_identity_dim(run, "PHASE") == PHASE_SHRINK ? "v" : "y";
}

// Segments written out as one id a row.
static bool check_rows(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, "FORM=per_row");
    const int32_t *seg = vkz_identity_int(run, one, "seg");
    const int32_t *ids = vkz_identity_int(run, one, "ids");
    int32_t *rows = vkz_identity_int(run, two, "ids");
    for (int64_t i = 0; seg != NULL && ids != NULL && rows != NULL &&
                        i < vkz_identity_count(two, "ids");
         i++) {
        rows[i] = (int32_t)adapter_of(seg, ids, vkz_identity_dim(run, "nseg"), i);
    }
    const char *result = result_of(run);
    return vkz_identity_equal(run, result, vkz_identity_output(run, one, result),
                              vkz_identity_output(run, two, result),
                              vkz_identity_count(one, result), 2);
}

static bool check_none(struct vkz_identity_run *run)
{
    const char *result = result_of(run);
    struct vkz_data *one = vkz_identity_inputs(run, "fill.ids=const(-1)");
    struct vkz_data *two = vkz_identity_inputs(run, "fill.ids=const(-1)");
    double *before = vkz_identity_temp(run, vkz_identity_count(one, result));
    const float *y = result[0] == 'y' ? vkz_identity_float(run, two, "y") : NULL;
    for (int64_t i = 0; y != NULL && before != NULL && i < vkz_identity_count(two, "y");
         i++) {
        before[i] = (double)y[i];
    }
    return vkz_identity_equal(run, result, before, vkz_identity_output(run, one, result),
                              vkz_identity_count(one, result), 2);
}

static const struct vkz_identity identities[] = {
    {"rows", "segments are the same as an id for every row", "FORM == FORM.segments",
     check_rows},
    {"none", "without adapters nothing is added", NULL, check_none},
    {0},
};

VKZ_OP(sgmv) = {
    .name = "sgmv",
    .family = "lora",
    .abi = 1,
    .title = "low-rank side paths of many adapters, each row with its own",
    .doc = "y_i += scale_a B_a (A_a x_i),  a = the adapter of row i, of rank ranks_a\n"
           "\n"
           "shrink: v_i = A_a x_i;  expand: y_i += scale_a B_a v_i.\n"
           "Punica arXiv 2310.18547; S-LoRA arXiv 2311.03285.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "2*rows*rank*((PHASE != PHASE.expand)*k + (PHASE != PHASE.shrink)*n)",
    .bytes = "T.bytes*((PHASE != PHASE.expand)*(rows + min(na,rows)*rank)*k +"
             " (PHASE != PHASE.shrink)*(2*rows + min(na,rows)*rank)*n)",
    .sum_length = "k + rank",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
