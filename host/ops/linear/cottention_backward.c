// SPDX-License-Identifier: MIT
// cottention_backward: gradients of cosine linear attention, contract and reference.
#include "ops/linear/cottention.h"

static const struct vkz_dim dims[] = {VKZ_COTTENTION_DIMS, {0}};

static const struct vkz_axis axes[] = {VKZ_COTTENTION_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    VKZ_COTTENTION_TENSORS,
    {"do", VKZ_IN, "T", "batch, heads, len, v_dim", NULL, "normal(1)", "gradient of o"},
    {"dq", VKZ_OUT, "T", "batch, heads, len, head_dim", NULL, NULL, "gradient of q"},
    {"dk", VKZ_OUT, "T", "batch, heads, len, head_dim", NULL, NULL, "gradient of k"},
    {"dv_", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL, "gradient of v"},
    {"dm", VKZ_OUT, "f32", "heads", NULL, NULL, "gradient of m, summed over the batch"},
    {0},
};

// From the gradient of a row of length 1 to that of the row: (dx^ - x^ (x^·dx^)) / |x|.
static void normalise_back(const real *unit, real norm, const real *d, const real *size,
                           int64_t width, double *out, double *scale)
{
    real along = 0, along_size = 0;
    for (int64_t c = 0; c < width; c++) {
        along += unit[c] * d[c];
        along_size += fabs(unit[c]) * size[c];
    }
    for (int64_t c = 0; c < width; c++) {
        out[c] = norm == 0 ? 0 : (double)((d[c] - unit[c] * along) / norm);
        scale[c] = norm == 0 ? 0
                             : (double)((size[c] + fabs(unit[c]) * along_size) / norm);
    }
}

struct gradients {
    double *dq, *dk, *dv_, *dq_scale, *dk_scale, *dv_scale;
};

// By pairs: token t sees s.
static void sequence_backward(struct vkz_ref *ref, int64_t unit,
                              const struct gradients *to, double *dm, double *dm_scale)
{
    const struct cosine x = cosine_begin(ref, unit);
    const int64_t d = x.head_dim, dv = x.v_dim;
    const float *d_o = vkz_ref_in(ref, "do") + unit * x.len * dv;
    const size_t keys = (size_t)(x.len * d) * sizeof(real);
    const size_t values = (size_t)(x.len * dv) * sizeof(real);
    real *dq = vkz_ref_temp(ref, keys), *dq_size = vkz_ref_temp(ref, keys);
    real *dk = vkz_ref_temp(ref, keys), *dk_size = vkz_ref_temp(ref, keys);
    real *dx = vkz_ref_temp(ref, values), *dx_size = vkz_ref_temp(ref, values);
    for (int64_t t = 0; t < x.len; t++) {
        for (int64_t s = 0; s < (x.causal ? t + 1 : x.len); s++) {
            real score = 0, score_size = 0, a = 0, a_size = 0;
            for (int64_t c = 0; c < d; c++) {
                score += x.q[t * d + c] * x.k[s * d + c];
                score_size += fabs(x.q[t * d + c] * x.k[s * d + c]);
            }
            for (int64_t j = 0; j < dv; j++) {
                const real y = (real)d_o[t * dv + j];
                a += y * x.v[s * dv + j];
                a_size += fabs(y * x.v[s * dv + j]);
                dx[s * dv + j] += score * y;
                dx_size[s * dv + j] += score_size * fabs(y);
            }
            for (int64_t c = 0; c < d; c++) {
                dq[t * d + c] += a * x.k[s * d + c];
                dq_size[t * d + c] += a_size * fabs(x.k[s * d + c]);
                dk[s * d + c] += a * x.q[t * d + c];
                dk_size[s * d + c] += a_size * fabs(x.q[t * d + c]);
            }
        }
    }
    for (int64_t t = 0; t < x.len; t++) {
        const real count = cosine_count(&x, t), n = pow(count, x.power);
        real sum = 0, size = 0;
        for (int64_t j = 0; j < dv; j++) {
            const int64_t i = t * dv + j;
            to->dv_[i] = (double)(dx[i] / n);
            to->dv_scale[i] = (double)(dx_size[i] / n);
            sum += dx[i] * x.v[i];
            size += dx_size[i] * fabs(x.v[i]);
        }
        const real slope = x.power * (1 - x.power) * log(count);
        *dm -= (double)(slope * sum);
        *dm_scale += (double)(slope * size);
        normalise_back(x.q + t * d, x.q_norm[t], dq + t * d, dq_size + t * d, d,
                       to->dq + t * d, to->dq_scale + t * d);
        normalise_back(x.k + t * d, x.k_norm[t], dk + t * d, dk_size + t * d, d,
                       to->dk + t * d, to->dk_scale + t * d);
    }
}

