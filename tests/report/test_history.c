// SPDX-License-Identifier: MIT
// Change points on made-up series whose truth is known: false alarms, power, place; and the
// history of made-up result files.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "zoo/stats.h"
#include "report/history.h"

static uint64_t random_state = 11;

static double uniform(void)
{
    return ((double)(vkz_random_next(&random_state) >> 11) + 0.5) * 0x1p-53;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

// n times with noise sigma, one in twenty a bad day, `ratio` times as long from `at` on.
static void make(double *times, int n, double sigma, int at, double ratio)
{
    for (int i = 0; i < n; i++) {
        times[i] = 1e6 * (i < at ? 1 : ratio) * exp(sigma * normal());
        if (uniform() < 0.05)
            times[i] *= 1 + 0.3 * uniform();
    }
}

static void false_alarms(void **state)
{
    static const int lengths[] = {8, 12, 30, 100};
    enum { ROUNDS = 400 };
    (void)state;
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        int alarms = 0;
        for (int i = 0; i < ROUNDS; i++) {
            struct vkz_change changes[VKZ_HISTORY_CHANGES];
            double times[100], noise;
            make(times, lengths[l], 0.03, 0, 1);
            alarms += vkz_history_changes(times, lengths[l], &noise, changes) > 0;
        }
        print_message("%d runs, noise 3 %%: %.1f %% false alarms\n", lengths[l],
                      100.0 * alarms / ROUNDS);
        // 5 % is what the test allows; three standard deviations of 400 rounds above it.
        assert_true(alarms < 0.083 * ROUNDS);
    }
}

static void power(void **state)
{
    enum { ROUNDS = 200, RUNS = 20, AT = 12 };
    (void)state;
    static const double shifts[] = {1.02, 1.05, 0.9};
    for (size_t s = 0; s < 3; s++) {
        int found = 0, placed = 0;
        for (int i = 0; i < ROUNDS; i++) {
            struct vkz_change changes[VKZ_HISTORY_CHANGES];
            double times[RUNS], noise;
            make(times, RUNS, 0.01, AT, shifts[s]);
            const int count = vkz_history_changes(times, RUNS, &noise, changes);
            found += count > 0;
            for (int c = 0; c < count; c++)
                placed += abs(changes[c].first - AT) <= 1 &&
                          fabs(changes[c].ratio / shifts[s] - 1) < 0.02;
        }
        print_message("ratio %.2f, noise 1 %%: found %.1f %%, placed %.1f %%\n", shifts[s],
                      100.0 * found / ROUNDS, 100.0 * placed / ROUNDS);
        assert_true(found > (s == 0 ? 0.7 : 0.88) * ROUNDS);
        assert_true(placed > (s == 0 ? 0.5 : 0.75) * ROUNDS);
    }
}

static void two_changes(void **state)
{
    struct vkz_change changes[VKZ_HISTORY_CHANGES];
    double times[30], noise;
    (void)state;
    for (int i = 0; i < 30; i++)
        times[i] = 1e6 * (i < 10 ? 1 : i < 20 ? 1.2 : 0.8) * exp(0.005 * normal());
    assert_int_equal(vkz_history_changes(times, 30, &noise, changes), 2);
    assert_int_equal(changes[0].first, 10);
    assert_int_equal(changes[1].first, 20);
    assert_true(fabs(changes[1].ratio - 0.8 / 1.2) < 0.02);
    assert_true(noise < 0.02);
}

static void too_few(void **state)
{
    struct vkz_change changes[VKZ_HISTORY_CHANGES];
    const double times[] = {1, 1, 1, 2, 2, 2, 2};
    double noise = 0;
    (void)state;
    assert_int_equal(vkz_history_changes(times, 7, &noise, changes), 0);
    assert_true(isnan(noise));
}

// Files in the wrong order of names: the dates decide.
static void files(void **state)
{
    enum { RUNS = 12 };
    char folder[] = "/tmp/vkz-history-XXXXXX", path[RUNS][80], *text = NULL;
    const char *paths[RUNS];
    size_t size = 0;
    struct vkz_dataset *dataset = NULL;
    struct vkz_history *history = NULL;
    struct vkz_error err = {0};
    (void)state;
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < RUNS; i++) {
        snprintf(path[i], sizeof path[i], "%s/%c.jsonl", folder, 'z' - i);
        FILE *f = fopen(path[i], "w");
        const double ns = (i < 6 ? 1e6 : 1.3e6) * (1 + 0.001 * (i % 3));
        assert_non_null(f);
        fprintf(f,
                "{\"schema\":\"vkzoo-result/1\",\"type\":\"header\",\"verb\":\"bench\","
                "\"tool\":{\"commit\":\"c%d\"},\"started\":\"2026-01-%02dT00:00:00Z\","
                "\"device\":{\"name\":\"Sample GPU\",\"driver_info\":\"%s\"}}\n"
                "{\"type\":\"case\",\"verb\":\"bench\",\"op\":\"gemm\",\"case\":\"gemm@m=1\","
                "\"asked_variant\":\"f32\",\"variant\":\"f32\",\"kernel\":\"gemm_tile\","
                "\"status\":\"ok\",\"check\":{\"passed\":true},\"time\":{\"hot\":{"
                "\"median_ns\":%g,\"low_ns\":%g,\"high_ns\":%g,\"n\":20}}}\n",
                i, i + 1, i < 6 ? "1.0" : "1.1", ns, ns, ns);
        assert_int_equal(fclose(f), 0);
        paths[RUNS - 1 - i] = path[i];
    }
    assert_int_equal(vkz_dataset_load(paths, RUNS, &dataset, &err), VKZ_OK);
    assert_int_equal(vkz_history_create(dataset, &history, &err), VKZ_OK);
    assert_int_equal(history->count, 1);
    assert_int_equal(history->series[0].count, RUNS);
    assert_int_equal(history->series[0].change_count, 1);
    assert_int_equal(history->series[0].changes[0].first, 6);
    FILE *out = open_memstream(&text, &size);
    const struct vkz_style style = {.width = 100};
    assert_true(vkz_history_print(history, "text", out, &style));
    assert_false(vkz_history_print(history, "xml", out, &style));
    fclose(out);
    assert_non_null(strstr(text, "30 % slower from c6 (2026-01-07), with driver 1.1"));
    free(text);
    vkz_history_destroy(&history);
    vkz_dataset_destroy(&dataset);
    for (int i = 0; i < RUNS; i++)
        unlink(path[i]);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(false_alarms), cmocka_unit_test(power),
        cmocka_unit_test(two_changes),  cmocka_unit_test(too_few),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
