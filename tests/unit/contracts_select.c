// SPDX-License-Identifier: MIT
// The contracts of selection and of attention to what was selected, against other ways to
// the same numbers: by hand, by counting, and against dense attention.
#include "contracts.h"

static int64_t dim_of(const struct contract *t, const char *name)
{
    double value = NAN;
    assert_true(vkz_env_get(&t->c.env, name, &value));
    return (int64_t)value;
}

static void expect_list(struct contract *t, int64_t row, int64_t top, const int *expected)
{
    const double *idx = contract_out(t, "idx") + row * top;
    for (int64_t i = 0; i < top; i++) {
        contract_near("idx", i, idx[i], expected[i], 0);
    }
}

static void topk_by_hand(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "topk_select", "rows=4 n=6 top=3 VAL=on");
    contract_set(&t, "x", (float[]){5, 1, 7, 1, 1, 9,                           //
                                    -0.0f, 0, -0.0f, 0, 0, 0,                   //
                                    -INFINITY, INFINITY, -2, -INFINITY, 3, 4,   //
                                    1e-40f, -1e-40f, 0, 1e-45f, -3.0e38f, -1}); //
    static const int32_t lens[] = {5, 6, 4, 6};
    memcpy(contract_int(&t, "lens"), lens, sizeof lens);
    contract_run(&t);
    expect_list(&t, 0, 3, (int[]){0, 1, 2}); // the first of three equal, not what is past 5
    expect_list(&t, 1, 3, (int[]){0, 1, 2}); // zeros of both signs are equal
    expect_list(&t, 2, 3, (int[]){1, 2, -1});
    expect_list(&t, 3, 3, (int[]){0, 2, 3});
    const double *val = contract_out(&t, "val");
    contract_near("val", 6, val[6], INFINITY, 0);
    contract_near("val", 7, val[7], -2, 0);
    contract_near("val", 8, val[8], -INFINITY, 0);
    contract_close(&t);
}

// An element is selected when fewer than `top` of the row come before it.
static void topk_by_counting(void **state)
{
    (void)state;
    static const char *const fills[] = {"normal(1)", "op", "dup", "const(2)"};
    for (size_t f = 0; f < 4; f++) {
        struct contract t;
        char settings[96];
        snprintf(settings, sizeof settings, "rows=20 n=37 top=9 fill.x=%s", fills[f]);
        contract_open(&t, "topk_select", settings);
        contract_run(&t);
        for (int row = 0; row < 20; row++) {
            const float *x = contract_float(&t, "x") + row * 37;
            const int len = contract_int(&t, "lens")[row];
            int list[9], count = 0;
            for (int i = 0; i < len; i++) {
                int before = 0;
                for (int j = 0; j < len; j++) {
                    before += x[j] > x[i] || (x[j] == x[i] && j < i);
                }
                if (before < 9 && x[i] > -INFINITY) {
                    list[count++] = i;
                }
            }
            for (; count < 9; count++) {
                list[count] = -1;
            }
            expect_list(&t, row, 9, list);
        }
        contract_close(&t);
    }
}

static void index_score_by_hand(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "index_score", "batch=1 q_len=1 kv_len=2 hi=2 di=2 scale=0.5");
    contract_set(&t, "qi", (float[]){1, 2, -3, 1});
    contract_set(&t, "ki", (float[]){1, 1, -2, 0});
    contract_set(&t, "w", (float[]){4, -1});
    contract_run(&t);
    // Key 0: 3 and -2; key 1: -2 and 6.
    contract_expect(&t, "score", (double[]){0.5 * 4 * 3, 0.5 * -1 * 6}, 1e-15);
    contract_near("scale", 1, contract_expected(&t, "score")->scale[1], 0.5 * (8 + 6), 0);
    contract_close(&t);
    contract_open(&t, "index_score", "batch=1 q_len=3 kv_len=2 hi=1 di=1");
    contract_run(&t);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(isinf(contract_out(&t, "score")[i]) != 0, i < 2 || i == 3);
    }
    contract_close(&t);
}

