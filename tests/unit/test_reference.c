// SPDX-License-Identifier: MIT
// Reference, naive twin, sampling of units, the parallel loop, and identities.
#include "fixture.h"

#include <math.h>

#include "zoo/identity.h"

static struct vkz_case the_case; // data borrows its case

static struct vkz_data *make(const char *settings, const struct vkz_variant *variant)
{
    struct vkz_data *data = NULL;
    the_case = fixture_case(settings);
    assert_int_equal(vkz_data_create(&the_case, variant, 2, &data, NULL), VKZ_OK);
    return data;
}

static void values(void **state)
{
    (void)state;
    struct vkz_data *data = make("m=9 n=11 k=100 MODE=relu BIAS=column", &fixture_f16);
    struct vkz_reference *r = NULL;
    assert_int_equal(vkz_reference_create(data, 0, 2, &r, NULL), VKZ_OK);
    assert_int_equal(r->units, 9);
    assert_int_equal(r->unit_count, 9);
    assert_int_equal(r->output_count, 2);
    assert_true(r->flops_spent == 2 * 9 * 11 * 100);
    const struct vkz_expected *y = &r->outputs[0], *positive = &r->outputs[1];
    assert_int_equal(y->per_unit, 11);
    assert_int_equal(positive->per_unit, 1);
    const float *x = vkz_data_find(data, "x")->wide, *w = vkz_data_find(data, "w")->wide;
    const float *bias = vkz_data_find(data, "bias")->wide;
    double naive_error = 0;
    for (int i = 0; i < 9; i++) {
        int count = 0;
        for (int j = 0; j < 11; j++) {
            double sum = 0, magnitude = 0;
            for (int k = 0; k < 100; k++) {
                sum += (double)x[i * 100 + k] * w[j * 100 + k];
                magnitude += fabs((double)x[i * 100 + k] * w[j * 100 + k]);
            }
            sum = (double)0.1f * sum + bias[j];
            count += sum > 0;
            const int at = i * 11 + j;
            assert_true(fabs(y->reference[at] - fmax(sum, 0)) < 1e-12);
            assert_true(fabs(y->scale[at] - (double)0.1f * magnitude) < 1e-12);
            // The naive result is a half.
            assert_true(vkz_storage_round(VKZ_F16, y->naive[at]) == y->naive[at]);
            naive_error = fmax(naive_error, fabs(y->naive[at] - y->reference[at]));
        }
        assert_true(positive->reference[i] == count);
        assert_true(positive->naive[i] == count);
        assert_true(positive->scale[i] == 1);
    }
    assert_true(naive_error > 1e-6 && naive_error < 3e-3);
    vkz_reference_destroy(&r);
    vkz_reference_destroy(&r); // twice is fine
    vkz_data_destroy(&data);
}

static void sampling(void **state)
{
    (void)state;
    struct vkz_data *data = make("m=100001 n=2 k=3", &fixture_f32);
    struct vkz_reference *all = NULL, *some = NULL;
    assert_int_equal(vkz_reference_create(data, 0, 2, &all, NULL), VKZ_OK);
    assert_int_equal(all->unit_count, 100001);
    static const int64_t budgets[] = {1, 64 * 12, 1000 * 12, 99999 * 12};
    for (int b = 0; b < 4; b++) {
        assert_int_equal(vkz_reference_create(data, (double)budgets[b], 2, &some, NULL),
                         VKZ_OK);
        assert_int_equal(some->units, 100001);
        const int64_t wanted = budgets[b] / 12;
        assert_int_equal(some->unit_count, wanted < 64 ? 64 : wanted);
        assert_int_equal(some->unit_index[0], 0);
        assert_int_equal(some->unit_index[some->unit_count - 1], 100000);
        bool tile_edge = false, middle = false;
        for (int64_t i = 0; i < some->unit_count; i++) {
            const int64_t u = some->unit_index[i];
            assert_true(i == 0 || u > some->unit_index[i - 1]);
            tile_edge = tile_edge || u == 32;
            middle = middle || u == 50000;
            for (int j = 0; j < 2; j++)
                assert_true(some->outputs[0].reference[i * 2 + j] ==
                            all->outputs[0].reference[u * 2 + j]);
        }
        assert_true(tile_edge && middle);
        assert_true(some->flops_spent < all->flops_spent);
        vkz_reference_destroy(&some);
    }
    vkz_reference_destroy(&all);
    vkz_data_destroy(&data);
}

