// SPDX-License-Identifier: MIT
// lora_attention_backward: gradients of the adapter of the queries, through attention.
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

enum { FORM_EXACT, FORM_TAYLOR };

static const struct vkz_dim dims[] = {
    {"len", "tokens", NULL},
    {"width", "of tokens, queries, keys and values", NULL},
    {"rank", "of the adapter", NULL},
    {"g", "degree of the polynomial, even: positive", "2"},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"s", "0.5", "alpha / rank"},
    {"tau", "1/sqrt(width)", "factor of the scores"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"FORM", "exact taylor", "exp, or its polynomial of degree g"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "len, width", NULL, "normal(1)", NULL},
    {"wq", VKZ_IN, "T", "width, width", NULL, "linear_w", NULL},
    {"wk", VKZ_IN, "T", "width, width", NULL, "linear_w", NULL},
    {"wv", VKZ_IN, "T", "width, width", NULL, "linear_w", NULL},
    {"a", VKZ_IN, "T", "rank, width", NULL, "linear_w", NULL},
    {"b", VKZ_IN, "T", "width, rank", NULL, "linear_w", NULL},
    {"do", VKZ_IN, "T", "len, width", NULL, "normal(1)", "gradient of the output"},
    {"da", VKZ_OUT, "f32", "rank, width", NULL, NULL, NULL},
    {"db", VKZ_OUT, "f32", "width, rank", NULL, NULL, NULL},
    {0},
};

// A value and the magnitude of its terms.
struct sum {
    real value, magnitude;
};

// to [rows, cols] = x [rows, inner] wᵀ, w [cols, inner].
static void product(int64_t rows, int64_t cols, int64_t inner, const float *x,
                    const float *w, struct sum *to)
{
    for (int64_t i = 0; i < rows * cols; i++) {
        for (int64_t c = 0; c < inner; c++) {
            const real term =
                (real)x[i / cols * inner + c] * (real)w[i % cols * inner + c];
            to[i].value += term;
            to[i].magnitude += fabs(term);
        }
    }
}

// Weights before they are divided by their sum.
static real weight_of(int form, int64_t degree, real score, real top)
{
    if (form == FORM_EXACT) {
        return exp(score - top);
    }
    real sum = 1; // Horner: 1 + s (1 + s/2 (1 + s/3 ...))
    for (int64_t d = degree; d > 0; d--) {
        sum = 1 + sum * score / (real)d;
    }
    return sum;
}

struct layer {
    int64_t len, width, degree;
    int form;
    real tau;
    const struct sum *q, *k, *v;
    const float *d_o;
};

// The gradient of one query.
static void query_gradient(const struct layer *l, int64_t i, real *p, struct sum *dp,
                           struct sum *dq)
{
    const int64_t width = l->width;
    real top = -3.0e38f, all = 0;
    for (int64_t j = 0; j < l->len; j++) {
        p[j] = 0;
        dp[j] = (struct sum){0, 0};
        for (int64_t c = 0; c < width; c++) {
            const struct sum v = l->v[j * width + c];
            const real d_o = (real)l->d_o[i * width + c];
            p[j] += l->tau * l->q[i * width + c].value * l->k[j * width + c].value;
            dp[j].value += d_o * v.value;
            dp[j].magnitude += fabs(d_o) * v.magnitude;
        }
        top = fmax(top, p[j]);
    }
    for (int64_t j = 0; j < l->len; j++) {
        p[j] = weight_of(l->form, l->degree, p[j], top);
        all += p[j];
    }
    struct sum delta = {0, 0};
    for (int64_t j = 0; j < l->len; j++) {
        p[j] /= all;
        delta.value += p[j] * dp[j].value;
        delta.magnitude += fabs(p[j]) * dp[j].magnitude;
    }
    for (int64_t j = 0; j < l->len; j++) {
        const real ds = l->tau * p[j] * (dp[j].value - delta.value);
        const real size = l->tau * fabs(p[j]) * (dp[j].magnitude + delta.magnitude);
        for (int64_t c = 0; c < width; c++) {
            dq[c].value += ds * l->k[j * width + c].value;
            dq[c].magnitude += size * l->k[j * width + c].magnitude;
        }
    }
}