// A list of all tokens: dense causal attention with one KV head.
static void gathered_is_dense(void **state)
{
    (void)state;
    struct contract g, a;
    contract_open(&g, "gathered_attention",
                  "batch=2 heads=3 q_len=6 kv_len=9 head_dim=5 v_dim=3 top=9 LSE=on");
    contract_open(&a, "attention",
                  "batch=2 heads=3 kv_heads=1 q_len=6 kv_len=9 head_dim=5 v_dim=3 "
                  "MASK=causal LSE=on");
    for (int64_t i = 0; i < contract_count(&g, "idx"); i++) {
        contract_int(&g, "idx")[i] = (int32_t)(8 - i % 9);
    }
    contract_share(&a, &g, "q");
    contract_share(&a, &g, "k");
    contract_share(&a, &g, "v");
    contract_run(&g);
    contract_run(&a);
    contract_expect(&g, "o", contract_out(&a, "o"), 1e-14);
    contract_expect(&g, "lse", contract_out(&a, "lse"), 1e-14);
    contract_close(&a);
    contract_close(&g);
}

// A value that is the first part of its key.
static void gathered_value_prefix(void **state)
{
    (void)state;
    static const char *const settings =
        "batch=1 heads=2 q_len=4 kv_len=7 head_dim=5 v_dim=3 top=4";
    struct contract own, prefix;
    char text[128];
    contract_open(&own, "gathered_attention", settings);
    snprintf(text, sizeof text, "%s VALUE=prefix_of_key", settings);
    contract_open(&prefix, "gathered_attention", text);
    for (int i = 0; i < 7 * 3; i++) {
        contract_float(&own, "v")[i] = contract_float(&own, "k")[i / 3 * 5 + i % 3];
    }
    contract_run(&own);
    contract_run(&prefix);
    contract_expect(&prefix, "o", contract_out(&own, "o"), 1e-15);
    contract_close(&prefix);
    contract_close(&own);
}

// Blocks of one token: dense causal attention.
static void compressed_is_dense(void **state)
{
    (void)state;
    struct contract c, a;
    contract_open(&c, "compressed_attention",
                  "batch=2 heads=4 kv_heads=2 len=9 head_dim=5 v_dim=3 lc=1 st=1 PHI=mean "
                  "LSE=on");
    contract_open(&a, "attention",
                  "batch=2 heads=4 kv_heads=2 q_len=9 head_dim=5 v_dim=3 MASK=causal "
                  "LSE=on");
    contract_share(&a, &c, "q");
    contract_share(&a, &c, "k");
    contract_share(&a, &c, "v");
    contract_run(&c);
    contract_run(&a);
    contract_expect(&c, "o", contract_out(&a, "o"), 1e-14);
    contract_expect(&c, "lse", contract_out(&a, "lse"), 1e-14);
    contract_close(&a);
    contract_close(&c);
}

// Means given are means taken; a query sees a block from the block's last token on.
static void compressed_means(void **state)
{
    (void)state;
    static const char *const settings =
        "batch=1 heads=2 kv_heads=1 len=11 head_dim=4 lc=4 st=2 LSE=on";
    struct contract given, mean;
    char text[128];
    contract_open(&given, "compressed_attention", settings);
    snprintf(text, sizeof text, "%s PHI=mean", settings);
    contract_open(&mean, "compressed_attention", text);
    assert_int_equal(contract_count(&given, "kc"), 4 * 4);
    for (int i = 0; i < 16; i++) {
        float k = 0, v = 0;
        for (int j = 0; j < 4; j++) {
            k += contract_float(&mean, "k")[(i / 4 * 2 + j) * 4 + i % 4];
            v += contract_float(&mean, "v")[(i / 4 * 2 + j) * 4 + i % 4];
        }
        contract_float(&given, "kc")[i] = k / 4;
        contract_float(&given, "vc")[i] = v / 4;
    }
    contract_share(&given, &mean, "q");
    contract_run(&given);
    contract_run(&mean);
    contract_expect(&given, "o", contract_out(&mean, "o"), 1e-6);
    for (int i = 0; i < 22; i++) {
        assert_int_equal(isinf(contract_out(&given, "lse")[i]) != 0, i % 11 < 3);
    }
    contract_close(&mean);
    contract_close(&given);
}

