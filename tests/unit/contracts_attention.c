// SPDX-License-Identifier: MIT
// The attention contracts against a second way to the same numbers: the online softmax
// over tiles of keys, written from the papers and not from the contracts, and against
// each other.
#include "contracts.h"

static double value_of(const struct contract *t, const char *name)
{
    double value = NAN;
    assert_true(vkz_env_get(&t->c.env, name, &value));
    return value;
}

static int64_t dim_of(const struct contract *t, const char *name)
{
    return (int64_t)value_of(t, name);
}

// 1 when query i (position p) sees key j, by the definitions of the masks.
static bool sees(struct contract *t, int64_t batch, int64_t i, int64_t j)
{
    const int64_t kv_len = dim_of(t, "kv_len");
    const int64_t p = i + kv_len - dim_of(t, "q_len");
    const int mask = (int)dim_of(t, "MASK");
    if (mask == 1) {
        return j <= p;
    }
    if (mask == 2) {
        const int64_t wl = (int64_t)value_of(t, "wl"), wr = (int64_t)value_of(t, "wr");
        return !(wl >= 0 && p - j > wl) && !(wr >= 0 && j - p > wr);
    }
    if (mask == 3) {
        return j <= p || j < (int64_t)value_of(t, "np");
    }
    if (mask == 4) {
        const int32_t *seg = contract_int(t, "seg") + batch * kv_len;
        return p >= 0 && j <= p && seg[p] == seg[j];
    }
    return true;
}

static double alibi_slope(double slope0, int64_t heads, int64_t x)
{
    const double low = exp2(floor(log2((double)heads)));
    return (double)x < low ? pow(2, -slope0 * (double)(x + 1) / low)
                           : pow(2, -(slope0 / 2) * (2 * ((double)x - low) + 1) / low);
}

static double bias_of(struct contract *t, int64_t row, int64_t head, int64_t p, int64_t j)
{
    const double distance = fabs((double)(p - j));
    const float *r = NULL;
    switch ((int)dim_of(t, "BIAS")) {
    case 1:
        return (double)contract_float(t, "bias")[row * dim_of(t, "kv_len") + j];
    case 2:
        return -alibi_slope(value_of(t, "slope0"), dim_of(t, "heads"), head) * distance;
    case 3:
        r = contract_float(t, "rpar") + 2 * head;
        return -(double)r[0] * log1p((double)r[1] * distance);
    case 4:
        r = contract_float(t, "rpar") + 2 * head;
        return distance == 0 ? 0 : -(double)r[0] * pow(distance, (double)r[1]);
    default:
        return 0;
    }
}

struct row {
    double top, sum, o[64];
};

static void add_key(struct row *row, double logit, const float *v, int64_t v_dim)
{
    const double top = fmax(row->top, logit);
    const double keep = exp(row->top - top), weight = exp(logit - top);
    row->sum = keep * row->sum + weight;
    for (int64_t c = 0; c < v_dim; c++) {
        row->o[c] = keep * row->o[c] + (v != NULL ? weight * (double)v[c] : 0);
    }
    row->top = top;
}

// The whole case by the online form, keys in descending order, the sink as one more key.
static void online_softmax(struct contract *t, double *o, double *lse)
{
    const int64_t batch = dim_of(t, "batch"), heads = dim_of(t, "heads");
    const int64_t group = heads / dim_of(t, "kv_heads");
    const int64_t q_len = dim_of(t, "q_len"), kv_len = dim_of(t, "kv_len");
    const int64_t width = dim_of(t, "head_dim"), v_dim = dim_of(t, "v_dim");
    const double cap = value_of(t, "cap");
    for (int64_t row = 0; row < batch * heads * q_len; row++) {
        const int64_t i = row % q_len, head = row / q_len % heads;
        const int64_t b = row / q_len / heads;
        const int64_t kv = (b * (heads / group) + head / group) * kv_len;
        struct row state = {.top = -1e300};
        for (int64_t j = kv_len - 1; j >= 0; j--) {
            const float *q = contract_float(t, "q") + row * width;
            const float *k = contract_float(t, "k") + (kv + j) * width;
            double logit = 0;
            if (!sees(t, b, i, j)) {
                continue;
            }
            for (int64_t c = 0; c < width; c++) {
                logit += (double)q[c] * (double)k[c];
            }
            logit *= value_of(t, "tau");
            logit = dim_of(t, "CAP") ? cap * tanh(logit / cap) : logit;
            logit += bias_of(t, row, head, i + kv_len - q_len, j);
            add_key(&state, logit, contract_float(t, "v") + (kv + j) * v_dim, v_dim);
        }
        if (dim_of(t, "SINK") != 0) {
            const bool learned = dim_of(t, "SINK") == 2;
            add_key(&state, learned ? (double)contract_float(t, "sink")[head] : 0, NULL,
                    v_dim);
        }
        for (int64_t c = 0; c < v_dim; c++) {
            o[row * v_dim + c] = state.sum > 0 ? state.o[c] / state.sum : 0;
        }
        lse[row] = state.sum > 0 ? state.top + log(state.sum) : -INFINITY;
    }
}

