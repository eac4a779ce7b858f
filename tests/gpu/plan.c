// SPDX-License-Identifier: MIT
// Plans: the numbers they resolve to, what they refuse and why, and what they compute
// between guard words on a real device.
#include <math.h>

#include "gpu_test.h"

static const uint32_t guard_word = 0x7fc0a5a5;

// A plan of the fixture on buffers of its own, each between two guards.
struct run {
    struct vkz_gpu *gpu;
    struct vkz_plan *plan;
    struct vkz_binding *binding;
    struct vkz_batch *batch;
    struct vkz_buffer buffers[8];
    size_t guard;
};

static void run_create(struct run *run, struct vkz_gpu *gpu,
                       const struct vkz_plan_params *params)
{
    *run = (struct run){.gpu = gpu, .guard = vkz_gpu_get_info(gpu)->offset_alignment};
    CHECK_OK(vkz_plan_create(gpu, params, &run->plan, &err));
    CHECK(vkz_plan_bind_count(run->plan) <= 8);
    VkDescriptorBufferInfo infos[8] = {0};
    for (int i = 0; i < vkz_plan_bind_count(run->plan); i++) {
        const size_t bytes = vkz_plan_buffer_bytes(run->plan, i);
        if (!bytes)
            continue;
        const size_t words = (bytes + 3) / 4 * 4;
        struct vkz_buffer *buffer = &run->buffers[i];
        CHECK_OK(vkz_buffer_create(gpu, VKZ_BUFFER_DEVICE, words + 2 * run->guard, buffer,
                                   &err));
        CHECK_OK(vkz_buffer_fill(gpu, buffer, 0, buffer->bytes, guard_word, &err));
        infos[i] = (VkDescriptorBufferInfo){buffer->handle, run->guard, words};
    }
    CHECK_OK(vkz_binding_create(run->plan, infos, &run->binding, &err));
    CHECK_OK(vkz_batch_create(gpu, 2, &run->batch, &err));
}

static void run_go(struct run *run, int first, int count)
{
    CHECK_OK(vkz_batch_begin(run->batch, &err));
    vkz_batch_barrier(run->batch);
    vkz_batch_stamp(run->batch, 0);
    vkz_record_passes(run->plan, run->binding, vkz_batch_command_buffer(run->batch),
                      first, count);
    vkz_batch_stamp(run->batch, 1);
    CHECK_OK(vkz_batch_run(run->batch, 0, &err));
}

static void check_guards(struct run *run)
{
    for (int i = 0; i < vkz_plan_bind_count(run->plan); i++) {
        struct vkz_buffer *buffer = &run->buffers[i];
        for (size_t at = 0; buffer->handle && at < buffer->bytes; at += 4) {
            if (at == run->guard)
                at = buffer->bytes - run->guard;
            uint32_t word = 0;
            CHECK_OK(vkz_buffer_read(run->gpu, buffer, at, &word, 4, &err));
            CHECK(word == guard_word);
        }
    }
}

static void run_destroy(struct run *run)
{
    check_guards(run);
    vkz_batch_destroy(&run->batch);
    vkz_binding_destroy(&run->binding);
    vkz_plan_destroy(&run->plan);
    for (int i = 0; i < 8; i++)
        vkz_buffer_destroy(run->gpu, &run->buffers[i]);
}

static void write_ramp(struct run *run, int n, double *sum)
{
    float *x = malloc((size_t)n * sizeof *x);
    CHECK(x);
    *sum = 0;
    for (int i = 0; i < n; i++) {
        x[i] = (float)(i % 13 - 4);
        *sum += x[i];
    }
    CHECK_OK(vkz_buffer_write(run->gpu, &run->buffers[0], run->guard, x,
                              (size_t)n * sizeof *x, &err));
    free(x);
}

