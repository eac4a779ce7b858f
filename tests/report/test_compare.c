// SPDX-License-Identifier: MIT
// Verdicts on made-up samples whose truth is known: false alarms and power; and a whole
// comparison of two made-up files.
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
#include "report/compare.h"

static uint64_t random_state = 7;

static double uniform(void)
{
    return ((double)(vkz_random_next(&random_state) >> 11) + 0.5) * 0x1p-53;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

// Samples as a device gives them: noise of `sigma`, one in twenty a stall of up to 50 %.
static struct vkz_times times_of(double median, double sigma, int n, double samples[])
{
    for (int i = 0; i < n; i++) {
        samples[i] = median * exp(sigma * normal());
        if (uniform() < 0.05)
            samples[i] *= 1 + 0.5 * uniform();
    }
    const struct vkz_summary s = vkz_summarize(samples, n);
    return (struct vkz_times){.ns = s.median, .low = s.low, .high = s.high,
                              .samples = samples, .sample_count = (size_t)n};
}

// Shares of verdicts over many pairs with a true ratio.
static void shares(double ratio, double sigma, double out[VKZ_VERDICTS])
{
    enum { ROUNDS = 600, SAMPLES = 24 };
    memset(out, 0, VKZ_VERDICTS * sizeof *out);
    for (int i = 0; i < ROUNDS; i++) {
        double samples_a[SAMPLES], samples_b[SAMPLES];
        struct vkz_ratio found;
        char reason[160];
        const struct vkz_times a = times_of(1e6, sigma, SAMPLES, samples_a);
        const struct vkz_times b = times_of(1e6 * ratio, sigma, SAMPLES, samples_b);
        out[vkz_compare_times(&a, &b, &found, reason)] += 1.0 / ROUNDS;
    }
    print_message("ratio %.2f, noise %.1f %%: slower %.3f faster %.3f same %.3f cannot tell "
                  "%.3f\n",
                  ratio, 100 * sigma, out[VKZ_VERDICT_SLOWER], out[VKZ_VERDICT_FASTER],
                  out[VKZ_VERDICT_SAME], out[VKZ_VERDICT_UNKNOWN]);
}

static void false_alarms(void **state)
{
    static const double noise[] = {0.003, 0.01, 0.03, 0.1};
    (void)state;
    for (size_t i = 0; i < sizeof noise / sizeof *noise; i++) {
        double share[VKZ_VERDICTS];
        shares(1, noise[i], share);
        assert_true(share[VKZ_VERDICT_SLOWER] + share[VKZ_VERDICT_FASTER] <= 0.05);
    }
}

static void power(void **state)
{
    // Noise, true ratio, share that must be called slower (faster for its inverse).
    static const double wanted[][3] = {{0.005, 1.02, 0.9}, {0.01, 1.02, 0.5},
                                       {0.01, 1.05, 0.95}, {0.03, 1.05, 0.6},
                                       {0.03, 1.10, 0.95}};
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        double share[VKZ_VERDICTS];
        shares(wanted[i][1], wanted[i][0], share);
        assert_true(share[VKZ_VERDICT_SLOWER] >= wanted[i][2]);
        assert_true(share[VKZ_VERDICT_FASTER] <= 0.01);
        shares(1 / wanted[i][1], wanted[i][0], share);
        assert_true(share[VKZ_VERDICT_FASTER] >= wanted[i][2]);
    }
}

