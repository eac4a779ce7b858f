// SPDX-License-Identifier: MIT
// linear_attention and cottention against their parallel forms, written from the papers
// and not from the contracts: every output by its sum over earlier tokens.
#include "contracts.h"

static int64_t dim_of(const struct contract *t, const char *name)
{
    double value = NAN;
    assert_true(vkz_env_get(&t->c.env, name, &value));
    return (int64_t)value;
}

static double feature_of(int kind, double x)
{
    switch (kind) {
    case 1:
        return x > 0 ? x + 1 : exp(x);
    case 2:
        return fmax(x, 0);
    case 3:
        return x / (1 + exp(-x));
    default:
        return x;
    }
}

static double product(struct contract *t, int64_t q_row, int64_t k_row)
{
    const int64_t width = dim_of(t, "head_dim");
    const int kind = (int)dim_of(t, "FEATURE");
    double sum = 0;
    for (int64_t c = 0; c < width; c++) {
        sum += feature_of(kind, (double)contract_float(t, "q")[q_row * width + c]) *
               feature_of(kind, (double)contract_float(t, "k")[k_row * width + c]);
    }
    return sum;
}

// Sum of the log decays of tokens s + 1 .. i of a sequence.
static double log_decay(struct contract *t, int64_t unit, int64_t s, int64_t i)
{
    const int64_t len = dim_of(t, "len");
    const int kind = (int)dim_of(t, "DECAY");
    double sum = 0;
    for (int64_t j = s + 1; kind != 0 && j <= i; j++) {
        sum += (double)contract_float(t, "g")[kind == 1 ? unit % dim_of(t, "heads")
                                                        : unit * len + j];
    }
    return sum;
}

static void parallel_form(struct contract *t, double *o)
{
    const int64_t len = dim_of(t, "len"), v_dim = dim_of(t, "v_dim");
    const int64_t units = dim_of(t, "batch") * dim_of(t, "heads");
    const int normalise = (int)dim_of(t, "NORMALISE");
    double tau = NAN; // as kernels get it: a float
    assert_true(vkz_env_get(&t->c.env, "tau", &tau));
    tau = (double)(float)tau;
    for (int64_t row = 0; row < units * len; row++) {
        const int64_t unit = row / len, i = row % len;
        double sum = 0, size = 0;
        memset(o + row * v_dim, 0, (size_t)v_dim * sizeof *o);
        for (int64_t s = 0; s <= i; s++) {
            const double a = tau * product(t, row, unit * len + s) *
                             exp(log_decay(t, unit, s, i));
            sum += a / tau;
            size += fabs(a);
            for (int64_t j = 0; j < v_dim; j++) {
                o[row * v_dim + j] +=
                    a * (double)contract_float(t, "v")[(unit * len + s) * v_dim + j];
            }
        }
        const double divisor = normalise == 1   ? fmax(fabs(sum), 1e-6) * tau
                               : normalise == 2 ? fmax(size, 1)
                                                : 1;
        for (int64_t j = 0; j < v_dim; j++) {
            o[row * v_dim + j] /= divisor;
        }
    }
}

static void test_parallel(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "batch=2 heads=3 len=23 head_dim=5 v_dim=7 DECAY=token",
        "batch=2 heads=3 len=23 head_dim=5 v_dim=7 DECAY=head",
        "batch=1 heads=2 len=23 head_dim=4 v_dim=3 FEATURE=silu",
        "batch=1 heads=2 len=23 head_dim=4 v_dim=3 FEATURE=elu1 NORMALISE=sum DECAY=token",
        "batch=1 heads=2 len=23 head_dim=4 v_dim=3 FEATURE=relu NORMALISE=abs DECAY=token",
        "batch=1 heads=2 len=200 head_dim=4 v_dim=3 DECAY=token fill.g=decay_hard",
        NULL,
    };
    static double o[2 * 3 * 200 * 7];
    for (int i = 0; cases[i] != NULL; i++) {
        struct contract t;
        contract_open(&t, "linear_attention", cases[i]);
        contract_run(&t);
        parallel_form(&t, o);
        contract_expect(&t, "o", o, 1e-12);
        contract_close(&t);
    }
}

