// SPDX-License-Identifier: MIT
// lstm_backward: gradients of lstm through time, from what its cache holds.
#include <string.h>

#include "ops/linear/lstm.h"

static const struct vkz_dim dims[] = {LSTM_DIMS, {0}};
static const struct vkz_axis axes[] = {LSTM_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    {"cache", VKZ_IN, "f32", "batch, len, " LSTM_KEPT " * hid", NULL, "forward",
     "what lstm with CACHE=on wrote"},
    LSTM_TENSOR_WH,
    LSTM_TENSORS_STATE,
    {"dy", VKZ_IN, "T", "batch, len, hid", NULL, "normal(1)", "gradient of y"},
    {"dht", VKZ_IN, "f32", "batch, hid", NULL, "normal(1)", "gradient of ht"},
    {"dct", VKZ_IN, "f32", "batch, hid", LSTM_IS_LSTM, "normal(1)", "gradient of ct"},
    {"dgx", VKZ_OUT, "T", "batch, len, " LSTM_GATES " * hid", NULL, NULL,
     "0 past the end"},
    {"dwh", VKZ_OUT, "T", LSTM_GATES " * hid, hid", NULL, NULL, NULL},
    {"dbh", VKZ_OUT, "f32", LSTM_GATES " * hid", LSTM_IS_GRU, NULL, NULL},
    {"dh0", VKZ_OUT, "f32", "batch, hid", NULL, NULL, NULL},
    {"dc0", VKZ_OUT, "f32", "batch, hid", LSTM_IS_LSTM, NULL, NULL},
    {0},
};

// One sequence on its way back.
struct walk {
    int kind;
    int64_t hid;
    real *dh, *dc; // gradients of the state after the token at hand
    real *before;  // h before it
    real *da;      // of what the recurrent product and its bias give
    real *dx;      // of gx
};

// The cells of one token. `kept` is its cache, `kept0` that of the token before it, with
// c0 in place of one before the first.
static void cells(struct walk *w, const float *kept, const float *c_before)
{
    const int64_t hid = w->hid;
    for (int64_t j = 0; j < hid; j++) {
        const real dh = w->dh[j], one = 1;
        if (w->kind == CELL_LSTM) {
            const real i = (real)kept[j], f = (real)kept[hid + j];
            const real g = (real)kept[2 * hid + j], o = (real)kept[3 * hid + j];
            const real out = tanh((real)kept[4 * hid + j]);
            const real dc = w->dc[j] + dh * o * (one - out * out);
            w->da[j] = dc * g * i * (one - i);
            w->da[hid + j] = dc * (real)c_before[j] * f * (one - f);
            w->da[2 * hid + j] = dc * i * (one - g * g);
            w->da[3 * hid + j] = dh * out * o * (one - o);
            w->dc[j] = dc * f;
            w->dh[j] = 0;
        } else if (w->kind == CELL_GRU) {
            const real r = (real)kept[j], z = (real)kept[hid + j];
            const real n = (real)kept[2 * hid + j], u = (real)kept[3 * hid + j];
            const real dn = dh * (one - z) * (one - n * n);
            w->da[j] = dn * u * r * (one - r);
            w->da[hid + j] = dh * (w->before[j] - n) * z * (one - z);
            w->da[2 * hid + j] = dn * r;
            w->dx[2 * hid + j] = dn;
            w->dh[j] = dh * z;
        } else {
            const real h = (real)kept[j];
            w->da[j] = dh * (one - h * h);
            w->dh[j] = 0;
        }
    }
}

static void h_of(const struct walk *w, const float *kept, real *h)
{
    const int64_t hid = w->hid;
    for (int64_t j = 0; j < hid; j++) {
        h[j] = w->kind == CELL_LSTM ? (real)kept[3 * hid + j] * tanh((real)kept[4 * hid + j])
               : w->kind == CELL_GRU ? (real)kept[4 * hid + j]
                                     : (real)kept[j];
    }
}

struct sums {
    real *dwh, *dwh_size, *dbh, *dbh_size;
};

// Back through the product: dh += da Wh, dWh += daᵀ h, dbh += da.
static void product(struct walk *w, const float *wh, const struct sums *sums)
{
    const int64_t rows = lstm_gates(w->kind) * w->hid;
    for (int64_t row = 0; row < rows; row++) {
        const real da = w->da[row];
        sums->dbh[row] += da;
        sums->dbh_size[row] += fabs(da);
        for (int64_t k = 0; k < w->hid; k++) {
            const int64_t at = row * w->hid + k;
            w->dh[k] += da * (real)wh[at];
            sums->dwh[at] += da * w->before[k];
            sums->dwh_size[at] += fabs(da * w->before[k]);
        }
    }
}

