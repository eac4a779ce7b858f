// SPDX-License-Identifier: MIT
// The gemm family's contracts against products done by hand and against themselves.
#include "contracts.h"

// A = [1 2 3; 4 5 6], B = [1 0 2; -1 3 1] as rows of Bᵀ: C = [7 8; 16 17].
static const float A[] = {1, 2, 3, 4, 5, 6}, A_TURNED[] = {1, 4, 2, 5, 3, 6};
static const float B[] = {1, 0, 2, -1, 3, 1}, B_TURNED[] = {1, -1, 0, 3, 2, 1};
static const double C[] = {7, 8, 16, 17};

static void gemm_layouts(void **state)
{
    (void)state;
    static const char *const settings[] = {"m=2 n=2 k=3 TRANS=nt", "m=2 n=2 k=3 TRANS=nn",
                                           "m=2 n=2 k=3 TRANS=tn"};
    for (int i = 0; i < 3; i++) {
        struct contract t;
        contract_open(&t, "gemm", settings[i]);
        contract_set(&t, "a", i == 2 ? A_TURNED : A);
        contract_set(&t, "b", i == 0 ? B : B_TURNED);
        contract_run(&t);
        contract_expect(&t, "c", C, 0);
        assert_true(contract_expected(&t, "c")->scale[1] == 1 + 6 + 3);
        contract_close(&t);
    }
}

static double gelu(double x)
{
    return x * 0.5 * erfc(-x / sqrt(2));
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static void gemm_epilogues(void **state)
{
    (void)state;
    static const float c0[] = {1, 2, 3, 4}, bias[] = {-8, 1}, scale[] = {2, -3};
    static const struct {
        const char *settings;
        double c[4];
    } cases[] = {
        {"EPILOGUE=none alpha=0.5 beta=2", {5.5, 8, 14, 16.5}},
        {"EPILOGUE=bias", {-1, 9, 8, 18}},
        {"EPILOGUE=bias_relu", {0, 9, 8, 18}},
        {"EPILOGUE=residual alpha=2", {15, 18, 35, 38}},
        {"EPILOGUE=scale_row", {14, 16, -48, -51}},
        {"EPILOGUE=scale_col", {14, -24, 32, -51}},
        {"EPILOGUE=scale_col beta=1", {16, -30, 38, -63}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct contract t;
        char settings[96];
        snprintf(settings, sizeof settings, "m=2 n=2 k=3 %s", cases[i].settings);
        contract_open(&t, "gemm", settings);
        contract_set(&t, "a", A);
        contract_set(&t, "b", B);
        if (contract_count(&t, "c0") > 0) {
            contract_set(&t, "c0", c0);
        }
        if (contract_count(&t, "bias") > 0) {
            contract_set(&t, "bias", bias);
        }
        if (contract_count(&t, "scale") > 0) {
            contract_set(&t, "scale", scale);
        }
        contract_run(&t);
        contract_expect(&t, "c", cases[i].c, 1e-15);
        contract_close(&t);
    }
}

static void gemm_activations(void **state)
{
    (void)state;
    static const char *const names[] = {"bias_gelu", "bias_silu"};
    static const float bias[] = {-8, -8.5f};
    for (int kind = 0; kind < 2; kind++) {
        struct contract t;
        double expected[4];
        char settings[64];
        snprintf(settings, sizeof settings, "m=2 n=2 k=3 EPILOGUE=%s", names[kind]);
        contract_open(&t, "gemm", settings);
        contract_set(&t, "a", A);
        contract_set(&t, "b", B);
        contract_set(&t, "bias", bias);
        contract_run(&t);
        for (int i = 0; i < 4; i++) {
            const double x = C[i] + (double)bias[i % 2];
            expected[i] = kind == 0 ? gelu(x) : silu(x);
        }
        contract_expect(&t, "c", expected, 1e-14);
        contract_close(&t);
    }
}

static void gemm_nan_stays_in_its_row(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "gemm", "m=3 n=5 k=4");
    contract_float(&t, "a")[1 * 4 + 2] = NAN;
    contract_run(&t);
    for (int i = 0; i < 15; i++) {
        assert_int_equal(isnan(contract_out(&t, "c")[i]) != 0, i / 5 == 1);
    }
    contract_close(&t);
}

static void gemm_refuses(void **state)
{
    (void)state;
    struct vkz_case c;
    struct vkz_error err = {VKZ_OK, ""};
    const struct vkz_op *op = vkz_op_find("gemm");
    if (op == NULL) {
        skip();
    }
    assert_int_not_equal(
        vkz_case_parse(op, "m=1 n=1 k=1 EPILOGUE=residual beta=1", 1, &c, &err), VKZ_OK);
    assert_non_null(strstr(err.message, "beta"));
}

// Against the gemm of each item, both with and without a shared B.
static void batched_is_gemm(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        struct contract t;
        char settings[64];
        snprintf(settings, sizeof settings, "batch=3 m=4 n=5 k=7 SHARED_B=%s",
                 shared ? "yes" : "no");
        contract_open(&t, "batched_gemm", settings);
        assert_int_equal(contract_count(&t, "b"), shared ? 35 : 105);
        contract_run(&t);
        for (int x = 0; x < 3; x++) {
            struct contract one;
            contract_open(&one, "gemm", "m=4 n=5 k=7");
            contract_set(&one, "a", contract_float(&t, "a") + x * 28);
            contract_set(&one, "b", contract_float(&t, "b") + (shared ? 0 : x * 35));
            contract_run(&one);
            contract_expect(&one, "c", contract_out(&t, "c") + x * 20, 0);
            contract_close(&one);
        }
        contract_close(&t);
    }
}

