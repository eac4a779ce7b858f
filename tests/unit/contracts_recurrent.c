// SPDX-License-Identifier: MIT
// Recurrent networks, memories and alignment against a second way to the same numbers.
#include <complex.h>

#include "contracts.h"
#include "zoo/fill.h"

static double sigma(double x)
{
    return 0.5 + 0.5 * tanh(x / 2);
}

static void fuse_by_hand(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "dense_hidden_fuse", "rows=1 width=2 m=2 eps=0");
    contract_set(&t, "y", (float[]){1, -2});
    contract_set(&t, "gate", (float[]){0, 3});
    contract_set(&t, "past", (float[]){5, 1, 7, 2});
    contract_set(&t, "w", (float[]){2, 0.5});
    contract_run(&t);
    const double s0 = 1, s1 = -2 + 3 * sigma(3) * 3;
    const double r = 1 / sqrt((s0 * s0 + s1 * s1) / 2);
    contract_expect(&t, "o", (double[]){2 * s0 * r, 0.5 * s1 * r}, 1e-14);
    contract_close(&t);
}

// y of one complex channel, from C's own complex numbers.
static void memory_of_pairs(void **state)
{
    (void)state;
    enum { LEN = 7, W = 3, AHEAD = 2 };
    struct contract t;
    double expected[2 * LEN];
    contract_open(&t, "fsmn_memory",
                  "batch=1 len=7 width=2 w=3 AHEAD=on ahead=2 PAIRS=complex");
    const float *x = contract_float(&t, "x"), *a = contract_float(&t, "a");
    const float *b = contract_float(&t, "b");
    for (int i = 0; i < LEN; i++) {
        double complex y = (double)x[2 * i] + (double)x[2 * i + 1] * I;
        for (int j = 0; j < LEN; j++) {
            const float *tap = i - j >= 0 && i - j < W          ? a + 2 * (i - j)
                               : j - i >= 1 && j - i <= AHEAD ? b + 2 * (j - i - 1)
                                                              : NULL;
            if (tap != NULL) {
                y += ((double)tap[0] + (double)tap[1] * I) *
                     ((double)x[2 * j] + (double)x[2 * j + 1] * I);
            }
        }
        expected[2 * i] = creal(y);
        expected[2 * i + 1] = cimag(y);
    }
    contract_run(&t);
    contract_expect(&t, "y", expected, 1e-14);
    contract_close(&t);
}

static void forgetting_by_hand(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "memory_forget", "rows=3 width=2");
    contract_set(&t, "m", (float[]){1, 2, 0, 0, 0x1p-24f, 0});
    contract_set(&t, "bias", (float[]){2, 2, 0, 0, 0, 0});
    contract_run(&t);
    contract_expect(&t, "o", (double[]){0.6, 0.8, 0, 0, 0x1p-24 * 1e6, 0}, 1e-14);
    contract_close(&t);
}

// P by logarithms: e_j exp(L_j - L_(i+1)), L the exclusive prefix sums of ln(1 - e).
static void retriever_by_logarithms(void **state)
{
    (void)state;
    enum { LEN = 9 };
    struct contract t;
    double expected[LEN * LEN] = {0}, prefix[LEN + 1] = {0};
    contract_open(&t, "neighbour_retriever", "batch=1 len=9");
    const float *e = contract_float(&t, "e");
    for (int j = 0; j < LEN; j++) {
        prefix[j + 1] = prefix[j] + log1p(-(double)e[j]);
    }
    for (int i = 0; i < LEN; i++) {
        for (int j = i + 1; j < LEN; j++) {
            expected[i * LEN + j] = (double)e[j] * exp(prefix[j] - prefix[i + 1]);
        }
        expected[i * LEN + i] = exp(prefix[LEN] - prefix[i + 1]);
    }
    contract_run(&t);
    contract_expect(&t, "p", expected, 1e-14);
    contract_close(&t);
}

// All the ways on which step u ends at input t, one by one.
static void alignment_by_enumeration(void **state)
{
    (void)state;
    enum { STEPS = 3, LEN = 4 };
    struct contract t;
    double expected[STEPS * LEN] = {0};
    contract_open(&t, "monotonic_alignment", "batch=1 u=3 len=4 fill.p=sigm");
    const float *p = contract_float(&t, "p");
    for (int path = 0; path < LEN * LEN * LEN; path++) {
        const int end[STEPS] = {path % LEN, path / LEN % LEN, path / LEN / LEN};
        double chance = 1;
        for (int u = 0; u < STEPS; u++) {
            const int from = u == 0 ? 0 : end[u - 1];
            chance = end[u] < from ? 0 : chance * (double)p[u * LEN + end[u]];
            for (int i = from; i < end[u]; i++) {
                chance *= 1 - (double)p[u * LEN + i];
            }
            // Of the steps after this one any will do, or none: count a path once.
            bool first = true;
            for (int later = u + 1; later < STEPS; later++) {
                first = first && end[later] == 0;
            }
            expected[u * LEN + end[u]] += first ? chance : 0;
        }
    }
    contract_run(&t);
    contract_expect(&t, "a", expected, 1e-14);
    contract_close(&t);
}

