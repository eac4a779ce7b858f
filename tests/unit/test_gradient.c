// SPDX-License-Identifier: MIT
// Central differences find a wrong gradient; inputs saved by the forward op; units whose
// choice is ambiguous.
#include "fixture.h"

#include <math.h>

#include "zoo/gradient.h"
#include "zoo/reference.h"

// The gradients of the fixture's op, with a scalar that spoils one of them.
static const struct vkz_dim dims[] = {
    {"m", "rows", NULL}, {"n", "columns", "m"}, {"k", "length of the sums", NULL}, {0}};
static const struct vkz_scalar scalars[] = {
    {"alpha", "1/sqrt(k)", "factor"}, {"spoil", "0", "added to the last dx"}, {0}};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "m, k", NULL, "normal(1)", "left"},
    {"w", VKZ_IN, "T", "n, k", NULL, "linear_w", "right"},
    {"y", VKZ_IN, "T", "m, n", NULL, "forward", "what the forward op gave"},
    {"dy", VKZ_IN, "T", "m, n", NULL, NULL, "upstream"},
    {"dx", VKZ_OUT, "T", "m, k", NULL, NULL, "gradient of x"},
    {"dw_", VKZ_OUT, "T", "n, k", NULL, NULL, "gradient of w"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t m = vkz_ref_dim(ref, "m"), n = vkz_ref_dim(ref, "n");
    const int64_t k = vkz_ref_dim(ref, "k");
    const double alpha = vkz_ref_value(ref, "alpha");
    const float *x = vkz_ref_in(ref, "x"), *w = vkz_ref_in(ref, "w");
    const float *dy = vkz_ref_in(ref, "dy");
    double *dx = vkz_ref_out(ref, "dx"), *dw = vkz_ref_out(ref, "dw_");
    (void)unit;
    for (int64_t i = 0; i < m * k; i++)
        dx[i] = 0;
    for (int64_t i = 0; i < n * k; i++)
        dw[i] = 0;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            for (int64_t p = 0; p < k; p++) {
                dx[i * k + p] += alpha * dy[i * n + j] * w[j * k + p];
                dw[j * k + p] += alpha * dy[i * n + j] * x[i * k + p];
            }
        }
    }
    dx[m * k - 1] += vkz_ref_value(ref, "spoil");
    if (vkz_ref_value(ref, "spoil") > 0)
        vkz_ref_ambiguous(ref);
}

static const struct vkz_op backward = {
    .name = "dot_backward",
    .family = "unit",
    .forward = "dot",
    .abi = 1,
    .title = "gradients of rows times rows",
    .dims = dims,
    .scalars = scalars,
    .tensors = tensors,
    .flops = "4 * m * n * k",
    .tolerance = VKZ_TOL_GRAD,
    .units = "1",
    .reference = reference,
    .bitwise = true,
};

static struct vkz_case make(const char *settings)
{
    struct vkz_case c;
    struct vkz_error err = {VKZ_OK, ""};
    if (vkz_case_parse(&backward, settings, 1, &c, &err) != VKZ_OK)
        fail_msg("%s", err.message);
    return c;
}

static void right_gradients(void **state)
{
    const struct vkz_case c = make("m=5 n=3 k=7 alpha=0.5");
    struct vkz_error err = {VKZ_OK, ""};
    (void)state;
    if (vkz_gradient_check(&c, 1e-6, 1, &err) != VKZ_OK)
        fail_msg("%s", err.message);
}

static void wrong_gradient(void **state)
{
    const struct vkz_case c = make("m=5 n=3 k=7 spoil=0.01");
    struct vkz_error err = {VKZ_OK, ""};
    (void)state;
    assert_int_equal(vkz_gradient_check(&c, 1e-5, 1, &err), VKZ_FAILED);
    fixture_expect_words(err.message, "dot_backward@m=5|gradient of x|dot");
}

static void saved_output(void **state)
{
    const struct vkz_case c = make("m=5 n=3 k=7 alpha=0.25");
    struct vkz_data *data = NULL;
    (void)state;
    assert_int_equal(vkz_data_create(&c, &fixture_f16, 1, &data, NULL), VKZ_OK);
    const float *x = vkz_data_find(data, "x")->wide, *w = vkz_data_find(data, "w")->wide;
    const float *y = vkz_data_find(data, "y")->wide;
    for (int i = 0; i < 15; i++) {
        double sum = 0;
        for (int p = 0; p < 7; p++)
            sum += 0.25 * x[i / 3 * 7 + p] * w[i % 3 * 7 + p];
        assert_true(y[i] == (float)vkz_storage_round(VKZ_F16, sum));
    }
    vkz_data_destroy(&data);
}

static void ambiguous_units(void **state)
{
    (void)state;
    for (int spoiled = 0; spoiled < 2; spoiled++) {
        const struct vkz_case c = make(spoiled ? "m=2 k=2 spoil=1" : "m=2 k=2");
        struct vkz_data *data = NULL;
        struct vkz_reference *r = NULL;
        assert_int_equal(vkz_data_create(&c, &fixture_f32, 1, &data, NULL), VKZ_OK);
        assert_int_equal(vkz_reference_create_only(data, 0, 1, &r, NULL), VKZ_OK);
        assert_int_equal(r->ambiguous[0], spoiled);
        vkz_reference_destroy(&r);
        vkz_data_destroy(&data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_gradients),
        cmocka_unit_test(wrong_gradient),
        cmocka_unit_test(saved_output),
        cmocka_unit_test(ambiguous_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
