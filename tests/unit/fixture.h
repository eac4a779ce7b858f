// SPDX-License-Identifier: MIT
// What every unit test starts with: cmocka, and a build of one small op (fixture_op.c)
// and one kernel (fixture_tables.c).
#ifndef VKZ_TESTS_UNIT_FIXTURE_H
#define VKZ_TESTS_UNIT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "zoo/suite.h"

extern const struct vkz_op vkz_op_dot;
extern const struct vkz_kernel fixture_kernel;
extern const struct vkz_variant fixture_f32, fixture_f16, fixture_bf16;

// The case, which must be good.
struct vkz_case fixture_case(const char *settings);

// Fails the test unless the message holds every one of the words (separated by '|').
void fixture_expect_words(const char *message, const char *words);

#endif
