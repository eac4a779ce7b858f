// SPDX-License-Identifier: MIT
// Names and expressions: values, precedence, errors with their column, shapes.
#include "fixture.h"

#include <math.h>

#include "zoo/expr.h"

static struct vkz_env make_env(void)
{
    struct vkz_env env = {0};
    vkz_env_set(&env, "m", 130);
    vkz_env_set(&env, "n", 7);
    vkz_env_set(&env, "head_dim", 64);
    vkz_env_set(&env, "zero", 0);
    vkz_env_set_axis(&env, "MASK", 2, "none causal window");
    return env;
}

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"1", 1},
        {" 1 + 2 * 3 ", 7},
        {"(1 + 2) * 3", 9},
        {"-2 - -3", 1},
        {"7 / 2", 3.5},
        {"7 % 4 + 8 / 4 / 2", 4},
        {"1.5e3", 1500},
        {".5", 0.5},
        {"0x10", 16},
        {"!0 + !3", 1},
        {"m == 130 && n < 8", 1},
        {"m != 130 || n >= 8", 0},
        {"1 < 2 == 1", 1},
        {"1 || 0 && 0", 1},
        {"m > 100 ? 5 : 6", 5},
        {"0 ? 1 : 0 ? 2 : 3", 3},
        {"1 ? 0 ? 1 : 2 : 3", 2},
        {"ceildiv(m, 64)", 3},
        {"floordiv(m,64)", 2},
        {"min(m, n) + max(1, 2)", 9},
        {"abs(-3) + sqrt(16) + log2(8) + exp2(3)", 18},
        {"ln(exp(2))", 2},
        {"pow(2, 10)", 1024},
        {"floor(1.7) + ceil(1.2) + round(2.5)", 6},
        {"next_pow2(m)", 256},
        {"next_pow2(128) + next_pow2(1) + next_pow2(0)", 130},
        {"prev_pow2(m) + prev_pow2(1)", 129},
        {"MASK", 2},
        {"MASK == MASK.window", 1},
        {"MASK.causal", 1},
        {"1/sqrt(head_dim)", 0.125},
        {"zero != 0 && 1 / zero > 2", 0},
        {"zero == 0 ? 3 : m % zero", 3},
        {"!(m == 1)", 1},
        {"m!=1", 1},
        {"9007199254740991", 9007199254740991.0},
    };
    const struct vkz_env env = make_env();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double value = NAN;
        struct vkz_error err = {VKZ_OK, ""};
        if (vkz_expr_eval(cases[i].text, &env, &value, &err) != VKZ_OK)
            fail_msg("%s: %s", cases[i].text, err.message);
        if (fabs(value - cases[i].value) > 1e-12)
            fail_msg("%s is %g, expected %g", cases[i].text, value, cases[i].value);
    }
    double value = 0;
    assert_int_equal(vkz_expr_eval(NULL, &env, &value, NULL), VKZ_OK);
    assert_true(value == 1);
}

static void errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "column 1|expected a number"},
        {"1 +", "column 4|found the end"},
        {"1 2", "column 3|operator"},
        {"q + 1", "column 1|unknown name 'q'"},
        {"m + MASK.circle", "column 5|MASK.circle"},
        {"MASK.", "unknown name"},
        {"foo(1)", "column 1|unknown function|ceildiv"},
        {"min(1)", "column 6|second argument"},
        {"sqrt(1, 2)", "expected ')'"},
        {"(1", "expected ')'"},
        {"m / zero", "column 3|division by zero"},
        {"m % (n - 7)", "column 3|division by zero"},
        {"ceildiv(m, zero)", "division by zero"},
        {"1 ? 2", "expected ':'"},
        {"1 & 2", "column 3|found '&'"},
        {"m = 3", "found '='"},
        {"12ab", "column 1|number or a name"},
        {"0 && q", "unknown name 'q'"},
    };
    const struct vkz_env env = make_env();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double value = 42;
        struct vkz_error err = {VKZ_OK, ""};
        assert_int_equal(vkz_expr_eval(cases[i].text, &env, &value, &err), VKZ_BAD_INPUT);
        assert_int_equal(err.status, VKZ_BAD_INPUT);
        fixture_expect_words(err.message, cases[i].words);
        assert_true(value == 42); // left alone
    }
    char deep[4096];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    double value;
    struct vkz_error err = {VKZ_OK, ""};
    assert_int_equal(vkz_expr_eval(deep, &env, &value, &err), VKZ_BAD_INPUT);
    fixture_expect_words(err.message, "too deep");
    memset(deep, '-', sizeof deep - 1);
    assert_int_equal(vkz_expr_eval(deep, &env, &value, NULL), VKZ_BAD_INPUT);
}

