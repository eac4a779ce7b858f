// SPDX-License-Identifier: MIT
// lstm: LSTM, GRU or plain recurrent cell over a sequence, contract and reference.
#include <stdio.h>
#include <string.h>

#include "ops/linear/lstm.h"

static const struct vkz_dim dims[] = {LSTM_DIMS, {0}};
static const struct vkz_axis axes[] = {LSTM_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    {"gx", VKZ_IN, "T", "batch, len, " LSTM_GATES " * hid", NULL, "normal(1)",
     "the input's part of the gates: x Wxᵀ + bias"},
    LSTM_TENSOR_WH,
    {"bh", VKZ_IN, "f32", LSTM_GATES " * hid", LSTM_IS_GRU, "normal(0.5)",
     "recurrent bias"},
    LSTM_TENSORS_STATE,
    {"y", VKZ_OUT, "T", "batch, len, hid", NULL, NULL, "h of every token; 0 past the end"},
    {"ht", VKZ_OUT, "f32", "batch, hid", NULL, NULL, "state after the last"},
    {"ct", VKZ_OUT, "f32", "batch, hid", LSTM_IS_LSTM, NULL, "cell after the last"},
    {"cache", VKZ_OUT, "f32", "batch, len, " LSTM_KEPT " * hid", "CACHE == CACHE.on", NULL,
     "i, f, g, o, c; or r, z, n, h Wh_nᵀ + bh_n, h; or h. 0 past the end"},
    {0},
};

struct cell {
    int kind;
    int64_t hid;
    const float *wh, *bh;
    real *h, *c, *a; // state, cell, h Whᵀ + bh
};

// One token; `kept` gets what the cache holds.
static void step(struct cell *cell, const float *gx, real *kept)
{
    const int64_t hid = cell->hid;
    for (int64_t row = 0; row < lstm_gates(cell->kind) * hid; row++) {
        real sum = cell->bh != NULL ? (real)cell->bh[row] : (real)0;
        for (int64_t k = 0; k < hid; k++) {
            sum += cell->h[k] * (real)cell->wh[row * hid + k];
        }
        cell->a[row] = sum;
    }
    for (int64_t j = 0; j < hid; j++) {
        const real *a = cell->a + j;
        const float *x = gx + j;
        if (cell->kind == CELL_LSTM) {
            const real i = lstm_sigma((real)x[0] + a[0]);
            const real f = lstm_sigma((real)x[hid] + a[hid]);
            const real g = tanh((real)x[2 * hid] + a[2 * hid]);
            const real o = lstm_sigma((real)x[3 * hid] + a[3 * hid]);
            cell->c[j] = f * cell->c[j] + i * g;
            cell->h[j] = o * tanh(cell->c[j]);
            kept[j] = i;
            kept[hid + j] = f;
            kept[2 * hid + j] = g;
            kept[3 * hid + j] = o;
            kept[4 * hid + j] = cell->c[j];
        } else if (cell->kind == CELL_GRU) {
            const real r = lstm_sigma((real)x[0] + a[0]);
            const real z = lstm_sigma((real)x[hid] + a[hid]);
            const real n = tanh((real)x[2 * hid] + r * a[2 * hid]);
            cell->h[j] = ((real)1 - z) * n + z * cell->h[j];
            kept[j] = r;
            kept[hid + j] = z;
            kept[2 * hid + j] = n;
            kept[3 * hid + j] = a[2 * hid];
            kept[4 * hid + j] = cell->h[j];
        } else {
            cell->h[j] = tanh((real)x[0] + a[0]);
            kept[j] = cell->h[j];
        }
    }
}

static void store(double *out, const real *values, int64_t count)
{
    for (int64_t i = 0; out != NULL && i < count; i++) {
        out[i] = (double)values[i];
    }
}

static void reference(struct vkz_ref *ref, int64_t b)
{
    const int kind = (int)vkz_ref_dim(ref, "CELL");
    const int64_t len = vkz_ref_dim(ref, "len"), hid = vkz_ref_dim(ref, "hid");
    const int64_t gates = lstm_gates(kind) * hid, kept_count = lstm_kept(kind) * hid;
    const float *h0 = vkz_ref_in(ref, "h0"), *c0 = vkz_ref_in(ref, "c0");
    const float *gx = vkz_ref_in(ref, "gx") + b * len * gates;
    double *y = vkz_ref_out(ref, "y"), *cache = vkz_ref_out(ref, "cache");
    struct cell cell = {
        .kind = kind,
        .hid = hid,
        .wh = vkz_ref_in(ref, "wh"),
        .bh = vkz_ref_in(ref, "bh"),
        .h = vkz_ref_temp(ref, (size_t)hid * sizeof(real)),
        .c = vkz_ref_temp(ref, (size_t)hid * sizeof(real)),
        .a = vkz_ref_temp(ref, (size_t)gates * sizeof(real)),
    };
    real *kept = vkz_ref_temp(ref, (size_t)kept_count * sizeof(real));
    for (int64_t j = 0; j < hid; j++) {
        cell.h[j] = (real)h0[b * hid + j];
        cell.c[j] = c0 != NULL ? (real)c0[b * hid + j] : (real)0;
    }
    memset(y, 0, (size_t)(len * hid) * sizeof *y);
    if (cache != NULL) {
        memset(cache, 0, (size_t)(len * kept_count) * sizeof *cache);
    }
    const int64_t valid = lstm_valid(ref, b);
    for (int64_t s = 0; s < valid; s++) {
        const int64_t t = lstm_token(ref, valid, s);
        step(&cell, gx + t * gates, kept);
        store(y + t * hid, cell.h, hid);
        store(cache != NULL ? cache + t * kept_count : NULL, kept, kept_count);
    }
    store(vkz_ref_out(ref, "ht"), cell.h, hid);
    store(vkz_ref_out(ref, "ct"), cell.c, hid);
}