static void check_softmax(const char *op, const char *settings)
{
    struct contract t;
    contract_open(&t, op, settings);
    double *o = test_calloc((size_t)contract_count(&t, "o"), sizeof *o);
    double *lse = test_calloc((size_t)contract_count(&t, "lse"), sizeof *lse);
    contract_run(&t);
    online_softmax(&t, o, lse);
    contract_expect(&t, "o", o, 1e-13);
    contract_expect(&t, "lse", lse, 1e-13);
    test_free(o);
    test_free(lse);
    contract_close(&t);
}

static void softmax_is_the_online_form(void **state)
{
    (void)state;
    static const char *const masks[] = {
        "MASK=none", "MASK=causal", "MASK=window wl=3 wr=1", "MASK=window wl=-1 wr=2",
        "MASK=window wl=2 wr=-1", "MASK=prefix np=4", "MASK=doc"};
    static const char *const rest[] = {
        "q_len=7 kv_len=12", "q_len=12 kv_len=7 SINK=zero BIAS=alibi",
        "q_len=9 kv_len=9 BIAS=kerple_log CAP=on cap=2", "q_len=1 kv_len=5 SINK=learned",
        "q_len=6 kv_len=8 BIAS=kerple_power",
        "q_len=5 kv_len=8 BIAS=tensor SINK=learned"};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        for (size_t j = 0; j < sizeof rest / sizeof *rest; j++) {
            char settings[192];
            snprintf(settings, sizeof settings,
                     "batch=2 heads=6 kv_heads=2 head_dim=5 v_dim=3 LSE=on %s %s",
                     masks[i], rest[j]);
            check_softmax("attention", settings);
            if (i < 5) {
                check_softmax("attention_decode", settings);
            }
        }
    }
}

// One query, two keys, by hand.
static void softmax_by_hand(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "attention",
                  "batch=1 heads=1 q_len=1 kv_len=2 head_dim=1 tau=1 SINK=zero LSE=on");
    contract_set(&t, "q", (float[]){1});
    contract_set(&t, "k", (float[]){0, 2});
    contract_set(&t, "v", (float[]){3, -5});
    contract_run(&t);
    const double sum = 1 + exp(2) + 1;
    contract_expect(&t, "o", (double[]){(3 - 5 * exp(2)) / sum}, 1e-15);
    contract_expect(&t, "lse", (double[]){log(sum)}, 1e-15);
    const double scale = contract_expected(&t, "o")->scale[0];
    contract_near("scale", 0, scale, (3 + 5 * exp(2)) / sum, 1e-14);
    contract_close(&t);
}

// What a mask hides may be NaN; what it shows spreads over the rows that see it.
static void masked_nan_is_not_seen(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "attention",
                  "batch=1 heads=1 q_len=6 kv_len=6 head_dim=4 MASK=causal LSE=on");
    contract_float(&t, "k")[3 * 4] = NAN;
    contract_float(&t, "v")[4 * 4 + 1] = NAN;
    contract_run(&t);
    for (int i = 0; i < 6; i++) {
        for (int c = 0; c < 4; c++) {
            assert_int_equal(isnan(contract_out(&t, "o")[i * 4 + c]) != 0,
                             i >= 3 || (i >= 4 && c == 1));
        }
        assert_int_equal(isnan(contract_out(&t, "lse")[i]) != 0, i >= 3);
    }
    contract_close(&t);
}