// A token is masked when fewer than wanted others have a smaller word.
static void masked_tokens_have_small_words(void **state)
{
    (void)state;
    enum { BATCH = 9, LEN = 45 };
    struct contract t;
    double expected[BATCH * LEN], bits[BATCH * 2] = {0};
    contract_open(&t, "token_mask", "batch=9 len=45 ratio=0.3 key=5 mask_id=7");
    const int32_t *ids = contract_int(&t, "ids"), *lens = contract_int(&t, "lens");
    for (int row = 0; row < BATCH; row++) {
        uint32_t words[LEN];
        for (int i = 0; i < LEN; i++) {
            uint32_t out[4];
            vkz_philox((uint32_t[]){5, 0}, (uint32_t[]){(uint32_t)i, (uint32_t)row, 0, 0}, out);
            words[i] = out[0];
        }
        for (int i = 0; i < LEN; i++) {
            int smaller = 0;
            for (int j = 0; j < lens[row]; j++) {
                smaller += words[j] < words[i] || (words[j] == words[i] && j < i);
            }
            const bool masked = i < lens[row] && smaller < (int)(0.3f * (float)lens[row]);
            expected[row * LEN + i] = masked ? 7 : ids[row * LEN + i];
            bits[row * 2 + i / 32] += masked ? exp2(i % 32) : 0;
        }
    }
    contract_run(&t);
    for (int i = 0; i < BATCH * LEN; i++) {
        contract_near("y", i, contract_out(&t, "y")[i], expected[i], 0);
    }
    for (int i = 0; i < BATCH * 2; i++) {
        contract_near("hit", i, contract_out(&t, "hit")[i], bits[i], 0);
    }
    contract_close(&t);
}

// One unit, two tokens.
static void cells_by_hand(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "lstm", "batch=1 len=2 hid=1 CACHE=on");
    const float *gx = contract_float(&t, "gx"), *wh = contract_float(&t, "wh");
    double h = (double)contract_float(&t, "h0")[0], c = (double)contract_float(&t, "c0")[0];
    double y[2];
    for (int i = 0; i < 2; i++) {
        double a[4];
        for (int g = 0; g < 4; g++) {
            a[g] = (double)gx[4 * i + g] + h * (double)wh[g];
        }
        c = sigma(a[1]) * c + sigma(a[0]) * tanh(a[2]);
        h = sigma(a[3]) * tanh(c);
        y[i] = h;
    }
    contract_run(&t);
    contract_expect(&t, "y", y, 1e-14);
    contract_expect(&t, "ht", &h, 1e-14);
    contract_expect(&t, "ct", &c, 1e-14);
    contract_near("cache", 4, contract_out(&t, "cache")[9], c, 1e-14);
    contract_close(&t);

    contract_open(&t, "lstm", "batch=1 len=2 hid=1 CELL=gru DIR=reverse");
    gx = contract_float(&t, "gx");
    wh = contract_float(&t, "wh");
    const float *bh = contract_float(&t, "bh");
    h = (double)contract_float(&t, "h0")[0];
    for (int i = 1; i >= 0; i--) {
        double a[3];
        for (int g = 0; g < 3; g++) {
            a[g] = h * (double)wh[g] + (double)bh[g];
        }
        const double r = sigma((double)gx[3 * i] + a[0]);
        const double z = sigma((double)gx[3 * i + 1] + a[1]);
        h = (1 - z) * tanh((double)gx[3 * i + 2] + r * a[2]) + z * h;
        y[i] = h;
    }
    contract_run(&t);
    contract_expect(&t, "y", y, 1e-14);
    contract_close(&t);
}

static void empty_sequences_keep_their_state(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "lstm", "batch=3 len=4 hid=2 LENS=on");
    contract_set(&t, "lens", (const float *)(const void *)(int32_t[]){4, 0, 2});
    contract_run(&t);
    for (int i = 2; i < 4; i++) {
        contract_near("ht", i, contract_out(&t, "ht")[i],
                      (double)contract_float(&t, "h0")[i], 0);
    }
    for (int i = 0; i < 24; i++) {
        const int row = i / 8, token = i / 2 % 4;
        const bool past = row == 1 || (row == 2 && token >= 2);
        assert_int_equal(contract_out(&t, "y")[i] == 0, past);
    }
    contract_close(&t);
}

