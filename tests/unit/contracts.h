// SPDX-License-Identifier: MIT
// What the tests of the contracts start with: a case's inputs to edit and its reference
// to read, for the ops of this build.
#ifndef VKZ_TESTS_UNIT_CONTRACTS_H
#define VKZ_TESTS_UNIT_CONTRACTS_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "zoo/data.h"
#include "zoo/identity.h"

static const struct vkz_variant contract_f32 = {.name = "f32", .types = "T=f32 C=f32"};
static const struct vkz_variant contract_f16 = {.name = "f16", .types = "T=f16 C=f32"};
static const struct vkz_variant contract_bf16 = {.name = "bf16", .types = "T=bf16 C=f32"};

struct contract {
    struct vkz_case c;
    struct vkz_data *data;
    struct vkz_reference *reference; // NULL until contract_run()
};

// A case with its inputs filled. Skips the test when the op is not in this build, fails
// it when the case is not good.
static inline void contract_open(struct contract *t, const char *op, const char *settings)
{
    struct vkz_error err = {VKZ_OK, ""};
    memset(t, 0, sizeof *t);
    const struct vkz_op *found = vkz_op_find(op);
    if (found == NULL) {
        print_message("%s is not in this build\n", op);
        skip();
    }
    if (vkz_case_parse(found, settings, 1, &t->c, &err) != VKZ_OK) {
        fail_msg("%s %s: %s", op, settings, err.message);
    }
    if (vkz_data_create(&t->c, &contract_f32, 1, &t->data, &err) != VKZ_OK) {
        fail_msg("%s", err.message);
    }
}

static inline void contract_close(struct contract *t)
{
    vkz_reference_destroy(&t->reference);
    vkz_data_destroy(&t->data);
}

static inline float *contract_float(struct contract *t, const char *tensor)
{
    struct vkz_array *array = vkz_data_find(t->data, tensor);
    assert_non_null(array);
    assert_non_null(array->wide);
    return array->wide;
}

static inline int32_t *contract_int(struct contract *t, const char *tensor)
{
    return (int32_t *)(void *)contract_float(t, tensor);
}

static inline int64_t contract_count(struct contract *t, const char *tensor)
{
    struct vkz_array *array = vkz_data_find(t->data, tensor);
    assert_non_null(array);
    return array->count;
}

// Writes the values that follow into an input, all of its elements.
static inline void contract_set(struct contract *t, const char *tensor,
                                const float *values)
{
    memcpy(contract_float(t, tensor), values,
           (size_t)contract_count(t, tensor) * sizeof *values);
}

// Copies an input of another case of the same shape.
static inline void contract_share(struct contract *to, struct contract *from,
                                  const char *tensor)
{
    assert_int_equal(contract_count(to, tensor), contract_count(from, tensor));
    contract_set(to, tensor, contract_float(from, tensor));
}

// Reference and naive emulation on the inputs as they are.
static inline void contract_run(struct contract *t)
{
    struct vkz_error err = {VKZ_OK, ""};
    for (int i = 0; i < t->data->array_count; i++) {
        vkz_array_round(&t->data->arrays[i]);
    }
    if (vkz_reference_create(t->data, 0, 1, &t->reference, &err) != VKZ_OK) {
        fail_msg("%s", err.message);
    }
}

static inline const struct vkz_expected *contract_expected(struct contract *t,
                                                           const char *tensor)
{
    for (int i = 0; i < t->reference->output_count; i++) {
        if (strcmp(t->reference->outputs[i].array->tensor->name, tensor) == 0) {
            return &t->reference->outputs[i];
        }
    }
    fail_msg("no output %s", tensor);
    return NULL;
}

static inline const double *contract_out(struct contract *t, const char *tensor)
{
    return contract_expected(t, tensor)->reference;
}

// Fails unless a and b agree to `tolerance` times the larger of 1 and |b|; NaN agrees
// with NaN, an infinity with itself.
static inline void contract_near(const char *what, int64_t i, double a, double b,
                                 double tolerance)
{
    if (a == b || (isnan(a) && isnan(b))) {
        return;
    }
    if (!(fabs(a - b) <= tolerance * fmax(1, fabs(b)))) {
        fail_msg("%s[%lld] is %.17g, expected %.17g", what, (long long)i, a, b);
    }
}

// All elements of an output against expected values; and the naive emulation, to 1e-3 of
// the magnitude of each sum.
static inline void contract_expect(struct contract *t, const char *tensor,
                                   const double *expected, double tolerance)
{
    const struct vkz_expected *e = contract_expected(t, tensor);
    for (int64_t i = 0; i < contract_count(t, tensor); i++) {
        contract_near(tensor, i, e->reference[i], expected[i], tolerance);
        assert_true(e->scale[i] >= 0 || isnan(e->scale[i]));
        if (isfinite(expected[i]) && isfinite(e->scale[i])) {
            assert_true(fabs(e->naive[i] - expected[i]) <= 1e-3 * e->scale[i] + 1e-30);
        }
    }
}

// The op's identities hold on its reference for every one of the cases (a list that ends
// with NULL), in f32, f16 and bf16.
static inline void contract_identities(const char *op, const char *const *cases)
{
    static const struct vkz_variant *const variants[] = {&contract_f32, &contract_f16,
                                                         &contract_bf16};
    for (; *cases != NULL; cases++) {
        for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
            struct contract t;
            struct vkz_error err = {VKZ_OK, ""};
            contract_open(&t, op, *cases);
            if (vkz_identities_check_reference(&t.c, variants[v], 1, &err) != VKZ_OK) {
                fail_msg("%s in %s: %s", *cases, variants[v]->name, err.message);
            }
            contract_close(&t);
        }
    }
}

#endif
