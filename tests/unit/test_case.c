// SPDX-License-Identifier: MIT
// Cases: defaults, ids that read back, derived cases, and what errors say.
#include "fixture.h"

#include <math.h>

static double value_of(const struct vkz_case *c, const char *name)
{
    double value = NAN;
    assert_true(vkz_env_get(&c->env, name, &value));
    return value;
}

static void defaults(void **state)
{
    (void)state;
    const struct vkz_case c = fixture_case("m=3 k=16");
    assert_true(value_of(&c, "n") == 3); // default m
    assert_true(value_of(&c, "alpha") == 0.25);
    assert_true(value_of(&c, "MODE") == 0);
    assert_true(value_of(&c, "BIAS.column") == 2);
    assert_string_equal(c.id, "dot@m=3,n=3,k=16");
    assert_int_equal(c.seed, 1);
    assert_string_equal(c.tags, "");
    assert_null(c.file);
}

static void ids_read_back(void **state)
{
    (void)state;
    static const char *const settings[] = {
        "m=3 k=16",
        "m=3,k=16,n=5",
        "  m=3\tk=16 ,, n=5 ",
        "m=1 k=80", // alpha 1/sqrt(80) is no short number, and a default
        "m=1 k=1 alpha=0.1",
        "m=1 k=1 alpha=1/3 shift=-1e-20",
        "m=1 k=4 shift=-ln(k) MODE=relu BIAS=1",
        "m=7 k=4 fill.x=heavy fill.w=uniform(-1,1)",
        "m=7 k=4 fill.w=range( 0 , k-1 ) fill.x=normal(0.02)",
        "m=7 k=4 BIAS=row fill.bias=zero",
        "m=2*4 k=1e3",
        "m=1099511627776 k=1 n=1",
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const struct vkz_case c = fixture_case(settings[i]);
        struct vkz_case back;
        struct vkz_error err = {VKZ_OK, ""};
        if (vkz_case_parse_id(c.id, 1, &back, &err) != VKZ_OK)
            fail_msg("%s: %s", c.id, err.message);
        assert_string_equal(back.id, c.id);
        assert_int_equal(back.env.count, c.env.count);
        for (int j = 0; j < c.env.count; j++) {
            assert_string_equal(back.env.vars[j].name, c.env.vars[j].name);
            assert_true(back.env.vars[j].value == c.env.vars[j].value);
        }
        assert_int_equal(back.fill_count, c.fill_count);
    }
}

static void ids_are_canonical(void **state)
{
    (void)state;
    const char *const same[] = {
        "BIAS=column MODE=1 k=4 fill.w=heavy m=3 fill.x=unit alpha=.10 n=3",
        "m=3,k=4,alpha=1e-1,MODE=relu,BIAS=2,fill.x=unit,fill.w=heavy",
        ("m=3 k=4 alpha=0.1 shift=0 MODE=relu BIAS=column fill.x=unit fill.w=heavy "
         "fill.bias=op"),
    };
    for (int i = 0; i < 3; i++) {
        const struct vkz_case c = fixture_case(same[i]);
        assert_string_equal(
            c.id,
            "dot@m=3,n=3,k=4,alpha=0.1,MODE=relu,BIAS=column,fill.x=unit,fill.w=heavy");
    }
}

static void derived(void **state)
{
    (void)state;
    const struct vkz_case base = fixture_case("m=3 k=16 shift=2 BIAS=row fill.x=heavy");
    struct vkz_case c;
    assert_int_equal(vkz_case_with(&base, "m=5 k=4", &c, NULL), VKZ_OK);
    assert_true(value_of(&c, "n") == 5);       // follows m
    assert_true(value_of(&c, "alpha") == 0.5); // follows k
    assert_true(value_of(&c, "shift") == 2);   // was set
    assert_string_equal(c.id, "dot@m=5,n=5,k=4,shift=2,BIAS=row,fill.x=heavy");
    assert_int_equal(vkz_case_with(&c, "BIAS=none shift=0 fill.x=normal(1)", &c, NULL),
                     VKZ_OK);
    assert_string_equal(c.id, "dot@m=5,n=5,k=4");
    assert_int_equal(vkz_case_with(&base, "", &c, NULL), VKZ_OK);
    assert_string_equal(c.id, base.id);
    assert_int_equal(vkz_case_with(&base, "k=6000", &c, NULL), VKZ_BAD_INPUT);
    assert_string_equal(c.id, base.id); // left alone
}

static void scalars_are_floats(void **state)
{
    (void)state;
    const struct vkz_case c = fixture_case("m=1 k=80 shift=0.1");
    assert_true(value_of(&c, "alpha") == (double)(float)(1 / sqrt(80)));
    assert_true(value_of(&c, "shift") == (double)0.1f);
}

