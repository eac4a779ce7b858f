// SPDX-License-Identifier: MIT
// The suite language: products, zips, tags, merged lines, limits, and errors with places.
#include "fixture.h"

static struct vkz_suite parse(const char *text)
{
    struct vkz_suite suite = {0};
    struct vkz_error err = {VKZ_OK, ""};
    if (vkz_suite_parse("t.suite", text, strlen(text), 5, &suite, &err) != VKZ_OK)
        fail_msg("%s", err.message);
    return suite;
}

static void products_and_zips(void **state)
{
    (void)state;
    struct vkz_suite s = parse("# a comment\n\n"
                               "op dot # another\r\n"
                               "kernel dot_split\n"
                               "case smoke,quick m:n:k=1:2:7,16:17:63 BIAS=none,row\n"
                               "\tcase   check  m=2 k=3 fill.x=uniform(-1,1),heavy");
    assert_string_equal(s.name, "t.suite");
    assert_int_equal(s.op_count, 1);
    assert_ptr_equal(s.ops[0].op, &vkz_op_dot);
    assert_int_equal(s.ops[0].line, 3);
    assert_int_equal(s.ops[0].kernel_count, 1);
    assert_ptr_equal(s.ops[0].kernels[0], &fixture_kernel);
    static const char *const ids[] = {
        "dot@m=1,n=2,k=7",
        "dot@m=1,n=2,k=7,BIAS=row",
        "dot@m=16,n=17,k=63",
        "dot@m=16,n=17,k=63,BIAS=row",
        "dot@m=2,n=2,k=3,fill.x=uniform(-1,1)",
        "dot@m=2,n=2,k=3,fill.x=heavy",
    };
    assert_int_equal(s.ops[0].case_count, 6);
    for (int i = 0; i < 6; i++) {
        const struct vkz_case *c = &s.ops[0].cases[i];
        assert_string_equal(c->id, ids[i]);
        assert_string_equal(c->tags, i < 4 ? "smoke,quick" : "check");
        assert_string_equal(c->file, "t.suite");
        assert_int_equal(c->line, i < 4 ? 5 : 6);
        assert_int_equal(c->seed, 5);
    }
    vkz_suite_finish(&s);
    assert_null(s.name);
    vkz_suite_finish(&s); // twice is fine
}

static void same_cases_merge(void **state)
{
    (void)state;
    struct vkz_suite s = parse("op dot\n"
                               "case smoke m=4 k=8\n"
                               "case check k=8,16 n=4 m=4,5\n"
                               "case smoke,check,apps m=4 k=8");
    assert_int_equal(s.ops[0].case_count, 4);
    assert_string_equal(s.ops[0].cases[0].tags, "smoke,check,apps");
    assert_int_equal(s.ops[0].cases[0].line, 2);
    assert_string_equal(s.ops[0].cases[3].tags, "check");
    // Without kernel lines all of the op's kernels are meant.
    assert_int_equal(s.ops[0].kernel_count, 1);
    vkz_suite_finish(&s);
    s = parse("");
    assert_int_equal(s.op_count, 0);
    vkz_suite_finish(&s);
}

static void many_cases(void **state)
{
    (void)state;
    char text[8192] = "op dot\ncase check m=1";
    for (int i = 2; i <= 200; i++)
        snprintf(text + strlen(text), 16, ",%d", i);
    snprintf(text + strlen(text), 16, " k=1");
    for (int i = 2; i <= 40; i++)
        snprintf(text + strlen(text), 16, ",%d", i);
    struct vkz_suite s = parse(text);
    assert_int_equal(s.ops[0].case_count, 8000);
    vkz_suite_finish(&s);
    // 8000 * 13 is over the limit.
    snprintf(text + strlen(text), 64, " shift=0,1,2,3,4,5,6,7,8,9,10,11,12");
    struct vkz_error err = {VKZ_OK, ""};
    assert_int_equal(vkz_suite_parse("t", text, strlen(text), 1, &s, &err),
                     VKZ_BAD_INPUT);
    fixture_expect_words(err.message, "t:2:|100000 cases");
    assert_null(s.name);
}

