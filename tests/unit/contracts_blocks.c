// SPDX-License-Identifier: MIT
// The contracts of attention over segments, blocks, windows and ranges against a second
// way to the same numbers: every token's weight is found first, whoever it comes from,
// and the values are summed once. And gatedconv against the convolution written as a
// scatter.
#include "contracts.h"

// The default factor of a dot product, as it is handed to kernels.
static double tau_of(int64_t head_dim)
{
    return (double)(float)(1 / sqrt((double)head_dim));
}

static double product(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t c = count - 1; c >= 0; c--) {
        sum += (double)a[c] * (double)b[c];
    }
    return sum;
}

// o = Σ_j weight_j v_j / divisor
static void weigh(const double *weight, double divisor, const float *v, int64_t rows,
                  int64_t width, double *o)
{
    for (int64_t c = 0; c < width; c++) {
        o[c] = 0;
        for (int64_t j = 0; j < rows; j++) {
            o[c] += weight[j] * (double)v[j * width + c];
        }
        o[c] = divisor > 0 ? o[c] / divisor : 0;
    }
}

static void test_range(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "range_attention",
                  "batch=2 heads=2 kv_heads=1 q_len=9 kv_len=12 head_dim=5 v_dim=3 span=4");
    double o[2 * 2 * 9 * 3], weight[12];
    // Past both ends, empty, backwards, whole.
    static const int32_t ends[][2] = {{-3, 4}, {9, 99}, {5, 5}, {8, 2}, {0, 12},
                                      {-9, -2}, {20, 30}, {11, 12}, {3, 7}};
    for (int64_t i = 0; i < 18; i++) {
        contract_int(&t, "lo")[i] = ends[i % 9][0];
        contract_int(&t, "hi")[i] = ends[i % 9][1];
    }
    contract_run(&t);
    for (int64_t row = 0; row < 2 * 2 * 9; row++) {
        const int64_t batch = row / 18;
        const float *k = contract_float(&t, "k") + batch * 12 * 5;
        double sum = 0;
        for (int64_t j = 0; j < 12; j++) {
            const bool seen = j >= ends[row % 9][0] && j < ends[row % 9][1];
            const float *q = contract_float(&t, "q") + row * 5;
            weight[j] = seen ? exp(tau_of(5) * product(q, k + j * 5, 5)) : 0;
            sum += weight[j];
        }
        weigh(weight, sum, contract_float(&t, "v") + batch * 12 * 3, 12, 3, o + row * 3);
    }
    contract_expect(&t, "o", o, 1e-12);
    contract_close(&t);
}

// Each token's weight: a summary's share is dealt out to the tokens of its segment.
static void combine(const char *settings, bool mean)
{
    enum { LEN = 20, SG = 5, D = 4 };
    struct contract t;
    contract_open(&t, "combiner_attention", settings);
    contract_run(&t);
    double o[2 * LEN * D];
    for (int64_t row = 0; row < 2 * LEN; row++) {
        const int64_t i = row % LEN, own = i / SG;
        const float *q = contract_float(&t, "q") + row / LEN * LEN * D;
        const float *k = contract_float(&t, "k") + row / LEN * LEN * D;
        double weight[LEN] = {0}, sum = 0;
        for (int64_t x = 0; x < own; x++) {
            float qbar[D], kbar[D];
            double inner[SG], total = 0;
            for (int64_t c = 0; c < D; c++) {
                double a = mean ? 0 : -1e9, b = a;
                for (int64_t j = x * SG; j < (x + 1) * SG; j++) {
                    const double qj = (double)q[j * D + c], kj = (double)k[j * D + c];
                    a = mean ? a + qj / SG : fmax(a, qj);
                    b = mean ? b + kj / SG : fmax(b, kj);
                }
                qbar[c] = (float)a;
                kbar[c] = (float)b;
            }
            for (int64_t j = 0; j < SG; j++) {
                inner[j] = exp(product(qbar, k + (x * SG + j) * D, D) / 2);
                total += inner[j];
            }
            const double share = exp(product(q + i * D, kbar, D) / 2);
            sum += share;
            for (int64_t j = 0; j < SG; j++) {
                weight[x * SG + j] = share * inner[j] / total;
            }
        }
        for (int64_t j = own * SG; j <= i; j++) {
            weight[j] = exp(product(q + i * D, k + j * D, D) / 2);
            sum += weight[j];
        }
        weigh(weight, sum, contract_float(&t, "v") + row / LEN * LEN * D, LEN, D,
              o + row * D);
    }
    contract_expect(&t, "o", o, mean ? 1e-6 : 1e-12); // means pass through float here
    contract_close(&t);
}

