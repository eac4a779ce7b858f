// SPDX-License-Identifier: MIT
// The contracts of sparse attention over lists against dense attention, against each other,
// and by hand; and their identities.
#include "contracts.h"

static int64_t dim_of(const struct contract *t, const char *name)
{
    double value = NAN;
    assert_true(vkz_env_get(&t->c.env, name, &value));
    return (int64_t)value;
}

// Opens both ops on the same numbers: whatever inputs they share are those of `a`.
static void share_inputs(struct contract *a, struct contract *b)
{
    static const char *const names[] = {"q", "k", "v", "seg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct vkz_array *x = vkz_data_find(a->data, names[i]);
        struct vkz_array *y = vkz_data_find(b->data, names[i]);
        if (x != NULL && y != NULL && x->wide != NULL && y->wide != NULL) {
            contract_share(b, a, names[i]);
        }
    }
}

static void expect_same(const char *op, const char *settings, const char *other,
                        const char *other_settings, bool lse)
{
    struct contract a, b;
    contract_open(&a, op, settings);
    contract_open(&b, other, other_settings);
    share_inputs(&a, &b);
    contract_run(&a);
    contract_run(&b);
    contract_expect(&b, "o", contract_out(&a, "o"), 1e-13);
    if (lse) {
        contract_expect(&b, "lse", contract_out(&a, "lse"), 1e-13);
    }
    contract_close(&b);
    contract_close(&a);
}

static void full_lists_are_dense(void **state)
{
    (void)state;
    static const char *const masks[] = {"MASK=none", "MASK=causal", "MASK=window wl=5 wr=2",
                                        "MASK=prefix np=4", "MASK=doc"};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        char dense[160], listed[200];
        snprintf(dense, sizeof dense, "batch=2 heads=4 kv_heads=2 q_len=13 kv_len=19 "
                 "head_dim=5 v_dim=3 LSE=on %s", masks[i]);
        snprintf(listed, sizeof listed, "%s br=4 bc=3 list=4", dense);
        expect_same("attention", dense, "block_sparse_attention", listed, true);
    }
}

static void window_of_everything_is_causal(void **state)
{
    (void)state;
    expect_same("attention", "batch=2 heads=3 q_len=17 head_dim=4 MASK=causal",
                "factorised_attention", "batch=2 heads=3 len=17 head_dim=4 l=17", false);
    expect_same("attention", "batch=2 heads=4 kv_heads=2 q_len=17 head_dim=4 MASK=causal "
                "LSE=on",
                "selected_attention", "batch=2 heads=4 kv_heads=2 len=17 head_dim=4 ls=5 "
                "top=4", true);
}

// The window of factorised attention is attention's with one key fewer to the left.
static void local_is_a_window(void **state)
{
    (void)state;
    expect_same("attention", "batch=1 heads=2 q_len=23 head_dim=4 MASK=window wl=6 wr=0",
                "factorised_attention", "batch=1 heads=2 len=23 head_dim=4 l=7", false);
}

// A selection is a list of tiles of one query and ls keys.
static void selection_is_a_list(void **state)
{
    (void)state;
    enum { LEN = 21, LS = 4, TOP = 3, BLOCKS = 6 };
    struct contract a, b;
    contract_open(&a, "selected_attention",
                  "batch=1 heads=3 kv_heads=1 len=21 head_dim=4 ls=4 top=3 holes=1");
    contract_open(&b, "block_sparse_attention",
                  "batch=1 heads=3 kv_heads=1 q_len=21 head_dim=4 br=1 bc=4 MASK=causal "
                  "LSE=on");
    share_inputs(&a, &b);
    const int32_t *idx = contract_int(&a, "idx");
    int32_t *start = contract_int(&b, "start"), *cols = contract_int(&b, "cols");
    int32_t *flags = contract_int(&b, "flags");
    int32_t count = 0;
    for (int i = 0; i < LEN; i++) {
        start[i] = count;
        for (int block = 0; block < BLOCKS; block++) {
            for (int n = 0; n < TOP; n++) {
                if (idx[i * TOP + n] == block) {
                    cols[count] = block;
                    flags[count++] = 1;
                }
            }
        }
    }
    start[LEN] = count;
    contract_run(&a);
    contract_run(&b);
    contract_expect(&b, "o", contract_out(&a, "o"), 1e-13);
    contract_expect(&b, "lse", contract_out(&a, "lse"), 1e-13);
    contract_close(&b);
    contract_close(&a);
}

static void lists_by_hand(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "block_list", "q_len=4 br=2 bc=2 PATTERN=strided l=2");
    contract_run(&t);
    contract_expect(&t, "start", (double[]){0, 1, 3}, 0);
    contract_expect(&t, "cols", (double[]){0, 0, 1, -1}, 0);
    contract_expect(&t, "flags", (double[]){1, 1, 1, 0}, 0);
    contract_close(&t);
    contract_open(&t, "block_list", "q_len=4 br=2 bc=1 PATTERN=local l=4");
    contract_run(&t);
    contract_expect(&t, "start", (double[]){0, 2, 6}, 0);
    contract_expect(&t, "cols", (double[]){0, 1, 0, 1, 2, 3, -1, -1}, 0);
    contract_expect(&t, "flags", (double[]){0, 1, 0, 0, 0, 1, 0, 0}, 0);
    contract_close(&t);
    // Strides of 3; the summary is each stride's last column.
    contract_open(&t, "block_list", "q_len=7 br=1 bc=1 PATTERN=fixed l=3 cw=1 nv=1 nnz=9");
    contract_run(&t);
    contract_expect(&t, "start", (double[]){0, 1, 3, 6, 8, 11, 15, 18}, 0);
    contract_expect(&t, "cols", (double[]){0, 0, 1, 0, 1, 2, 2, 3, 2}, 0);
    contract_close(&t);
}