// dm is a sum over the batch: a unit is a head, or with several batches everything.
static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t heads = vkz_ref_dim(ref, "heads"), batch = vkz_ref_dim(ref, "batch");
    const int64_t sequences = batch == 1 ? 1 : batch * heads;
    const int64_t sums = batch == 1 ? 1 : heads;
    const int64_t keys = vkz_ref_dim(ref, "len") * vkz_ref_dim(ref, "head_dim");
    const int64_t values = vkz_ref_dim(ref, "len") * vkz_ref_dim(ref, "v_dim");
    double *dm = vkz_ref_out(ref, "dm"), *dm_scale = vkz_ref_scale(ref, "dm");
    for (int64_t i = 0; i < sums; i++) {
        dm[i] = dm_scale[i] = 0;
    }
    for (int64_t i = 0; i < sequences; i++) {
        const struct gradients to = {
            .dq = vkz_ref_out(ref, "dq") + i * keys,
            .dk = vkz_ref_out(ref, "dk") + i * keys,
            .dv_ = vkz_ref_out(ref, "dv_") + i * values,
            .dq_scale = vkz_ref_scale(ref, "dq") + i * keys,
            .dk_scale = vkz_ref_scale(ref, "dk") + i * keys,
            .dv_scale = vkz_ref_scale(ref, "dv_") + i * values,
        };
        sequence_backward(ref, unit + i, &to, dm + i % sums, dm_scale + i % sums);
    }
}

// A row's gradient is orthogonal to it: its length does not matter.
static bool check_orthogonal(struct vkz_identity_run *run)
{
    const int64_t width = vkz_identity_dim(run, "head_dim");
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const float *q = vkz_identity_float(run, data, "q");
    const double *dq = vkz_identity_output(run, data, "dq");
    const int64_t count = vkz_identity_count(data, "q"), rows = count / width;
    // One more than the rows: the size that what cancels has, on both sides.
    double *sum = vkz_identity_temp(run, rows + 1);
    double *zero = vkz_identity_temp(run, rows + 1);
    if (q == NULL || dq == NULL || sum == NULL || zero == NULL) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        const double x = (double)q[i] * dq[i];
        sum[i / width] += x;
        sum[rows] = fmax(sum[rows], fabs(x));
    }
    zero[rows] = sum[rows];
    return vkz_identity_equal(run, "dq", sum, zero, rows + 1, 8);
}

static const struct vkz_identity identities[] = {
    {"orthogonal", "q·dq = 0 in every row", NULL, check_orthogonal},
    RECURRENCE_GRADIENTS,
    {0},
};

VKZ_OP(cottention_backward) = {
    .name = "cottention_backward",
    .family = "linear",
    .abi = 1,
    .title = "gradients of cosine linear attention",
    .doc = "With dq^, dk^, dv' of linear attention of (q^, k^, v'):\n"
           "dv = dv' / n^σ(m);  dm = -σ(m)(1 - σ(m)) Σ_s ln n_s (dv'_s·v'_s);\n"
           "dx = (dx^ - x^ (x^·dx^)) / |x|, 0 where x is 0.\n"
           "\n"
           "Cottention arXiv 2409.18747.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "10 * batch * heads * len * head_dim * v_dim",
    .sum_length = "len",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch == 1 ? heads : 1",
    .sampled = true,
    .reference = reference,
    .identities = identities,
    .forward = "cottention",
    .bitwise = true,
};
