// SPDX-License-Identifier: MIT
// The peak family's contracts against closed forms.
#include "contracts.h"

static void copy_and_empty_copy(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "copy", "n=2053");
    contract_run(&t);
    for (int i = 0; i < 2053; i++) {
        assert_true(contract_out(&t, "y")[i] == contract_int(&t, "x")[i]);
    }
    contract_close(&t);
    contract_open(&t, "empty", "n=3");
    contract_run(&t);
    for (int i = 0; i < 3; i++) {
        assert_true(contract_out(&t, "y")[i] == contract_int(&t, "x")[i]);
    }
    contract_close(&t);
}

static void triad_adds(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "triad", "n=2 s=-2");
    contract_set(&t, "a", (float[]){1, 2});
    contract_set(&t, "b", (float[]){3, -4});
    contract_run(&t);
    contract_expect(&t, "y", (double[]){-5, 10}, 0);
    assert_true(contract_expected(&t, "y")->scale[1] == 10);
    contract_close(&t);
}

// Every slice is counted `repeat` times over all words when parts is a multiple of
// repeat.
static void read_covers_everything(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        uint32_t times;
    } cases[] = {{"n=1", 1}, {"n=1003 parts=7", 1}, {"n=4096 parts=8 repeat=4", 4},
                 {"n=999 parts=12 repeat=12", 12}, {"n=40 parts=3 repeat=6", 6},
                 {"n=5 parts=9 repeat=3", 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct contract t;
        uint32_t sum = 0, total = 0;
        contract_open(&t, "read", cases[i].settings);
        contract_run(&t);
        for (int64_t j = 0; j < contract_count(&t, "x"); j++) {
            sum += (uint32_t)contract_int(&t, "x")[j];
        }
        for (int64_t j = 0; j < contract_count(&t, "y"); j++) {
            total += (uint32_t)(int32_t)contract_out(&t, "y")[j];
        }
        assert_int_equal(total, cases[i].times * sum);
        contract_close(&t);
    }
}

static void read_slices(void **state)
{
    (void)state;
    struct contract t;
    // Slices of 4 words: [0,4) [4,8) [8,9); two each, two slices apart.
    contract_open(&t, "read", "n=9 parts=3 repeat=2");
    for (int i = 0; i < 9; i++) {
        contract_int(&t, "x")[i] = 1 << i;
    }
    contract_run(&t);
    contract_expect(&t, "y", (double[]){15 + 256, 240 + 15, 256 + 240}, 0);
    contract_close(&t);
}

static void fma_converges(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "fma", "lanes=5 iters=300");
    contract_run(&t);
    const double a = 1.0 / 1024 - 1, b = 0.25, factor = pow(a, 300);
    for (int i = 0; i < 5; i++) {
        const double x = (double)contract_float(&t, "x")[i];
        contract_near("y", i, contract_out(&t, "y")[i],
                      factor * x + b * (1 - factor) / (1 - a), 1e-12);
    }
    contract_close(&t);
}

// Every step is exact in f16: rounding after each changes nothing.
static void fma_f16_is_exact(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "fma_f16", "lanes=2000 iters=33");
    contract_run(&t);
    for (int i = 0; i < 2000; i++) {
        float y = contract_float(&t, "x")[i];
        assert_true(y >= -2 && y < 2 && y * 256 == floorf(y * 256));
        for (int s = 0; s < 33; s++) {
            const float next = 95.0f / 256 - y;
            y = vkz_f32_from_f16(vkz_f16_from_f32(next));
            assert_true(y == next);
        }
        assert_true(contract_out(&t, "y")[i] == (double)y);
    }
    contract_close(&t);
}

static void idot_by_hand(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "idot", "lanes=2 iters=1");
    contract_int(&t, "x")[0] = (int32_t)0xff80027fu; // bytes 127, 2, -128, -1
    contract_int(&t, "x")[1] = 0;
    contract_int(&t, "w")[0] = (int32_t)0x80017f03u; // bytes 3, 127, 1, -128
    contract_int(&t, "w")[1] = 7;
    contract_run(&t);
    const double w = (double)(int32_t)0x80017f03u;
    contract_expect(&t, "y", (double[]){w + 3 * 127 + 2 * 127 - 128 + 128, 7}, 0);
    contract_close(&t);
}

static void exp2_is_a_geometric_sum(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "exp2", "lanes=3 iters=100");
    contract_run(&t);
    const double ratio = exp2(-8.0 / 128);
    for (int i = 0; i < 3; i++) {
        const double x = (double)contract_float(&t, "x")[i];
        contract_near("y", i, contract_out(&t, "y")[i],
                      exp2(x) * (1 - pow(ratio, 100)) / (1 - ratio), 1e-12);
    }
    contract_close(&t);
}

static void coopmat_is_one_product(void **state)
{
    (void)state;
    struct contract t, g;
    contract_open(&t, "coopmat_mac", "m=5 n=4 k=8 iters=3");
    contract_run(&t);
    contract_open(&g, "gemm", "m=5 n=4 k=8 TRANS=nn");
    contract_share(&g, &t, "a");
    contract_share(&g, &t, "b");
    contract_run(&g);
    contract_expect(&t, "c", contract_out(&g, "c"), 0);
    for (int i = 0; i < 20; i++) { // exact in f16 as well
        const float c = (float)contract_out(&t, "c")[i];
        assert_true(vkz_f32_from_f16(vkz_f16_from_f32(c)) == c);
    }
    contract_close(&g);
    contract_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_and_empty_copy),
        cmocka_unit_test(triad_adds),
        cmocka_unit_test(read_covers_everything),
        cmocka_unit_test(read_slices),
        cmocka_unit_test(fma_converges),
        cmocka_unit_test(fma_f16_is_exact),
        cmocka_unit_test(idot_by_hand),
        cmocka_unit_test(exp2_is_a_geometric_sum),
        cmocka_unit_test(coopmat_is_one_product),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