static void test_combiner(void **state)
{
    (void)state;
    combine("batch=1 heads=2 len=20 head_dim=4 sg=5", false);
    combine("batch=1 heads=2 len=20 head_dim=4 sg=5 POOL=mean", true);
}

// Blocks of one key: the gate is q.k, so that the choice can be read off the inputs.
static void test_moba_choice(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "moba_attention",
                  "batch=1 heads=1 len=6 head_dim=1 v_dim=1 bs=1 top=3");
    static const float q[] = {1, 1, 1, 1, -1, 0}, k[] = {2, 5, 5, 1, 2, 9};
    static const float v[] = {1, 2, 3, 4, 5, 6};
    contract_set(&t, "q", q);
    contract_set(&t, "k", k);
    contract_set(&t, "v", v);
    contract_run(&t);
    // Row 3: 5 and 5 of (2, 5, 5). Row 4 turns the order round: 1, then 2. Row 5 ties
    // everywhere: the lowest.
    static const double idx[] = {0, -1, -1, 0, 1, -1, 0, 1, 2,
                                 1, 2,  3,  0, 3, 4,  0, 1, 5};
    contract_expect(&t, "idx", idx, 0);
    const double a = exp(-2), b = exp(-1), c = exp(-2); // keys 0, 3, 4 of row 4
    contract_near("o", 4, contract_out(&t, "o")[4], (a * 1 + b * 4 + c * 5) / (a + b + c),
                  1e-12);
    contract_near("lse", 4, contract_out(&t, "lse")[4], log(a + b + c), 1e-12);
    contract_close(&t);
}

static void test_halo(void **state)
{
    (void)state;
    enum { H = 4, W = 6, D = 3, BS = 2, HALO = 1, SIDE = BS + 2 * HALO };
    static const char *const cases[] = {
        "batch=1 hh=4 ww=6 heads=1 head_dim=3 bs=2 halo=1 REL=on PAD=mask",
        "batch=1 hh=4 ww=6 heads=1 head_dim=3 bs=2 halo=1 REL=on PAD=zero"};
    for (int zero = 0; zero < 2; zero++) {
        struct contract t;
        contract_open(&t, "halo_attention", cases[zero]);
        contract_run(&t);
        double o[H * W * D];
        for (int64_t i = 0; i < H * W; i++) {
            const int64_t y = i / W, x = i % W;
            const float *q = contract_float(&t, "q") + i * D;
            double weight[H * W] = {0}, sum = 0;
            // By distance: the key's place less the query's.
            for (int64_t dy = -SIDE; dy <= SIDE; dy++) {
                for (int64_t dx = -SIDE; dx <= SIDE; dx++) {
                    const int64_t ky = y + dy, kx = x + dx;
                    const int64_t y0 = y - y % BS, x0 = x - x % BS;
                    if (ky < y0 - HALO || ky >= y0 + BS + HALO || kx < x0 - HALO ||
                        kx >= x0 + BS + HALO) {
                        continue;
                    }
                    const bool inside = ky >= 0 && ky < H && kx >= 0 && kx < W;
                    // Distances -(BS-1+HALO) .. of the table's middle, SIDE - 1 - HALO.
                    const int64_t middle = SIDE - 1 + HALO;
                    double s = product(q, contract_float(&t, "rh") + (dy + middle) * D, D) +
                               product(q, contract_float(&t, "rw") + (dx + middle) * D, D);
                    if (inside) {
                        const float *k = contract_float(&t, "k") + (ky * W + kx) * D;
                        s += tau_of(D) * product(q, k, D);
                    }
                    if (inside || zero) {
                        sum += exp(s);
                    }
                    if (inside) {
                        weight[ky * W + kx] = exp(s);
                    }
                }
            }
            weigh(weight, sum, contract_float(&t, "v"), H * W, D, o + i * D);
        }
        contract_expect(&t, "o", o, 1e-12);
        contract_close(&t);
    }
}