static void sequence(struct vkz_ref *ref, int64_t b, struct walk *w, const struct sums *sums,
                     double *dgx)
{
    const int64_t len = vkz_ref_dim(ref, "len"), hid = w->hid;
    const int64_t gates = lstm_gates(w->kind) * hid, kept_count = lstm_kept(w->kind) * hid;
    const float *cache = vkz_ref_in(ref, "cache") + b * len * kept_count;
    const float *dy = vkz_ref_in(ref, "dy") + b * len * hid;
    const float *h0 = vkz_ref_in(ref, "h0") + b * hid, *c0 = vkz_ref_in(ref, "c0");
    const int64_t valid = lstm_valid(ref, b);
    memset(dgx, 0, (size_t)(len * gates) * sizeof *dgx);
    for (int64_t s = valid - 1; s >= 0; s--) {
        const int64_t t = lstm_token(ref, valid, s);
        const float *last = s > 0 ? cache + lstm_token(ref, valid, s - 1) * kept_count : NULL;
        const float *c_before = last != NULL ? last + 4 * hid
                                : c0 != NULL ? c0 + b * hid
                                             : NULL;
        for (int64_t j = 0; j < hid; j++) {
            w->dh[j] += (real)dy[t * hid + j];
            w->before[j] = (real)h0[j];
        }
        if (last != NULL) {
            h_of(w, last, w->before);
        }
        cells(w, cache + t * kept_count, c_before);
        for (int64_t i = 0; i < gates; i++) {
            const bool own = w->kind == CELL_GRU && i >= 2 * hid;
            dgx[t * gates + i] = (double)(own ? w->dx[i] : w->da[i]);
        }
        product(w, vkz_ref_in(ref, "wh"), sums);
    }
}

static void store(double *out, const real *values, int64_t count)
{
    for (int64_t i = 0; out != NULL && i < count; i++) {
        out[i] = (double)values[i];
    }
}

static real *temp(struct vkz_ref *ref, int64_t count)
{
    return vkz_ref_temp(ref, (size_t)count * sizeof(real));
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // dwh is a sum over all sequences
    const int kind = (int)vkz_ref_dim(ref, "CELL");
    const int64_t batch = vkz_ref_dim(ref, "batch"), len = vkz_ref_dim(ref, "len");
    const int64_t hid = vkz_ref_dim(ref, "hid"), gates = lstm_gates(kind) * hid;
    const float *dht = vkz_ref_in(ref, "dht"), *dct = vkz_ref_in(ref, "dct");
    double *dh0 = vkz_ref_out(ref, "dh0"), *dc0 = vkz_ref_out(ref, "dc0");
    const struct sums sums = {
        .dwh = temp(ref, gates * hid),
        .dwh_size = temp(ref, gates * hid),
        .dbh = temp(ref, gates),
        .dbh_size = temp(ref, gates),
    };
    struct walk w = {
        .kind = kind,
        .hid = hid,
        .dh = temp(ref, hid),
        .dc = temp(ref, hid),
        .before = temp(ref, hid),
        .da = temp(ref, gates),
        .dx = temp(ref, gates),
    };
    for (int64_t b = 0; b < batch; b++) {
        for (int64_t j = 0; j < hid; j++) {
            w.dh[j] = (real)dht[b * hid + j];
            w.dc[j] = dct != NULL ? (real)dct[b * hid + j] : (real)0;
        }
        sequence(ref, b, &w, &sums, vkz_ref_out(ref, "dgx") + b * len * gates);
        store(dh0 + b * hid, w.dh, hid);
        store(dc0 != NULL ? dc0 + b * hid : NULL, w.dc, hid);
    }
    store(vkz_ref_out(ref, "dwh"), sums.dwh, gates * hid);
    store(vkz_ref_scale(ref, "dwh"), sums.dwh_size, gates * hid);
    store(vkz_ref_out(ref, "dbh"), sums.dbh, gates);
    store(vkz_ref_scale(ref, "dbh"), sums.dbh_size, gates);
}

static bool check_linear(struct vkz_identity_run *run)
{
    static const char *const inputs[] = {"dy", "dht", "dct", NULL};
    static const char *const outputs[] = {"dgx", "dwh", "dh0", NULL};
    return vkz_identity_linear(run, inputs, outputs);
}

static const struct vkz_identity identities[] = {
    {"linear", "doubling dy, dht and dct doubles every gradient", NULL, check_linear},
    {0},
};

VKZ_OP(lstm_backward) = {
    .name = "lstm_backward",
    .family = "linear",
    .abi = 1,
    .forward = "lstm",
    .title = "gradients of lstm through time",
    .doc = LSTM_EQUATIONS
           "\n"
           "lstm: dc += dh o (1 - tanh² c);  da_i = dc g i (1 - i);  da_f = dc c' f (1 - f)\n"
           "      da_g = dc i (1 - g²);  da_o = dh tanh c o (1 - o);  dc ← dc f\n"
           "dgx = da;  dWh += daᵀ h';  dh ← da Wh + dy of the token before\n"
           "h' and c' are the state before the token; gru and tanh by the same rule.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .valid = "CACHE == CACHE.on",
    .valid_reason = "the gradient reads the cache: CACHE=on",
    .flops = "4 * batch * len * " LSTM_GATES " * hid * hid",
    .sum_length = "len",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "1",
    .reference = reference,
    .fill = lstm_fill,
    .identities = identities,
    .bitwise = true,
};