static struct sum *temp(struct vkz_ref *ref, int64_t count)
{
    return vkz_ref_temp(ref, (size_t)count * sizeof(struct sum));
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // sums over all tokens
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "width");
    const int64_t rank = vkz_ref_dim(ref, "rank");
    const real s = (real)vkz_ref_value(ref, "s");
    const float *x = vkz_ref_in(ref, "x"), *b = vkz_ref_in(ref, "b");
    struct sum *q = temp(ref, len * width), *k = temp(ref, len * width);
    struct sum *v = temp(ref, len * width), *z = temp(ref, len * rank);
    product(len, width, width, x, vkz_ref_in(ref, "wq"), q);
    product(len, width, width, x, vkz_ref_in(ref, "wk"), k);
    product(len, width, width, x, vkz_ref_in(ref, "wv"), v);
    product(len, rank, width, x, vkz_ref_in(ref, "a"), z);
    for (int64_t i = 0; i < len * width; i++) {
        for (int64_t j = 0; j < rank; j++) {
            const real term = s * (real)b[i % width * rank + j];
            q[i].value += term * z[i / width * rank + j].value;
        }
    }
    const struct layer l = {
        .len = len,
        .width = width,
        .degree = vkz_ref_dim(ref, "g"),
        .form = (int)vkz_ref_dim(ref, "FORM"),
        .tau = (real)vkz_ref_value(ref, "tau"),
        .q = q,
        .k = k,
        .v = v,
        .d_o = vkz_ref_in(ref, "do"),
    };
    struct sum *da = temp(ref, rank * width), *db = temp(ref, rank * width);
    real *p = vkz_ref_temp(ref, (size_t)len * sizeof(real));
    struct sum *dp = temp(ref, len), *dq = temp(ref, width);
    for (int64_t t = 0; t < len; t++) {
        memset(dq, 0, (size_t)width * sizeof *dq);
        query_gradient(&l, t, p, dp, dq);
        for (int64_t j = 0; j < rank; j++) {
            struct sum dz = {0, 0};
            for (int64_t o = 0; o < width; o++) {
                const real factor = s * (real)b[o * rank + j];
                dz.value += factor * dq[o].value;
                dz.magnitude += fabs(factor) * dq[o].magnitude;
                const struct sum own = z[t * rank + j];
                db[o * rank + j].value += s * own.value * dq[o].value;
                db[o * rank + j].magnitude += fabs(s) * own.magnitude * dq[o].magnitude;
            }
            for (int64_t c = 0; c < width; c++) {
                const real own = (real)x[t * width + c];
                da[j * width + c].value += dz.value * own;
                da[j * width + c].magnitude += dz.magnitude * fabs(own);
            }
        }
    }
    for (int64_t i = 0; i < rank * width; i++) {
        vkz_ref_out(ref, "da")[i] = (double)da[i].value;
        vkz_ref_scale(ref, "da")[i] = (double)da[i].magnitude;
        vkz_ref_out(ref, "db")[i] = (double)db[i].value;
        vkz_ref_scale(ref, "db")[i] = (double)db[i].magnitude;
    }
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"do", NULL};
    static const char *const outputs[] = {"da", "db", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

// Scaling a and unscaling b leaves the layer: sum a da = sum b db.
static bool check_same_degree(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"a", "b"}, *const gradients[] = {"da", "db"};
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    double *sums = vkz_identity_temp(run, 4); // a sum, and the size of what cancels
    for (int i = 0; i < 2; i++) {
        const float *value = vkz_identity_float(run, data, inputs[i]);
        const double *gradient = vkz_identity_output(run, data, gradients[i]);
        if (value == NULL || gradient == NULL || sums == NULL) {
            return false;
        }
        for (int64_t j = 0; j < vkz_identity_count(data, inputs[i]); j++) {
            sums[2 * i] += (double)value[j] * gradient[j];
            sums[1] += fabs((double)value[j] * gradient[j]);
        }
    }
    sums[3] = sums[1];
    return vkz_identity_equal(run, "da", sums, sums + 2, 2, 2);
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling do doubles both gradients", NULL, check_linear},
    {"same_degree", "sum a da = sum b db", NULL, check_same_degree},
    {0},
};

VKZ_OP(lora_attention_backward) = {
    .name = "lora_attention_backward",
    .family = "lora",
    .abi = 1,
    .title = "gradients of a low-rank adapter of the queries inside attention",
    .doc = "z = X Aᵀ,  Q = X Wqᵀ + s z Bᵀ,  K = X Wkᵀ,  V = X Wvᵀ\n"
           "P = f(τ Q Kᵀ), rows divided by their sums;  dS = P ∘ (dO Vᵀ - Σ P ∘ dO Vᵀ)\n"
           "dQ = τ dS K,  dA = s (dQ B)ᵀ X,  dB = s dQᵀ z\n"
           "\n"
           "exact: f = exp. taylor: f = Σ_{d<=g} x^d / d!, the product of all monomials\n"
           "of queries and keys up to degree g, and the same gradient with that P.\n"
           "Computational limits of LoRA fine-tuning, arXiv 2406.03136.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "g % 2 == 0 || FORM == FORM.exact",
    .valid_reason = "a polynomial of odd degree has zeros",
    .flops = "6*len*width*width + 6*len*len*width + 10*len*width*rank",
    .sum_length = "len + width",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
