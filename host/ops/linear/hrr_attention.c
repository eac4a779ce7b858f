// SPDX-License-Identifier: MIT
// hrr_attention: attention by binding keys to values in holographic reduced form.
#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"heads", "heads", NULL},
    {"len", "tokens of a sequence", NULL},
    {"head_dim", "width of a query, key and value", NULL},
    {0},
};

static const struct vkz_axis axes[] = {
    {"INVERSE", "involution exact", "how the query is inverted"},
    {"MASK", "none lens", "lens: sequences have their own lengths"},
    {0},
};

#define ROWS "batch, heads, len, head_dim"
static const struct vkz_tensor tensors[] = {
    {"q", VKZ_IN, "T", ROWS, NULL, "normal(1/sqrt(head_dim))", "queries"},
    {"k", VKZ_IN, "T", ROWS, NULL, "normal(1/sqrt(head_dim))", "keys"},
    {"v", VKZ_IN, "T", ROWS, NULL, "normal(1/sqrt(head_dim))", "values"},
    {"lens", VKZ_IN, "i32", "batch", "MASK == MASK.lens", "op", "tokens that count"},
    {"o", VKZ_OUT, "T", ROWS, NULL, NULL, "values by their weight; 0 past the end"},
    {0},
};

// One sequence is whole, one empty, one a single token; the rest are of any length.
// q for INVERSE=exact ("op" as its fill): an all-pass filter, a pure shift of either sign.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    const int64_t len = (int64_t)vkz_fill_value(fill, "len");
    const int64_t width = (int64_t)vkz_fill_value(fill, "head_dim");
    const int64_t count = vkz_fill_count(fill);
    if (tensor[0] == 'l') {
        int32_t *lens = vkz_fill_int(fill);
        for (int64_t i = 0; i < count; i++) {
            const double u = vkz_fill_uniform(fill, (uint64_t)i);
            const int64_t any = (int64_t)(u * (double)(len + 1));
            lens[i] = (int32_t)(i % 4 == 0 ? len : i % 4 == 1 ? 0 : i % 4 == 2 ? 1 : any);
        }
        return;
    }
    float *values = vkz_fill_float(fill);
    for (int64_t row = 0; row < count / width; row++) {
        const double u = vkz_fill_uniform(fill, (uint64_t)row);
        const int64_t at = (int64_t)(u * (double)width);
        for (int64_t c = 0; c < width; c++) {
            values[row * width + c] = c != at % width ? 0 : row % 2 == 0 ? 1 : -1;
        }
    }
}

struct spectrum {
    real *re, *im;
};

static struct spectrum new_spectrum(struct vkz_ref *ref, int64_t width)
{
    const size_t size = (size_t)width * sizeof(real);
    return (struct spectrum){vkz_ref_temp(ref, size), vkz_ref_temp(ref, size)};
}

// The discrete Fourier transform of a row, by its definition.
static void transform(const real *x, int64_t width, const real *turn, struct spectrum *to)
{
    for (int64_t f = 0; f < width; f++) {
        to->re[f] = to->im[f] = 0;
        for (int64_t n = 0; n < width; n++) {
            const int64_t at = f * n % width;
            to->re[f] += x[n] * turn[2 * at];
            to->im[f] -= x[n] * turn[2 * at + 1];
        }
    }
}

// β unbound by q†: correlation with q, or the quotient of the spectra.
static void unbind(const real *q, const struct spectrum *bound, const real *beta,
                   bool exact, int64_t width, const real *turn, struct spectrum *work,
                   real *out)
{
    if (!exact) {
        for (int64_t n = 0; n < width; n++) {
            real sum = 0;
            for (int64_t m = 0; m < width; m++) {
                sum += q[m] * beta[(n + m) % width];
            }
            out[n] = sum;
        }
        return;
    }
    transform(q, width, turn, work);
    for (int64_t f = 0; f < width; f++) {
        const real size = work->re[f] * work->re[f] + work->im[f] * work->im[f];
        const real re = bound->re[f] * work->re[f] + bound->im[f] * work->im[f];
        const real im = bound->im[f] * work->re[f] - bound->re[f] * work->im[f];
        work->re[f] = re / size;
        work->im[f] = im / size;
    }
    for (int64_t n = 0; n < width; n++) {
        real sum = 0;
        for (int64_t f = 0; f < width; f++) {
            const int64_t at = f * n % width;
            sum += work->re[f] * turn[2 * at] - work->im[f] * turn[2 * at + 1];
        }
        out[n] = sum / (real)width;
    }
}

static real *turns(struct vkz_ref *ref, int64_t width)
{
    real *turn = vkz_ref_temp(ref, (size_t)(2 * width) * sizeof(real));
    for (int64_t i = 0; i < width; i++) {
        const double angle = 6.28318530717958647693 * (double)i / (double)width;
        turn[2 * i] = (real)(double)cos(angle);
        turn[2 * i + 1] = (real)(double)sin(angle);
    }
    return turn;
}