static void sizes(void **state)
{
    (void)state;
    const struct vkz_env env = make_env();
    int64_t size = -1;
    struct vkz_error err = {VKZ_OK, ""};
    assert_int_equal(vkz_expr_size("m * n", &env, &size, &err), VKZ_OK);
    assert_int_equal(size, 910);
    assert_int_equal(vkz_expr_size("zero", &env, &size, &err), VKZ_OK);
    assert_int_equal(size, 0);
    assert_int_equal(vkz_expr_size("m / n", &env, &size, &err), VKZ_BAD_INPUT);
    fixture_expect_words(err.message, "integer");
    assert_int_equal(vkz_expr_size("-1", &env, &size, NULL), VKZ_BAD_INPUT);
    assert_int_equal(vkz_expr_size("pow(2, 60)", &env, &size, NULL), VKZ_BAD_INPUT);
    assert_int_equal(vkz_expr_size("sqrt(-1)", &env, &size, NULL), VKZ_BAD_INPUT);
}

static void shapes(void **state)
{
    (void)state;
    const struct vkz_env env = make_env();
    int64_t extents[VKZ_MAX_DIMS], count = 0;
    int dims = 0;
    struct vkz_error err = {VKZ_OK, ""};
    assert_int_equal(vkz_shape_eval("m, max(n, 9), MASK == MASK.window ? 2 : 1", &env,
                                    extents, &dims, &count, &err),
                     VKZ_OK);
    assert_int_equal(dims, 3);
    assert_int_equal(extents[0], 130);
    assert_int_equal(extents[1], 9);
    assert_int_equal(extents[2], 2);
    assert_int_equal(count, 2340);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vkz_shape_eval(i ? " " : "", &env, extents, &dims, &count, &err),
                         VKZ_OK);
        assert_int_equal(dims, 0);
        assert_int_equal(count, 1);
    }
    assert_int_equal(vkz_shape_eval("m,", &env, extents, &dims, &count, &err),
                     VKZ_BAD_INPUT);
    assert_int_equal(vkz_shape_eval("m,,n", &env, extents, &dims, &count, &err),
                     VKZ_BAD_INPUT);
    assert_int_equal(
        vkz_shape_eval("1,1,1,1,1,1,1,1,1", &env, extents, &dims, &count, &err),
        VKZ_BAD_INPUT);
    assert_int_equal(vkz_shape_eval("1e9, 1e9, 1e9", &env, extents, &dims, &count, &err),
                     VKZ_BAD_INPUT);
    fixture_expect_words(err.message, "too many elements");
}

static void names(void **state)
{
    (void)state;
    struct vkz_env env = make_env();
    double value = 42;
    assert_false(vkz_env_get(&env, "nothing", &value));
    assert_true(value == 42);
    assert_true(vkz_env_get(&env, "m", NULL));
    vkz_env_set(&env, "m", 5);
    assert_true(vkz_env_get(&env, "m", &value));
    assert_true(value == 5);
    // Replacing an axis' value keeps the names of its values.
    vkz_env_set(&env, "MASK", 0);
    assert_true(vkz_env_get(&env, "MASK.window", &value));
    assert_true(value == 2);
    assert_false(vkz_env_get(&env, "m.window", &value));
}

static void numbers(void **state)
{
    (void)state;
    static const double tried[] = {0,    1,    -1,    64,        1e6,    0.1,     1.0 / 3,
                                   1e-7, 1e30, 12345, 123456789, 2.5e11, -0.0625, 5e-324};
    char text[32];
    for (size_t i = 0; i < sizeof tried / sizeof tried[0]; i++) {
        vkz_number_print(tried[i], false, text);
        assert_true(strtod(text, NULL) == tried[i]);
        vkz_number_print((float)tried[i], true, text);
        assert_true((float)strtod(text, NULL) == (float)tried[i]);
    }
    vkz_number_print(0.1f, true, text);
    assert_string_equal(text, "0.1");
    vkz_number_print(1e6, false, text);
    assert_string_equal(text, "1000000");
    vkz_number_print(-0.0, false, text);
    assert_string_equal(text, "0");
}

static void status(void **state)
{
    (void)state;
    struct vkz_error err = {VKZ_OK, ""};
    assert_int_equal(vkz_error_set(NULL, VKZ_SKIP, "x"), VKZ_SKIP);
    assert_int_equal(vkz_error_set(&err, VKZ_FAILED, "a %d", 1), VKZ_FAILED);
    vkz_error_set(&err, VKZ_FAILED, "b: %s", err.message); // its own message as argument
    assert_string_equal(err.message, "b: a 1");
    for (int i = 0; i < 8; i++)
        assert_non_null(vkz_status_name((enum vkz_status)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values), cmocka_unit_test(errors), cmocka_unit_test(sizes),
        cmocka_unit_test(shapes), cmocka_unit_test(names),  cmocka_unit_test(numbers),
        cmocka_unit_test(status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
