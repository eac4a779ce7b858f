// SPDX-License-Identifier: MIT
// The agreement check: silent on a kernel that agrees, and one message for each way in
// which a kernel or a contract can be wrong.
#include "fixture.h"

#include "zoo/agree.h"

struct heard {
    char text[4096];
};

static void hear(void *context, const char *file, const char *message)
{
    struct heard *heard = context;
    const size_t used = strlen(heard->text);
    snprintf(heard->text + used, sizeof heard->text - used, "%s: %s\n", file, message);
}

static int kernel_heard(const struct vkz_kernel *kernel, struct heard *heard)
{
    struct vkz_agree agree = {.report = hear, .context = heard};
    heard->text[0] = '\0';
    vkz_agree_kernel(&agree, kernel, NULL);
    return agree.count;
}

static void expect(const struct vkz_kernel *kernel, const char *words)
{
    struct heard heard;
    if (kernel_heard(kernel, &heard) == 0)
        fail_msg("nothing was said about: %s", words);
    fixture_expect_words(heard.text, "shaders/unit/dot_split.comp: ");
    fixture_expect_words(heard.text, words);
}

// A copy of an array of the fixture with one element changed, long enough for all.
#define WITH(type, array, index, member, value)                                          \
    type changed[8] = {0};                                                               \
    for (int i_ = 0; fixture_kernel.array[i_].name; i_++)                                \
        changed[i_] = fixture_kernel.array[i_];                                          \
    changed[index].member = value;                                                       \
    struct vkz_kernel kernel = fixture_kernel;                                           \
    kernel.array = changed

static void all_agree(void **state)
{
    (void)state;
    struct heard heard = {""};
    struct vkz_agree agree = {.report = hear, .context = &heard};
    vkz_agree_all(&agree);
    assert_string_equal(heard.text, "");
    assert_int_equal(agree.count, 0);
}

static void wrong_binds(void **state)
{
    (void)state;
    {
        WITH(struct vkz_bind, binds, 0, name, "xx");
        expect(&kernel, "bind xx is no tensor of op dot|x w bias y positive");
    }
    {
        WITH(struct vkz_bind, binds, 0, io, VKZ_OUT);
        expect(&kernel, "bind x is out, the contract has in");
    }
    {
        WITH(struct vkz_bind, binds, 1, type, "f32");
        expect(&kernel, "bind w is f32, the contract has T|variant f16");
    }
    {
        WITH(struct vkz_bind, binds, 1, type, "W");
        expect(&kernel, "bind w: variant f32 gives no storage type to 'W'");
    }
    {
        WITH(struct vkz_bind, binds, 1, shape, "k, n");
        expect(&kernel, "bind w has shape [k, n], the contract has [n, k]");
    }
    {
        WITH(struct vkz_bind, binds, 1, shape, "n, q");
        expect(&kernel, "bind w|unknown name 'q'");
    }
    {
        WITH(struct vkz_bind, binds, 2, when, "BIAS == 1");
        expect(&kernel, "bind bias exists when BIAS == 1, in the contract when");
    }
    {
        WITH(struct vkz_bind, binds, 2, when, "BIAS == BIAS.rows");
        expect(&kernel, "bind bias|BIAS.rows");
    }
    {
        WITH(struct vkz_bind, binds, 1, name, "x");
        expect(&kernel, "bind x is there twice");
    }
    {
        WITH(struct vkz_bind, binds, 5, name, "y");
        expect(&kernel, "scratch y has the name of a tensor");
    }
    {
        WITH(struct vkz_bind, binds, 5, shape, "m / 2");
        expect(&kernel, "bind part|integer");
    }
}

// Without the constant for MODE or BIAS a kernel serves only their first values, so it
// may leave out the tensors that these bring; with it, it may not.
static void left_out_tensors(void **state)
{
    (void)state;
    struct vkz_bind binds[8] = {0};
    struct vkz_spec specs[8] = {0};
    for (int i = 0, n = 0; fixture_kernel.binds[i].name; i++) {
        if (strcmp(fixture_kernel.binds[i].name, "bias") != 0)
            binds[n++] = fixture_kernel.binds[i];
    }
    struct vkz_kernel kernel = fixture_kernel;
    kernel.binds = binds;
    expect(&kernel, "tensor bias is not bound");
    struct heard heard;
    for (int i = 0; i < 3; i++)
        specs[i] = fixture_kernel.specs[i];
    kernel.specs = specs; // no BIAS
    assert_int_equal(kernel_heard(&kernel, &heard), 0);
    kernel.specs = fixture_kernel.specs;
    kernel.when = "BIAS == BIAS.none && k <= 64";
    assert_int_equal(kernel_heard(&kernel, &heard), 0);
    kernel.when = "BIAS != BIAS.row";
    expect(&kernel, "tensor bias is not bound");
    memset(binds, 0, sizeof binds);
    binds[0] = fixture_kernel.binds[0];
    expect(&kernel, "tensor w is not bound");
}

