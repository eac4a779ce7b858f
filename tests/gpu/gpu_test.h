// SPDX-License-Identifier: MIT
// What the tests of host/gpu share: a check that says where, and a device or exit 77.
// Each test is one program; the first failed check ends it.
#ifndef VKZ_TESTS_GPU_TEST_H
#define VKZ_TESTS_GPU_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/gpu.h"

// The fixture kernel of this folder, compiled by tools/zoocc.
extern const struct vkz_kernel vkz_kernel_fixture_sum;

enum { GPU_TEST_SKIPPED = 77 };

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,            \
                    #condition);                                                         \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

// The call must give `expected`; its message is shown when it does not.
#define CHECK_STATUS(expected, call)                                                     \
    do {                                                                                 \
        struct vkz_error err = {.message = "(no message)"};                              \
        const enum vkz_status got = (call);                                              \
        if (got != (expected)) {                                                         \
            fprintf(stderr, "%s:%d: %s gave %s: %s\n", __FILE__, __LINE__, #call,        \
                    vkz_status_name(got), err.message);                                  \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)
#define CHECK_OK(call) CHECK_STATUS(VKZ_OK, call)

// The call must give `expected` and a message with `part` in it.
#define CHECK_SAYS(expected, part, call)                                                 \
    do {                                                                                 \
        struct vkz_error err = {.message = "(no message)"};                              \
        const enum vkz_status got = (call);                                              \
        if (got != (expected) || !strstr(err.message, part)) {                           \
            fprintf(stderr, "%s:%d: %s gave %s: %s\n  expected %s with `%s`\n",          \
                    __FILE__, __LINE__, #call, vkz_status_name(got), err.message,        \
                    vkz_status_name(expected), part);                                    \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

// An instance with a device; ends the program with 77 where there is none.
static inline struct vkz_instance *test_instance(void)
{
    struct vkz_error err;
    struct vkz_instance *instance = NULL;
    const enum vkz_status status = vkz_instance_create(&instance, &err);
    if (status == VKZ_NO_DEVICE) {
        printf("skipped: %s\n", err.message);
        exit(GPU_TEST_SKIPPED);
    }
    CHECK(status == VKZ_OK);
    return instance;
}

// The usual device of the instance, created with `params` (NULL: the defaults).
static inline struct vkz_gpu *test_gpu(struct vkz_instance *instance,
                                       const struct vkz_gpu_params *params)
{
    int index = -1;
    struct vkz_gpu *gpu = NULL;
    CHECK_OK(vkz_instance_choose(instance, NULL, &index, &err));
    CHECK_OK(vkz_gpu_create(instance, index, params, &gpu, &err));
    return gpu;
}

// A case of the fixture: n elements, alpha 2, with or without the bias.
static inline struct vkz_env test_case(double n, int shift)
{
    struct vkz_env env = {0};
    vkz_env_set(&env, "n", n);
    vkz_env_set(&env, "alpha", 2);
    vkz_env_set_axis(&env, "SHIFT", shift, "none bias");
    return env;
}

#endif