// Three passes, the second with group counts made by the first.
static void test_sum(struct vkz_gpu *gpu, int n, int shift, const char *tuning)
{
    const struct vkz_env env = test_case(n, shift);
    struct run run;
    run_create(&run, gpu,
               &(struct vkz_plan_params){
                   .kernel = &vkz_kernel_fixture_sum,
                   .variant = "f32",
                   .env = &env,
                   .tuning = tuning,
               });
    double sum;
    const float bias = 5;
    write_ramp(&run, n, &sum);
    if (shift)
        CHECK_OK(vkz_buffer_write(gpu, &run.buffers[1], run.guard, &bias, 4, &err));
    run_go(&run, 0, 3);
    float y = NAN;
    CHECK_OK(vkz_buffer_read(gpu, &run.buffers[4], run.guard, &y, 4, &err));
    CHECK(y == 2 * sum + (shift ? 5 : 0));
    if (vkz_gpu_get_info(gpu)->timestamp_bits)
        CHECK(vkz_batch_elapsed_ns(run.batch, 0, 1) >= 0);
    // Pass by pass gives the same.
    CHECK_OK(vkz_buffer_fill(gpu, &run.buffers[4], run.guard, 4, guard_word, &err));
    for (int pass = 0; pass < 3; pass++)
        run_go(&run, pass, 1);
    CHECK_OK(vkz_buffer_read(gpu, &run.buffers[4], run.guard, &y, 4, &err));
    CHECK(y == 2 * sum + (shift ? 5 : 0));
    run_destroy(&run);
}

static void test_numbers(struct vkz_gpu *gpu)
{
    const struct vkz_env env = test_case(1000, 0);
    struct vkz_plan *plan;
    CHECK_OK(vkz_plan_create(gpu,
                             &(struct vkz_plan_params){
                                 .kernel = &vkz_kernel_fixture_sum,
                                 .env = &env,
                                 .tuning = "WG_SIZE=32",
                             },
                             &plan, &err));
    // The tuned constant reaches the expression of the next one.
    CHECK(!strcmp(vkz_plan_specialization(plan), "WG_SIZE=32,BLOCK=64,SHIFT=0"));
    double parts = 0;
    CHECK(vkz_env_get(vkz_plan_env(plan), "parts", &parts) && parts == 16);
    CHECK(vkz_plan_bind_count(plan) == 5 && vkz_plan_pass_count(plan) == 3);
    CHECK(vkz_plan_buffer_bytes(plan, 0) == 4000);
    CHECK(vkz_plan_buffer_bytes(plan, 1) == 0); // absent without SHIFT
    CHECK(vkz_plan_scratch_bytes(plan) == 12 + 64);
    CHECK(vkz_plan_shared_bytes(plan) == 128);
    uint32_t groups[3];
    vkz_plan_groups(plan, 2, groups);
    CHECK(groups[0] == 1 && groups[1] == 1 && groups[2] == 1);
    vkz_plan_groups(plan, 1, groups); // indirect: known to the device only
    CHECK(groups[0] == 0 && groups[1] == 0 && groups[2] == 0);
    vkz_plan_destroy(&plan);
    CHECK(!plan);
    vkz_plan_destroy(&plan);
}

static enum vkz_status try_plan(struct vkz_gpu *gpu, const char *variant,
                                const struct vkz_env *env, const char *tuning,
                                uint32_t subgroup_size, struct vkz_error *err)
{
    struct vkz_plan *plan;
    const enum vkz_status status = vkz_plan_create(gpu,
                                                   &(struct vkz_plan_params){
                                                       .kernel = &vkz_kernel_fixture_sum,
                                                       .variant = variant,
                                                       .env = env,
                                                       .tuning = tuning,
                                                       .subgroup_size = subgroup_size,
                                                   },
                                                   &plan, err);
    vkz_plan_destroy(&plan);
    return status;
}

