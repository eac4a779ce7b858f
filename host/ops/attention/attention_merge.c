// SPDX-License-Identifier: MIT
// attention_merge: combines attention over disjoint sets of keys, contract and reference.
#include "ops/attention/identities.h"

enum { FORM_RAW, FORM_NORMALISED };

static const struct vkz_dim dims[] = {
    {"rows", "query rows", NULL},
    {"parts", "partial results of each row", NULL},
    {"v_dim", "width of a value", NULL},
    {0},
};

static const struct vkz_axis axes[] = {
    {"FORM", "raw normalised", "raw: unfinished sums; normalised: outputs and lse"},
    {"SINK", VKZ_ATTENTION_SINK_VALUES, "an extra key whose value is 0"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"part", VKZ_IN, "f32", "rows, parts, v_dim + 2", "FORM == FORM.raw", "op",
     "O (not yet divided), then m, then l; an empty part has m = -3e38, l = 0"},
    {"op_", VKZ_IN, "T", "parts, rows, v_dim", "FORM == FORM.normalised", "normal(1)",
     "finished outputs"},
    {"lsep", VKZ_IN, "f32", "parts, rows", "FORM == FORM.normalised", "op",
     "their log-sum-exp; -inf: an empty part"},
    {"sink", VKZ_IN, "f32", "rows", "SINK == SINK.learned", "normal(2)",
     "logit of a key whose value is 0"},
    {"o", VKZ_OUT, "T", "rows, v_dim", NULL, NULL, "merged outputs"},
    {"lse", VKZ_OUT, "f32", "rows", NULL, NULL,
     "merged log-sum-exp; -inf where every part is empty and there is no sink"},
    {0},
};

// One part in eight is empty, and all parts of every 29th row.
static bool part_is_empty(const struct vkz_fill *fill, int64_t row, int64_t index)
{
    return row % 29 == 28 || vkz_fill_uniform(fill, (uint64_t)index) < 0.125;
}

static void fill_raw(struct vkz_fill *fill)
{
    const int64_t v_dim = (int64_t)vkz_fill_value(fill, "v_dim");
    const int64_t parts = (int64_t)vkz_fill_value(fill, "parts");
    const int64_t width = v_dim + 2;
    const int64_t count = vkz_fill_count(fill) / width; // of (row, part)
    float *out = vkz_fill_float(fill);
    for (int64_t i = 0; i < count; i++) {
        float *part = out + i * width;
        const uint64_t numbers = (uint64_t)(count + i * width);
        const bool empty = part_is_empty(fill, i / parts, i);
        const double l = empty ? 0 : 1 + 30 * vkz_fill_uniform(fill, numbers);
        for (int64_t c = 0; c < v_dim; c++) {
            part[c] = (float)(l * vkz_fill_normal(fill, numbers + 2 + (uint64_t)c));
        }
        part[v_dim] = empty ? -3.0e38f : (float)(3 * vkz_fill_normal(fill, numbers + 1));
        part[v_dim + 1] = (float)l;
    }
}

static void fill_lse(struct vkz_fill *fill)
{
    const int64_t rows = (int64_t)vkz_fill_value(fill, "rows");
    const int64_t count = vkz_fill_count(fill);
    float *out = vkz_fill_float(fill);
    for (int64_t i = 0; i < count; i++) {
        const bool empty = part_is_empty(fill, i % rows, i);
        out[i] = empty ? -INFINITY
                       : (float)(3 * vkz_fill_normal(fill, (uint64_t)(count + i)));
    }
}

static void fill(struct vkz_fill *fill, const char *tensor)
{
    if (tensor[0] == 'p') {
        fill_raw(fill);
    } else {
        fill_lse(fill);
    }
}

// One row's parts in the form o_k = value / divisor with weight e^top · divisor.
struct part {
    const float *value;
    real top, divisor;
};

static struct part find_part(struct vkz_ref *ref, int form, int64_t row, int64_t index)
{
    const int64_t v_dim = vkz_ref_dim(ref, "v_dim");
    if (form == FORM_RAW) {
        const int64_t parts = vkz_ref_dim(ref, "parts");
        const float *part = vkz_ref_in(ref, "part") + (row * parts + index) * (v_dim + 2);
        return (struct part){part, (real)part[v_dim], (real)part[v_dim + 1]};
    }
    const int64_t at = index * vkz_ref_dim(ref, "rows") + row;
    const real lse = (real)vkz_ref_in(ref, "lsep")[at];
    const bool empty = lse == -(real)INFINITY;
    return (struct part){vkz_ref_in(ref, "op_") + at * v_dim, lse, empty ? 0 : 1};
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t v_dim = vkz_ref_dim(ref, "v_dim");
    const int64_t parts = vkz_ref_dim(ref, "parts");
    const int form = (int)vkz_ref_dim(ref, "FORM");
    const int sink_kind = (int)vkz_ref_dim(ref, "SINK");
    real sink = -(real)INFINITY;
    if (sink_kind != SINK_NONE) {
        sink = sink_kind == SINK_ZERO ? (real)0 : (real)vkz_ref_in(ref, "sink")[row];
    }
    struct part *list = vkz_ref_temp(ref, (size_t)parts * sizeof(*list));
    real top = sink;
    for (int64_t x = 0; x < parts; x++) {
        list[x] = find_part(ref, form, row, x);
        if (list[x].divisor != 0 && list[x].top > top) {
            top = list[x].top;
        }
    }
    if (!(top > -(real)INFINITY)) {
        top = 0; // nothing but empty parts, or NaN
    }