// Blocks while the machine drifts: a walk that both sides share, noise of each block.
static void block_shares(double ratio, double drift, double out[VKZ_VERDICTS])
{
    enum { ROUNDS = 2000, PAIRS = 8 };
    memset(out, 0, VKZ_VERDICTS * sizeof *out);
    for (int round = 0; round < ROUNDS; round++) {
        double blocks[2][PAIRS], level = 0;
        struct vkz_ratio found;
        char reason[160];
        for (int pair = 0; pair < PAIRS; pair++) {
            for (int half = 0; half < 2; half++) {
                const int side = pair % 2 ? 1 - half : half; // A B B A
                level += drift * normal();
                blocks[side][pair] = 1e6 * (side ? ratio : 1) * exp(level + 0.005 * normal());
            }
        }
        out[vkz_compare_blocks(blocks[0], blocks[1], PAIRS, &found, reason)] += 1.0 / ROUNDS;
    }
    print_message("blocks, ratio %.2f, drift %.1f %%: slower %.3f faster %.3f same %.3f cannot "
                  "tell %.3f\n", ratio, 100 * drift, out[VKZ_VERDICT_SLOWER],
                  out[VKZ_VERDICT_FASTER], out[VKZ_VERDICT_SAME], out[VKZ_VERDICT_UNKNOWN]);
}

static void blocks_forgive_drift(void **state)
{
    double share[VKZ_VERDICTS];
    (void)state;
    for (double drift = 0; drift < 0.04; drift += 0.015) {
        block_shares(1, drift, share);
        assert_true(share[VKZ_VERDICT_SLOWER] + share[VKZ_VERDICT_FASTER] <= 0.06);
    }
    block_shares(1.02, 0.005, share);
    assert_true(share[VKZ_VERDICT_SLOWER] >= 0.9 && share[VKZ_VERDICT_FASTER] <= 0.01);
    block_shares(1 / 1.05, 0.015, share);
    assert_true(share[VKZ_VERDICT_FASTER] >= 0.95 && share[VKZ_VERDICT_SLOWER] <= 0.01);
    block_shares(1, 0.002, share);
    assert_true(share[VKZ_VERDICT_SAME] >= 0.95);
}

// A block that was cut short has no time: the samples of all blocks still say something.
static void block_without_time(void **state)
{
    double samples[2][20], blocks[2][8];
    struct vkz_ratio found;
    char reason[160];
    (void)state;
    struct vkz_times a = times_of(1e6, 0.003, 20, samples[0]);
    struct vkz_times b = times_of(1.1e6, 0.003, 20, samples[1]);
    for (int i = 0; i < 8; i++)
        blocks[0][i] = blocks[1][i] = 1e6;
    a.blocks_id = b.blocks_id = "one run/0";
    a.blocks = blocks[0];
    b.blocks = blocks[1];
    a.block_count = b.block_count = 8;
    assert_int_equal(vkz_compare_times(&a, &b, &found, reason), VKZ_VERDICT_SAME);
    blocks[1][3] = 0;
    assert_int_equal(vkz_compare_times(&a, &b, &found, reason), VKZ_VERDICT_SLOWER);
    assert_true(fabs(found.value - 1.1) < 0.01);
}

static void quiet_equal_runs_are_the_same(void **state)
{
    double share[VKZ_VERDICTS];
    (void)state;
    shares(1, 0.003, share);
    assert_true(share[VKZ_VERDICT_SAME] >= 0.95);
}

// A line of a result file; NULL status: ok.
static void add_line(FILE *f, const char *op, const char *settings, double ns,
                     const char *status, const char *more)
{
    fprintf(f,
            "{\"type\":\"case\",\"verb\":\"bench\",\"op\":\"%s\",\"case\":\"%s@%s\","
            "\"asked_kernel\":\"\",\"asked_variant\":\"f32\",\"asked_tuning\":\"\","
            "\"kernel\":\"%s_x\",\"variant\":\"f32\",\"tuning\":\"default\","
            "\"spirv_sha256\":[\"%s\"],\"status\":\"%s\",\"reason\":\"because\","
            "\"check\":{\"passed\":true},\"work\":{\"flops\":100,\"metric\":\"flops\"},"
            "\"efficiency\":0.5,\"floor\":{\"ceiling\":\"fma f32\"},"
            "\"time\":{\"hot\":{\"median_ns\":%.17g,\"low_ns\":%.17g,\"high_ns\":%.17g,"
            "\"groups\":20,\"discarded_groups\":0,\"samples_ns\":[",
            op, op, settings, op, more, status ? status : "ok", ns, ns * 0.998, ns * 1.002);
    for (int i = 0; i < 20; i++)
        fprintf(f, "%s%.17g", i ? "," : "", ns * (0.996 + 0.0004 * i));
    fprintf(f, "]}}}\n");
}