static void test_refusals(struct vkz_gpu *gpu)
{
    struct vkz_env env = test_case(1000, 0);
#define TRY(variant, tuning) try_plan(gpu, variant, &env, tuning, 0, &err)
    CHECK_SAYS(VKZ_BAD_INPUT, "no variant", TRY("f33", NULL));
    CHECK_SAYS(VKZ_BAD_INPUT, "tuning LOST", TRY("f32", "LOST=1"));
    CHECK_SAYS(VKZ_BAD_INPUT, "tuning WG_SIZE", TRY("f32", "WG_SIZE"));
    CHECK_SAYS(VKZ_BAD_INPUT, "twice", TRY("f32", "WG_SIZE=8,WG_SIZE=16"));
    CHECK_SAYS(VKZ_BAD_INPUT, "tuning SHIFT", TRY("f32", "SHIFT=1"));
    CHECK_SAYS(VKZ_BAD_INPUT, "constant WG_SIZE", TRY("f32", "WG_SIZE=1.5"));
    CHECK_SAYS(VKZ_SKIP, "adds up at least one element", TRY("f32", "BLOCK=1"));
    CHECK_SAYS(VKZ_SKIP, "bytes of shared memory", TRY("f32", "WG_SIZE=1000000"));
    CHECK_SAYS(VKZ_SKIP, "workgroups of 0x", TRY("f32", "WG_SIZE=0 BLOCK=64"));
    CHECK_SAYS(VKZ_SKIP, "was asked for subgroups of 5",
               try_plan(gpu, "f32", &env, NULL, 5, &err));
    vkz_env_set(&env, "n", 0);
    CHECK_SAYS(VKZ_SKIP, "adds up at least one element", TRY("f32", NULL));
    vkz_env_set(&env, "n", 1e12);
    CHECK_SAYS(VKZ_SKIP, "in the buffer x", TRY("f32", NULL));
    vkz_env_set(&env, "n", 10);
    vkz_env_set_axis(&env, "ORDER", 0, "up down");
    CHECK_OK(TRY("f32", NULL));
    vkz_env_set_axis(&env, "ORDER", 1, "up down");
    CHECK_SAYS(VKZ_SKIP, "no ORDER constant: it serves ORDER=up only", TRY("f32", NULL));
    env = (struct vkz_env){0}; // no alpha
    vkz_env_set(&env, "n", 10);
    vkz_env_set_axis(&env, "SHIFT", 0, "none bias");
    CHECK_SAYS(VKZ_BAD_INPUT, "push field alpha", TRY("f32", NULL));
#undef TRY
}

static void test_bindings(struct vkz_gpu *gpu)
{
    const struct vkz_env env = test_case(64, 0);
    struct vkz_plan *plan;
    struct vkz_binding *binding;
    struct vkz_buffer buffer;
    CHECK_OK(vkz_plan_create(
        gpu, &(struct vkz_plan_params){.kernel = &vkz_kernel_fixture_sum, .env = &env},
        &plan, &err));
    CHECK_OK(vkz_buffer_create(gpu, VKZ_BUFFER_DEVICE, 4096, &buffer, &err));
    VkDescriptorBufferInfo infos[5];
    for (int i = 0; i < 5; i++)
        infos[i] = (VkDescriptorBufferInfo){buffer.handle, 512u * (unsigned)i, 512};
    infos[1].buffer = VK_NULL_HANDLE; // absent in this case
    CHECK_OK(vkz_binding_create(plan, infos, &binding, &err));
    vkz_binding_destroy(&binding);
    infos[0].range = 255;
    CHECK_SAYS(VKZ_BAD_INPUT, "for x", vkz_binding_create(plan, infos, &binding, &err));
    infos[0].range = VK_WHOLE_SIZE;
    CHECK_OK(vkz_binding_create(plan, infos, &binding, &err));
    vkz_binding_destroy(&binding);
    infos[4].offset += 2;
    CHECK_SAYS(VKZ_BAD_INPUT, "offset of y",
               vkz_binding_create(plan, infos, &binding, &err));
    infos[4].buffer = VK_NULL_HANDLE;
    CHECK_SAYS(VKZ_BAD_INPUT, "for y", vkz_binding_create(plan, infos, &binding, &err));
    vkz_binding_destroy(&binding);
    vkz_buffer_destroy(gpu, &buffer);
    vkz_plan_destroy(&plan);
}

static void count_statistic(void *context, const char *pass, const char *executable,
                            const char *name, const char *value)
{
    CHECK(pass && executable && name[0] && value[0]);
    ++*(int *)context;
}

