// SPDX-License-Identifier: MIT
// Adapters against what they stand for: RandLoRA against its merged weight, and the
// adapter inside attention, which has no forward op, against differences of the loss.
#include "contracts.h"

// y with the bases equals y with the update added to W.
static void expect_merged(const char *basis, int k, int n, int rank)
{
    struct contract side, merged, delta;
    char settings[160];
    snprintf(settings, sizeof settings, "k=%d n=%d rank=%d %s", k, n, rank, basis);
    contract_open(&delta, "randlora_delta", settings);
    snprintf(settings, sizeof settings, "rows=5 k=%d n=%d rank=%d %s", k, n, rank, basis);
    contract_open(&side, "randlora_linear", settings);
    contract_open(&merged, "randlora_linear", settings);
    contract_run(&delta);
    contract_run(&side);
    float *w = contract_float(&merged, "w"), *lam = contract_float(&merged, "lam");
    for (int64_t i = 0; i < contract_count(&merged, "w"); i++) {
        w[i] += (float)contract_out(&delta, "dw")[i];
    }
    memset(lam, 0, (size_t)contract_count(&merged, "lam") * sizeof *lam);
    contract_run(&merged);
    for (int64_t i = 0; i < contract_count(&side, "y"); i++) {
        contract_near("y", i, contract_out(&merged, "y")[i], contract_out(&side, "y")[i],
                      2e-5);
    }
    contract_close(&delta);
    contract_close(&side);
    contract_close(&merged);
}

static void test_randlora_merged(void **state)
{
    (void)state;
    expect_merged("", 12, 17, 5);
    expect_merged("", 17, 12, 5);
    expect_merged("BASIS=ternary", 12, 17, 5);
    expect_merged("BASIS=ternary", 17, 12, 4);
}

enum { LEN = 6, WIDTH = 3, RANK = 2 };

// x wᵀ of one token.
static double meet(const float *x, const float *w, int n)
{
    double sum = 0;
    for (int c = 0; c < n; c++) {
        sum += (double)x[c] * (double)w[c];
    }
    return sum;
}

// Σ O ∘ dO of the layer with these inputs.
static double loss(struct contract *t, double s, double tau)
{
    const float *x = contract_float(t, "x"), *b = contract_float(t, "b");
    double q[LEN][WIDTH], k[LEN][WIDTH], v[LEN][WIDTH], sum = 0;
    for (int i = 0; i < LEN; i++) {
        for (int o = 0; o < WIDTH; o++) {
            q[i][o] = meet(x + i * WIDTH, contract_float(t, "wq") + o * WIDTH, WIDTH);
            k[i][o] = meet(x + i * WIDTH, contract_float(t, "wk") + o * WIDTH, WIDTH);
            v[i][o] = meet(x + i * WIDTH, contract_float(t, "wv") + o * WIDTH, WIDTH);
            for (int j = 0; j < RANK; j++) {
                q[i][o] += s * (double)b[o * RANK + j] *
                           meet(x + i * WIDTH, contract_float(t, "a") + j * WIDTH, WIDTH);
            }
        }
    }
    for (int i = 0; i < LEN; i++) {
        double all = 0, own = 0;
        for (int j = 0; j < LEN; j++) {
            double score = 0, dp = 0;
            for (int c = 0; c < WIDTH; c++) {
                score += tau * q[i][c] * k[j][c];
                dp += (double)contract_float(t, "do")[i * WIDTH + c] * v[j][c];
            }
            all += exp(score);
            own += exp(score) * dp;
        }
        sum += own / all;
    }
    return sum;
}

static void test_attention_gradient(void **state)
{
    (void)state;
    static const char *const inputs[] = {"a", "b"}, *const gradients[] = {"da", "db"};
    struct contract t;
    contract_open(&t, "lora_attention_backward", "len=6 width=3 rank=2 s=0.7 tau=0.9");
    contract_run(&t);
    for (int x = 0; x < 2; x++) {
        float *values = contract_float(&t, inputs[x]);
        for (int64_t i = 0; i < contract_count(&t, inputs[x]); i++) {
            const float kept = values[i], step = 1.f / 512;
            values[i] = kept + step;
            const double up = (double)values[i], above = loss(&t, 0.7, 0.9);
            values[i] = kept - step;
            const double down = (double)values[i], below = loss(&t, 0.7, 0.9);
            values[i] = kept;
            contract_near(gradients[x], i, (above - below) / (up - down),
                          contract_out(&t, gradients[x])[i], 2e-5);
        }
    }
    contract_close(&t);
}

// With small scores the polynomial is the exponential.
static void test_attention_taylor(void **state)
{
    (void)state;
    struct contract exact, taylor;
    contract_open(&exact, "lora_attention_backward", "len=9 width=4 rank=2 tau=0.05");
    contract_open(&taylor, "lora_attention_backward",
                  "len=9 width=4 rank=2 tau=0.05 g=12 FORM=taylor");
    contract_run(&exact);
    contract_run(&taylor);
    for (int64_t i = 0; i < contract_count(&exact, "da"); i++) {
        contract_near("da", i, contract_out(&taylor, "da")[i],
                      contract_out(&exact, "da")[i], 1e-8);
    }
    contract_close(&exact);
    contract_close(&taylor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_randlora_merged),
        cmocka_unit_test(test_attention_gradient),
        cmocka_unit_test(test_attention_taylor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
