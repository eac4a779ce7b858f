// SPDX-License-Identifier: MIT
// Every backward op of this build against central differences of its forward op, on its
// smoke case and on its small check cases.
#include "contracts.h"

#include "zoo/gradient.h"
#include "zoo/suite.h"

// Differences run the forward reference a dozen times an input.
static const double MOST_FLOPS = 4e5;
static const double TOLERANCE = 1e-5;

static bool wanted(const struct vkz_case *c)
{
    if (!c->op->forward || !vkz_op_find(c->op->forward))
        return false;
    // Special numbers are for the kernels: a NaN or 1e30 has no difference quotient.
    for (int i = 0; i < c->fill_count; i++) {
        static const char *const special[] = {"nanprobe", "spike", "denorm", "heavy"};
        for (size_t s = 0; s < sizeof special / sizeof *special; s++) {
            if (strstr(c->fills[i].fill, special[s]))
                return false;
        }
    }
    return vkz_tag_match(c->tags, "smoke") ||
           (vkz_tag_match(c->tags, "check") && vkz_case_flops(c) <= MOST_FLOPS);
}

static void test_gradients(void **state)
{
    int ops = 0, cases = 0, failed = 0;
    (void)state;
    for (const struct vkz_suite_text *text = vkz_suite_texts; text->name; text++) {
        struct vkz_suite suite = {0};
        struct vkz_error err = {VKZ_OK, ""};
        if (vkz_suite_parse(text->name, text->text, text->size, 1, &suite, &err) != VKZ_OK)
            fail_msg("%s", err.message);
        for (int i = 0; i < suite.op_count; i++) {
            int tried = 0;
            for (int j = 0; j < suite.ops[i].case_count; j++) {
                if (!wanted(&suite.ops[i].cases[j]))
                    continue;
                tried++;
                if (vkz_gradient_check(&suite.ops[i].cases[j], TOLERANCE, 1, &err) !=
                    VKZ_OK) {
                    print_error("%s\n", err.message);
                    failed++;
                }
            }
            ops += tried > 0;
            cases += tried;
            // A backward op that no case of its suite proves would slip through.
            if (suite.ops[i].op->forward && vkz_op_find(suite.ops[i].op->forward) &&
                tried == 0)
                fail_msg("%s has no smoke and no small check case",
                         suite.ops[i].op->name);
        }
        vkz_suite_finish(&suite);
    }
    print_message("%d cases of %d backward ops\n", cases, ops);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
