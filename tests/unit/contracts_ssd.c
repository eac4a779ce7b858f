// SPDX-License-Identifier: MIT
// ssd, rwkv6 and rwkv7 against a second way to the same numbers: every output as a sum over
// the tokens before it, with no state carried from one to the next.
#include "contracts.h"

static int64_t dim_of(const struct contract *t, const char *name)
{
    double value = NAN;
    assert_true(vkz_env_get(&t->c.env, name, &value));
    return (int64_t)value;
}

// y_i = sum_{j<=i} e^(A (step_{j+1} + .. + step_i)) (c_i b_j) step_j x_j + D x_i, gated.
static void ssd_of(struct contract *t, double *y)
{
    const int64_t heads = dim_of(t, "heads"), groups = dim_of(t, "groups");
    const int64_t len = dim_of(t, "len"), width = dim_of(t, "head_dim");
    const int64_t ns = dim_of(t, "state"), units = dim_of(t, "batch") * heads;
    for (int64_t i = 0; i < units * len * width; i++) {
        const int64_t unit = i / (len * width), row = i / width % len, j = i % width;
        const int64_t head = unit % heads;
        const int64_t group = unit / heads * groups + head / (heads / groups);
        const float *x = contract_float(t, "x") + unit * len * width;
        const float *c = contract_float(t, "c") + (group * len + row) * ns;
        const double a = -exp((double)contract_float(t, "alog")[head]);
        double decay = 0, sum = (double)contract_float(t, "d_skip")[head] *
                                (double)x[row * width + j];
        for (int64_t s = row; s >= 0; s--) {
            const float *b = contract_float(t, "b") + (group * len + s) * ns;
            const double raw = (double)contract_float(t, "dt")[unit * len + s] +
                               (double)contract_float(t, "dtb")[head];
            double step = log(1 + exp(raw)), score = 0;
            if (dim_of(t, "CLAMP")) {
                step = fmin(fmax(step, (double)0.001f), (double)0.1f); // scalars are f32
            }
            for (int64_t n = 0; n < ns; n++) {
                score += (double)b[n] * (double)c[n];
            }
            sum += exp(a * decay) * score * step * (double)x[s * width + j];
            decay += step;
        }
        if (dim_of(t, "GATE")) {
            const double z = (double)contract_float(t, "z")[i];
            sum *= z / (1 + exp(-z));
        }
        y[i] = sum;
    }
}

static void ssd_is_its_sum(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "batch=2 heads=3 groups=1 len=7 head_dim=4 state=5",
        "batch=1 heads=4 groups=2 len=5 head_dim=3 state=2 GATE=on",
        "batch=1 heads=2 groups=2 len=9 head_dim=2 state=3 CLAMP=on GATE=on"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct contract t;
        contract_open(&t, "ssd", cases[i]);
        contract_run(&t);
        double *y = test_calloc((size_t)contract_count(&t, "y"), sizeof *y);
        ssd_of(&t, y);
        contract_expect(&t, "y", y, 1e-12);
        test_free(y);
        contract_close(&t);
    }
}

// The query of token i is carried back through the tokens before it, transposed.
static void rwkv_of(struct contract *t, bool seven, double *o)
{
    const int64_t len = dim_of(t, "len"), d = dim_of(t, "head_dim");
    const int64_t dv = dim_of(t, "v_dim"), heads = dim_of(t, "heads");
    const int64_t rows = dim_of(t, "batch") * heads * len;
    double r[16];
    assert_true(d <= 16);
    for (int64_t i = 0; i < rows; i++) {
        const double tau = seven ? 1 : (double)(float)(1 / sqrt((double)d));
        double own = 0;
        for (int64_t c = 0; c < d; c++) {
            r[c] = tau * (double)contract_float(t, "q")[i * d + c];
        }
        for (int64_t j = 0; j < dv; j++) {
            o[i * dv + j] = 0;
        }
        for (int64_t s = i; s >= i / len * len; s--) {
            const float *k = contract_float(t, "k") + s * d;
            const float *w = contract_float(t, "w") + s * d;
            const float *v = contract_float(t, "v") + s * dv;
            double score = 0, back = 0;
            for (int64_t c = 0; c < d; c++) {
                score += r[c] * (double)k[c];
                back += seven ? r[c] * (double)contract_float(t, "b")[s * d + c] : 0;
                if (!seven && s == i) {
                    own += r[c] * (double)k[c] *
                           (double)contract_float(t, "u")[i / len % heads * d + c];
                }
            }
            score = !seven && s == i ? own : score;
            for (int64_t j = 0; j < dv; j++) {
                o[i * dv + j] += score * (double)v[j];
            }
            for (int64_t c = 0; c < d && (seven || s < i); c++) {
                r[c] *= exp((double)w[c]);
                r[c] += seven ? back * (double)contract_float(t, "a")[s * d + c] : 0;
            }
        }
    }
}

static void rwkv_is_its_sum(void **state)
{
    (void)state;
    static const char *const cases[] = {"batch=2 heads=3 len=7 head_dim=4 v_dim=3",
                                        "batch=1 heads=2 len=12 head_dim=9 v_dim=5",
                                        "batch=1 heads=1 len=1 head_dim=1 v_dim=1"};
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        struct contract t;
        const bool seven = i % 2 == 1;
        contract_open(&t, seven ? "rwkv7" : "rwkv6", cases[i / 2]);
        contract_run(&t);
        double *o = test_calloc((size_t)contract_count(&t, "o"), sizeof *o);
        rwkv_of(&t, seven, o);
        contract_expect(&t, "o", o, 1e-12);
        test_free(o);
        contract_close(&t);
    }
}

static void identities_hold(void **state)
{
    (void)state;
    static const char *const ssd[] = {
        "batch=1 heads=4 groups=2 len=9 head_dim=5 state=6",
        "batch=2 heads=2 len=7 head_dim=3 state=4 GATE=on INIT=on FINAL=on", NULL};
    static const char *const backward[] = {
        "batch=2 heads=2 len=7 head_dim=3 state=4 GATE=on INIT=on FINAL=on",
        "batch=1 heads=4 groups=2 len=9 head_dim=5 state=6 CLAMP=on", NULL};
    static const char *const rwkv[] = {
        "batch=1 heads=2 len=9 head_dim=5 v_dim=6",
        "batch=2 heads=1 len=8 head_dim=4 v_dim=3 INIT=on FINAL=on", NULL};
    contract_identities("ssd", ssd);
    contract_identities("ssd_backward", backward);
    contract_identities("rwkv6", rwkv);
    contract_identities("rwkv7", rwkv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ssd_is_its_sum),
        cmocka_unit_test(rwkv_is_its_sum),
        cmocka_unit_test(identities_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