static void minus_infinity_bias(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "attention",
                  "batch=1 heads=1 q_len=2 kv_len=3 head_dim=2 BIAS=tensor LSE=on");
    contract_set(&t, "bias", (float[]){-INFINITY, 0, -INFINITY, -INFINITY, -INFINITY,
                                       -INFINITY});
    contract_run(&t);
    const float *v = contract_float(&t, "v");
    contract_expect(&t, "o", (double[]){(double)v[2], (double)v[3], 0, 0}, 1e-15);
    assert_true(contract_out(&t, "lse")[1] == -INFINITY);
    contract_close(&t);
}

static void decode_is_attention(void **state)
{
    (void)state;
    struct contract a, d;
    static const char *const settings =
        "batch=2 heads=4 kv_heads=2 q_len=3 kv_len=40 head_dim=8 MASK=causal BIAS=alibi "
        "SINK=learned LSE=on CAP=on";
    contract_open(&a, "attention", settings);
    contract_open(&d, "attention_decode", settings);
    contract_run(&a);
    contract_run(&d);
    contract_expect(&d, "o", contract_out(&a, "o"), 0);
    contract_expect(&d, "lse", contract_out(&a, "lse"), 0);
    contract_close(&d);
    contract_close(&a);
}

// Attention on three ranges of keys, one of them hidden, merged in both forms.
static void merge_of_parts_is_the_whole(void **state)
{
    (void)state;
    enum { ROWS = 6, KEYS = 9, V = 4 };
    static const int first[] = {0, 4, 9}, end[] = {4, 9, 9};
    struct contract whole, raw, normal;
    contract_open(&whole, "attention",
                  "batch=1 heads=2 q_len=3 kv_len=9 head_dim=4 SINK=zero LSE=on");
    contract_open(&raw, "attention_merge", "rows=6 parts=3 v_dim=4 SINK=zero");
    contract_open(&normal, "attention_merge",
                  "rows=6 parts=3 v_dim=4 SINK=zero FORM=normalised");
    float *part = contract_float(&raw, "part");
    float *o = contract_float(&normal, "op_"), *lse = contract_float(&normal, "lsep");
    for (int row = 0; row < ROWS; row++) {
        for (int x = 0; x < 3; x++) {
            struct row state_of = {.top = -1e300};
            for (int j = first[x]; j < end[x]; j++) {
                const int kv = row / 3 * KEYS + j;
                double logit = 0;
                for (int c = 0; c < 4; c++) {
                    logit += 0.5 * (double)contract_float(&whole, "q")[row * 4 + c] *
                             (double)contract_float(&whole, "k")[kv * 4 + c];
                }
                add_key(&state_of, logit, contract_float(&whole, "v") + kv * V, V);
            }
            const bool empty = first[x] == end[x];
            float *to = part + (row * 3 + x) * (V + 2);
            for (int c = 0; c < V; c++) {
                to[c] = (float)state_of.o[c];
                o[(x * ROWS + row) * V + c] =
                    empty ? NAN : (float)(state_of.o[c] / state_of.sum);
            }
            to[V] = empty ? -3.0e38f : (float)state_of.top;
            to[V + 1] = (float)state_of.sum;
            lse[x * ROWS + row] =
                empty ? -INFINITY : (float)(state_of.top + log(state_of.sum));
        }
    }
    contract_run(&whole);
    contract_run(&raw);
    contract_run(&normal);
    contract_expect(&raw, "o", contract_out(&whole, "o"), 1e-6);
    contract_expect(&raw, "lse", contract_out(&whole, "lse"), 1e-6);
    contract_expect(&normal, "o", contract_out(&whole, "o"), 1e-6);
    contract_expect(&normal, "lse", contract_out(&whole, "lse"), 1e-6);
    contract_close(&normal);
    contract_close(&raw);
    contract_close(&whole);
}

