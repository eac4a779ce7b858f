// SPDX-License-Identifier: MIT
// gated_linear_attention and delta_rule against a second way to the same numbers: the
// parallel form over all pairs of tokens, and for the delta rule the triangular system it
// solves, written from the papers and not from the contracts.
#include "contracts.h"

static int64_t dim_of(const struct contract *t, const char *name)
{
    double value = NAN;
    assert_true(vkz_env_get(&t->c.env, name, &value));
    return (int64_t)value;
}

enum { MAX = 48 };

struct head {
    int64_t len, d, dv;
    const float *q, *k, *v, *beta, *s0;
    double sum[MAX][MAX]; // log decay of key column c from the start to token t
    double x[MAX][MAX];   // what token t writes along its key
};

// Σ_c a_c b_c e^(G_ic - G_jc).
static double product(const struct head *h, const float *a, const float *b, int64_t i,
                      int64_t j)
{
    double sum = 0;
    for (int64_t c = 0; c < h->d; c++) {
        sum += (double)a[c] * (double)b[c] * exp(h->sum[i][c] - h->sum[j][c]);
    }
    return sum;
}

// Σ_c a_c e^G_ic S0_cx.
static double of_start(const struct head *h, const float *a, int64_t i, int64_t x)
{
    double sum = 0;
    for (int64_t c = 0; c < h->d && h->s0 != NULL; c++) {
        sum += (double)a[c] * exp(h->sum[i][c]) * (double)h->s0[c * h->dv + x];
    }
    return sum;
}

static void solve(struct head *h)
{
    for (int64_t t = 0; t < h->len; t++) {
        for (int64_t x = 0; x < h->dv; x++) {
            double value = (double)h->v[t * h->dv + x];
            if (h->beta != NULL) {
                value -= of_start(h, h->k + t * h->d, t, x);
                for (int64_t s = 0; s < t; s++) {
                    value -= product(h, h->k + t * h->d, h->k + s * h->d, t, s) *
                             h->x[s][x];
                }
                value *= (double)h->beta[t];
            }
            h->x[t][x] = value;
        }
    }
}

static void parallel_head(struct contract *t, int64_t head, double *o, double *st)
{
    const bool delta = strcmp(t->c.op->name, "delta_rule") == 0;
    const int64_t group = delta ? dim_of(t, "heads") / dim_of(t, "kv_heads") : 1;
    const int gate = delta ? (int)dim_of(t, "GATE") : 2;
    struct head *h = test_calloc(1, sizeof *h);
    h->len = dim_of(t, "len");
    h->d = dim_of(t, "head_dim");
    h->dv = dim_of(t, "v_dim");
    assert_true(h->len <= MAX && h->d <= MAX && h->dv <= MAX);
    h->q = contract_float(t, "q") + head / group * h->len * h->d;
    h->k = contract_float(t, "k") + head / group * h->len * h->d;
    h->v = contract_float(t, "v") + head * h->len * h->dv;
    h->beta = delta ? contract_float(t, "beta") + head * h->len : NULL;
    if (dim_of(t, "INIT") != 0) {
        h->s0 = contract_float(t, "s0") + head * h->d * h->dv;
    }
    for (int64_t i = 0; i < h->len && gate != 0; i++) {
        for (int64_t c = 0; c < h->d; c++) {
            const int64_t token = head * h->len + i;
            const float g = contract_float(t, "g")[gate == 2 ? token * h->d + c : token];
            h->sum[i][c] = (i > 0 ? h->sum[i - 1][c] : 0) + (double)g;
        }
    }
    solve(h);
    const double tau = (double)(float)(1 / sqrt((double)h->d)); // as a kernel gets it
    const int64_t end = h->len - 1;
    for (int64_t i = 0; i < h->len; i++) {
        for (int64_t x = 0; x < h->dv; x++) {
            double sum = of_start(h, h->q + i * h->d, i, x);
            for (int64_t j = 0; j <= i; j++) {
                sum += product(h, h->q + i * h->d, h->k + j * h->d, i, j) * h->x[j][x];
            }
            o[(head * h->len + i) * h->dv + x] = tau * sum;
        }
    }
    for (int64_t i = 0; i < h->d * h->dv; i++) {
        const int64_t c = i / h->dv, x = i % h->dv;
        double sum = h->s0 != NULL ? exp(h->sum[end][c]) * (double)h->s0[i] : 0;
        for (int64_t j = 0; j <= end; j++) {
            sum += (double)h->k[j * h->d + c] * exp(h->sum[end][c] - h->sum[j][c]) *
                   h->x[j][x];
        }
        st[head * h->d * h->dv + i] = sum;
    }
    test_free(h);
}