// The whole op through spectra, by C's own complex numbers.
static void holographic_by_spectra(const char *inverse)
{
    enum { LEN = 5, D = 6 };
    const double turn = 6.28318530717958647693 / D;
    struct contract t;
    char settings[96];
    double complex bound[D] = {0};
    double expected[LEN * D], weight[LEN], total = 0;
    snprintf(settings, sizeof settings, "batch=1 heads=1 len=5 head_dim=6 INVERSE=%s", inverse);
    contract_open(&t, "hrr_attention", settings);
    const float *q = contract_float(&t, "q"), *k = contract_float(&t, "k");
    const float *v = contract_float(&t, "v");
    for (int f = 0; f < D; f++) {
        for (int i = 0; i < LEN; i++) {
            double complex fk = 0, fv = 0;
            for (int n = 0; n < D; n++) {
                fk += (double)k[i * D + n] * cexp(-I * turn * f * n);
                fv += (double)v[i * D + n] * cexp(-I * turn * f * n);
            }
            bound[f] += fk * fv;
        }
    }
    for (int i = 0; i < LEN; i++) {
        double found[D] = {0}, dot = 0, square = 0, own = 0;
        for (int f = 0; f < D; f++) {
            double complex fq = 0;
            for (int n = 0; n < D; n++) {
                fq += (double)q[i * D + n] * cexp(-I * turn * f * n);
            }
            const double complex x = inverse[0] == 'e' ? bound[f] / fq : bound[f] * conj(fq);
            for (int n = 0; n < D; n++) {
                found[n] += creal(x * cexp(I * turn * f * n)) / D;
            }
        }
        for (int n = 0; n < D; n++) {
            const double x = (double)v[i * D + n];
            dot += x * found[n];
            square += found[n] * found[n];
            own += x * x;
        }
        weight[i] = exp(dot / ((sqrt(own) + 1e-8) * (sqrt(square) + 1e-8)));
        total += weight[i];
    }
    for (int i = 0; i < LEN * D; i++) {
        expected[i] = weight[i / D] / total * (double)v[i];
    }
    contract_run(&t);
    contract_expect(&t, "o", expected, 1e-12);
    contract_close(&t);
}

static void holographic(void **state)
{
    (void)state;
    holographic_by_spectra("involution");
    holographic_by_spectra("exact");
}

static void identities_hold(void **state)
{
    (void)state;
    contract_identities("dense_hidden_fuse", (const char *[]){"rows=3 width=7 m=2", NULL});
    contract_identities("dense_hidden_fuse_backward",
                        (const char *[]){"rows=3 width=7 m=2", NULL});
    contract_identities("fsmn_memory",
                        (const char *[]){"batch=2 len=9 width=4 w=3",
                                         "batch=1 len=5 width=6 w=8 AHEAD=on ahead=2 "
                                         "PAIRS=complex", NULL});
    contract_identities("memory_forget", (const char *[]){"rows=9 width=5", NULL});
    contract_identities("neighbour_retriever",
                        (const char *[]){"batch=2 len=9", "batch=2 len=9 width=3 FORM=apply",
                                         NULL});
    contract_identities("monotonic_alignment",
                        (const char *[]){"batch=2 u=4 len=9", "batch=1 u=9 len=3", NULL});
    contract_identities("token_mask",
                        (const char *[]){"batch=9 len=70", "batch=2 len=3 ratio=1", NULL});
    contract_identities("hrr_attention",
                        (const char *[]){"batch=1 heads=2 len=6 head_dim=8",
                                         "batch=4 heads=1 len=5 head_dim=7 MASK=lens", NULL});
    contract_identities("lstm",
                        (const char *[]){"batch=2 len=7 hid=5", "batch=2 len=6 hid=3 CELL=gru",
                                         "batch=3 len=5 hid=4 CELL=tanh LENS=on", NULL});
    contract_identities("lstm_backward",
                        (const char *[]){"batch=2 len=4 hid=3 CACHE=on", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fuse_by_hand),
        cmocka_unit_test(memory_of_pairs),
        cmocka_unit_test(forgetting_by_hand),
        cmocka_unit_test(retriever_by_logarithms),
        cmocka_unit_test(alignment_by_enumeration),
        cmocka_unit_test(masked_tokens_have_small_words),
        cmocka_unit_test(cells_by_hand),
        cmocka_unit_test(empty_sequences_keep_their_state),
        cmocka_unit_test(holographic),
        cmocka_unit_test(identities_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