static void reference(struct vkz_ref *ref, int64_t head)
{
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "head_dim");
    const int64_t base = head * len * width;
    const float *q = vkz_ref_in(ref, "q") + base, *k = vkz_ref_in(ref, "k") + base;
    const float *v = vkz_ref_in(ref, "v") + base;
    const int32_t *lens = vkz_ref_in_int(ref, "lens");
    const int64_t valid = vkz_ref_dim(ref, "MASK") != 0
                              ? lens[head / vkz_ref_dim(ref, "heads")]
                              : len;
    const bool exact = vkz_ref_dim(ref, "INVERSE") != 0;
    double *o = vkz_ref_out(ref, "o"), *scale = vkz_ref_scale(ref, "o");
    const real *turn = turns(ref, width);
    real *beta = vkz_ref_temp(ref, (size_t)width * sizeof(real));
    real *row = vkz_ref_temp(ref, (size_t)width * sizeof(real));
    real *found = vkz_ref_temp(ref, (size_t)width * sizeof(real));
    real *weight = vkz_ref_temp(ref, (size_t)len * sizeof(real));
    // A cosine's error, and so its weight's, is that of the sum of |terms| in v·v̂.
    real *magnitude = vkz_ref_temp(ref, (size_t)len * sizeof(real));
    for (int64_t t = 0; t < valid; t++) {
        for (int64_t n = 0; n < width; n++) {
            for (int64_t m = 0; m < width; m++) {
                beta[n] += (real)k[t * width + m] *
                           (real)v[t * width + (n - m + width) % width];
            }
        }
    }
    struct spectrum bound = new_spectrum(ref, width), work = new_spectrum(ref, width);
    if (exact) {
        transform(beta, width, turn, &bound);
    }
    real total = 0;
    for (int64_t t = 0; t < valid; t++) {
        real dot = 0, terms = 0, square = 0, own = 0;
        for (int64_t c = 0; c < width; c++) {
            row[c] = (real)q[t * width + c];
        }
        unbind(row, &bound, beta, exact, width, turn, &work, found);
        for (int64_t c = 0; c < width; c++) {
            const real x = (real)v[t * width + c];
            dot += x * found[c];
            terms += fabs(x * found[c]);
            square += found[c] * found[c];
            own += x * x;
        }
        const real least = (real)1e-8;
        const real size = (sqrt(own) + least) * (sqrt(square) + least);
        const real cosine = dot / size;
        magnitude[t] = (real)1 + terms / size;
        weight[t] = exp(cosine - (real)1);
        total += weight[t];
    }
    for (int64_t i = 0; i < len * width; i++) {
        const bool counts = i / width < valid;
        const real x = counts ? weight[i / width] / total * (real)v[i] : (real)0;
        o[i] = (double)x;
        scale[i] = (double)(counts ? magnitude[i / width] * fabs(x) : (real)0);
    }
}

// Tokens in opposite order give the outputs in opposite order.
static bool check_permute_tokens(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"q", "k", "v"};
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t width = vkz_identity_dim(run, "head_dim");
    struct vkz_data *one = vkz_identity_inputs(run, "MASK=none");
    struct vkz_data *two = vkz_identity_inputs(run, "MASK=none");
    const int64_t count = vkz_identity_count(one, "o");
    for (int x = 0; x < 3; x++) {
        const float *from = vkz_identity_float(run, one, inputs[x]);
        float *to = vkz_identity_float(run, two, inputs[x]);
        for (int64_t i = 0; from != NULL && to != NULL && i < count; i++) {
            const int64_t head = i / (len * width), t = i / width % len;
            to[i] = from[(head * len + len - 1 - t) * width + i % width];
        }
    }
    const double *o = vkz_identity_output(run, one, "o");
    double *turned = vkz_identity_temp(run, count);
    for (int64_t i = 0; o != NULL && turned != NULL && i < count; i++) {
        const int64_t head = i / (len * width), t = i / width % len;
        turned[i] = o[(head * len + len - 1 - t) * width + i % width];
    }
    return vkz_identity_equal(run, "o", turned, vkz_identity_output(run, two, "o"), count,
                              2);
}

// The weights of a head add up to 1: Σ_t |o_t| / |v_t|.
static bool check_weights(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, "MASK=none fill.v=uniform(1,2)");
    const int64_t len = vkz_identity_dim(run, "len");
    const int64_t width = vkz_identity_dim(run, "head_dim");
    const int64_t count = vkz_identity_count(data, "o"), rows = count / width;
    const float *v = vkz_identity_float(run, data, "v");
    const double *o = vkz_identity_output(run, data, "o");
    double *sum = vkz_identity_temp(run, rows / len);
    double *one = vkz_identity_temp(run, rows / len);
    for (int64_t i = 0; v != NULL && o != NULL && one != NULL && i < rows; i++) {
        sum[i / len] += o[i * width] / (double)v[i * width];
        one[i / len] = 1;
    }
    return vkz_identity_equal(run, "o", sum, one, rows / len, 4);
}

// Where |F(q)| = 1 both inverses are the same.
static bool check_inverses(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "INVERSE=involution fill.q=op");
    struct vkz_data *two = vkz_identity_inputs(run, "INVERSE=exact fill.q=op");
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 4);
}

static const struct vkz_identity identities[] = {
    {"permute_tokens", "reversing the tokens reverses the outputs", NULL,
     check_permute_tokens},
    {"weights", "the weights of a head add up to 1", NULL, check_weights},
    {"inverses", "for a query whose spectrum has size 1, exact is the involution", NULL,
     check_inverses},
    {0},
};

VKZ_OP(hrr_attention) = {
    .name = "hrr_attention",
    .family = "linear",
    .abi = 1,
    .title = "attention by binding keys to values in holographic reduced form",
    .doc = "β = Σ_t k_t ⊛ v_t;  v̂_t = q_t† ⊛ β;  a_t = cos(v_t, v̂_t)\n"
           "w = softmax_t(a);  o_t = w_t v_t       ⊛ is the circular convolution\n"
           "\n"
           "involution: q† = (q_0, q_{d-1}, ..., q_1), so v̂_n = Σ_m q_m β_{n+m}; exact:\n"
           "the spectrum of q† is 1 over that of q (for spectra away from 0). The norms in\n"
           "cos are ‖·‖ + 1e-8. MASK=lens: tokens past lens take no part, their o is 0.\n"
           "Hrrformer, arXiv 2305.19534.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "batch * heads * len * head_dim * (15 * log2(head_dim) + 8)",
    .tolerance = VKZ_TOL_ATTN,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