static void errors(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *words;
    } cases[] = {
        {"", "m|m=64"},
        {"m=3", "k|k=64"},
        {"m=3 k=4 q=1", "unknown name 'q'|m n k alpha shift MODE BIAS|fill."},
        {"m=3 k=4 MODE=fast", "unknown value 'fast' of MODE|plain relu"},
        {"m=3 k=4 MODE=2", "unknown value '2' of MODE"},
        {"m=3 k=4 MODE=-1", "unknown value"},
        {"m=0 k=4", "m is 0|integer >= 1"},
        {"m=2.5 k=4", "m is 2.5"},
        {"m=k k=4", "unknown name 'k'"},
        {"m=3 k=4 m=5", "m is given twice"},
        {"m=3 k", "name=value|'k'"},
        {"m=3 k=", "name=value"},
        {"=3", "name=value"},
        {"m=3,4 k=5", "name=value|'4'"},
        {"m=3 k=5001", "k above 5000 is not served"},
        {"m=3 k=4 alpha=1/0", "alpha|division by zero"},
        {"m=3 k=4 alpha=1e300", "finite"},
        {"m=3 k=4 fill.y=heavy", "unknown input 'y'|x w bias"},
        {"m=3 k=4 fill.x=light", "unknown fill 'light'"},
        {"m=3 k=4 fill.x=op "
         "fill.w=uniform(1111111111111111111111,22222222222222222222222)",
         "at most 47"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vkz_case c = {.seed = 99};
        struct vkz_error err = {VKZ_OK, ""};
        if (vkz_case_parse(&vkz_op_dot, cases[i].settings, 1, &c, &err) == VKZ_OK)
            fail_msg("%s was accepted", cases[i].settings);
        assert_int_equal(err.status, VKZ_BAD_INPUT);
        fixture_expect_words(err.message, cases[i].words);
        assert_int_equal(c.seed, 99); // left alone
        assert_int_equal(vkz_case_parse(&vkz_op_dot, cases[i].settings, 1, &c, NULL),
                         VKZ_BAD_INPUT);
    }
    struct vkz_case c;
    struct vkz_error err = {VKZ_OK, ""};
    assert_int_equal(vkz_case_parse_id("nothing@m=1", 1, &c, &err), VKZ_BAD_INPUT);
    fixture_expect_words(err.message, "unknown op 'nothing'|vkzoo list");
    assert_int_equal(vkz_case_parse_id("@m=1", 1, &c, NULL), VKZ_BAD_INPUT);
    assert_int_equal(vkz_case_parse_id("dot", 1, &c, &err), VKZ_BAD_INPUT);
}

static void tensors_and_work(void **state)
{
    (void)state;
    const struct vkz_case c = fixture_case("m=3 n=5 k=7 MODE=relu");
    int64_t extents[VKZ_MAX_DIMS], count;
    int dims;
    assert_int_equal(
        vkz_case_tensor(&c, &vkz_op_dot.tensors[3], extents, &dims, &count, NULL),
        VKZ_OK);
    assert_int_equal(dims, 2);
    assert_int_equal(count, 15);
    assert_int_equal(
        vkz_case_tensor(&c, &vkz_op_dot.tensors[2], extents, &dims, &count, NULL),
        VKZ_OK);
    assert_int_equal(count, 0); // no bias
    assert_true(vkz_case_flops(&c) == 2 * 3 * 5 * 7);
    assert_true(vkz_case_bytes(&c, &fixture_f16) == 2 * (21 + 35 + 15) + 4 * 3);
    assert_true(vkz_case_bytes(&c, NULL) == 4 * (21 + 35 + 15) + 4 * 3);
}

static void axes(void **state)
{
    (void)state;
    const struct vkz_axis axis = {"MASK", "none  causal window", ""};
    char name[64];
    assert_int_equal(vkz_axis_value(&axis, "window"), 2);
    assert_int_equal(vkz_axis_value(&axis, "win"), -1);
    assert_int_equal(vkz_axis_value(&axis, ""), -1);
    assert_true(vkz_axis_name(&axis, 1, name));
    assert_string_equal(name, "causal");
    assert_false(vkz_axis_name(&axis, 3, name));
    assert_false(vkz_axis_name(&axis, -1, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),           cmocka_unit_test(ids_read_back),
        cmocka_unit_test(ids_are_canonical),  cmocka_unit_test(derived),
        cmocka_unit_test(scalars_are_floats), cmocka_unit_test(errors),
        cmocka_unit_test(tensors_and_work),   cmocka_unit_test(axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