    real *o = vkz_ref_temp(ref, (size_t)v_dim * sizeof(real));
    real *scale = vkz_ref_temp(ref, (size_t)v_dim * sizeof(real));
    real total = sink_kind == SINK_NONE ? (real)0 : exp(sink - top);
    for (int64_t x = 0; x < parts; x++) {
        if (list[x].divisor == 0) {
            continue; // an empty part counts for nothing, whatever its value holds
        }
        const real weight = exp(list[x].top - top);
        total += weight * list[x].divisor;
        for (int64_t c = 0; c < v_dim; c++) {
            const real term = weight * (real)list[x].value[c];
            o[c] += term;
            scale[c] += fabs(term);
        }
    }
    for (int64_t c = 0; c < v_dim && total != 0; c++) {
        o[c] /= total;
        scale[c] /= total;
    }
    score_store(vkz_ref_out(ref, "o"), o, v_dim);
    score_store(vkz_ref_scale(ref, "o"), scale, v_dim);
    const real lse = total == 0 ? -(real)INFINITY : top + log(total);
    const real lse_scale = isfinite(lse) && fabs(lse) > 1 ? fabs(lse) : (real)1;
    score_store(vkz_ref_out(ref, "lse"), &lse, 1);
    score_store(vkz_ref_scale(ref, "lse"), &lse_scale, 1);
}

static bool check_permute_parts(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t parts = vkz_identity_dim(run, "parts");
    const int64_t v_dim = vkz_identity_dim(run, "v_dim");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    reverse_rows(vkz_identity_float(run, two, "part"), rows, parts, v_dim + 2);
    reverse_rows(vkz_identity_float(run, two, "op_"), 1, parts, rows * v_dim);
    reverse_rows(vkz_identity_float(run, two, "lsep"), 1, parts, rows);
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"), rows * v_dim, 2) &&
           vkz_identity_equal(run, "lse", vkz_identity_output(run, one, "lse"),
                              vkz_identity_output(run, two, "lse"), rows, 4);
}

// Both forms of the same parts agree; o_k = O_k / l_k, lse_k = m_k + ln l_k. In f32 only,
// where the quotients round no more than the tolerance allows.
static bool check_forms(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t parts = vkz_identity_dim(run, "parts");
    const int64_t v_dim = vkz_identity_dim(run, "v_dim");
    struct vkz_data *raw = vkz_identity_inputs(run, "FORM=raw");
    struct vkz_data *normal = vkz_identity_inputs(run, "FORM=normalised");
    const float *part = vkz_identity_float(run, raw, "part");
    float *o = vkz_identity_float(run, normal, "op_");
    float *lse = vkz_identity_float(run, normal, "lsep");
    if (part == NULL || o == NULL || lse == NULL) {
        return false;
    }
    for (int64_t i = 0; i < rows * parts; i++) {
        const float *from = part + i * (v_dim + 2);
        const int64_t at = i % parts * rows + i / parts;
        const double l = (double)from[v_dim + 1];
        lse[at] = l == 0 ? -INFINITY : (float)((double)from[v_dim] + log(l));
        for (int64_t c = 0; c < v_dim; c++) {
            o[at * v_dim + c] = l == 0 ? 0 : (float)((double)from[c] / l);
        }
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, raw, "o"),
                              vkz_identity_output(run, normal, "o"), rows * v_dim, 6);
}

static const struct vkz_identity identities[] = {
    {"permute_parts", "reversing the parts changes nothing", "parts > 1",
     check_permute_parts},
    {"forms", "finished and unfinished sums of the same parts agree", NULL, check_forms},
    {0},
};

VKZ_OP(attention_merge) = {
    .name = "attention_merge",
    .family = "attention",
    .abi = 1,
    .title = "combine attention over disjoint sets of keys",
    .doc = "raw:        M = max_k m_k, L = Σ_k e^(m_k-M) l_k + e^(-M) sink'\n"
           "            o = Σ_k e^(m_k-M) O_k / L, lse = M + ln L\n"
           "normalised: the same with O_k = o_k, m_k = lse_k, l_k = 1\n"
           "\n"
           "sink' = 0 | 1 (zero) | exp(sink). A part with l = 0 (lse = -inf) is empty\n"
           "and counts for nothing; where all are and there is no sink, o = 0, lse =\n"
           "-inf. The second pass of attention_decode (flash-decoding, arXiv\n"
           "2307.08691).",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "3 * rows * parts * v_dim",
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .fill = fill,
    .bitwise = true,
};