static void errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"nonsense", "t.suite:1:1:|expected op, kernel or case|'nonsense'"},
        {"op", "t.suite:1:1:|`op NAME`"},
        {"op dot dot", "t.suite:1:8:|`op NAME`"},
        {"op nothing", "t.suite:1:4:|expected an op|'nothing'"},
        {"op dot\nop dot", "t.suite:2:4:|opened in line 1"},
        {"kernel dot_split", "t.suite:1:1:|`op NAME` line before"},
        {"op dot\nkernel fast", "t.suite:2:8:|expected a kernel of this build|'fast'"},
        {"op dot\nkernel dot_split\nkernel dot_split", "t.suite:3:8:|twice"},
        {"case smoke m=1", "t.suite:1:1:|`op NAME` line before cases"},
        {"op dot\ncase", "t.suite:2:5:|expected tags"},
        {"op dot\ncase m=1 k=1", "t.suite:2:7:|expected tags before the settings"},
        {"op dot\ncase Smoke m=1", "t.suite:2:6:|expected tags"},
        {"op dot\ncase smoke, m=1", "t.suite:2:12:|expected a tag"},
        {"op dot\ncase smoke,,check m=1", "t.suite:2:12:|expected tags"},
        {"op dot\ncase smoke m=1 k", "t.suite:2:16:|name=value|'k'"},
        {"op dot\ncase smoke m=1 =k", "t.suite:2:16:|expected a name"},
        {"op dot\ncase smoke m=1 k=", "t.suite:2:18:|expected a value"},
        {"op dot\ncase smoke m=1,,2 k=1", "t.suite:2:16:|expected a value"},
        {"op dot\ncase smoke m:k=1:2,3", "t.suite:2:21:|1 more value"},
        {"op dot\ncase smoke m:k=1:2:3", "t.suite:2:20:|expected 2 values"},
        {"op dot\ncase smoke m=1:2", "t.suite:2:16:|expected 1 value"},
        {"op dot\ncase smoke m=1 q=2", "t.suite:2:16:|unknown name 'q'|alpha"},
        {"op dot\ncase smoke m=1 k=2 m=3", "t.suite:2:20:|twice"},
        {"op dot\ncase smoke m:m=1:2 k=2", "t.suite:2:14:|twice"},
        {"op dot\ncase smoke m=1", "t.suite:2:1:|k=64"},
        {"op dot\ncase smoke k=6000 m=1", "t.suite:2:1:|k above 5000"},
        {"op dot\ncase smoke m=1 k=2 MODE=relu,fast", "t.suite:2:20:|'fast' of MODE"},
        {"op dot\ncase smoke m=1 k=2 fill.x=light", "t.suite:2:20:|unknown fill"},
        {"op dot\n  case smoke m=1 k=\x01", "t.suite:2:20:|byte 0x01"},
        {"op d\xc3\xb6t", "t.suite:1:5:|byte 0xc3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vkz_suite s;
        struct vkz_error err = {VKZ_OK, ""};
        if (vkz_suite_parse("t.suite", cases[i].text, strlen(cases[i].text), 1, &s,
                            &err) == VKZ_OK)
            fail_msg("%s was accepted", cases[i].text);
        fixture_expect_words(err.message, cases[i].words);
        assert_null(s.ops);
    }
    struct vkz_suite s;
    assert_int_equal(vkz_suite_parse("t", "op\0dot", 6, 1, &s, NULL), VKZ_BAD_INPUT);
}

static void files(void **state)
{
    (void)state;
    struct vkz_suite s;
    struct vkz_error err = {VKZ_OK, ""};
    assert_int_equal(vkz_suite_load("/nowhere/none.suite", 1, &s, &err), VKZ_BAD_INPUT);
    fixture_expect_words(err.message, "/nowhere/none.suite");
    char path[] = "unit-suite-XXXXXX";
    snprintf(path, sizeof path, "unit-suite-%06d", (int)((uintptr_t)&s % 1000000));
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs("op dot\ncase smoke m=1 k=2\n", file);
    fclose(file);
    assert_int_equal(vkz_suite_load(path, 1, &s, &err), VKZ_OK);
    remove(path);
    assert_string_equal(s.name, path);
    assert_int_equal(s.ops[0].case_count, 1);
    vkz_suite_finish(&s);
}

static void tags(void **state)
{
    (void)state;
    assert_true(vkz_tag_match("smoke,check", "check"));
    assert_true(vkz_tag_match("smoke", "smoke"));
    assert_false(vkz_tag_match("smoke-1", "smoke"));
    assert_false(vkz_tag_match("", "smoke"));
    assert_false(vkz_tag_match("bench-cpu", "cpu"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_and_zips),
        cmocka_unit_test(same_cases_merge),
        cmocka_unit_test(many_cases),
        cmocka_unit_test(errors),
        cmocka_unit_test(files),
        cmocka_unit_test(tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