static void merge_of_nothing(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "attention_merge", "rows=1 parts=2 v_dim=1");
    contract_set(&t, "part", (float[]){0, -3.0e38f, 0, 0, -3.0e38f, 0});
    contract_run(&t);
    assert_true(contract_out(&t, "o")[0] == 0);
    assert_true(contract_out(&t, "lse")[0] == -INFINITY);
    contract_close(&t);
}

static void merge_fill_has_empty_rows(void **state)
{
    (void)state;
    struct contract t;
    int empty = 0, full = 0;
    contract_open(&t, "attention_merge", "rows=60 parts=2 v_dim=3");
    contract_run(&t);
    for (int i = 0; i < 60; i++) {
        const bool nothing = contract_out(&t, "lse")[i] == -INFINITY;
        empty += nothing;
        full += !nothing;
        assert_true(nothing || isfinite(contract_out(&t, "lse")[i]));
    }
    assert_true(empty >= 2 && full >= 40);
    contract_close(&t);
}

// Sums of one weight function over the visible keys, from its definition.
static void check_weighted(const char *op, const char *settings)
{
    struct contract t;
    contract_open(&t, op, settings);
    contract_run(&t);
    const bool sigmoid = strcmp(op, "sigmoid_attention") == 0;
    const int64_t heads = dim_of(&t, "heads"), kv_heads = dim_of(&t, "kv_heads");
    const int64_t q_len = dim_of(&t, "q_len"), kv_len = dim_of(&t, "kv_len");
    const int64_t width = dim_of(&t, "head_dim"), v_dim = dim_of(&t, "v_dim");
    const int64_t count = contract_count(&t, "o");
    double *expected = test_calloc((size_t)count, sizeof *expected);
    for (int64_t at = 0; at < count; at++) {
        const int64_t row = at / v_dim, i = row % q_len, head = row / q_len % heads;
        const int64_t b = row / q_len / heads;
        const int64_t kv = (b * kv_heads + head / (heads / kv_heads)) * kv_len;
        int visible = 0;
        for (int64_t j = 0; j < kv_len; j++) {
            double x = 0;
            for (int64_t c = 0; c < width; c++) {
                x += (double)contract_float(&t, "q")[row * width + c] *
                     (double)contract_float(&t, "k")[(kv + j) * width + c];
            }
            x *= value_of(&t, "tau");
            if (!sees(&t, b, i, j)) {
                continue;
            }
            visible++;
            if (sigmoid) {
                x += bias_of(&t, row, head, i + kv_len - q_len, j) + value_of(&t, "beta");
            }
            const double weight = sigmoid ? 0.5 + 0.5 * tanh(x / 2) : fmax(0, x);
            expected[at] += weight * (double)contract_float(&t, "v")[(kv + j) * v_dim +
                                                                     at % v_dim];
        }
        if (!sigmoid) {
            static const char names[] = "vtp"; // visible, tk, tk_pow
            const char norm = names[dim_of(&t, "NORM")];
            expected[at] /= norm == 'v'   ? fmax(visible, 1)
                            : norm == 't' ? (double)kv_len
                                          : pow((double)kv_len, value_of(&t, "alpha"));
        }
    }
    contract_expect(&t, "o", expected, 1e-13);
    test_free(expected);
    contract_close(&t);
}

static void sigmoid_and_relu_are_their_sums(void **state)
{
    (void)state;
    static const char *const sigmoid[] = {
        "batch=2 heads=2 kv_heads=1 q_len=5 kv_len=8 head_dim=4 v_dim=3",
        "batch=1 heads=3 q_len=8 kv_len=5 head_dim=4 MASK=causal BIAS=alibi beta=0.5",
        "batch=1 heads=2 q_len=7 head_dim=4 MASK=window wl=2 wr=1 BIAS=tensor",
        "batch=2 heads=2 q_len=9 head_dim=4 MASK=doc",
        "batch=1 heads=2 q_len=4 kv_len=9 head_dim=4 MASK=prefix np=7", NULL};
    static const char *const relu[] = {
        "batch=2 heads=2 kv_heads=1 q_len=5 kv_len=8 head_dim=4 v_dim=3",
        "batch=1 heads=3 q_len=8 kv_len=5 head_dim=4 MASK=causal NORM=tk",
        "batch=1 heads=3 q_len=5 kv_len=6 head_dim=4 NORM=tk_pow alpha=0.5 MASK=doc",
        NULL};
    for (int i = 0; sigmoid[i] != NULL; i++) {
        check_weighted("sigmoid_attention", sigmoid[i]);
    }
    for (int i = 0; relu[i] != NULL; i++) {
        check_weighted("relu_attention", relu[i]);
    }
}

