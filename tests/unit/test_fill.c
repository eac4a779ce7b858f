// SPDX-License-Identifier: MIT
// Fills: the random source against its published answers, each distribution's properties,
// and the same numbers whatever the number of threads.
#include "fixture.h"

#include <math.h>

#include "zoo/fill.h"

static struct vkz_data *make(const char *settings, const struct vkz_variant *variant,
                             int threads)
{
    static struct vkz_case c; // data borrows its case
    struct vkz_data *data = NULL;
    struct vkz_error err = {VKZ_OK, ""};
    c = fixture_case(settings);
    if (vkz_data_create(&c, variant, threads, &data, &err) != VKZ_OK)
        fail_msg("%s", err.message);
    return data;
}

static void philox_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t out[4];
        vkz_philox(known[i].key, known[i].counter, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

// Moments and tails of a million numbers, each within five standard errors.
static void normal_is_normal(void **state)
{
    (void)state;
    struct vkz_data *data = make("m=1000 n=1 k=1000", &fixture_f32, 0);
    const float *x = vkz_data_find(data, "x")->wide;
    const double n = 1e6;
    double s1 = 0, s2 = 0, s3 = 0, s4 = 0, neighbours = 0;
    int above2 = 0, above4 = 0;
    for (int i = 0; i < 1000000; i++) {
        const double v = x[i];
        assert_true(isfinite(v));
        s1 += v;
        s2 += v * v;
        s3 += v * v * v;
        s4 += v * v * v * v;
        above2 += fabs(v) > 2;
        above4 += fabs(v) > 4;
        neighbours += i ? v * x[i - 1] : 0;
    }
    assert_true(fabs(s1 / n) < 5e-3);
    assert_true(fabs(s2 / n - 1) < 5 * 1.42e-3);
    assert_true(fabs(s3 / n) < 5 * 3.9e-3);
    assert_true(fabs(s4 / n - 3) < 5 * 9.8e-3);
    assert_true(fabs(neighbours / n) < 5e-3);
    assert_true(fabs(above2 / n - 0.0455) < 5 * 2.1e-4);
    assert_in_range(above4, 25, 110); // 63 expected
    vkz_data_destroy(&data);
}

static void numbers_are_fixed(void **state)
{
    (void)state;
    // Results of earlier versions are comparable only while these do not change.
    static const float normals[] = {-0x1.07cc94p+1f, -0x1.02d99p-2f, -0x1.e6958p-5f,
                                    0x1.320456p+0f,  -0x1.f94cdp-3f, 0x1.50fe3p-1f};
    static const float uniforms[] = {-0x1.e33d94p-1f, -0x1.8be2p-3f,   0x1.97ec5ep-2f,
                                     -0x1.542494p-2f, -0x1.6f28ecp-1f, 0x1.c7f94ap-1f};
    struct vkz_data *data = make("m=4 n=1 k=5", &fixture_f32, 1);
    assert_memory_equal(vkz_data_find(data, "x")->wide, normals, sizeof normals);
    vkz_data_destroy(&data);
    data = make("m=4 n=1 k=5 fill.x=uniform(-1,1)", &fixture_f32, 1);
    assert_memory_equal(vkz_data_find(data, "x")->wide, uniforms, sizeof uniforms);
    vkz_data_destroy(&data);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    static const char *const fills[] = {
        "normal", "uniform(-1,1)", "heavy",       "dup",    "spike",
        "unit",   "perm",          "zipf(1.2,9)", "onehot", "dyadic",
        "denorm", "decay_hard",    "range(-3,3)", "sigm",   "logdecay"};
    for (size_t i = 0; i < sizeof fills / sizeof fills[0]; i++) {
        char settings[96];
        snprintf(settings, sizeof settings, "m=301 n=1 k=257 fill.x=%s", fills[i]);
        struct vkz_data *one = make(settings, &fixture_f16, 1);
        struct vkz_data *many = make(settings, &fixture_f16, 5);
        assert_memory_equal(vkz_data_find(one, "x")->storage,
                            vkz_data_find(many, "x")->storage, 301 * 257 * 2);
        vkz_data_destroy(&one);
        vkz_data_destroy(&many);
    }
}

static void seeds_and_names_differ(void **state)
{
    (void)state;
    struct vkz_data *data = make("m=16 n=16 k=16 fill.w=normal", &fixture_f32, 1);
    assert_memory_not_equal(vkz_data_find(data, "x")->wide,
                            vkz_data_find(data, "w")->wide, 16 * 16 * 4);
    struct vkz_case c = fixture_case("m=16 n=16 k=16");
    c.seed = 2;
    struct vkz_data *other = NULL;
    assert_int_equal(vkz_data_create(&c, &fixture_f32, 1, &other, NULL), VKZ_OK);
    assert_memory_not_equal(vkz_data_find(data, "x")->wide,
                            vkz_data_find(other, "x")->wide, 16 * 16 * 4);
    vkz_data_destroy(&data);
    vkz_data_destroy(&other);
}

// x of 64 rows of 100 with the fill; freed by the caller of the test through *data.
static const float *rows_of(const char *fill, const struct vkz_variant *variant,
                            struct vkz_data **data)
{
    char settings[96];
    snprintf(settings, sizeof settings, "m=64 n=1 k=100 fill.x=%s", fill);
    *data = make(settings, variant, 2);
    return vkz_data_find(*data, "x")->wide;
}

static void exact_fills(void **state)
{
    (void)state;
    struct vkz_data *data;
    const float *x = rows_of("dyadic", &fixture_bf16, &data);
    int seen[9] = {0};
    for (int i = 0; i < 6400; i++) {
        const float quarters = x[i] * 4;
        assert_true(quarters == floorf(quarters) && fabsf(quarters) <= 4);
        seen[(int)quarters + 4]++;
    }
    for (int i = 0; i < 9; i++)
        assert_in_range(seen[i], 550, 880);
    vkz_data_destroy(&data);

    x = rows_of("onehot", &fixture_f32, &data);
    for (int i = 0; i < 6400; i++)
        assert_true(x[i] == (i % 100 == (7 * (i / 100) + 3) % 100));
    vkz_data_destroy(&data);

    x = rows_of("dup", &fixture_f32, &data);
    for (int row = 8; row < 64; row++)
        assert_memory_equal(x + row * 100, x + (row - 8) * 100, 400);
    for (int row = 1; row < 8; row++)
        assert_memory_not_equal(x + row * 100, x, 400);
    vkz_data_destroy(&data);

    x = rows_of("const(-2.5)", &fixture_f16, &data);
    for (int i = 0; i < 6400; i++)
        assert_true(x[i] == -2.5f);
    vkz_data_destroy(&data);

    x = rows_of("zero", &fixture_f16, &data);
    for (int i = 0; i < 6400; i++)
        assert_true(x[i] == 0);
    vkz_data_destroy(&data);

    x = rows_of("perm", &fixture_f32, &data);
    for (int row = 0; row < 64; row++) {
        int count[100] = {0};
        for (int i = 0; i < 100; i++)
            count[(int)x[row * 100 + i]]++;
        for (int i = 0; i < 100; i++)
            assert_int_equal(count[i], 1);
    }
    assert_memory_not_equal(x, x + 100, 400);
    vkz_data_destroy(&data);
}

static void random_fills(void **state)
{
    (void)state;
    struct vkz_data *data;
    const float *x = rows_of("uniform(-1, 3)", &fixture_f32, &data);
    double sum = 0;
    for (int i = 0; i < 6400; i++) {
        assert_true(x[i] >= -1 && x[i] <= 3);
        sum += x[i];
    }
    assert_true(fabs(sum / 6400 - 1) < 0.07);
    vkz_data_destroy(&data);

    x = rows_of("spike", &fixture_f32, &data);
    int large = 0;
    for (int i = 0; i < 6400; i++)
        large += fabsf(x[i]) > 8;
    assert_in_range(large, 58, 64);
    vkz_data_destroy(&data);

    x = rows_of("heavy", &fixture_f32, &data);
    large = 0;
    for (int i = 0; i < 6400; i++)
        large += fabsf(x[i]) > 5;
    assert_in_range(large, 20, 90);
    vkz_data_destroy(&data);

    x = rows_of("unit", &fixture_f32, &data);
    for (int row = 0; row < 64; row++) {
        double length = 0;
        for (int i = 0; i < 100; i++)
            length += (double)x[row * 100 + i] * x[row * 100 + i];
        assert_true(fabs(length - 1) < 1e-5);
    }
    vkz_data_destroy(&data);

    x = rows_of("range(-128, 127)", &fixture_f32, &data);
    float low = 0, high = 0;
    for (int i = 0; i < 6400; i++) {
        assert_true(x[i] == floorf(x[i]));
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    assert_true(low == -128 && high == 127);
    vkz_data_destroy(&data);

    x = rows_of("zipf(1, k/10)", &fixture_f32, &data); // arguments are expressions
    int count[10] = {0};
    for (int i = 0; i < 6400; i++) {
        assert_in_range((int)x[i], 0, 9);
        count[(int)x[i]]++;
    }
    assert_true(count[0] > 1.7 * count[1] && count[0] < 2.4 * count[1]);
    assert_true(count[9] > 0);
    vkz_data_destroy(&data);
}

static void gate_fills(void **state)
{
    (void)state;
    struct vkz_data *data;
    const float *x = rows_of("logdecay(16)", &fixture_f32, &data);
    for (int i = 0; i < 6400; i++)
        assert_true(x[i] < 0 && x[i] > -0.4f);
    vkz_data_destroy(&data);

    x = rows_of("sigm", &fixture_f32, &data);
    for (int i = 0; i < 6400; i++)
        assert_true(x[i] > 0 && x[i] < 1);
    vkz_data_destroy(&data);

    x = rows_of("decay_hard", &fixture_f32,
                &data); // no dim is called len: the last counts
    for (int i = 0; i < 6400; i++) {
        const int token = i % 100;
        const float expected = token == 96 ? -1000 : token % 32 == 31 ? -30 : 0;
        assert_true(expected ? x[i] == expected : x[i] > -0.4f && x[i] < 0);
    }
    vkz_data_destroy(&data);

    x = rows_of("linear_w", &fixture_f32, &data);
    double squares = 0;
    for (int i = 0; i < 6400; i++)
        squares += (double)x[i] * x[i];
    assert_true(fabs(squares / 64 - 1) < 0.1);
    vkz_data_destroy(&data);
}

static void odd_numbers(void **state)
{
    (void)state;
    const struct {
        const struct vkz_variant *variant;
        double least, most;
    } types[] = {{&fixture_f32, 0x1p-149, 0x1p-126},
                 {&fixture_bf16, 0x1p-133, 0x1p-126},
                 {&fixture_f16, 0x1p-24, 0x1p-14}};
    struct vkz_data *data;
    const float *x;
    for (int t = 0; t < 3; t++) {
        int small = 0;
        x = rows_of("denorm", types[t].variant, &data);
        for (int i = 0; i < 6400; i++) {
            assert_true(fabs(x[i]) >= types[t].least && fabs(x[i]) < types[t].most);
            small += fabs(x[i]) < types[t].most / 16;
        }
        assert_in_range(small, 1000, 5800);
        vkz_data_destroy(&data);
    }
    x = rows_of("nanprobe(123)", &fixture_f16, &data);
    for (int i = 0; i < 6400; i++)
        assert_true(!!isnan(x[i]) == (i == 123));
    assert_true(isnan(vkz_storage_get(VKZ_F16, vkz_data_find(data, "x")->storage, 123)));
    vkz_data_destroy(&data);
}

// The contract's own fill, rounding after an edit, and single numbers like those in bulk.
static void contract_fills(void **state)
{
    (void)state;
    struct vkz_data *data = make("m=5 n=300 k=2 BIAS=column", &fixture_f16, 1);
    struct vkz_array *bias = vkz_data_find(data, "bias");
    assert_int_equal(bias->count, 300);
    assert_int_equal(bias->type, VKZ_F32);
    struct vkz_data *bulk =
        make("m=5 n=300 k=2 BIAS=column fill.bias=normal", &fixture_f16, 1);
    assert_memory_equal(bias->wide, vkz_data_find(bulk, "bias")->wide, 300 * 4);
    struct vkz_array *x = vkz_data_find(data, "x");
    ((float *)x->wide)[0] = 1.0f / 3;
    vkz_array_round(x);
    assert_true(((float *)x->wide)[0] == 0.333251953125f);
    assert_int_equal(((uint16_t *)x->storage)[0], 0x3555);
    assert_null(vkz_data_find(data, "nothing"));
    assert_null(vkz_data_find(data, "y")->storage);
    vkz_data_destroy(&data);
    vkz_data_destroy(&data); // twice is fine
    vkz_data_destroy(&bulk);
}

static void errors(void **state)
{
    (void)state;
    static const struct {
        const char *fill, *words;
    } cases[] = {
        {"nothing", "unknown fill 'nothing'|zipf(a,ids)"},
        {"const", "too few|const(c)"},
        {"normal(1", "')'"},
        {"normal(1,2)", "too many"},
        {"dyadic(1)", "too many"},
        {"uniform(1,)", "after ','"},
        {"range(3,1)", "first <= last"},
        {"range(0,1.5)", "integers"},
        {"zipf(1)", "too few|ids"},
        {"zipf(1,0)", "ids"},
        {"nanprobe(-1)", "index"},
        {"logdecay(0)", "positive"},
        {"normal(q)", "unknown name 'q'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vkz_case c;
        struct vkz_error err = {VKZ_OK, ""};
        char settings[96];
        snprintf(settings, sizeof settings, "m=4 k=4 fill.x=%s", cases[i].fill);
        if (vkz_case_parse(&vkz_op_dot, settings, 1, &c, &err) == VKZ_OK)
            fail_msg("%s was accepted", settings);
        fixture_expect_words(err.message, cases[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_answers),
        cmocka_unit_test(normal_is_normal),
        cmocka_unit_test(numbers_are_fixed),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(seeds_and_names_differ),
        cmocka_unit_test(exact_fills),
        cmocka_unit_test(random_fills),
        cmocka_unit_test(gate_fills),
        cmocka_unit_test(odd_numbers),
        cmocka_unit_test(contract_fills),
        cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