static struct vkz_run load(const char *path, int side, struct vkz_store *store)
{
    struct vkz_run run;
    struct vkz_error err = {0};
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "{\"schema\":\"vkzoo-result/1\",\"type\":\"header\",\"verb\":\"bench\"}\n");
    add_line(f, "gemm", "m=1", side ? 2e6 : 1e6, NULL, "s");
    add_line(f, "gemm", "m=2", side ? 0.5e6 : 1e6, NULL, "s");
    add_line(f, "gemm", "m=3", 1e6, NULL, side ? "t" : "s");
    add_line(f, "gemv", "m=4", side ? 2e6 : 1e6, NULL, "s");
    add_line(f, "gemv", "m=5", 1e6, side ? "failed" : NULL, "s");
    add_line(f, "gemv", side ? "m=7" : "m=6", 1e6, NULL, "s");
    fclose(f);
    if (vkz_run_load(path, store, &run, &err) != VKZ_OK)
        fail_msg("%s", err.message);
    unlink(path);
    return run;
}

static void whole_files(void **state)
{
    char path[] = "/tmp/vkzoo-compare-XXXXXX";
    struct vkz_compare *c = NULL;
    struct vkz_error err = {0};
    (void)state;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct vkz_store *store = vkz_store_create();
    assert_non_null(store);
    struct vkz_run a = load(path, 0, store), b = load(path, 1, store);
    assert_int_equal(vkz_compare_create(&a, &b, &c, &err), VKZ_OK);
    assert_int_equal(c->pair_count, 5);
    assert_int_equal(c->only_a_count, 1);
    assert_int_equal(c->only_b_count, 1);
    assert_int_equal(c->pairs[0].verdict, VKZ_VERDICT_BROKEN);
    assert_string_equal(c->pairs[0].reason, "failed: because");
    assert_int_equal(c->pairs[1].verdict, VKZ_VERDICT_SLOWER);
    assert_int_equal(c->pairs[2].verdict, VKZ_VERDICT_SLOWER);
    assert_int_equal(c->pairs[3].verdict, VKZ_VERDICT_FASTER);
    assert_int_equal(c->pairs[4].verdict, VKZ_VERDICT_SAME);
    assert_true(c->pairs[4].other_spirv && !c->pairs[3].other_spirv);
    // Ops weigh the same: gemm 1 (of 2, 1/2 and 1), gemv 2, together the root of 2.
    assert_int_equal(c->op_count, 2);
    assert_true(fabs(c->ops[0].ratio.value - 1) < 1e-9 && c->ops[0].cases == 3);
    assert_true(fabs(c->ops[1].ratio.value - 2) < 1e-9 && c->ops[1].cases == 1);
    assert_true(fabs(c->all.ratio.value - sqrt(2)) < 1e-9);
    assert_true(c->all.ratio.low < c->all.ratio.value);
    assert_true(vkz_compare_worse(c, 0.03));
    vkz_compare_destroy(&c);
    assert_int_equal(vkz_compare_create(&a, &a, &c, &err), VKZ_OK);
    assert_false(vkz_compare_worse(c, 0));
    vkz_compare_destroy(&c);
    vkz_run_finish(&a);
    vkz_run_finish(&b);
    vkz_store_destroy(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(false_alarms),
        cmocka_unit_test(power),
        cmocka_unit_test(quiet_equal_runs_are_the_same),
        cmocka_unit_test(blocks_forgive_drift),
        cmocka_unit_test(block_without_time),
        cmocka_unit_test(whole_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