static void sigmoid_saturates(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "sigmoid_attention",
                  "batch=1 heads=1 q_len=1 kv_len=2 head_dim=1 beta=0 tau=1");
    contract_set(&t, "q", (float[]){1});
    contract_set(&t, "k", (float[]){-2000, 2000});
    contract_set(&t, "v", (float[]){3, 5});
    contract_run(&t);
    contract_expect(&t, "o", (double[]){5}, 0);
    contract_close(&t);
}

static void softplus_by_hand(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "softplus_attention", "batch=1 heads=1 len=2 head_dim=2 v_dim=1");
    contract_set(&t, "q", (float[]){5, 1, 3, 4});
    contract_set(&t, "k", (float[]){0, 2, -3, 0});
    contract_set(&t, "v", (float[]){1, -1});
    contract_run(&t);
    const double s = log(2) * log(2); // ln head_dim · ln N of the second row
    const double f0 = log1p(exp(s * 0.8)), f1 = log1p(exp(s * -0.6));
    contract_expect(&t, "o", (double[]){1, (f0 - f1) / (f0 + f1)}, 1e-14);
    contract_expect(&t, "sum1", (double[]){log(2), f0 + f1}, 1e-14);
    contract_close(&t);
}

static void softplus_of_a_zero_row(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "softplus_attention",
                  "batch=1 heads=1 len=4 head_dim=3 v_dim=1 fill.k=const(0)");
    contract_run(&t);
    for (int i = 0; i < 4; i++) {
        contract_near("sum1", i, contract_out(&t, "sum1")[i], (i + 1) * log(2), 1e-14);
    }
    contract_close(&t);
}

// FLOPs are 4 a visible pair with head_dim = v_dim = 1; window and prefix are exact.
static void flops_count_visible_pairs(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "MASK=none", "MASK=window wl=3 wr=2", "MASK=window wl=-1 wr=2",
        "MASK=window wl=0 wr=0", "MASK=window wl=4 wr=-1", "MASK=window wl=50 wr=60",
        "MASK=prefix np=0", "MASK=prefix np=3", "MASK=prefix np=40", NULL};
    static const int lengths[][2] = {{1, 1}, {5, 5}, {3, 11}, {11, 3}, {1, 9}, {9, 1}};
    for (int i = 0; cases[i] != NULL; i++) {
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            struct contract t;
            char settings[128];
            int pairs = 0;
            snprintf(settings, sizeof settings,
                     "batch=1 heads=1 q_len=%d kv_len=%d head_dim=1 %s", lengths[l][0],
                     lengths[l][1], cases[i]);
            contract_open(&t, "attention", settings);
            for (int q = 0; q < lengths[l][0]; q++) {
                for (int j = 0; j < lengths[l][1]; j++) {
                    pairs += sees(&t, 0, q, j);
                }
            }
            contract_near(settings, 0, vkz_case_flops(&t.c), 4.0 * pairs, 0);
            contract_close(&t);
        }
    }
    struct contract t;
    contract_open(&t, "attention",
                  "batch=1 heads=4 q_len=1024 head_dim=64 MASK=causal");
    contract_near("causal", 0, vkz_case_flops(&t.c), 2.0 * 4 * 1024 * 512 * 128, 0);
    contract_close(&t);
}