// A gate of -1000 forgets all: the state is that of the tokens after it, exactly.
static void test_reset(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "linear_attention",
                  "batch=1 heads=1 len=3 head_dim=1 v_dim=1 tau=1 DECAY=token FINAL=on");
    contract_set(&t, "q", (const float[]){1, 1, 1});
    contract_set(&t, "k", (const float[]){2, 3, 5});
    contract_set(&t, "v", (const float[]){7, 11, 13});
    contract_set(&t, "g", (const float[]){0, -1000, 0});
    contract_run(&t);
    contract_expect(&t, "o", (const double[]){14, 33, 98}, 0);
    contract_expect(&t, "st", (const double[]){98}, 0);
    contract_close(&t);
}

static void test_identities(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "batch=2 heads=2 len=19 head_dim=4 v_dim=5 DECAY=token INIT=on FINAL=on",
        "batch=2 heads=2 len=19 head_dim=4 v_dim=5 DECAY=head",
        "batch=1 heads=2 len=19 head_dim=4 v_dim=5 FEATURE=elu1 NORMALISE=sum INIT=on",
        "batch=1 heads=2 len=19 head_dim=4 v_dim=5 NORMALISE=abs DECAY=token",
        NULL,
    };
    contract_identities("linear_attention", cases);
}

static void test_backward_identities(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "batch=2 heads=2 len=19 head_dim=4 v_dim=5 DECAY=token",
        "batch=2 heads=2 len=19 head_dim=4 v_dim=5 DECAY=head INIT=on",
        NULL,
    };
    contract_identities("linear_attention_backward", cases);
}

// The identity that kernels may use for dg, on the reference: from the last token,
// dg_t = Σ_{s>=t} (q_s·dq_s - k_s·dk_s) + <st, dst>.
static void test_gate_identity(void **state)
{
    (void)state;
    static const char settings[] =
        "batch=1 heads=2 len=70 head_dim=4 v_dim=3 DECAY=token INIT=on FINAL=on";
    struct contract t, forward;
    contract_open(&t, "linear_attention_backward", settings);
    contract_open(&forward, "linear_attention", settings);
    static const char *const shared[] = {"q", "k", "v", "g", "s0"};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        contract_share(&forward, &t, shared[i]);
    }
    contract_run(&t);
    contract_run(&forward);
    const double *dq = contract_out(&t, "dq"), *dk = contract_out(&t, "dk");
    for (int64_t head = 0; head < 2; head++) {
        double sum = 0;
        for (int64_t i = head * 12; i < head * 12 + 12; i++) {
            sum += contract_out(&forward, "st")[i] * (double)contract_float(&t, "dst")[i];
        }
        for (int64_t row = head * 70 + 69; row >= head * 70; row--) {
            for (int64_t i = row * 4; i < row * 4 + 4; i++) {
                sum += (double)contract_float(&t, "q")[i] * dq[i] -
                       (double)contract_float(&t, "k")[i] * dk[i];
            }
            contract_near("dg", row, contract_out(&t, "dg")[row], sum, 1e-11);
        }
    }
    contract_close(&forward);
    contract_close(&t);
}

// Two tokens of width one: signs and divisors only.
static void test_cottention_by_hand(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "cottention", "batch=1 heads=1 len=3 head_dim=1 v_dim=1");
    contract_set(&t, "q", (const float[]){2, -3, 4});
    contract_set(&t, "k", (const float[]){5, 7, 0});
    contract_set(&t, "v", (const float[]){1, 2, 3});
    contract_set(&t, "m", (const float[]){0});
    contract_run(&t);
    const double second = 2 / sqrt(2);
    contract_expect(&t, "o", (const double[]){1, -1 - second, 1 + second}, 1e-14);
    contract_close(&t);

    contract_open(&t, "cottention", "batch=1 heads=1 len=3 head_dim=1 v_dim=1 CAUSAL=off");
    contract_set(&t, "q", (const float[]){2, -3, 0});
    contract_set(&t, "k", (const float[]){5, 7, -1});
    contract_set(&t, "v", (const float[]){1, 2, 5});
    contract_set(&t, "m", (const float[]){0});
    contract_run(&t);
    const double sum = (1 + 2 - 5) / sqrt(3);
    contract_expect(&t, "o", (const double[]){sum, -sum, 0}, 1e-14);
    contract_close(&t);
}

static void test_cottention_identities(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "batch=2 heads=2 len=19 head_dim=4 v_dim=5",
        "batch=1 heads=2 len=19 head_dim=4 v_dim=5 CAUSAL=off",
        NULL,
    };
    contract_identities("cottention", cases);
    contract_identities("cottention_backward", cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_backward_identities),
        cmocka_unit_test(test_gate_identity),
        cmocka_unit_test(test_cottention_by_hand),
        cmocka_unit_test(test_cottention_identities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