static void test_statistics(struct vkz_gpu *gpu)
{
    const struct vkz_env env = test_case(64, 0);
    struct vkz_plan *plan;
    int count = 0;
    struct vkz_plan_params params = {.kernel = &vkz_kernel_fixture_sum, .env = &env};
    CHECK_OK(vkz_plan_create(gpu, &params, &plan, &err));
    CHECK_STATUS(VKZ_SKIP, vkz_plan_statistics(plan, count_statistic, &count, &err));
    vkz_plan_destroy(&plan);
    params.statistics = true;
    CHECK_OK(vkz_plan_create(gpu, &params, &plan, &err));
    const bool has = vkz_gpu_get_info(gpu)->executable_statistics;
    CHECK_STATUS(has ? VKZ_OK : VKZ_SKIP,
                 vkz_plan_statistics(plan, count_statistic, &count, &err));
    CHECK(has || count == 0);
    vkz_plan_destroy(&plan);
}

// A required subgroup size, where the device lets one choose.
static void test_subgroup_size(struct vkz_gpu *gpu)
{
    const struct vkz_gpu_info *info = vkz_gpu_get_info(gpu);
    const struct vkz_env env = test_case(64, 0);
    for (uint32_t size = info->subgroup_min; size <= info->subgroup_max; size *= 2)
        if (info->subgroup_size_control)
            CHECK_OK(try_plan(gpu, "f32", &env, NULL, size, &err));
        else
            CHECK_STATUS(VKZ_SKIP, try_plan(gpu, "f32", &env, NULL, size, &err));
}

static void copy_something(struct vkz_gpu *gpu, const struct vkz_kernel *kernel,
                           const struct vkz_variant *variant)
{
    struct vkz_env env = {0};
    struct run run;
    unsigned char from[4004], to[4004];
    vkz_env_set(&env, "n", 1001);
    run_create(&run, gpu,
               &(struct vkz_plan_params){
                   .kernel = kernel,
                   .variant = variant->name,
                   .env = &env,
               });
    const size_t bytes = vkz_plan_buffer_bytes(run.plan, 0);
    const enum vkz_type type = vkz_variant_type(variant, kernel->binds[0].type);
    CHECK(bytes == 1001 * vkz_type_size(type) && bytes <= sizeof from);
    for (size_t i = 0; i < bytes; i++)
        from[i] = (unsigned char)(i % 59); // no NaN in any type
    CHECK_OK(vkz_buffer_write(gpu, &run.buffers[0], run.guard, from, bytes, &err));
    run_go(&run, 0, 1);
    CHECK_OK(vkz_buffer_read(gpu, &run.buffers[1], run.guard, to, bytes, &err));
    CHECK(!memcmp(from, to, bytes));
    run_destroy(&run);
}

// The program's own tables: whether each variant can run has an answer, and the kernels
// that copy, copy.
static void test_catalogue(struct vkz_gpu *gpu)
{
    for (int i = 0; vkz_kernels[i]; i++) {
        const struct vkz_kernel *kernel = vkz_kernels[i];
        CHECK(vkz_kernel_find(kernel->name) == kernel);
        for (const struct vkz_variant *v = kernel->variants; v->name; v++) {
            struct vkz_error why = {0};
            if (!vkz_gpu_can_run(gpu, kernel, v, &why))
                CHECK(why.status == VKZ_SKIP && strstr(why.message, "needs"));
            else if (!strcmp(kernel->op, "copy"))
                copy_something(gpu, kernel, v);
        }
    }
}

int main(void)
{
    struct vkz_instance *instance = test_instance();
    struct vkz_gpu *gpu = test_gpu(instance, NULL);
    test_numbers(gpu);
    test_refusals(gpu);
    test_bindings(gpu);
    test_statistics(gpu);
    test_subgroup_size(gpu);
    test_sum(gpu, 1, 0, NULL);
    test_sum(gpu, 1, 1, "WG_SIZE=8 BLOCK=8");
    test_sum(gpu, 10007, 1, NULL);
    test_catalogue(gpu);
    vkz_gpu_destroy(&gpu);

    struct vkz_gpu *bare = test_gpu(
        instance, &(struct vkz_gpu_params){.floor_limits = true, .core_only = true});
    test_sum(bare, 1009, 1, NULL);
    vkz_gpu_destroy(&bare);
    vkz_instance_destroy(&instance);
    return 0;
}