// Rows of `width` elements of each sequence in opposite order.
static void reverse_tokens(float *values, int64_t batch, int64_t len, int64_t width)
{
    for (int64_t i = 0; values != NULL && i < batch * (len / 2) * width; i++) {
        const int64_t b = i / (len / 2 * width), t = i / width % (len / 2), c = i % width;
        float *first = values + (b * len + t) * width + c;
        float *last = values + (b * len + len - 1 - t) * width + c;
        const float kept = *first;
        *first = *last;
        *last = kept;
    }
}

static bool check_reverse(struct vkz_identity_run *run)
{
    const int64_t batch = vkz_identity_dim(run, "batch");
    const int64_t len = vkz_identity_dim(run, "len"), hid = vkz_identity_dim(run, "hid");
    struct vkz_data *one = vkz_identity_inputs(run, "LENS=off DIR=forward");
    struct vkz_data *two = vkz_identity_inputs(run, "LENS=off DIR=reverse");
    const int64_t width = vkz_identity_count(one, "gx") / (batch * len);
    reverse_tokens(vkz_identity_float(run, two, "gx"), batch, len, width);
    const double *y = vkz_identity_output(run, one, "y");
    double *turned = vkz_identity_temp(run, batch * len * hid);
    for (int64_t i = 0; y != NULL && turned != NULL && i < batch * len * hid; i++) {
        const int64_t b = i / (len * hid), t = i / hid % len;
        turned[i] = y[(b * len + len - 1 - t) * hid + i % hid];
    }
    return vkz_identity_equal(run, "y", turned, vkz_identity_output(run, two, "y"),
                              batch * len * hid, 2) &&
           vkz_identity_equal(run, "ht", vkz_identity_output(run, one, "ht"),
                              vkz_identity_output(run, two, "ht"), batch * hid, 2);
}

// Tokens [0, n), then the rest from the state they leave, is the whole.
static bool check_split(struct vkz_identity_run *run)
{
    const int64_t batch = vkz_identity_dim(run, "batch");
    const int64_t len = vkz_identity_dim(run, "len"), hid = vkz_identity_dim(run, "hid");
    const int64_t first = len / 2;
    char settings[2][64];
    snprintf(settings[0], sizeof settings[0], "LENS=off DIR=forward len=%lld",
             (long long)first);
    snprintf(settings[1], sizeof settings[1], "LENS=off DIR=forward len=%lld",
             (long long)(len - first));
    struct vkz_data *whole = vkz_identity_inputs(run, "LENS=off DIR=forward");
    const int64_t width = vkz_identity_count(whole, "gx") / (batch * len);
    const float *gx = vkz_identity_float(run, whole, "gx");
    const double *h = NULL, *c = NULL;
    for (int part = 0; part < 2; part++) {
        const int64_t begin = part * first, count = part == 0 ? first : len - first;
        struct vkz_data *data = vkz_identity_inputs(run, settings[part]);
        float *to = vkz_identity_float(run, data, "gx");
        float *h0 = vkz_identity_float(run, data, "h0");
        float *c0 = vkz_identity_float(run, data, "c0");
        for (int64_t b = 0; to != NULL && gx != NULL && b < batch; b++) {
            memcpy(to + b * count * width, gx + (b * len + begin) * width,
                   (size_t)(count * width) * sizeof *to);
        }
        for (int64_t i = 0; part == 1 && h0 != NULL && h != NULL && i < batch * hid; i++) {
            h0[i] = (float)h[i];
            if (c0 != NULL && c != NULL) {
                c0[i] = (float)c[i];
            }
        }
        h = vkz_identity_output(run, data, "ht");
        c = c0 != NULL ? vkz_identity_output(run, data, "ct") : NULL;
    }
    return vkz_identity_equal(run, "ht", vkz_identity_output(run, whole, "ht"), h,
                              batch * hid, 4);
}

static const struct vkz_identity identities[] = {
    {"reverse", "DIR=reverse is DIR=forward on the tokens in opposite order", NULL,
     check_reverse},
    {"split", "two halves of the sequence, the state carried over, are the whole",
     "len > 1", check_split},
    {0},
};

VKZ_OP(lstm) = {
    .name = "lstm",
    .family = "linear",
    .abi = 1,
    .title = "LSTM, GRU or plain recurrent cell over a sequence",
    .doc = LSTM_EQUATIONS
           "\n"
           "gx is x Wxᵀ + bias of all tokens, one product of `gemm`. Gates are in the order\n"
           "i, f, g, o and r, z, n. LENS: tokens past lens are not seen, their y is 0, and\n"
           "DIR=reverse begins at the last token that counts. A bidirectional layer is two\n"
           "cases, one a direction; a layer along the rows or columns of an image is a case\n"
           "whose batch holds the others.\n"
           "LSTM, Hochreiter and Schmidhuber 1997; GRU arXiv 1406.1078; BiLSTM-CRF\n"
           "1508.01991; Sequencer 2205.01972.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .flops = "2 * batch * len * " LSTM_GATES " * hid * hid",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch",
    .sampled = true,
    .reference = reference,
    .fill = lstm_fill,
    .identities = identities,
    .bitwise = true,
};