// What the lists show of local and strided together is their union: sums of pairs.
static void merged_is_the_union(void **state)
{
    (void)state;
    enum { LEN = 29, L = 5 };
    int64_t pairs = 0;
    struct contract t;
    contract_open(&t, "block_list",
                  "q_len=29 br=1 bc=1 PATTERN=strided_merged l=5 nnz=841");
    contract_run(&t);
    for (int i = 0; i < LEN; i++) {
        // l keys of the window, and every l-th before them.
        pairs += i + 1 < L ? i + 1 : L + i / L;
    }
    assert_int_equal((int64_t)contract_out(&t, "start")[LEN], pairs);
    contract_close(&t);
}

static void random_tiles_do_not_repeat(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "block_list",
                  "q_len=40 kv_len=80 br=8 bc=8 PATTERN=bigbird wl=0 ng=0 nr=16");
    contract_run(&t);
    // More draws than tiles: all of them, each shown whole.
    for (int64_t row = 0; row <= 5; row++) {
        assert_int_equal((int64_t)contract_out(&t, "start")[row], 10 * row);
    }
    for (int64_t i = 0; i < 50; i++) {
        assert_int_equal((int64_t)contract_out(&t, "cols")[i], i % 10);
        assert_int_equal((int64_t)contract_out(&t, "flags")[i], 0);
    }
    contract_close(&t);
}

static void fills_have_what_they_say(void **state)
{
    (void)state;
    struct contract t;
    contract_open(&t, "block_sparse_attention",
                  "batch=1 heads=1 q_len=90 head_dim=2 br=9 bc=5 list=3 density=0.5");
    const int32_t *start = contract_int(&t, "start");
    for (int row = 0; row < 10; row++) {
        assert_int_equal(start[row + 1] - start[row], row % 3 == 1 ? 0 : 9);
    }
    contract_run(&t);
    for (int i = 9; i < 18; i++) { // an empty list
        assert_true(contract_out(&t, "o")[2 * i] == 0);
    }
    contract_close(&t);
    // The column lists hold what the row lists do.
    contract_open(&t, "block_sparse_attention_backward",
                  "batch=1 heads=2 q_len=33 kv_len=40 head_dim=2 br=4 bc=8 list_heads=2 "
                  "MASK=window wl=3");
    const int64_t rows = 9, tiles = 5;
    const int32_t *begin = contract_int(&t, "start"), *cols = contract_int(&t, "cols");
    const int32_t *flags = contract_int(&t, "flags"), *at = contract_int(&t, "startT");
    const int32_t *colsT = contract_int(&t, "colsT"), *flagsT = contract_int(&t, "flagsT");
    assert_int_equal(dim_of(&t, "nnz"), 2 * rows * tiles);
    for (int64_t list = 0; list < 2; list++) {
        for (int64_t col = 0; col < tiles; col++) {
            int32_t n = at[list * (tiles + 1) + col];
            for (int64_t row = 0; row < rows; row++) {
                for (int32_t m = begin[list * (rows + 1) + row];
                     m < begin[list * (rows + 1) + row + 1]; m++) {
                    if (cols[m] == col) {
                        assert_int_equal(colsT[n], row);
                        assert_int_equal(flagsT[n], flags[m]);
                        n++;
                    }
                }
            }
            assert_int_equal(n, at[list * (tiles + 1) + col + 1]);
        }
    }
    contract_close(&t);
}

static void identities_hold(void **state)
{
    (void)state;
    contract_identities("block_sparse_attention", (const char *const[]){
        "batch=2 heads=2 kv_heads=1 q_len=20 kv_len=26 head_dim=6 br=8 bc=4",
        "batch=1 heads=2 q_len=20 head_dim=6 br=4 bc=8 MASK=causal list=3", NULL});
    contract_identities("block_sparse_attention_backward", (const char *const[]){
        "batch=1 heads=2 kv_heads=1 q_len=12 kv_len=16 head_dim=6 br=4 bc=4", NULL});
    contract_identities("factorised_attention", (const char *const[]){
        "batch=1 heads=2 len=23 head_dim=6 l=4", "batch=1 heads=2 len=23 head_dim=6 l=4 "
        "PATTERN=strided", NULL});
    contract_identities("selected_attention", (const char *const[]){
        "batch=1 heads=4 kv_heads=2 len=23 head_dim=6 ls=4 top=3", NULL});
    contract_identities("selected_attention_backward", (const char *const[]){
        "batch=1 heads=4 kv_heads=2 len=17 head_dim=6 ls=4 top=3", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_lists_are_dense),
        cmocka_unit_test(window_of_everything_is_causal),
        cmocka_unit_test(local_is_a_window),
        cmocka_unit_test(selection_is_a_list),
        cmocka_unit_test(lists_by_hand),
        cmocka_unit_test(merged_is_the_union),
        cmocka_unit_test(random_tiles_do_not_repeat),
        cmocka_unit_test(fills_have_what_they_say),
        cmocka_unit_test(identities_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