static void documents_are_consecutive(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "attention", "batch=3 heads=1 q_len=50 head_dim=1 MASK=doc");
    const int32_t *seg = contract_int(&t, "seg");
    for (int b = 0; b < 3; b++) {
        assert_int_equal(seg[b * 50], 0);
        for (int j = 1; j < 50; j++) {
            const int step = seg[b * 50 + j] - seg[b * 50 + j - 1];
            assert_true(step == 0 || step == 1);
        }
        assert_true(seg[b * 50 + 49] >= 1);
    }
    contract_close(&t);
}

static void identities_hold(void **state)
{
    (void)state;
    static const char *const attention[] = {
        "batch=2 heads=4 kv_heads=2 q_len=5 kv_len=8 head_dim=4 v_dim=3",
        "batch=1 heads=2 q_len=7 head_dim=4 BIAS=tensor CAP=on cap=1.5",
        "batch=1 heads=3 q_len=7 kv_len=6 head_dim=4 SINK=zero",
        "batch=1 heads=2 q_len=8 head_dim=4 MASK=causal BIAS=alibi",
        "batch=2 heads=2 q_len=9 head_dim=4 MASK=doc BIAS=tensor",
        "batch=1 heads=2 q_len=9 kv_len=4 head_dim=4 MASK=causal LSE=on",
        "batch=1 heads=2 q_len=9 head_dim=4 MASK=window wl=2 BIAS=kerple_power",
        "batch=1 heads=2 q_len=6 head_dim=4 MASK=prefix np=2 SINK=learned",
        "batch=1 heads=2 q_len=6 head_dim=4 MASK=causal fill.k=nanprobe(13)",
        "batch=1 heads=2 q_len=6 head_dim=4 fill.v=nanprobe(13)", NULL};
    static const char *const decode[] = {
        "batch=2 heads=4 kv_heads=2 kv_len=18 head_dim=4 v_dim=3",
        "batch=1 heads=2 q_len=3 kv_len=9 head_dim=4 MASK=causal SINK=zero", NULL};
    static const char *const sigmoid[] = {
        "batch=2 heads=4 kv_heads=2 q_len=5 kv_len=8 head_dim=4 v_dim=3",
        "batch=1 heads=2 q_len=9 head_dim=4 MASK=causal BIAS=alibi",
        "batch=1 heads=2 q_len=4 kv_len=7 head_dim=4 BIAS=tensor",
        "batch=2 heads=1 q_len=9 head_dim=4 MASK=doc", NULL};
    static const char *const relu[] = {
        "batch=2 heads=4 kv_heads=2 q_len=5 kv_len=8 head_dim=4 NORM=tk_pow alpha=2",
        "batch=1 heads=2 q_len=9 head_dim=4 MASK=causal", NULL};
    static const char *const softplus[] = {
        "batch=2 heads=4 kv_heads=2 len=8 head_dim=4 v_dim=3",
        "batch=1 heads=1 len=1 head_dim=1", NULL};
    static const char *const merge[] = {
        "rows=5 parts=7 v_dim=4", "rows=30 parts=2 v_dim=1",
        "rows=5 parts=3 v_dim=4 FORM=normalised SINK=zero",
        "rows=5 parts=3 v_dim=4 SINK=learned", NULL};
    contract_identities("attention", attention);
    contract_identities("attention_decode", decode);
    contract_identities("sigmoid_attention", sigmoid);
    contract_identities("relu_attention", relu);
    contract_identities("softplus_attention", softplus);
    contract_identities("attention_merge", merge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_is_the_online_form),
        cmocka_unit_test(softmax_by_hand),
        cmocka_unit_test(masked_nan_is_not_seen),
        cmocka_unit_test(minus_infinity_bias),
        cmocka_unit_test(decode_is_attention),
        cmocka_unit_test(merge_of_parts_is_the_whole),
        cmocka_unit_test(merge_of_nothing),
        cmocka_unit_test(merge_fill_has_empty_rows),
        cmocka_unit_test(sigmoid_and_relu_are_their_sums),
        cmocka_unit_test(sigmoid_saturates),
        cmocka_unit_test(softplus_by_hand),
        cmocka_unit_test(softplus_of_a_zero_row),
        cmocka_unit_test(flops_count_visible_pairs),
        cmocka_unit_test(documents_are_consecutive),
        cmocka_unit_test(identities_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