static void wrong_expressions(void **state)
{
    (void)state;
    struct vkz_kernel kernel = fixture_kernel;
    kernel.when = "k <=";
    expect(&kernel, "when");
    kernel.when = "k > 100000";
    expect(&kernel, "never run");
    kernel = fixture_kernel;
    kernel.shared = "4 * TILE";
    expect(&kernel, "shared|unknown name 'TILE'");
    {
        WITH(struct vkz_push, push, 0, name, "rows");
        expect(&kernel, "push rows is no dim");
    }
    {
        WITH(struct vkz_push, push, 3, type, VKZ_U32);
        expect(&kernel, "push alpha is|no u32");
    }
    {
        WITH(struct vkz_let, lets, 0, value, "ceildiv(k, SPLITS)");
        expect(&kernel, "let nsplit|SPLITS");
    }
    {
        WITH(struct vkz_let, lets, 0, name, "WG_SIZE");
        expect(&kernel, "let WG_SIZE has the name of a constant");
    }
    {
        WITH(struct vkz_spec, specs, 1, value, "k / 3");
        expect(&kernel, "constant SPLIT is|no u32");
    }
    {
        WITH(struct vkz_spec, specs, 1, value, "k +");
        expect(&kernel, "constant SPLIT");
    }
    {
        WITH(struct vkz_pass, passes, 1, groups[0], "m / 2");
        expect(&kernel, "pass combine: groups|integer");
    }
}

static void wrong_tables(void **state)
{
    (void)state;
    struct vkz_kernel kernel = fixture_kernel;
    kernel.op = "dots";
    expect(&kernel, "op dots does not exist");
    kernel = fixture_kernel;
    kernel.abi = 2;
    expect(&kernel, "op dot/2: the contract's abi is 1");
    kernel = fixture_kernel;
    kernel.passes = NULL;
    kernel.variants = NULL;
    expect(&kernel, "there is no pass|there is no variant");
    {
        WITH(struct vkz_spec, specs, 2, name, "MODES");
        expect(&kernel, "constant MODES (id 16, a feature axis) is no axis of op dot");
    }
    {
        WITH(struct vkz_spec, specs, 2, default_value, 2);
        expect(&kernel, "constant MODE: the default 2 is no value|plain relu");
    }
    {
        WITH(struct vkz_spec, specs, 1, id, 0);
        expect(&kernel, "constants WG_SIZE (id 0) and SPLIT (id 0) collide");
    }
    {
        WITH(struct vkz_tuning, tunings, 0, settings, "WG_SIZE=8 TILE=4");
        expect(&kernel, "tuning cpu: 'TILE=4'");
    }
    {
        WITH(struct vkz_tuning, tunings, 0, settings, "MODE=1");
        expect(&kernel, "tuning cpu: 'MODE=1'");
    }
    {
        WITH(struct vkz_pass, passes, 1, name, "partial");
        expect(&kernel, "pass partial is there twice");
    }
    {
        WITH(struct vkz_pass, passes, 1, indirect, "counts");
        expect(&kernel, "indirect counts must be a u32 buffer");
    }
}

static void expect_op(const struct vkz_op *op, const char *words)
{
    struct heard heard = {""};
    struct vkz_agree agree = {.report = hear, .context = &heard};
    vkz_agree_op(&agree, op);
    if (agree.count == 0)
        fail_msg("nothing was said about: %s", words);
    fixture_expect_words(heard.text, words);
}

static void wrong_contracts(void **state)
{
    (void)state;
    struct vkz_op op = vkz_op_dot;
    op.name = "dots";
    expect_op(&op, "host/ops/unit/dots.c: |no naive twin");
    op = vkz_op_dot;
    op.units = "n";
    expect_op(&op, "are not a multiple of");
    op.units = "rows";
    expect_op(&op, "units|unknown name 'rows'");
    op = vkz_op_dot;
    op.flops = "2 * m * q";
    expect_op(&op, "flops|'q'");
    op = vkz_op_dot;
    op.valid = "m > 1000";
    expect_op(&op, "no case out of");
    op = vkz_op_dot;
    op.fill = NULL;
    expect_op(&op, "tensor bias|no fill of its own");
    struct vkz_dim dims[] = {
        {"m", "", NULL}, {"n", "", NULL}, {"k", "", NULL}, {"MODE", "", NULL}, {0}};
    op = vkz_op_dot;
    op.dims = dims;
    expect_op(&op, "the name MODE is used twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_agree),        cmocka_unit_test(wrong_binds),
        cmocka_unit_test(left_out_tensors), cmocka_unit_test(wrong_expressions),
        cmocka_unit_test(wrong_tables),     cmocka_unit_test(wrong_contracts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