static void check_parallel(const char *op, const char *settings)
{
    struct contract t;
    contract_open(&t, op, settings);
    double *o = test_calloc((size_t)contract_count(&t, "o"), sizeof *o);
    double *st = test_calloc((size_t)contract_count(&t, "st"), sizeof *st);
    contract_run(&t);
    for (int64_t head = 0; head < dim_of(&t, "batch") * dim_of(&t, "heads"); head++) {
        parallel_head(&t, head, o, st);
    }
    contract_expect(&t, "o", o, 1e-12);
    contract_expect(&t, "st", st, 1e-12);
    test_free(o);
    test_free(st);
    contract_close(&t);
}

static void gated_linear_attention_is_the_parallel_form(void **state)
{
    (void)state;
    check_parallel("gated_linear_attention",
                   "batch=2 heads=2 len=21 head_dim=5 v_dim=7 INIT=on FINAL=on");
    check_parallel("gated_linear_attention",
                   "batch=1 heads=3 len=40 head_dim=6 v_dim=4 FINAL=on "
                   "fill.g=uniform(-40,0)");
}

static void delta_rule_is_the_triangular_system(void **state)
{
    (void)state;
    check_parallel("delta_rule",
                   "batch=2 heads=4 kv_heads=2 len=19 head_dim=5 v_dim=7 GATE=scalar "
                   "INIT=on FINAL=on");
    check_parallel("delta_rule",
                   "batch=1 heads=3 kv_heads=1 len=40 head_dim=6 v_dim=4 GATE=vector "
                   "INIT=on FINAL=on fill.g=decay_hard");
    check_parallel("delta_rule", "batch=1 heads=2 len=33 head_dim=8 v_dim=3 FINAL=on "
                                 "fill.k=op fill.beta=const(1)");
}

static void identities_hold(void **state)
{
    (void)state;
    static const char *const gated[] = {
        "batch=2 heads=2 len=11 head_dim=4 v_dim=3",
        "batch=1 heads=1 len=9 head_dim=5 INIT=on FINAL=on",
        "batch=1 heads=1 len=1 head_dim=2 fill.g=const(-30)", NULL};
    static const char *const delta[] = {
        "batch=2 heads=4 kv_heads=2 len=11 head_dim=4 v_dim=3",
        "batch=1 heads=2 len=9 head_dim=4 GATE=scalar INIT=on FINAL=on",
        "batch=1 heads=2 kv_heads=1 len=8 head_dim=5 GATE=vector INIT=on",
        "batch=1 heads=1 len=3 head_dim=1 GATE=scalar FINAL=on", NULL};
    static const char *const gated_back[] = {"batch=1 heads=2 len=7 head_dim=3 INIT=on",
                                             NULL};
    static const char *const delta_back[] = {
        "batch=1 heads=2 kv_heads=1 len=7 head_dim=3 GATE=scalar FINAL=on", NULL};
    contract_identities("gated_linear_attention", gated);
    contract_identities("delta_rule", delta);
    contract_identities("gated_linear_attention_backward", gated_back);
    contract_identities("delta_rule_backward", delta_back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gated_linear_attention_is_the_parallel_form),
        cmocka_unit_test(delta_rule_is_the_triangular_system),
        cmocka_unit_test(identities_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