// Importance by stripes: every pooled key gives its probability to each stripe it covers,
// and a block is the sum of its stripes. Their total is stripes * heads of the group,
// less what lies past the query's block.
static void check_blocks(const char *settings)
{
    struct contract t;
    contract_open(&t, "block_select", settings);
    contract_run(&t);
    const int64_t len = dim_of(&t, "len"), width = dim_of(&t, "head_dim");
    const int64_t lc = dim_of(&t, "lc"), st = dim_of(&t, "st"), ls = dim_of(&t, "ls");
    const int64_t group = dim_of(&t, "heads") / dim_of(&t, "kv_heads");
    const int64_t rows = (len - lc) / st + 1, top = dim_of(&t, "top");
    for (int64_t row = 0; row < dim_of(&t, "kv_heads") * len; row++) {
        const int64_t i = row % len, kv = row / len, own = i / ls;
        double stripes[64] = {0}, imp[64] = {0}, p[64];
        for (int64_t x = 0; x < group; x++) {
            const int64_t at = (kv * group + x) * len + i;
            const float *q = contract_float(&t, "q") + at * width;
            double total = 0;
            for (int64_t c = 0; c < rows && c * st + lc - 1 <= i; c++) {
                const float *k = contract_float(&t, "kc") + (kv * rows + c) * width;
                double dot = 0;
                for (int64_t e = 0; e < width; e++) {
                    dot += (double)q[e] * (double)k[e];
                }
                p[c] = exp(dot / sqrt((double)width));
                total += p[c];
            }
            for (int64_t c = 0; c < rows && c * st + lc - 1 <= i; c++) {
                for (int64_t n = 0; n < lc / st; n++) {
                    stripes[c + n] += p[c] / total;
                }
            }
        }
        for (int64_t s = 0; s < 64; s++) {
            imp[s * st / ls] += stripes[s];
        }
        int list[64];
        int64_t count = 0;
        for (int64_t j = 0; j <= own; j++) {
            int64_t before = 0;
            const bool forced = j == 0 || j + 1 >= own;
            for (int64_t o = 0; o <= own; o++) {
                const bool first = o == 0 || o + 1 >= own;
                const bool same = fabs(imp[o] - imp[j]) <= 1e-12;
                const bool more = same ? o < j : imp[o] > imp[j];
                before += first != forced ? first : more;
            }
            if (before < top) {
                list[count++] = (int)j;
            }
        }
        for (; count < top; count++) {
            list[count] = -1;
        }
        expect_list(&t, row, top, list);
    }
    contract_close(&t);
}

static void blocks_by_stripes(void **state)
{
    (void)state;
    check_blocks("batch=1 heads=4 kv_heads=2 len=60 head_dim=4 lc=4 st=2 ls=4 top=5");
    check_blocks("batch=1 heads=3 kv_heads=1 len=60 head_dim=4 lc=12 st=3 ls=6 top=4");
    check_blocks("batch=1 heads=2 kv_heads=1 len=40 head_dim=4 lc=4 st=4 ls=4 top=6 "
                 "fill.kc=dup");
    check_blocks("batch=1 heads=2 kv_heads=1 len=40 head_dim=4 lc=2 st=2 ls=4 top=2");
}

static void set_gates(struct contract *t, float cmp, float sel, float win)
{
    float *gate = contract_float(t, "gate");
    for (int64_t i = 0; i < contract_count(t, "gate"); i += 3) {
        gate[i] = cmp;
        gate[i + 1] = sel;
        gate[i + 2] = win;
    }
}

#define NATIVE "batch=1 heads=4 kv_heads=2 len=30 head_dim=4 v_dim=3 lc=4 st=2 "

// Gates that open one branch: pooled, near, selected tokens alone.
static void native_branches(void **state)
{
    (void)state;
    struct contract n, other;
    contract_open(&n, "native_sparse_attention", NATIVE "ls=4 top=4 wl=5 SHARED_KV=on");
    set_gates(&n, 1, 0, 0);
    contract_run(&n);
    contract_open(&other, "compressed_attention", NATIVE "PHI=mean");
    contract_share(&other, &n, "q");
    contract_share(&other, &n, "k");
    contract_share(&other, &n, "v");
    contract_run(&other);
    contract_expect(&n, "o", contract_out(&other, "o"), 1e-14);
    contract_close(&other);
    vkz_reference_destroy(&n.reference);

    set_gates(&n, 0, 0, 2);
    contract_run(&n);
    contract_open(&other, "attention",
                  "batch=1 heads=4 kv_heads=2 q_len=30 head_dim=4 v_dim=3 MASK=window "
                  "wl=5");
    contract_share(&other, &n, "q");
    contract_share(&other, &n, "k");
    contract_share(&other, &n, "v");
    contract_run(&other);
    const int64_t count = contract_count(&n, "o");
    double *expected = test_calloc((size_t)count, sizeof *expected);
    for (int64_t i = 0; i < count; i++) {
        expected[i] = 2 * contract_out(&other, "o")[i];
    }
    contract_expect(&n, "o", expected, 1e-14);
    test_free(expected);
    contract_close(&other);
    contract_close(&n);
}