static void gemv_is_gemm(void **state)
{
    (void)state;
    struct contract t, g;
    contract_open(&t, "gemv", "m=3 n=9 k=11 EPILOGUE=bias_relu");
    contract_open(&g, "gemm", "m=3 n=9 k=11 EPILOGUE=bias_relu");
    contract_set(&g, "a", contract_float(&t, "x"));
    contract_set(&g, "b", contract_float(&t, "w"));
    contract_share(&g, &t, "bias");
    contract_run(&t);
    contract_run(&g);
    contract_expect(&g, "c", contract_out(&t, "y"), 0);
    contract_close(&g);
    contract_close(&t);
}

static void int8_by_hand(void **state)
{
    (void)state;
    struct contract t;
    static const double expected[] = {-128 * 127 + 127 * 2, 128 * 128 - 127};
    contract_open(&t, "gemm_int8", "m=1 n=2 k=2");
    memcpy(contract_int(&t, "a"), (int32_t[]){-128, 127}, 2 * sizeof(int32_t));
    memcpy(contract_int(&t, "b"), (int32_t[]){127, 2, -128, -1}, 4 * sizeof(int32_t));
    contract_run(&t);
    contract_expect(&t, "c", expected, 0);
    contract_close(&t);
}

static void int8_fill_has_the_full_range(void **state)
{
    (void)state;
    struct contract t;
    int low = 0, high = 0;
    contract_open(&t, "gemm_int8", "m=100 n=1 k=100");
    for (int i = 0; i < 10000; i++) {
        const int x = contract_int(&t, "a")[i];
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    assert_int_equal(low, -128);
    assert_int_equal(high, 127);
    contract_close(&t);
}

static void identities_hold(void **state)
{
    (void)state;
    static const char *const gemm[] = {
        "m=5 n=7 k=9", "m=1 n=3 k=1", "m=6 n=2 k=33 TRANS=nn EPILOGUE=bias_gelu",
        "m=4 n=5 k=6 TRANS=tn EPILOGUE=scale_row", "m=3 n=5 k=8 EPILOGUE=residual",
        "m=3 n=5 k=8 EPILOGUE=scale_col beta=0.5", "m=4 n=5 k=6 fill.a=nanprobe(7)",
        NULL};
    static const char *const batched[] = {
        "batch=3 m=5 n=7 k=9", "batch=2 m=4 n=3 k=8 SHARED_B=yes TRANS=tn",
        "batch=4 m=1 n=1 k=5 EPILOGUE=residual TRANS=nn", NULL};
    static const char *const gemv[] = {"n=7 k=9", "m=8 n=3 k=40 EPILOGUE=bias_silu",
                                       NULL};
    static const char *const int8[] = {"m=5 n=7 k=9", "m=1 n=1 k=130", NULL};
    contract_identities("gemm", gemm);
    contract_identities("batched_gemm", batched);
    contract_identities("gemv", gemv);
    contract_identities("gemm_int8", int8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_layouts),
        cmocka_unit_test(gemm_epilogues),
        cmocka_unit_test(gemm_activations),
        cmocka_unit_test(gemm_nan_stays_in_its_row),
        cmocka_unit_test(gemm_refuses),
        cmocka_unit_test(batched_is_gemm),
        cmocka_unit_test(gemv_is_gemm),
        cmocka_unit_test(int8_by_hand),
        cmocka_unit_test(int8_fill_has_the_full_range),
        cmocka_unit_test(identities_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