static void small_samples(void **state)
{
    (void)state;
    // Every number of units around the least, with a budget that asks for less.
    for (int m = 1; m < 200; m++) {
        char settings[64];
        snprintf(settings, sizeof settings, "m=%d n=1 k=1", m);
        struct vkz_data *data = make(settings, &fixture_f32);
        struct vkz_reference *r = NULL;
        assert_int_equal(vkz_reference_create(data, 1, 1, &r, NULL), VKZ_OK);
        assert_int_equal(r->unit_count, m < 64 ? m : 64);
        for (int64_t i = 1; i < r->unit_count; i++)
            assert_true(r->unit_index[i] > r->unit_index[i - 1]);
        assert_true(r->unit_index[r->unit_count - 1] == m - 1);
        vkz_reference_destroy(&r);
        vkz_data_destroy(&data);
    }
}

static void count_one(void *context, int64_t i) { ((int *)context)[i]++; }

static void parallel(void **state)
{
    (void)state;
    static int seen[100000];
    static const int64_t counts[] = {0, 1, 2, 63, 64, 1000, 100000};
    for (int threads = 0; threads < 7; threads += 3) {
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            memset(seen, 0, sizeof seen);
            vkz_parallel_for(counts[c], threads, count_one, seen);
            for (int64_t i = 0; i < 100000; i++)
                assert_int_equal(seen[i], i < counts[c]);
        }
    }
}

static void identities_hold(void **state)
{
    (void)state;
    static const char *const settings[] = {"m=5 n=3 k=40", "m=1 n=1 k=1",
                                           "m=4 k=9 BIAS=column MODE=relu",
                                           "m=4 k=9 BIAS=row"};
    const struct vkz_variant *variants[] = {&fixture_f32, &fixture_f16, &fixture_bf16};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const struct vkz_case c = fixture_case(settings[i]);
        for (int v = 0; v < 3; v++) {
            struct vkz_error err = {VKZ_OK, ""};
            if (vkz_identities_check_reference(&c, variants[v], 1, &err) != VKZ_OK)
                fail_msg("%s", err.message);
        }
    }
}

static void violations_are_told(void **state)
{
    (void)state;
    const struct vkz_case c = fixture_case("m=5 n=3 k=40 shift=3");
    struct vkz_error err = {VKZ_OK, ""};
    assert_int_equal(vkz_identities_check_reference(&c, &fixture_f32, 1, &err),
                     VKZ_FAILED);
    fixture_expect_words(err.message,
                         "identity negated is violated|dot@m=5|y[0]|allowed");
}

static enum vkz_status no_device(void *context, const struct vkz_data *data,
                                 struct vkz_identity_output *outputs,
                                 struct vkz_error *err)
{
    (void)context, (void)data, (void)outputs;
    return vkz_error_set(err, VKZ_DEVICE_LOST, "gone");
}

static void trouble_is_no_violation(void **state)
{
    (void)state;
    const struct vkz_case c = fixture_case("m=5 n=3 k=40");
    struct vkz_identity_run run = {
        .c = &c, .variant = &fixture_f32, .execute = no_device};
    struct vkz_error err = {VKZ_OK, ""};
    bool violated = true;
    assert_int_equal(vkz_identity_check(&vkz_op_dot.identities[0], &run, &violated, &err),
                     VKZ_DEVICE_LOST);
    assert_false(violated);
    fixture_expect_words(err.message, "swap_rows|gone");
    assert_null(run.items);
    assert_int_equal(vkz_identity_check(&vkz_op_dot.identities[1], &run, &violated, &err),
                     VKZ_SKIP);
}

static void comparison(void **state)
{
    (void)state;
    const struct vkz_case c = fixture_case("m=5 n=3 k=64");
    struct vkz_identity_run run = {.c = &c, .variant = &fixture_f32};
    const double u = 0x1p-24, one[] = {1, 2, NAN, INFINITY};
    assert_true(fabs(vkz_identity_tolerance(&c, VKZ_F32) - 32 * u) < 1e-12);
    assert_true(vkz_identity_tolerance(&c, VKZ_F16) > 0x1p-9);
    double two[] = {1, 2, NAN, INFINITY};
    assert_true(vkz_identity_equal(&run, "y", one, two, 4, 2));
    two[0] = 1 + 2 * 2 * 31 * u; // the scale is the largest value, 2
    assert_true(vkz_identity_equal(&run, "y", one, two, 4, 2));
    two[0] = 1 + 2 * 2 * 33 * u;
    assert_false(vkz_identity_equal(&run, "y", one, two, 4, 2));
    two[0] = 1;
    two[2] = 0;
    assert_false(vkz_identity_equal(&run, "y", one, two, 4, 2));
    two[2] = NAN;
    two[3] = -INFINITY;
    assert_false(vkz_identity_equal(&run, "y", one, two, 4, 2));
    fixture_expect_words(run.message, "y[3]");
    assert_false(vkz_identity_equal(&run, "y", NULL, two, 4, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(sampling),
        cmocka_unit_test(small_samples),
        cmocka_unit_test(parallel),
        cmocka_unit_test(identities_hold),
        cmocka_unit_test(violations_are_told),
        cmocka_unit_test(trouble_is_no_violation),
        cmocka_unit_test(comparison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