// What it selects is what block_select selects from the same means.
static void native_selects_blocks(void **state)
{
    (void)state;
    static const char *const sizes = "ls=4 top=4 wl=5 SHARED_KV=on";
    struct contract own, given, blocks;
    char text[160];
    snprintf(text, sizeof text, NATIVE "%s", sizes);
    contract_open(&own, "native_sparse_attention", text);
    snprintf(text, sizeof text, NATIVE "%s IDX=given", sizes);
    contract_open(&given, "native_sparse_attention", text);
    contract_open(&blocks, "block_select",
                  "batch=1 heads=4 kv_heads=2 len=30 head_dim=4 lc=4 st=2 ls=4 top=4");
    const float *k = contract_float(&own, "k");
    for (int64_t i = 0; i < contract_count(&blocks, "kc"); i++) {
        const int64_t row = i / 4 % 14 * 2 + i / 56 * 30;
        float sum = 0;
        for (int64_t j = 0; j < 4; j++) {
            sum += k[(row + j) * 4 + i % 4];
        }
        contract_float(&blocks, "kc")[i] = sum / 4;
    }
    contract_share(&blocks, &own, "q");
    contract_run(&blocks);
    for (int64_t i = 0; i < contract_count(&blocks, "idx"); i++) {
        contract_int(&given, "idx")[i] = (int32_t)contract_out(&blocks, "idx")[i];
    }
    contract_run(&own);
    contract_run(&given);
    contract_expect(&own, "o", contract_out(&given, "o"), 1e-14);
    contract_close(&blocks);
    contract_close(&given);
    contract_close(&own);
}

static void identities(void **state)
{
    (void)state;
    contract_identities("topk_select",
                        (const char *const[]){"rows=9 n=30 top=7",
                                              "rows=9 n=5 top=7 fill.x=op", NULL});
    contract_identities("index_score",
                        (const char *const[]){"batch=2 q_len=5 kv_len=9 hi=3 di=6", NULL});
    contract_identities(
        "gathered_attention",
        (const char *const[]){"batch=1 heads=3 q_len=9 kv_len=20 head_dim=4 top=6",
                              "batch=1 heads=1 q_len=9 kv_len=5 head_dim=4 top=3", NULL});
    contract_identities(
        "compressed_attention",
        (const char *const[]){"batch=1 heads=2 kv_heads=1 len=20 head_dim=4 lc=4 st=2",
                              "batch=1 heads=2 len=3 head_dim=4 lc=4 st=2 PHI=mean", NULL});
    contract_identities(
        "block_select",
        (const char *const[]){"batch=1 heads=2 kv_heads=1 len=40 head_dim=4 lc=4 st=2 ls=4 "
                              "top=5",
                              "batch=1 heads=2 len=3 head_dim=4 top=3", NULL});
    contract_identities(
        "native_sparse_attention",
        (const char *const[]){NATIVE "ls=4 top=4 wl=5", NATIVE "ls=4 top=4 wl=0 IDX=given",
                              NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topk_by_hand),
        cmocka_unit_test(topk_by_counting),
        cmocka_unit_test(index_score_by_hand),
        cmocka_unit_test(gathered_is_dense),
        cmocka_unit_test(gathered_value_prefix),
        cmocka_unit_test(compressed_is_dense),
        cmocka_unit_test(compressed_means),
        cmocka_unit_test(blocks_by_stripes),
        cmocka_unit_test(native_branches),
        cmocka_unit_test(native_selects_blocks),
        cmocka_unit_test(identities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