// A map of one pixel sees itself and the pooled tokens: everything by hand.
static void test_aggregated(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "aggregated_attention",
                  "batch=1 heads=1 hh=1 ww=1 head_dim=2 win=3 np=2 TOKENS=on");
    static const float q[] = {3, 4}, k[] = {0, 2}, v[] = {1, -1};
    static const float kp[] = {5, 0, 0, 0}, vp[] = {2, 3, 7, -5};
    contract_set(&t, "q", q);
    contract_set(&t, "k", k);
    contract_set(&t, "v", v);
    contract_set(&t, "kp", kp);
    contract_set(&t, "vp", vp);
    contract_run(&t);
    const float *qe = contract_float(&t, "qe"), *bp = contract_float(&t, "bp");
    const float *tok = contract_float(&t, "tok");
    const double centre_bias = (double)contract_float(&t, "bl")[4];
    const double factor = log1p(exp((double)contract_float(&t, "temp")[0])) * log(3);
    const double x = (0.6 + (double)qe[0]) * factor, y = (0.8 + (double)qe[1]) * factor;
    const double a = exp(y + centre_bias), b = exp(x + (double)bp[0]);
    const double c = exp((double)bp[1]); // a pooled key of zeros
    const double token = 0.6 * (double)tok[4] + 0.8 * (double)tok[9 + 4] +
                         (double)contract_float(&t, "btok")[4];
    const double sum = a + b + c;
    const double o[] = {(a / sum + token) * 1 + (b * 2 + c * 7) / sum,
                        -(a / sum + token) + (b * 3 - c * 5) / sum};
    contract_expect(&t, "o", o, 1e-6); // the default temperature is a float
    contract_close(&t);
}

static void test_gatedconv(void **state)
{
    (void)state;
    enum { H = 3, W = 4, C = 5, CC = 2, K = 3 };
    struct contract t;
    contract_open(&t, "gatedconv",
                  "batch=1 height=3 img_width=4 width=5 conv_width=2 ksize=3 ACT=silu");
    contract_run(&t);
    const float *x = contract_float(&t, "x"), *w = contract_float(&t, "w");
    double y[H * W * C];
    for (int64_t i = 0; i < H * W * C; i++) {
        const int64_t n = i % C;
        y[i] = n < C - CC ? (double)x[i / C * 2 * C + C + n]
                          : (double)contract_float(&t, "b")[n - (C - CC)];
    }
    // Every input is scattered to the outputs that it reaches.
    for (int64_t i = 0; i < H * W * CC * K * K; i++) {
        const int64_t n = i % CC, u = i / CC % K, v = i / CC / K % K, p = i / CC / K / K;
        const int64_t r = p / W - (u - 1), q = p % W - (v - 1);
        if (r >= 0 && r < H && q >= 0 && q < W) {
            y[(r * W + q) * C + C - CC + n] += (double)w[(u * K + v) * CC + n] *
                                               (double)x[p * 2 * C + 2 * C - CC + n];
        }
    }
    for (int64_t i = 0; i < H * W * C; i++) {
        const double g = (double)x[i / C * 2 * C + i % C];
        y[i] *= g / (1 + exp(-g));
    }
    contract_expect(&t, "y", y, 1e-12);
    contract_close(&t);
}

static void test_identities(void **state)
{
    (void)state;
    static const char *const ranges[] = {
        "batch=2 heads=4 kv_heads=2 q_len=13 kv_len=17 head_dim=8 span=5", NULL};
    static const char *const combiners[] = {
        "batch=2 heads=2 len=24 head_dim=8 sg=6",
        "batch=1 heads=2 len=20 head_dim=5 sg=5 POOL=mean", NULL};
    static const char *const mobas[] = {"batch=1 heads=2 len=37 head_dim=8 bs=8 top=3",
                                        "batch=1 heads=2 len=29 head_dim=8 bs=4 top=1",
                                        NULL};
    static const char *const halos[] = {
        "batch=1 hh=8 ww=16 heads=2 head_dim=8 bs=4 halo=1 REL=on",
        "batch=2 hh=4 ww=8 heads=1 head_dim=4 bs=2 halo=2 PAD=zero", NULL};
    static const char *const aggregated[] = {
        "batch=1 heads=2 hh=5 ww=4 head_dim=8 win=3 np=5 TOKENS=on",
        "batch=2 heads=1 hh=3 ww=3 head_dim=4 win=5 np=2", NULL};
    static const char *const convs[] = {
        "batch=1 height=5 img_width=4 width=8 conv_width=3 ksize=5",
        "batch=2 height=3 img_width=3 width=4 ksize=3 KIND=convglu ACT=silu", NULL};
    static const struct {
        const char *op;
        const char *const *cases;
    } list[] = {{"range_attention", ranges}, {"combiner_attention", combiners},
                {"moba_attention", mobas},   {"halo_attention", halos},
                {"aggregated_attention", aggregated}, {"gatedconv", convs}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (vkz_op_find(list[i].op) != NULL) {
            contract_identities(list[i].op, list[i].cases);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range),      cmocka_unit_test(test_combiner),
        cmocka_unit_test(test_moba_choice), cmocka_unit_test(test_halo),
        cmocka_unit_test(test_aggregated), cmocka_unit_test(test_gatedconv),
        cmocka_unit_test(test_identities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
